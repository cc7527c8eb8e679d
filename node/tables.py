"""Key layout of a node's database, and the records that are not part of any consensus format.

| prefix | key            | value                                             |
|--------|----------------|---------------------------------------------------|
| `p`    | page           | state pages (chain/state)                         |
| `b`    | block hash     | block, canonical bytes                            |
| `h`    | block hash     | header, canonical bytes                           |
| `m`    | block hash     | BlockMeta                                         |
| `n`    | height, 8 B    | hash of the canonical block at that height        |
| `u`    | block hash     | undo record of one of the last canonical blocks   |
| `r`    | block hash     | receipts of a canonical block                     |
| `t`    | transaction id | Location of a transaction in the canonical chain  |
| `j`    | height, index  | id of a job opened there; both counted down       |
| `x`    | transaction id | transaction handed to this node, not in the chain |
| `M`    | name           | schema version, genesis id, head, anchor          |
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from chain.codec import U63, BigUint, OneOf, Raw, Record
from chain.types import BlockHash, Hash32, Height
from compute.spec.claim import Binding

SCHEMA_VERSION = b"1"
META_SCHEMA, META_GENESIS, META_HEAD = b"Mschema", b"Mgenesis", b"Mhead"
META_ANCHOR = b"Manchor"
"""Block a node that was made from a snapshot began with; absent if it began with genesis [STATE-ANCHOR]."""
META_GOAL = b"Mgoal"
"""Tip a reorganisation moves to and tip it came from: a crash in its middle is taken up again at the next start."""


class Standing(IntEnum):
    """What is known of a stored block."""

    STORED = 1
    """Header, work and signatures are right; its transactions have not run yet."""
    VALID = 2
    INVALID = 3


@dataclass(frozen=True, slots=True)
class BlockMeta(Record):
    """What fork choice and the next transition need to know of a block without decoding it."""

    height: Annotated[Height, U63]
    parent: Annotated[BlockHash, Raw(32)]
    total_work: Annotated[int, BigUint(40)]
    ticket: Annotated[Hash32, Raw(32)]
    binding: Binding
    standing: Annotated[Standing, OneOf(Standing)]


@dataclass(frozen=True, slots=True)
class Location(Record):
    """Where a transaction stands in the canonical chain."""

    block: Annotated[BlockHash, Raw(32)]
    index: Annotated[int, U63]


def block_key(block: bytes) -> bytes:
    return b"b" + block


def header_key(block: bytes) -> bytes:
    return b"h" + block


def meta_key(block: bytes) -> bytes:
    return b"m" + block


def height_index_key(height: int) -> bytes:
    return b"n" + height.to_bytes(8, "big")


def undo_key(block: bytes) -> bytes:
    return b"u" + block


def receipts_key(block: bytes) -> bytes:
    return b"r" + block


def location_key(transaction: bytes) -> bytes:
    return b"t" + transaction


def journal_key(transaction: bytes) -> bytes:
    return b"x" + transaction


def job_index_key(height: int, index: int) -> bytes:
    """Counted down from the largest numbers, so that the newest job comes first."""
    return b"j" + ((1 << 64) - 1 - height).to_bytes(8, "big") + ((1 << 32) - 1 - index).to_bytes(4, "big")
