"""Keys that speak for an account: its own one until others are set.  Spec: [AUTH-KEYS], [AUTH-CHANGE].

The address is the digest of a key and stays; which keys sign for it can change. A change waits for the delay that the
keys in force have set, so that their holders can cancel what a thief has asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated

from chain.codec import U63, Nested, Raw, Record, Seq, Uint
from chain.doc import Doc
from chain.ledger import Namespace, state_key
from chain.state.overlay import Overlay
from chain.types import Address, Height, PublicKey, StateKey

MAX_KEYS = 16
MAX_KEY_WEIGHT = 1_000


@dataclass(frozen=True, slots=True)
class KeyWeight(Record):
    """One key and what its signature counts."""

    public_key: Annotated[PublicKey, Raw(32), Doc("an Ed25519 public key")]
    weight: Annotated[int, Uint(MAX_KEY_WEIGHT, 1), Doc("what its signature counts")]


@dataclass(frozen=True, slots=True)
class KeySet(Record):
    """Whose signatures together must count how much, and how long the next change waits."""

    threshold: Annotated[int, U63]
    members: Annotated[tuple[KeyWeight, ...], Seq(Nested(KeyWeight), MAX_KEYS)]
    delay_blocks: Annotated[int, U63]

    def allows(self, signers: Iterable[PublicKey]) -> bool:
        """Whether these keys, each named once, are all of the set and count enough together."""
        weights = {each.public_key: each.weight for each in self.members}
        counted = [weights.get(signer, 0) for signer in signers]
        return all(counted) and sum(counted) >= self.threshold


@dataclass(frozen=True, slots=True)
class PendingKeys(Record):
    """Keys that will take over."""

    keys: Annotated[KeySet, Nested(KeySet)]
    height: Annotated[Height, U63]
    """When."""


@dataclass(frozen=True, slots=True)
class Authority(Record):
    """Keys set for an account; none in `current` while only its own key holds and others wait."""

    current: Annotated[tuple[KeySet, ...], Seq(Nested(KeySet), 1)]
    pending: Annotated[tuple[PendingKeys, ...], Seq(Nested(PendingKeys), 1)]


NO_AUTHORITY = Authority((), ())


def authority_key(address: Address) -> StateKey:
    return state_key(Namespace.AUTHORITY, address)


def authority_of(state: Overlay, address: Address) -> Authority:
    """What was set for an account; of one that never set anything, nothing."""
    return state.load(authority_key(address), Authority) or NO_AUTHORITY


def put_authority(state: Overlay, address: Address, authority: Authority) -> None:
    if authority == NO_AUTHORITY:
        state.delete(authority_key(address))
    else:
        state.store(authority_key(address), authority)


def taken_over(authority: Authority) -> Authority:
    """After the waiting keys have become the ones that hold."""
    (pending,) = authority.pending
    return replace(authority, current=(pending.keys,), pending=())
