"""Tensors on disk: complete or absent."""

from __future__ import annotations

import pytest

from chain.errors import Invalid, Missing, Policy
from chain.tensors import DType, TensorInfo, row_root
from chain.types import TensorRoot
from node.blobs import BlobStore

INFO = TensorInfo(3, 4, DType.INT32)
DATA = bytes(range(48))


def test_rows_come_back_as_they_were_put(tmp_path):
    store = BlobStore(tmp_path)
    root = store.put(INFO, DATA)
    assert root == row_root(INFO, DATA)
    assert store.has(root)
    assert store.info(root) == INFO
    assert store.data(root) == DATA
    assert store.rows(root, 1, 1) == DATA[16:32]
    assert BlobStore(tmp_path).data(root) == DATA


def test_a_key_gives_another_name(tmp_path):
    store = BlobStore(tmp_path)
    assert store.put(INFO, DATA, b"k" * 32) == row_root(INFO, DATA, b"k" * 32) != store.put(INFO, DATA)


def test_what_is_not_here_is_missing(tmp_path):
    store = BlobStore(tmp_path)
    with pytest.raises(Missing, match="BLOB"):
        store.data(TensorRoot(bytes(32)))
    with pytest.raises(Invalid, match="TENSOR_SIZE"):
        store.put(INFO, DATA[1:])
    root = store.put(INFO, DATA)
    with pytest.raises(Policy, match="BLOB_ROWS"):
        store.rows(root, 2, 2)


def test_a_crash_while_writing_leaves_nothing_behind(tmp_path):
    (tmp_path / ("ab" * 32 + ".partial")).write_bytes(b"half")
    store = BlobStore(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert not store.has(TensorRoot(b"\xab" * 32))
