"""Reading people's matrices: what is refused, and whether the message says where."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from chain.errors import LocalFault, Missing, Policy, TileworkError
from node.matrix_files import check_product, load_matrix, save_matrix


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
