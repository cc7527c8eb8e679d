"""What nodes say to each other inside the frames of p2p/wire.py.  Spec: [NET-MSG] in docs/spec/network.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from chain.blocks import Block
from chain.codec import U63, BigUint, Blob, Raw, Record, Seq, Uint
from chain.tensors import TensorInfo
from chain.types import BlockHash, Height, TensorRoot

MAX_HEADERS = 256
MAX_BODIES = 32
MAX_BODIES_BYTES = (8 << 20) - 4096
MAX_BLOB_BYTES = 4 << 20
MAX_BATCH_BYTES = 250_000
MAX_POOL_REPLY_BYTES = (1 << 20) - 4096


@dataclass(frozen=True, slots=True)
class Status(Record):
    """Who we are and how far we have come; asked at connection and at every head poll."""

    genesis: Annotated[BlockHash, Raw(32)]
    height: Annotated[Height, U63]
    head: Annotated[BlockHash, Raw(32)]
    total_work: Annotated[int, BigUint(40)]


@dataclass(frozen=True, slots=True)
class HeadersRequest(Record):
    """Headers after the first locator hash the answerer has on its canonical chain; newest hash first."""

    locator: Annotated[tuple[BlockHash, ...], Seq(Raw(32), 64, 1)]
    limit: Annotated[int, Uint(MAX_HEADERS, 1)]


@dataclass(frozen=True, slots=True)
class Headers(Record):
    """Consecutive canonical headers, oldest first; empty if the answerer has nothing after the locator."""

    MAX_BYTES: ClassVar[int] = 512 << 10

    headers: Annotated[tuple[bytes, ...], Seq(Blob(1024), MAX_HEADERS)]


@dataclass(frozen=True, slots=True)
class BodiesRequest(Record):
    hashes: Annotated[tuple[BlockHash, ...], Seq(Raw(32), MAX_BODIES, 1)]


@dataclass(frozen=True, slots=True)
class Bodies(Record):
    """Whole blocks in the order asked for; stops early at a size limit or at the first block not held."""

    MAX_BYTES: ClassVar[int] = 8 << 20

    blocks: Annotated[tuple[bytes, ...], Seq(Blob(Block.MAX_BYTES), MAX_BODIES)]


@dataclass(frozen=True, slots=True)
class BlobRequest(Record):
    """Rows [first, first + count) of a tensor."""

    root: Annotated[TensorRoot, Raw(32)]
    first: Annotated[int, U63]
    count: Annotated[int, Uint(minimum=1)]


@dataclass(frozen=True, slots=True)
class BlobRows(Record):
    MAX_BYTES: ClassVar[int] = MAX_BLOB_BYTES + 1024

    info: TensorInfo
    data: Annotated[bytes, Blob(MAX_BLOB_BYTES)]


@dataclass(frozen=True, slots=True)
class TransactionBatch(Record):
    """Transactions gossiped together, or a peer's answer to what it has waiting."""

    MAX_BYTES: ClassVar[int] = 1 << 20

    transactions: Annotated[tuple[bytes, ...], Seq(Blob(1 << 20), 4096)]


@dataclass(frozen=True, slots=True)
class PoolRequest(Record):
    """Ask for waiting transactions, at most this many bytes of them."""

    limit_bytes: Annotated[int, Uint(MAX_POOL_REPLY_BYTES)]
