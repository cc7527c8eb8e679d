"""Matrices as people keep them: integer `.npy` files in, integer `.npy` files out.

Reading never unpickles anything, so a file can hold numbers or nothing. What a job could not use is refused here, with
its place, before anything is uploaded or paid.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chain.errors import LocalFault, Missing, Policy
from compute.spec.arrays import Int8Array, Int32Array
from vm.tensor.program import QUANTISED_MAX

MAX_FILE_ENTRIES = 1 << 30
"""More than any job's operand; checked from the header, before the numbers are read."""
RANGE = f"integers from -{QUANTISED_MAX} to {QUANTISED_MAX}"


def load_matrix(path: Path) -> Int8Array:
    """The matrix in a file, as int8[rows, columns] with entries in [-63, 63].

    Checks: a) the file is there and is .npy  b) integers  c) two dimensions, not empty  d) every entry in range.

    Raises: Missing FILE; Policy MATRIX_FORMAT, MATRIX_DTYPE, MATRIX_SHAPE, MATRIX_RANGE; LocalFault FILE_READ.
    """
    array = _read(path)
    if array.dtype.kind not in "iu":
        raise Policy(
            "MATRIX_DTYPE",
            found=f"{array.dtype} in {path}",
            allowed="an integer type",
            hint=f"Quantise it first: scale, round, clip to {RANGE}, save as int8.",
        )
    if array.ndim != 2 or not array.size:
        shape = "x".join(map(str, array.shape)) or "a single number"
        raise Policy("MATRIX_SHAPE", found=f"{shape} in {path}", allowed="two dimensions, at least 1x1")
    wrong = np.argwhere((array < -QUANTISED_MAX) | (array > QUANTISED_MAX))
    if len(wrong):
        row, column = (int(place) for place in wrong[0])
        raise Policy(
            "MATRIX_RANGE",
            found=f"{array[row, column]} at row {row}, column {column} of {path} ({len(wrong)} such entries)",
            allowed=RANGE,
            hint="Scale or clip the matrix.",
        )
    return np.array(array, np.int8, order="C")


def check_product(a: Int8Array, b: Int8Array) -> None:
    """Refuse matrices that cannot be multiplied.  Raises: Policy MATRIX_SHAPES."""
    if a.shape[1] != b.shape[0]:
        raise Policy(
            "MATRIX_SHAPES",
            found=f"A {a.shape[0]}x{a.shape[1]} and B {b.shape[0]}x{b.shape[1]}",
            allowed="as many rows in B as columns in A",
            hint="Is one of them transposed?",
        )


def save_matrix(path: Path, matrix: Int32Array) -> None:
    """Write int32[rows, columns] under `path`, whole or not at all.  Raises: LocalFault FILE_WRITE."""
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            np.lib.format.write_array(file, np.ascontiguousarray(matrix, "<i4"), allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise LocalFault(
            "FILE_WRITE", found=f"{path}: {error.strerror}", allowed="a place we may write to"
        ) from error


def _read(path: Path) -> npt.NDArray[Any]:
    """The array in a .npy file, mapped rather than copied; the header alone decides whether it is read."""
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError as error:
        raise Missing("FILE", found=f"no file {path}", hint="Check the path.") from error
    except (ValueError, EOFError, SyntaxError) as error:
        reason = (
            "Python objects" if "pickle" in str(error) or "Python object" in str(error) else "something else"
        )
        raise Policy(
            "MATRIX_FORMAT",
            found=f"{reason} in {path}",
            allowed="a NumPy .npy file of integers",
            hint="Write it with numpy.save.",
        ) from error
    except OSError as error:
        raise LocalFault(
            "FILE_READ", found=f"{path}: {error.strerror or error}", allowed="a file we may read"
        ) from error
    if array.size > MAX_FILE_ENTRIES:
        raise Policy(
            "MATRIX_SHAPE", found=f"{array.size} entries in {path}", allowed=f"at most {MAX_FILE_ENTRIES}"
        )
    return array
