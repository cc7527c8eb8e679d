"""Roots of what people publish: the same for the same files, none for what is not plain.  Spec: [ASSET-CONTENT]."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import msgpack
import numpy as np
import pytest
from blake3 import blake3

from chain.errors import TileworkError
from chain.tensors import DType, TensorInfo, row_root
from node import content
from node.content import Operand, content_of, matrix_content


def digest(context: str, data: bytes) -> bytes:
    return blake3(data, derive_key_context=f"tilework v1 content {context}").digest()


def made(directory: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return directory


def refused(path: Path) -> str:
    with pytest.raises(TileworkError) as caught:
        content_of(path)
    return caught.value.code


def test_a_file_is_its_bytes(tmp_path: Path) -> None:
    data = bytes(range(256)) * 5_000  # more than is read at once
    found = content_of(made(tmp_path, {"weights": data}) / "weights")
    assert (found.root, found.size_bytes, found.files) == (digest("file", data), len(data), 1)


def test_a_directory_is_its_paths_sizes_and_roots_in_order(tmp_path: Path) -> None:
    files = {"b": b"2", "a/z": b"", "a.b": b"333", "a/é": b"1"}
    found = content_of(made(tmp_path / "one", files))
    names = ["a.b", "a/z", "a/é", "b"]  # by bytes, not by folder
    listed = [[name, len(files[name]), digest("file", files[name])] for name in names]
    assert found.root == digest("tree", msgpack.packb(listed, use_bin_type=True))
    assert (found.size_bytes, found.files) == (5, 4)


def test_what_does_not_count(tmp_path: Path) -> None:
    one = made(tmp_path / "one", {"x": b"1", "y/z": b"2"})
    two = made(tmp_path / "two", {"y/z": b"2", "x": b"1"})
    (two / "empty").mkdir()
    (two / "x").chmod(0o700)
    os.utime(two / "x", (0, 0))
    assert content_of(one) == content_of(two)
    assert content_of(one).root != content_of(made(tmp_path / "three", {"x": b"2", "y/z": b"1"})).root


def test_what_is_not_plain_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "nothing") == "FILE"
    assert refused(made(tmp_path / "empty", {"a": b""})) == "CONTENT_EMPTY"
    assert refused(made(tmp_path / "empty", {}) / "a") == "CONTENT_EMPTY"
    linked = made(tmp_path / "linked", {"a": b"1"})
    (linked / "b").symlink_to(linked / "a")
    assert refused(linked) == "CONTENT_ENTRY"
    os.mkfifo(tmp_path / "pipe")
    assert refused(tmp_path / "pipe") == "CONTENT_ENTRY"
    assert refused(made(tmp_path / "named", {unicodedata.normalize("NFD", "é"): b"1"})) == "CONTENT_NAME"
    raw = made(tmp_path / "raw", {})
    raw.mkdir()
    (raw / os.fsdecode(b"\xff")).write_bytes(b"1")
    assert refused(raw) == "CONTENT_NAME"


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "MAX_FILES", 2)
    assert content_of(made(tmp_path, {"a": b"1", "b": b"2"})).files == 2
    assert refused(made(tmp_path, {"c": b"3"})) == "CONTENT_FILES"


def test_a_file_that_grows_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made(tmp_path, {"log": b"1234"}) / "log"

    class Growing:
        """Writes to the file when its first part is hashed."""

        def __init__(self, derive_key_context: str) -> None:
            self.inner = blake3(derive_key_context=derive_key_context)

        def update(self, part: bytes) -> None:
            if path.stat().st_size == 4:
                path.write_bytes(b"12345678")
            self.inner.update(part)

        def digest(self) -> bytes:
            return self.inner.digest()

    monkeypatch.setattr(content, "blake3", Growing)
    assert refused(path) == "CONTENT_CHANGED"


def test_a_matrix_has_the_root_that_jobs_know(tmp_path: Path) -> None:
    matrix = np.arange(-12, 12, dtype=np.int64).reshape(4, 6)
    np.save(tmp_path / "m.npy", matrix)
    a, b = (matrix_content(tmp_path / "m.npy", operand) for operand in Operand)
    assert a.root == row_root(TensorInfo(4, 6, DType.INT8), matrix.astype(np.int8).tobytes())
    assert b.root == row_root(TensorInfo(6, 4, DType.INT8), matrix.T.astype(np.int8).tobytes())
    assert a.size_bytes == b.size_bytes == 24
