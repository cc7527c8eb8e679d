"""Session keys: they sign for an account within limits that every debit is counted against.  Spec: [SESSION-*].

What a session has spent is written in the state beside its limits, so a block that is undone takes the count back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from chain.codec import U63, Raw, Record, Seq, Text, Uint
from chain.errors import Invalid
from chain.hashing import Tag, h256
from chain.ints import add
from chain.ledger import Namespace, state_key
from chain.state.overlay import Overlay
from chain.types import Address, Grains, Hash32, Height, PublicKey, StateKey

MAX_SESSIONS = 32
"""Live ones of an account."""
MAX_KINDS = 16
MAX_NAMED = 8
"""Counterparties, and objects, of one session."""


@dataclass(frozen=True, slots=True)
class Session(Record):
    """A key, its limits, and what it has spent; without counterparties, or objects, it may name any."""

    owner: Annotated[Address, Raw(20)]
    public_key: Annotated[PublicKey, Raw(32)]
    kinds: Annotated[tuple[str, ...], Seq(Text(32), MAX_KINDS)]
    total_grains: Annotated[Grains, U63]
    window_blocks: Annotated[int, U63]
    """0: no window."""
    per_window_grains: Annotated[Grains, U63]
    counterparties: Annotated[tuple[Address, ...], Seq(Raw(20), MAX_NAMED)]
    objects: Annotated[tuple[Hash32, ...], Seq(Raw(32), MAX_NAMED)]
    vote_scope: Annotated[int, U63]
    """Bit n: it may vote on proposals of sort n."""
    agent: Annotated[int, Uint(1)]
    expires: Annotated[Height, U63]
    """Last height at which it holds."""
    deposit_grains: Annotated[Grains, U63]
    spent_grains: Annotated[Grains, U63]
    window_begins: Annotated[Height, U63]
    window_spent_grains: Annotated[Grains, U63]

    @property
    def identity(self) -> Hash32:
        return session_id(self.owner, self.public_key)

    def having_spent(self, amount: int, height: int) -> Session:
        """After one more debit.  Raises: Invalid SCOPE if it goes beyond a limit."""
        spent = add(self.spent_grains, amount)
        if spent > self.total_grains:
            raise Invalid(
                "SCOPE", found=f"{amount} grains", allowed=f"{self.total_grains - self.spent_grains} in all"
            )
        if not self.window_blocks:
            return replace(self, spent_grains=Grains(spent))
        begins, before = self.window_begins, self.window_spent_grains
        if height >= begins + self.window_blocks:
            begins, before = Height(height), Grains(0)
        recent = add(before, amount)
        if recent > self.per_window_grains:
            raise Invalid(
                "SCOPE",
                found=f"{amount} grains",
                allowed=f"{self.per_window_grains - before} before height {begins + self.window_blocks}",
            )
        return replace(
            self, spent_grains=Grains(spent), window_begins=begins, window_spent_grains=Grains(recent)
        )


@dataclass(frozen=True, slots=True)
class SessionIndex(Record):
    """Keys of the live sessions of an account, ascending."""

    public_keys: Annotated[tuple[PublicKey, ...], Seq(Raw(32), MAX_SESSIONS)]


def session_id(owner: Address, public_key: PublicKey) -> Hash32:
    """Names a session: one at a time for a key of an account."""
    return h256(Tag.SESSION_ID, owner + public_key)


def session_key(identity: Hash32) -> StateKey:
    return state_key(Namespace.SESSION, identity)


def find_session(state: Overlay, identity: Hash32) -> Session | None:
    """A session that is live, or that this block's agenda still has to end."""
    return state.load(session_key(identity), Session)


def session_keys_of(state: Overlay, owner: Address) -> tuple[PublicKey, ...]:
    """Of the live sessions of an account, ascending."""
    index = state.load(_index_key(owner), SessionIndex)
    return index.public_keys if index is not None else ()


def put_session(state: Overlay, session: Session) -> None:
    """Remember a session, a new one or after a change."""
    state.store(session_key(session.identity), session)
    listed = session_keys_of(state, session.owner)
    if session.public_key not in listed:
        keys = tuple(sorted((*listed, session.public_key)))
        state.store(_index_key(session.owner), SessionIndex(keys))


def drop_session(state: Overlay, session: Session) -> None:
    """Forget a session."""
    state.delete(session_key(session.identity))
    left = tuple(key for key in session_keys_of(state, session.owner) if key != session.public_key)
    if left:
        state.store(_index_key(session.owner), SessionIndex(left))
    else:
        state.delete(_index_key(session.owner))


def _index_key(owner: Address) -> StateKey:
    return state_key(Namespace.SESSION_INDEX, owner)
