"""Reading people's matrices: what is refused, and whether the message says where."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from chain.errors import LocalFault, Missing, Policy, TileworkError
from node.matrix_files import check_place, check_product, load_matrix, save_matrix


def saved(path: Path, array: object) -> Path:
    np.save(path, array, allow_pickle=True)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", ">i4", "uint8", "uint64"])
def test_any_integer_type_becomes_int8(tmp_path: Path, dtype: str) -> None:
    matrix = np.array([[0, 1, 63], [2, 3, 4]], dtype)
    loaded = load_matrix(saved(tmp_path / "a.npy", matrix))
    assert loaded.dtype == np.int8
    assert np.array_equal(loaded, matrix)


def test_column_order_is_read_right(tmp_path: Path) -> None:
    matrix = np.asfortranarray(np.arange(-6, 6, dtype=np.int8).reshape(3, 4))
    loaded = load_matrix(saved(tmp_path / "a.npy", matrix))
    assert loaded.flags.c_contiguous
    assert np.array_equal(loaded, matrix)


@pytest.mark.parametrize(
    ("array", "code", "words"),
    [
        (np.ones((2, 2)), "MATRIX_DTYPE", "float64"),
        (np.ones((2, 2), np.float16), "MATRIX_DTYPE", "Quantise"),
        (np.ones((2, 2), bool), "MATRIX_DTYPE", "bool"),
        (np.ones((2, 2), complex), "MATRIX_DTYPE", "complex"),
        (np.array([["a"]]), "MATRIX_DTYPE", "an integer type"),
        (np.ones(4, np.int8), "MATRIX_SHAPE", "found 4 in"),
        (np.int8(3), "MATRIX_SHAPE", "a single number"),
        (np.ones((2, 2, 2), np.int8), "MATRIX_SHAPE", "2x2x2"),
        (np.ones((0, 4), np.int8), "MATRIX_SHAPE", "0x4"),
        (np.array([[1, 2], [3, 64]]), "MATRIX_RANGE", "64 at row 1, column 1"),
        (np.array([[1, -64], [99, 1]]), "MATRIX_RANGE", "-64 at row 0, column 1"),
        (np.array([[1, -128]], np.int8), "MATRIX_RANGE", "-128 at row 0, column 1"),
        (np.array([[2**63]], np.uint64), "MATRIX_RANGE", "(1 such entry)"),
        (np.array([{"a": 1}], object), "MATRIX_FORMAT", "Python objects"),
    ],
)
def test_matrices_no_job_can_use(tmp_path: Path, array: object, code: str, words: str) -> None:
    path = saved(tmp_path / "a.npy", array)
    with pytest.raises(Policy) as caught:
        load_matrix(path)
    assert caught.value.code == code
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return (pytest.fail, ("a pickle was run",))


@pytest.mark.parametrize(
    "data",
    [b"", b"1,2\n3,4\n", b"\x93NUMPY", b"\x93NUMPY\x01\x00\x10\x00{'descr': 'i4'}", pickle.dumps(Bomb())],
)
def test_files_of_another_kind(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(data)
    with pytest.raises(Policy) as caught:
        load_matrix(path)
    assert caught.value.code == "MATRIX_FORMAT"


def test_a_header_that_promises_more_than_there_is(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    header = b"{'descr': '<i8', 'fortran_order': False, 'shape': (1000000, 1000000), }".ljust(117) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(TileworkError):
        load_matrix(path)


def test_archives_missing_files_and_directories(tmp_path: Path) -> None:
    archive = tmp_path / "a.npz"
    np.savez(archive, a=np.ones((2, 2), np.int8))
    with pytest.raises(Policy) as caught:
        load_matrix(archive)
    assert caught.value.code == "MATRIX_FORMAT"
    with pytest.raises(Missing) as missing:
        load_matrix(tmp_path / "absent.npy")
    assert missing.value.code == "FILE"
    with pytest.raises(LocalFault):
        load_matrix(tmp_path)


def test_shapes_must_fit() -> None:
    check_product(np.ones((2, 3), np.int8), np.ones((3, 4), np.int8))
    with pytest.raises(Policy) as caught:
        check_product(np.ones((2, 3), np.int8), np.ones((4, 3), np.int8))
    assert str(caught.value) == (
        "MATRIX_SHAPES: found A 2x3 and B 4x3, allowed as many rows in B as columns in A. Is one of them transposed?"
    )


def test_results_are_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "c.npy"
    matrix = np.arange(6, dtype=np.int32).reshape(2, 3)
    save_matrix(path, matrix)
    assert np.array_equal(np.load(path), matrix)
    assert [entry.name for entry in tmp_path.iterdir()] == ["c.npy"]
    with pytest.raises(LocalFault) as caught:
        save_matrix(tmp_path / "absent" / "c.npy", matrix)
    assert caught.value.code == "FILE_WRITE"


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_nothing_is_left_of_a_result_that_was_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    path = tmp_path / "c.npy"
    path.write_bytes(b"an older result")

    def fail(_: int) -> None:
        raise failure

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises((LocalFault, KeyboardInterrupt)):
        save_matrix(path, np.ones((2, 2), np.int32))
    assert [entry.name for entry in tmp_path.iterdir()] == ["c.npy"]
    assert path.read_bytes() == b"an older result"


def test_a_place_is_judged_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_place(tmp_path / "c.npy")
    for place, words in ((tmp_path, "is a directory"), (tmp_path / "absent" / "c.npy", "cannot write in")):
        with pytest.raises(LocalFault, match=words):
            check_place(place)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(LocalFault, match="cannot write in"):
        check_place(tmp_path / "c.npy")


def test_a_matrix_that_would_not_fit_is_refused_by_its_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / "a.npy", np.ones((2048, 1024), np.int8))
    monkeypatch.setattr("node.matrix_files.available_bytes", lambda: 1 << 20)
    with pytest.raises(Policy) as caught:
        load_matrix(path)
    assert caught.value.code == "MATRIX_MEMORY"
    assert "2 MiB for" in str(caught.value)
    assert "allowed 1 MiB free" in str(caught.value)


def test_a_file_that_changes_later_changes_nothing(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.npy", np.ones((2, 2), np.int8))
    loaded = load_matrix(path)
    with path.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x80")
    assert np.array_equal(loaded, np.ones((2, 2)))
