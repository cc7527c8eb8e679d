"""Matrices as people keep them: integer `.npy` files in, integer `.npy` files out.

Reading never unpickles anything, so a file can hold numbers or nothing. What no product could use is refused here, with
its place, before anything is computed, uploaded or paid.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt

from chain.errors import LocalFault, Missing, Policy
from compute.host_memory import available_bytes
from compute.matrices import check_matrix, check_shapes
from compute.spec.arrays import Int8Array, Int32Array

MAX_FILE_ENTRIES = 1 << 30
"""More than any job's operand; checked from the header, before the numbers are read."""


def load_matrix(path: Path) -> Int8Array:
    """The matrix in a file, as int8[rows, columns] with entries in [-63, 63].

    Checks: a) the file is there and is .npy  b) its size  c) integers  d) two dimensions, not empty  e) every entry
    in range.

    Raises: Missing FILE; Policy MATRIX_FORMAT, MATRIX_DTYPE, MATRIX_SHAPE, MATRIX_RANGE, MATRIX_MEMORY;
        LocalFault FILE_READ.
    """
    array = check_matrix(_read(path), str(path))
    # A copy even of int8: whoever writes to the file later must not change what was checked.
    return np.array(array, np.int8, order="C")


def load_result(path: Path) -> Int32Array:
    """The int32 matrix in a file, as `save_matrix` writes it.

    Raises: Missing FILE; Policy MATRIX_FORMAT, MATRIX_DTYPE, MATRIX_SHAPE, MATRIX_MEMORY; LocalFault FILE_READ.
    """
    array = _read(path)
    if array.dtype != np.dtype("<i4"):
        raise Policy("MATRIX_DTYPE", found=f"{array.dtype} in {path}", allowed="int32, as a job's result is")
    return np.array(array, "<i4", order="C")


def check_product(a: Int8Array, b: Int8Array) -> None:
    """Refuse matrices that cannot be multiplied.  Raises: Policy MATRIX_SHAPES."""
    check_shapes(a.shape, b.shape)


def check_place(path: Path) -> None:
    """Refuse, before any work is done, a path under which nothing can be written.  Raises: LocalFault FILE_WRITE."""
    folder = path.parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        reason = "is a directory" if path.is_dir() else f"cannot write in {folder}"
        raise _unwritable(f"{path}: {reason}")


def save_matrix(path: Path, matrix: Int32Array) -> None:
    """Write int32[rows, columns] under `path`, whole or not at all.  Raises: LocalFault FILE_WRITE."""
    partial = path.with_name(path.name + ".partial")
    try:
        try:
            with partial.open("wb") as file:
                np.lib.format.write_array(file, np.ascontiguousarray(matrix, "<i4"), allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(f"{path}: {error.strerror}") from error


def _read(path: Path) -> npt.NDArray[Any]:
    """The array in a .npy file, mapped rather than copied; the header alone decides whether it is read."""
    try:
        with warnings.catch_warnings():
            # NumPy remarks on headers written by Python 2; the numbers in them are as good as any.
            warnings.simplefilter("ignore", UserWarning)
            array = np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError as error:
        raise Missing("FILE", found=f"no file {path}", hint="Check the path.") from error
    except (ValueError, EOFError, SyntaxError, TokenError) as error:
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
    free = available_bytes()
    if array.size > free:
        raise Policy(
            "MATRIX_MEMORY",
            found=f"{array.size >> 20} MiB for {path} as int8",
            allowed=f"{free >> 20} MiB free",
            hint="Multiply parts of it.",
        )
    return array


def _unwritable(found: str) -> LocalFault:
    return LocalFault("FILE_WRITE", found=found, allowed="a place we may write to")
