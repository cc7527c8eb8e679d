"""Providers: stand on the list, change what it says, leave it, show to be alive.  Spec: [PROV-*]."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from chain.codec import U63, BigUint, OneOf, Raw, Record
from chain.doc import Doc
from chain.ints import ceil_div
from chain.types import Address, Grains, Hash32, Height
from vm.act import Act, affords
from vm.assets.record import find_version
from vm.events import Happening
from vm.kind import Family, Kind
from vm.letters import shown
from vm.providers.heartbeat import answer, averaged, blocks_into_epoch, challenge, epoch_of
from vm.providers.record import (
    Activity,
    Declaration,
    Provider,
    ProviderStatus,
    activity_of,
    delist,
    enlist,
    find_provider,
    provider_key,
    put_activity,
)
from vm.rules import Refusal, check

PROVIDERS = Family("provider", "Providers: offer work, say what is on offer, show to be alive.")
MAX_BYTES = 8_192
"""Room for 64 versions, four endpoints and eight classes."""


class OnList(Act[Any]):
    """The sender's entry in the list, if it has one."""

    @cached_property
    def entry(self) -> Provider | None:
        return find_provider(self.context, self.call.sender)

    @property
    def provider(self) -> Provider:
        """The entry, once `LISTED` has passed."""
        assert self.entry is not None, "LISTED comes first"
        return self.entry

    @cached_property
    def activity(self) -> Activity:
        return activity_of(self.context, self.call.sender)


def _listed(act: OnList) -> Refusal | None:
    return Refusal(act.call.sender, "an account on the list of providers") if act.entry is None else None


def _readable(act: OnList) -> Refusal | None:
    declared: Declaration = act.body.declared
    texts = (*declared.endpoints, *([declared.region] if declared.region else []))
    for text in texts:
        if not shown(text):
            return Refusal(repr(text), "letters that a person can see")
    return None


def _versions_exist(act: OnList) -> Refusal | None:
    for served in act.body.declared.versions:
        if find_version(act.context, served.asset, served.version) is None:
            return Refusal(f"version {served.version} of {served.asset.hex()}", "versions on this chain")
    return None


LISTED = check("NOT_FOUND", "the sender is on the list of providers", _listed)
READABLE = check(
    "TEXT", "endpoints are not empty, and they and the region have only visible letters", _readable
)
SERVABLE = check("NOT_FOUND", "every version that it serves exists", _versions_exist)
VERSIONS_PER_WEIGHT = 8
"""Look-ups, and their part of the declaration, that take half a transfer or a little more."""


def _weight(least: int) -> Callable[[Any], int]:
    """Weight of a body with a declaration."""
    return lambda body: least + ceil_div(len(body.declared.versions), VERSIONS_PER_WEIGHT)


@dataclass(frozen=True, slots=True)
class ProviderRegister(Record):
    """Stand on the list of providers; a deposit is locked until the account leaves it."""

    declared: Annotated[Declaration, Doc("what the provider says of itself")]


@dataclass(frozen=True, slots=True)
class ProviderRegistered(Happening):
    """An account stands on the list of providers."""

    provider: Annotated[Address, Raw(20), Doc("the account")]
    price_per_gmac_grains: Annotated[Grains, U63, Doc("what it asks for 10⁹ multiply-accumulates")]
    deposit_grains: Annotated[Grains, U63, Doc("what was locked for it")]


def _not_listed(act: OnList) -> Refusal | None:
    return Refusal("on the list", "`provider.update` for changes") if act.entry is not None else None


def _deposit_grains(act: OnList) -> int:
    return act.context.spec.providers.deposit_grains


def _register(act: OnList) -> None:
    context, sender, declared = act.context, act.call.sender, act.body.declared
    deposit = Grains(_deposit_grains(act))
    context.debit(sender, deposit)
    context.lock(deposit)
    entry = Provider(declared, ProviderStatus.ACTIVE, Height(context.height), deposit)
    enlist(context, sender, entry, epoch_of(context))
    context.emit(ProviderRegistered(sender, declared.price_per_gmac_grains, deposit))


REGISTER = Kind(
    "provider.register",
    PROVIDERS,
    ProviderRegister,
    who="anyone",
    weight=2,
    weigh=_weight(2),
    max_bytes=MAX_BYTES,
    act=OnList,
    checks=(
        check("BAD_STATE", "the sender is not on the list of providers", _not_listed),
        READABLE,
        SERVABLE,
        affords(_deposit_grains, "the sender has the deposit besides the fee"),
    ),
    effect=_register,
    events=(ProviderRegistered,),
    pausable=True,
)


