"""Tensor commitments: rows open, and the root has one reading.  Spec: [HASH-TENSOR]."""

from __future__ import annotations

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from chain.errors import Invalid
from chain.hashing import BulkTag, b3
from chain.tensors import DType, TensorInfo, opens_leaf, path_length, row_path, row_root, verify_row
from chain.types import Hash32

KEY = bytes(range(32))
KEYS = st.sampled_from([None, KEY, bytes(32)])
INFOS = st.builds(TensorInfo, st.integers(1, 19), st.integers(1, 5), st.sampled_from(list(DType)))


def numbers(info: TensorInfo) -> bytes:
    return bytes(i * 7 % 251 for i in range(info.total_bytes))


def row_of(info: TensorInfo, data: bytes, row: int) -> bytes:
    return data[row * info.row_bytes : (row + 1) * info.row_bytes]


def test_three_rows_by_hand() -> None:
    info = TensorInfo(3, 2, DType.INT8)
    leaf_key, node_key, root_key = (
        b3(tag, KEY) for tag in (BulkTag.TENSOR_LEAF, BulkTag.TENSOR_NODE, BulkTag.TENSOR_ROOT)
    )
    one, two, three = (blake3(row, key=leaf_key).digest() for row in (b"ab", b"cd", b"ef"))
    left = blake3(one + two, key=node_key).digest()
    top = blake3(left + three, key=node_key).digest()
    head = (3).to_bytes(8, "big") + (2).to_bytes(8, "big") + b"\x01"
    assert row_root(info, b"abcdef", KEY) == blake3(head + top, key=root_key).digest()
    assert row_path(info, b"abcdef", 2, KEY) == (left,)


@given(INFOS, KEYS)
def test_every_row_opens_and_nothing_else_does(info: TensorInfo, key: bytes | None) -> None:
    data = numbers(info)
    root = row_root(info, data, key)
    for row in range(info.rows):
        path, content = row_path(info, data, row, key), row_of(info, data, row)
        assert len(path) == path_length(info.rows, row)
        assert verify_row(root, info, row, content, path, key)
        assert verify_row(root, info, row, memoryview(content), path, key)
        assert not verify_row(root, info, row, content[:-1], path, key)
        assert not verify_row(root, info, row, bytes([content[0] ^ 1]) + content[1:], path, key)
        assert not verify_row(root, info, row, content, (*path, Hash32(bytes(32))), key)
        assert not verify_row(root, info, row, content, path, bytes(31) + b"\x01")
        assert not path or not verify_row(root, info, row, content, path[1:], key)
        for other in range(-1, info.rows + 1):
            if other != row and verify_row(root, info, other, content, path, key):
                assert row_of(info, data, other) == content


@given(INFOS, KEYS)
def test_the_root_binds_shape_type_and_key(info: TensorInfo, key: bytes | None) -> None:
    data = numbers(info)
    root = row_root(info, data, key)
    others = [(info, other_key) for other_key in (None, KEY, bytes(32)) if other_key != key]
    if info.rows != info.columns:
        others.append((TensorInfo(info.columns, info.rows, info.dtype), key))
    if info.dtype is DType.INT32:
        others.append((TensorInfo(info.rows, info.columns * 4, DType.INT8), key))
    assert all(row_root(other, data, other_key) != root for other, other_key in others)


def test_all_rows_or_an_error() -> None:
    info = TensorInfo(4, 3, DType.INT32)
    for size in (0, 47, 49, 96):
        with pytest.raises(Invalid, match=f"TENSOR_SIZE: found {size} bytes, allowed 48 bytes"):
            row_root(info, bytes(size))


def test_a_root_over_rows_of_wrong_length_can_be_shown_up() -> None:
    """`opens_leaf` proves what a dishonest producer hashed, which `verify_row` would not even look at."""
    wide, narrow = TensorInfo(2, 3, DType.INT8), TensorInfo(2, 2, DType.INT8)
    rows = b"abcdef"
    leaf_keyed = row_path(wide, rows, 1)
    # The producer's tree has rows of three bytes but binds the shape of two columns.
    tags = (BulkTag.TENSOR_NODE, BulkTag.TENSOR_ROOT)
    node_key, root_key = (b3(tag, b"") for tag in tags)
    other = row_path(wide, rows, 0)[0]
    top = blake3(leaf_keyed[0] + other, key=node_key).digest()
    head = (2).to_bytes(8, "big") * 2 + b"\x01"
    root = blake3(head + top, key=root_key).digest()
    assert not verify_row(root, narrow, 1, b"def", leaf_keyed)
    assert opens_leaf(root, narrow, 1, b"def", leaf_keyed)
    assert not opens_leaf(root, narrow, 1, b"de", leaf_keyed)


@pytest.mark.parametrize("shape", [(0, 1), (1, 0), (1 << 24 | 1, 1), (1, 1 << 20 | 1)])
def test_shapes_out_of_bounds_do_not_decode(shape: tuple[int, int]) -> None:
    with pytest.raises(Invalid, match="ENC_INT"):
        TensorInfo(*shape, DType.INT8).to_bytes()
