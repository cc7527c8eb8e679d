"""Permits on datasets: set one, revoke one.  Spec: [ASSET-PERMIT].  What they do to jobs is in vm/jobs/inputs.py."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from chain.codec import U63, OneOf, Raw, Record, Seq
from chain.doc import Doc
from chain.hashing import Tag
from chain.ledger import AgendaKind
from chain.types import NO_PERMIT, Address, AssetId, Grains, Hash32, Height, PermitId
from vm.act import affords
from vm.assets.act import EXISTS, OWNED, OnAsset
from vm.assets.limits import MAX_CODE, MAX_PERMITTED, PERMIT_DEPOSIT_GRAINS
from vm.assets.permits import DTYPE_RULE, Output, Permit, find_permit, permit_key
from vm.assets.record import AssetType, holding_key
from vm.events import Happening
from vm.kind import Kind
from vm.kinds.assets import ASSETS
from vm.rules import Refusal, Rule, check, guarded


@dataclass(frozen=True, slots=True)
class AssetPermit(Record):
    """Allow runs of named code on a dataset, or revoke a permit; while one has not expired, the dataset is guarded."""

    asset: Annotated[AssetId, Raw(32), Doc("the dataset")]
    permit: Annotated[PermitId, Raw(32), Doc("zeros for a new one; else the permit to revoke, with no runs")]
    grantee: Annotated[Address, Raw(20), Doc("who may open jobs under it; zeros: anyone")]
    code: Annotated[
        tuple[Hash32, ...],
        Seq(Raw(32), MAX_CODE),
        Doc("digests of programs, or ids of assets whose content is one; a new permit names one or more"),
    ]
    providers: Annotated[
        tuple[Address, ...], Seq(Raw(20), MAX_PERMITTED), Doc("who alone may run it; none: anyone")
    ]
    min_bond_grains: Annotated[Grains, U63, Doc("least bond of the provider")]
    dtype: Annotated[int, DTYPE_RULE, Doc("element type of a class that the provider has declared; 0: any")]
    max_runs: Annotated[int, U63, Doc("how many jobs may be claimed under it; 0 revokes")]
    output: Annotated[Output, OneOf(Output), Doc("what may leave the provider")]
    expiry: Annotated[Height, U63, Doc("last height at which it holds; 0 to revoke")]


@dataclass(frozen=True, slots=True)
class PermitSet(Happening):
    """The owner of a dataset permits runs on it."""

    permit: Annotated[PermitId, Raw(32), Doc("its id")]
    asset: Annotated[AssetId, Raw(32), Doc("the dataset")]
    grantee: Annotated[Address, Raw(20), Doc("who may open jobs under it; zeros: anyone")]
    max_runs: Annotated[int, U63, Doc("how many")]
    expiry: Annotated[Height, U63, Doc("last height at which it holds")]
    deposit_grains: Annotated[Grains, U63, Doc("what was locked for it")]


@dataclass(frozen=True, slots=True)
class PermitRevoked(Happening):
    """No more runs under a permit; it guards its dataset until it expires."""

    permit: Annotated[PermitId, Raw(32), Doc("its id")]
    asset: Annotated[AssetId, Raw(32), Doc("the dataset")]


class Permission(OnAsset):
    """A new permit, or the end of an old one."""

    @property
    def is_new(self) -> bool:
        return bool(self.body.permit == NO_PERMIT)

    @cached_property
    def named(self) -> Permit | None:
        """The permit to revoke."""
        return find_permit(self.context, self.body.permit)

    @property
    def deposit_grains(self) -> int:
        return PERMIT_DEPOSIT_GRAINS if self.is_new else 0


def _of_data(act: Permission) -> Refusal | None:
    found = act.facts.type
    return Refusal(found.name, "a dataset") if found is not AssetType.DATASET else None


def _of_this_dataset(act: Permission) -> Refusal | None:
    if act.is_new or (act.named is not None and act.named.asset == act.asset_id):
        return None
    return Refusal(act.body.permit, "a permit on this dataset that has not expired")


def _well_formed(act: Permission) -> Refusal | None:
    body: AssetPermit = act.body
    if act.is_new:
        if not body.max_runs or not body.code:
            return Refusal(
                f"{body.max_runs} runs of {len(body.code)} programs", "a run, and the code it runs"
            )
    elif body.max_runs or body.code:
        return Refusal(f"{body.max_runs} runs of {len(body.code)} programs", "none of both, to revoke")
    return None


def _ends_later(act: Permission) -> Refusal | None:
    height, expiry = act.context.height, act.body.expiry
    if act.is_new and expiry <= height:
        return Refusal(f"height {expiry}", f"after height {height}")
    return None


def _agenda_has_room(act: Permission) -> None:
    if act.is_new:
        act.context.require_agenda_room(act.body.expiry + 1)


def _permit(act: Permission) -> None:
    if act.is_new:
        _set(act)
        return
    assert act.named is not None
    act.context.state.store(permit_key(act.body.permit), act.named.but(revoked=1))
    act.context.emit(PermitRevoked(act.body.permit, act.asset_id))


def _set(act: Permission) -> None:
    context, body, sender = act.context, act.body, act.call.sender
    context.debit(sender, act.deposit_grains)
    context.lock(act.deposit_grains)
    identity, deposit = PermitId(act.call.object_id(Tag.PERMIT_ID)), Grains(act.deposit_grains)
    permit = Permit(
        asset=act.asset_id,
        grantor=sender,
        grantee=body.grantee,
        code=body.code,
        providers=body.providers,
        min_bond_grains=body.min_bond_grains,
        dtype=body.dtype,
        max_runs=body.max_runs,
        runs=0,
        output=body.output,
        expiry=body.expiry,
        revoked=0,
        deposit_grains=deposit,
    )
    context.state.store(permit_key(identity), permit)
    context.state.store(holding_key(act.asset_id), act.holding.but(permits=act.holding.permits + 1))
    context.schedule(body.expiry + 1, AgendaKind.PERMIT_ENDS, identity)
    context.emit(PermitSet(identity, act.asset_id, body.grantee, body.max_runs, body.expiry, deposit))


PERMIT = Kind(
    "asset.permit",
    ASSETS,
    AssetPermit,
    who="the owner of the dataset",
    weight=2,
    max_bytes=2048,
    deposit_grains=PERMIT_DEPOSIT_GRAINS,
    act=Permission,
    checks=(
        EXISTS,
        OWNED,
        check("TYPE", "the asset is a dataset", _of_data),
        check("FORM", "a new permit has a run and names code, one to revoke has neither", _well_formed),
        check("NOT_FOUND", "the permit to revoke is on this dataset and has not expired", _of_this_dataset),
        check("EXPIRY", "a new permit expires later than this block", _ends_later),
        guarded((Rule("AGENDA_FULL", "the height after its expiry has room for a step"),), _agenda_has_room),
        affords(lambda act: act.deposit_grains, "the sender has the deposit of a new permit besides the fee"),
    ),
    effect=_permit,
    events=(PermitSet, PermitRevoked),
    pausable=True,
)