@dataclass(frozen=True, slots=True)
class ProviderUpdate(Record):
    """Say something else of a provider, pause, or leave the list and take the deposit back."""

    status: Annotated[ProviderStatus, OneOf(ProviderStatus), Doc("EXITING leaves the list")]
    declared: Annotated[Declaration, Doc("what the provider says of itself; of no effect when it leaves")]


@dataclass(frozen=True, slots=True)
class ProviderUpdated(Happening):
    """A provider says something else of itself."""

    provider: Annotated[Address, Raw(20), Doc("the account")]
    status: Annotated[ProviderStatus, OneOf(ProviderStatus), Doc("whether it takes work")]
    price_per_gmac_grains: Annotated[Grains, U63, Doc("what it asks for 10⁹ multiply-accumulates")]


@dataclass(frozen=True, slots=True)
class ProviderLeft(Happening):
    """An account is on the list of providers no more."""

    provider: Annotated[Address, Raw(20), Doc("the account")]
    deposit_grains: Annotated[Grains, U63, Doc("what it got back")]


def _leaves(act: OnList) -> bool:
    return bool(act.body.status is ProviderStatus.EXITING)


def _idle(act: OnList) -> Refusal | None:
    open_jobs = act.activity.open_jobs
    return Refusal(f"{open_jobs} open jobs", "none, to leave") if _leaves(act) and open_jobs else None


def _update(act: OnList) -> None:
    context, sender, body, entry = act.context, act.call.sender, act.body, act.provider
    if not _leaves(act):
        context.state.store(provider_key(sender), entry.but(declared=body.declared, status=body.status))
        context.emit(ProviderUpdated(sender, body.status, body.declared.price_per_gmac_grains))
        return
    delist(context, sender)
    context.unlock(entry.deposit_grains)
    context.credit(sender, entry.deposit_grains)
    context.emit(ProviderLeft(sender, entry.deposit_grains))


UPDATE = Kind(
    "provider.update",
    PROVIDERS,
    ProviderUpdate,
    who="a provider on the list",
    weight=1,
    weigh=_weight(1),
    max_bytes=MAX_BYTES,
    act=OnList,
    checks=(
        LISTED,
        READABLE,
        SERVABLE,
        check("BUSY", "whoever leaves has claimed no job that has not ended", _idle),
    ),
    effect=_update,
    events=(ProviderUpdated, ProviderLeft),
)


@dataclass(frozen=True, slots=True)
class ProviderHeartbeat(Record):
    """Show that a provider is alive and follows this chain, once in an epoch, soon after it began."""

    digest: Annotated[Hash32, Raw(32), Doc("that of the product drawn for this provider and epoch")]


@dataclass(frozen=True, slots=True)
class Heartbeat(Happening):
    """A provider is alive."""

    provider: Annotated[Address, Raw(20), Doc("the account")]
    epoch: Annotated[int, U63, Doc("the epoch")]
    measured_macs: Annotated[int, BigUint(16), Doc("MACs that it settles in an epoch, as a moving average")]


def _first_in_epoch(act: OnList) -> Refusal | None:
    epoch, last = epoch_of(act.context), act.activity.heartbeat_epoch
    return Refusal(f"epoch {epoch}", f"from epoch {last + 1} on") if epoch <= last else None


def _soon_enough(act: OnList) -> Refusal | None:
    blocks, window = blocks_into_epoch(act.context), act.context.spec.providers.heartbeat_blocks
    return Refusal(f"block {blocks} of the epoch", f"0..{window - 1}") if blocks >= window else None


def _answered(act: OnList) -> Refusal | None:
    seed = challenge(act.context, act.call.sender)
    if seed is None or act.body.digest != answer(seed):
        return Refusal(act.body.digest, "the digest of the product drawn for this provider and epoch")
    return None


def _beat(act: OnList) -> None:
    context, sender, activity = act.context, act.call.sender, act.activity
    epoch = epoch_of(context)
    measured = averaged(activity.measured_macs, activity.settled_macs, epoch - activity.heartbeat_epoch)
    beaten = activity.but(settled_macs=0, measured_macs=measured, heartbeat_epoch=epoch)
    put_activity(context, sender, beaten)
    context.emit(Heartbeat(sender, epoch, measured))


HEARTBEAT = Kind(
    "provider.heartbeat",
    PROVIDERS,
    ProviderHeartbeat,
    who="a provider on the list",
    weight=3,
    max_bytes=1024,
    act=OnList,
    checks=(
        LISTED,
        check(
            "TOO_SOON", "it has sent none in this epoch, and registered in an earlier one", _first_in_epoch
        ),
        check("LATE", "the epoch began less than `heartbeat_blocks` ago", _soon_enough),
        check("CHALLENGE", "the digest is that of the product drawn for it", _answered),
    ),
    effect=_beat,
    events=(Heartbeat,),
)
