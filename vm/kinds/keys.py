"""Which keys speak for an account: several with weights, and others than before.  Spec: [AUTH-CHANGE]."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Annotated

from chain.codec import U63, Nested, Raw, Record, Seq, Uint
from chain.doc import Doc
from chain.ledger import AgendaItem, AgendaKind
from chain.types import Address, Height
from vm.accounts.authority import (
    MAX_KEYS,
    Authority,
    KeySet,
    KeyWeight,
    PendingKeys,
    authority_of,
    put_authority,
    taken_over,
)
from vm.act import Act
from vm.context import Context
from vm.events import Happening
from vm.kind import Kind
from vm.kinds.accounts import ACCOUNTS
from vm.rules import Refusal, Rule, check, guarded

MAX_DELAY_BLOCKS = 1 << 32


@dataclass(frozen=True, slots=True)
class SetAuth(Record):
    """Let other keys speak for the account, after a delay; with no keys, call off a change that waits.

    The delay is the one that the keys in force have set; the new keys' own delay is for the change after this.
    """

    threshold: Annotated[int, U63, Doc("what the weights of the keys that sign must add up to")]
    members: Annotated[
        tuple[KeyWeight, ...], Seq(Nested(KeyWeight), MAX_KEYS), Doc("the keys, ascending; none: call off")
    ]
    delay_blocks: Annotated[int, Uint(MAX_DELAY_BLOCKS), Doc("blocks that the next change will wait")]

    @property
    def calls_off(self) -> bool:
        return not self.members


@dataclass(frozen=True, slots=True)
class AuthScheduled(Happening):
    """Other keys will speak for an account."""

    account: Annotated[Address, Raw(20), Doc("the account")]
    threshold: Annotated[int, U63, Doc("what their weights must add up to")]
    keys: Annotated[int, U63, Doc("how many there are")]
    height: Annotated[Height, U63, Doc("from when on")]


@dataclass(frozen=True, slots=True)
class AuthCancelled(Happening):
    """A change of keys was called off."""

    account: Annotated[Address, Raw(20), Doc("the account")]


@dataclass(frozen=True, slots=True)
class AuthChanged(Happening):
    """The keys that waited speak for the account now, and no others."""

    account: Annotated[Address, Raw(20), Doc("the account")]
    threshold: Annotated[int, U63, Doc("what their weights must add up to")]
    keys: Annotated[int, U63, Doc("how many there are")]


class KeyChange(Act[SetAuth]):
    """The keys in force, and when others could take over."""

    @cached_property
    def authority(self) -> Authority:
        return authority_of(self.context.state, self.call.sender)

    @property
    def delay_blocks(self) -> int:
        """How long this change waits."""
        least = self.context.spec.accounts.key_delay_blocks
        return max([least, *(keys.delay_blocks for keys in self.authority.current)])

    @property
    def height(self) -> int:
        return self.context.height + self.delay_blocks


def _well_formed(act: KeyChange) -> Refusal | None:
    body = act.body
    if body.calls_off:
        empty = not body.threshold and not body.delay_blocks
        return None if empty else Refusal("no keys", "threshold 0 and delay 0 with them")
    named = [each.public_key for each in body.members]
    if any(key >= following for key, following in pairwise(named)):
        return Refusal(f"{len(named)} keys", "ascending keys, each once")
    return None


def _within_reach(act: KeyChange) -> Refusal | None:
    reach = sum(each.weight for each in act.body.members)
    if act.body.calls_off or 1 <= act.body.threshold <= reach:
        return None
    return Refusal(act.body.threshold, f"1..{reach}, the weights together")


def _long_enough(act: KeyChange) -> Refusal | None:
    least = act.context.spec.accounts.key_delay_blocks
    if act.body.calls_off or act.body.delay_blocks >= least:
        return None
    return Refusal(act.body.delay_blocks, f"at least {least} blocks")


def _one_at_a_time(act: KeyChange) -> Refusal | None:
    pending = act.authority.pending
    if act.body.calls_off:
        return None if pending else Refusal("no change that waits", "a change to call off")
    return Refusal(f"a change at height {pending[0].height}", "no other that waits") if pending else None


def _agenda_has_room(act: KeyChange) -> None:
    if not act.body.calls_off:
        act.context.require_agenda_room(act.height)


def _set(act: KeyChange) -> None:
    context, sender, body = act.context, act.call.sender, act.body
    if body.calls_off:
        put_authority(context.state, sender, replace(act.authority, pending=()))
        context.emit(AuthCancelled(sender))
        return
    keys = KeySet(body.threshold, body.members, body.delay_blocks)
    waiting = PendingKeys(keys, Height(act.height))
    put_authority(context.state, sender, replace(act.authority, pending=(waiting,)))
    context.schedule(act.height, AgendaKind.KEYS_CHANGE, sender)
    context.emit(AuthScheduled(sender, body.threshold, len(body.members), waiting.height))


def change_keys(context: Context, item: AgendaItem) -> None:
    """Keys that have waited take over, unless they were called off."""
    account = Address(item.subject[:20])
    authority = authority_of(context.state, account)
    if not authority.pending or authority.pending[0].height != context.height:
        return
    put_authority(context.state, account, taken_over(authority))
    context.put_account(account, context.account(account).but(keyed=1))
    keys = authority.pending[0].keys
    context.emit(AuthChanged(account, keys.threshold, len(keys.members)))


SET_AUTH = Kind(
    "account.set_auth",
    ACCOUNTS,
    SetAuth,
    who="the account itself, no session key",
    weight=3,
    max_bytes=2048,
    act=KeyChange,
    owner_only=True,
    checks=(
        check("FORM", "keys ascend, each once; without any, threshold and delay are 0", _well_formed),
        check("THRESHOLD", "the keys together can reach the threshold, and it is not 0", _within_reach),
        check("DELAY", "the delay is at least `key_delay_blocks`", _long_enough),
        check("PENDING", "no other change waits, or, to call one off, one does", _one_at_a_time),
        guarded((Rule("AGENDA_FULL", "the height of the change has room for a step"),), _agenda_has_room),
    ),
    effect=_set,
    events=(AuthScheduled, AuthCancelled, AuthChanged),
)

STEPS = {AgendaKind.KEYS_CHANGE: change_keys}
