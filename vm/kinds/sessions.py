"""Session keys: granted with limits, revoked at once, over by themselves.  Spec: [SESSION-GRANT], [SESSION-END]."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from chain.codec import U63, Raw, Record, Seq, Text, Uint
from chain.doc import Doc
from chain.errors import Invalid
from chain.keys import address_of
from chain.ledger import AgendaItem, AgendaKind
from chain.types import Address, Grains, Hash32, Height, PublicKey
from vm.accounts.session import (
    MAX_KINDS,
    MAX_NAMED,
    MAX_SESSIONS,
    Session,
    drop_session,
    find_session,
    put_session,
    session_id,
    session_keys_of,
)
from vm.act import Act, affords
from vm.context import Context
from vm.events import Happening
from vm.governance.proposal import ProposalSort
from vm.kind import Family, Kind
from vm.rules import Refusal, Rule, check, guarded

SESSIONS = Family("session", "Session keys: let a program spend a little in your name.")
VOTE_SCOPES = sum(1 << sort for sort in ProposalSort)
"""All sorts of proposals, a bit each."""


@dataclass(frozen=True, slots=True)
class SessionGrant(Record):
    """Let a key sign for the account within limits; all it spends is counted, fees and deposits too."""

    public_key: Annotated[PublicKey, Raw(32), Doc("the public key that may sign")]
    kinds: Annotated[
        tuple[str, ...], Seq(Text(32), MAX_KINDS, 1), Doc("kinds of transactions, in order of names")
    ]
    total_grains: Annotated[Grains, U63, Doc("what it may spend in all")]
    window_blocks: Annotated[
        int, Uint(1 << 32), Doc("length of the window that spending is bounded in; 0: none")
    ]
    per_window_grains: Annotated[Grains, U63, Doc("what it may spend within one window; 0 without a window")]
    counterparties: Annotated[
        tuple[Address, ...], Seq(Raw(20), MAX_NAMED), Doc("whom its transactions may name; none: anybody")
    ]
    objects: Annotated[
        tuple[Hash32, ...], Seq(Raw(32), MAX_NAMED), Doc("jobs, assets and the like they may name; none: any")
    ]
    vote_scope: Annotated[
        int, Uint(VOTE_SCOPES), Doc("sorts of proposals it may vote on, 2^n for sort n, added up; 0: none")
    ]
    agent: Annotated[int, Uint(1), Doc("1: a program holds the key, for people to see")]
    expires: Annotated[Height, U63, Doc("last height at which it may sign")]


@dataclass(frozen=True, slots=True)
class SessionGranted(Happening):
    """A session key may sign for an account."""

    owner: Annotated[Address, Raw(20), Doc("the account")]
    key: Annotated[PublicKey, Raw(32), Doc("the key")]
    total_grains: Annotated[Grains, U63, Doc("what it may spend in all")]
    expires: Annotated[Height, U63, Doc("last height at which it may sign")]
    deposit_grains: Annotated[Grains, U63, Doc("what was locked for it")]


@dataclass(frozen=True, slots=True)
class SessionEnded(Happening):
    """A session key may not sign any more; its deposit was paid back."""

    owner: Annotated[Address, Raw(20), Doc("the account")]
    key: Annotated[PublicKey, Raw(32), Doc("the key")]
    spent_grains: Annotated[Grains, U63, Doc("what it spent in all")]
    deposit_grains: Annotated[Grains, U63, Doc("what was paid back")]


@dataclass(frozen=True, slots=True)
class SessionRevoked(Happening):
    """The owner took a session key back."""

    owner: Annotated[Address, Raw(20), Doc("the account")]
    key: Annotated[PublicKey, Raw(32), Doc("the key")]


class Granting(Act[SessionGrant]):
    """The sessions there are."""

    @cached_property
    def live(self) -> tuple[PublicKey, ...]:
        return session_keys_of(self.context.state, self.call.sender)

    @property
    def deposit_grains(self) -> int:
        return self.context.spec.accounts.session_deposit_grains


def _another_key(act: Granting) -> Refusal | None:
    own = address_of(act.body.public_key) == act.call.sender
    return Refusal(act.body.public_key, "a key that is not the account's own") if own else None


def _not_live(act: Granting) -> Refusal | None:
    return (
        Refusal(act.body.public_key, "a key without a live session")
        if act.body.public_key in act.live
        else None
    )


def _not_too_many(act: Granting) -> Refusal | None:
    return Refusal(len(act.live), f"fewer than {MAX_SESSIONS}") if len(act.live) >= MAX_SESSIONS else None


def _grantable(act: Granting) -> Refusal | None:
    from vm.registry import kind_named  # the table of kinds has this one in it

    named = act.body.kinds
    if list(named) != sorted(set(named)):
        return Refusal(", ".join(named), "names in their order, each once")
    for name in named:
        try:
            kind = kind_named(name)
        except Invalid as error:
            return Refusal(name, error.allowed)
        if kind.owner_only or kind.name == "batch":
            return Refusal(name, "kinds that a session key may do; of a batch, those of its operations")
    return None


def _well_formed(act: Granting) -> Refusal | None:
    body = act.body
    if bool(body.window_blocks) != bool(body.per_window_grains):
        return Refusal(
            f"{body.per_window_grains} grains in {body.window_blocks} blocks",
            "a window with a limit, or neither",
        )
    return None


def _expires_later(act: Granting) -> Refusal | None:
    height, expires = act.context.height, act.body.expires
    if height < expires < height + (1 << 32):
        return None
    return Refusal(f"height {expires}", f"{height + 1}..{height + (1 << 32) - 1}")


def _agenda_has_room(act: Granting) -> None:
    act.context.require_agenda_room(act.body.expires + 1)


def _grant(act: Granting) -> None:
    context, body, owner = act.context, act.body, act.call.sender
    deposit = Grains(act.deposit_grains)
    context.debit(owner, deposit)
    context.lock(deposit)
    session = Session(
        owner=owner,
        public_key=body.public_key,
        kinds=body.kinds,
        total_grains=body.total_grains,
        window_blocks=body.window_blocks,
        per_window_grains=body.per_window_grains,
        counterparties=body.counterparties,
        objects=body.objects,
        vote_scope=body.vote_scope,
        agent=body.agent,
        expires=body.expires,
        deposit_grains=deposit,
        spent_grains=Grains(0),
        window_begins=Height(context.height),
        window_spent_grains=Grains(0),
    )
    put_session(context.state, session)
    context.schedule(body.expires + 1, AgendaKind.SESSION_ENDS, session.identity)
    context.emit(SessionGranted(owner, body.public_key, body.total_grains, body.expires, deposit))


GRANT = Kind(
    "session.grant",
    SESSIONS,
    SessionGrant,
    who="the account itself, no session key",
    weight=3,
    max_bytes=2048,
    act=Granting,
    owner_only=True,
    pausable=True,
    checks=(
        check("SELF", "the key is not the account's own", _another_key),
        check("DUPLICATE", "the key has no live session of this account", _not_live),
        check("TOO_MANY", f"the account has fewer than {MAX_SESSIONS} live sessions", _not_too_many),
        check("SCOPE_INVALID", "the kinds exist, ascend, and session keys may do them", _grantable),
        check("FORM", "there is a window and a limit in it, or neither", _well_formed),
        check("EXPIRES", "it ends after this block, and within 2^32 blocks", _expires_later),
        guarded((Rule("AGENDA_FULL", "the height after the last has room for a step"),), _agenda_has_room),
        affords(lambda act: act.deposit_grains, "the account has the deposit besides the fee"),
    ),
    effect=_grant,
    events=(SessionGranted, SessionEnded),
)


@dataclass(frozen=True, slots=True)
class SessionRevoke(Record):
    """Take a session key back; it can sign nothing more, and the deposit comes back."""

    public_key: Annotated[PublicKey, Raw(32), Doc("the public key that was granted something")]


class Revocation(Act[SessionRevoke]):
    """The session to be ended."""

    @cached_property
    def found(self) -> Session | None:
        return find_session(self.context.state, session_id(self.call.sender, self.body.public_key))


def _is_live(act: Revocation) -> Refusal | None:
    return (
        Refusal(act.body.public_key, "a key with a live session of this account")
        if act.found is None
        else None
    )


def _revoke(act: Revocation) -> None:
    assert act.found is not None
    act.context.emit(SessionRevoked(act.found.owner, act.found.public_key))
    _end(act.context, act.found)


def end_session(context: Context, item: AgendaItem) -> None:
    """The last height is over, unless the session was revoked, and perhaps another granted to the key, before."""
    session = find_session(context.state, Hash32(item.subject))
    if session is not None and session.expires + 1 == context.height:
        _end(context, session)


def _end(context: Context, session: Session) -> None:
    drop_session(context.state, session)
    context.unlock(session.deposit_grains)
    context.credit(session.owner, session.deposit_grains)
    context.emit(
        SessionEnded(session.owner, session.public_key, session.spent_grains, session.deposit_grains)
    )


REVOKE = Kind(
    "session.revoke",
    SESSIONS,
    SessionRevoke,
    who="the account itself, no session key",
    weight=1,
    max_bytes=1024,
    act=Revocation,
    owner_only=True,
    checks=(check("NOT_FOUND", "the key has a live session of this account", _is_live),),
    effect=_revoke,
    events=(SessionRevoked, SessionEnded),
)

STEPS = {AgendaKind.SESSION_ENDS: end_session}
