"""Commitment to a tensor by its rows, for inputs, weights, results and traces.  Spec: [HASH-TENSOR].

    leaf = blake3(leaf key, bytes of one row)       node = blake3(node key, left | right)
    root = blake3(root key, rows u64 | columns u64 | dtype u8 | top)        integers big-endian

The three keys come from the empty string (a public tensor: everybody gets the same root for the same numbers)
or from a 32-byte secret of its producer (a copied result opens nothing). Elements lie row by row,
little-endian. A node without a right neighbour moves up unchanged. Rows, columns and dtype are bound, so a
root has one reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Annotated

from blake3 import blake3

from chain.codec import OneOf, Record, Uint
from chain.doc import Doc
from chain.errors import Invalid
from chain.hashing import BulkTag, b3, b3_keyed
from chain.types import Hash32, TensorRoot

MAX_ROWS = 1 << 24
MAX_COLUMNS = 1 << 20
"""Far above any job step; they keep the sizes computed from hostile shapes small integers."""


class DType(IntEnum):
    """Element types; the value is what is hashed and sent."""

    INT8 = 1
    INT32 = 2

    @property
    def size_bytes(self) -> int:
        return 1 if self is DType.INT8 else 4


@dataclass(frozen=True, slots=True)
class TensorInfo(Record):
    """Shape and element type of a tensor with one or more rows and columns."""

    rows: Annotated[int, Uint(MAX_ROWS, 1), Doc("how many rows")]
    columns: Annotated[int, Uint(MAX_COLUMNS, 1), Doc("how many columns")]
    dtype: Annotated[DType, OneOf(DType), Doc("type of the entries")]

    @property
    def row_bytes(self) -> int:
        return self.columns * self.dtype.size_bytes

    @property
    def total_bytes(self) -> int:
        return self.rows * self.row_bytes


def row_root(info: TensorInfo, data: bytes | memoryview, key: bytes | None = None) -> TensorRoot:
    """Commitment to the tensor whose rows are `data`.  Raises: Invalid TENSOR_SIZE."""
    keys = _keys(key)
    level = _leaves(info, data, keys.leaf)
    while len(level) > 1:
        level = _level_above(level, keys.node)
    return _bind_shape(info, level[0], keys.root)


def row_path(
    info: TensorInfo, data: bytes | memoryview, row: int, key: bytes | None = None
) -> tuple[Hash32, ...]:
    """Siblings from `row` up to the top, the deepest first.  Raises: Invalid TENSOR_SIZE."""
    assert 0 <= row < info.rows
    keys = _keys(key)
    level = _leaves(info, data, keys.leaf)
    siblings = []
    while len(level) > 1:
        if row ^ 1 < len(level):
            siblings.append(Hash32(level[row ^ 1]))
        level = _level_above(level, keys.node)
        row >>= 1
    return tuple(siblings)


def path_length(rows: int, row: int) -> int:
    """How many siblings the path of `row` has in a tensor of `rows` rows."""
    length = 0
    while rows > 1:
        length += row ^ 1 < rows
        row >>= 1
        rows = (rows + 1) >> 1
    return length


def verify_row(
    root: TensorRoot,
    info: TensorInfo,
    row: int,
    row_bytes: bytes | memoryview,
    path: Sequence[bytes],
    key: bytes | None = None,
) -> bool:
    """Whether `row_bytes` is row number `row` of the tensor under `root`."""
    return len(row_bytes) == info.row_bytes and opens_leaf(root, info, row, row_bytes, path, key)


def opens_leaf(
    root: TensorRoot,
    info: TensorInfo,
    row: int,
    leaf: bytes | memoryview,
    path: Sequence[bytes],
    key: bytes | None = None,
) -> bool:
    """Whether `leaf`, of whatever length, stands at `row` under `root`: shows up a producer that hashed other bytes."""
    if not 0 <= row < info.rows or len(path) != path_length(info.rows, row):
        return False
    keys = _keys(key)
    node: bytes = b3_keyed(keys.leaf, leaf)
    siblings = iter(path)
    width = info.rows
    while width > 1:
        if row ^ 1 < width:
            sibling = next(siblings)
            node = b3_keyed(keys.node, sibling + node if row & 1 else node + sibling)
        row >>= 1
        width = (width + 1) >> 1
    return _bind_shape(info, node, keys.root) == root


@dataclass(frozen=True, slots=True)
class _Keys:
    leaf: bytes
    node: bytes
    root: bytes


@lru_cache(maxsize=256)
def _keys(key: bytes | None) -> _Keys:
    assert key is None or len(key) == 32
    material = key or b""  # the lengths differ, so a public tensor never shares keys with a produced one
    tags = (BulkTag.TENSOR_LEAF, BulkTag.TENSOR_NODE, BulkTag.TENSOR_ROOT)
    return _Keys(*(b3(tag, material) for tag in tags))


def _leaves(info: TensorInfo, data: bytes | memoryview, leaf_key: bytes) -> list[bytes]:
    view = memoryview(data).cast("B")
    if len(view) != info.total_bytes:
        raise Invalid("TENSOR_SIZE", found=f"{len(view)} bytes", allowed=f"{info.total_bytes} bytes")
    size = info.row_bytes
    return [blake3(view[at : at + size], key=leaf_key).digest() for at in range(0, len(view), size)]


def _level_above(level: list[bytes], node_key: bytes) -> list[bytes]:
    above = [blake3(level[i] + level[i + 1], key=node_key).digest() for i in range(0, len(level) - 1, 2)]
    if len(level) & 1:
        above.append(level[-1])
    return above


def _bind_shape(info: TensorInfo, top: bytes, root_key: bytes) -> TensorRoot:
    head = info.rows.to_bytes(8, "big") + info.columns.to_bytes(8, "big") + bytes([info.dtype.value])
    return TensorRoot(b3_keyed(root_key, head + top))
