"""Headers, blocks, receipts and events as they are hashed, stored and sent.  Spec: [BLK-*] in docs/spec/chain.md."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

from chain.codec import U63, BigUint, Blob, Nested, Raw, Record, Seq, Text, WireType, pack
from chain.hashing import Tag, h256
from chain.types import ZERO_HASH, Address, BlockHash, Grains, Hash32, Height, TxId

HEADER_VERSION = 1
MAX_TRANSACTION_BYTES = 260 * 1024
"""A fraud proof may be 256 KiB; every kind sets its own, mostly much smaller, bound."""
MAX_CERTIFICATE_BYTES = 300 * 1024
MAX_BLOCK_TRANSACTIONS = 8192
MAX_BODY_BYTES = 2 * 1024 * 1024
"""Transactions and votes of one block together [BLK-SIZE]."""
MAX_VOTES = 1024
MAX_EVENTS = 1 << 14
"""More than one block's automatic steps can emit: they are bounded by the weight limit and the agenda [STF-AGENDA]."""


@dataclass(frozen=True, slots=True)
class Header(Record):
    """Commits to everything in a block; `sigma` is what the work is done over.

    `state_root` is the state after this block's transactions. `certificate_hash` comes last because the work is done
    over every field before it [BLK-SIGMA].
    """

    MAX_BYTES: ClassVar[int] = 1024

    version: Annotated[int, U63]
    chain_id: Annotated[bytes, Blob(32)]
    parent: Annotated[BlockHash, Raw(32)]
    height: Annotated[Height, U63]
    time_ms: Annotated[int, U63]
    target: Annotated[int, BigUint(32)]
    extra_nonce: Annotated[int, U63]
    transaction_root: Annotated[Hash32, Raw(32)]
    state_root: Annotated[Hash32, Raw(32)]
    receipt_root: Annotated[Hash32, Raw(32)]
    votes_root: Annotated[Hash32, Raw(32)]
    miner: Annotated[Address, Raw(20)]
    certificate_hash: Annotated[Hash32, Raw(32)]

    @property
    def id(self) -> BlockHash:
        """BLAKE2b-256 of the whole header; the name of the block."""
        return BlockHash(h256(Tag.BLOCK_ID, self.to_bytes()))

    def sigma(self) -> bytes:
        """Canonical encoding of every field but the certificate hash: the challenge of the work proof."""
        return pack(self.to_wire()[:-1])

    def with_certificate(self, certificate: bytes) -> Header:
        """This header, sealed by a certificate."""
        return replace(self, certificate_hash=certificate_hash(certificate))


def certificate_hash(certificate: bytes) -> Hash32:
    """What the header commits to; the genesis block has no certificate and commits to zeros."""
    return h256(Tag.CERTIFICATE, certificate) if certificate else Hash32(ZERO_HASH)


@dataclass(frozen=True, slots=True)
class Block(Record):
    """A header with its body. Transactions travel as byte strings, so the outer decode stays flat [BLK-FLAT]."""

    MAX_BYTES: ClassVar[int] = MAX_BODY_BYTES + MAX_CERTIFICATE_BYTES + 64 * 1024

    header: Header
    certificate: Annotated[bytes, Blob(MAX_CERTIFICATE_BYTES)]
    transactions: Annotated[tuple[bytes, ...], Seq(Blob(MAX_TRANSACTION_BYTES), MAX_BLOCK_TRANSACTIONS)]
    votes: Annotated[tuple[bytes, ...], Seq(Blob(512), MAX_VOTES)]

    @property
    def id(self) -> BlockHash:
        return self.header.id


@dataclass(frozen=True, slots=True)
class Atom(WireType):
    """A field of an event: an unsigned integer or at most `maximum` bytes."""

    maximum: int = 64

    def encode(self, value: Any) -> Any:
        return self.decode(value)

    def decode(self, wire: Any) -> Any:
        if type(wire) is int:
            return U63.decode(wire)
        return Blob(self.maximum).decode(wire)

    def plain(self, value: str) -> str:
        return f"({U63.plain(value)} or {Blob(self.maximum).plain(value)})"


@dataclass(frozen=True, slots=True)
class Event(Record):
    """One state change as a person or an index wants to read it; consensus/events.py has all of them."""

    name: Annotated[str, Text(32)]
    values: Annotated[tuple[int | bytes, ...], Seq(Atom(), 12)]


@dataclass(frozen=True, slots=True)
class Receipt(Record):
    """What one transaction did. `code` is empty on success, otherwise the error code of a failure that paid its fee.

    The first receipt of every block has a zero transaction id and holds the events of protocol work [BLK-RECEIPT].
    """

    MAX_BYTES: ClassVar[int] = 1 << 22

    transaction: Annotated[TxId, Raw(32)]
    code: Annotated[str, Text(32)]
    weight: Annotated[int, U63]
    burned_grains: Annotated[Grains, U63]
    tip_grains: Annotated[Grains, U63]
    events: Annotated[tuple[Event, ...], Seq(Nested(Event), MAX_EVENTS)]
