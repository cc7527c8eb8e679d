"""People's matrices: from whatever holds integers to int8 with entries in [-63, 63], or a refusal that says what to do.
Spec: [POW-ENGINE-7].

Nothing is scaled, rounded or clipped here: a product is exact or it is refused.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from chain.errors import Policy
from compute.spec.arrays import Int8Array
from compute.spec.profiles import MAX_ENTRY

AnyIntegers: TypeAlias = npt.NDArray[np.integer[Any]]

RANGE = f"integers from -{MAX_ENTRY} to {MAX_ENTRY}"
_QUANTISE = f"Quantise it first: scale, round, clip to {RANGE}, convert to int8."
_BY_KIND = {
    "f": _QUANTISE,
    "c": _QUANTISE,
    "b": "Convert it first: matrix.astype(numpy.int8).",
    "O": "Convert it first: numpy.array(matrix, numpy.int8).",
    "V": "Take one integer field of it: matrix['name'].",
}
"""What to do about a dtype, by NumPy's letter for its kind."""
_CONVERT = "Convert it to int8 first."


def as_array(matrix: object, what: str) -> npt.NDArray[Any]:
    """`matrix` as a NumPy array without copying where that is possible: an array, a CPU tensor, nested lists.

    `what` names the matrix in messages.

    Raises:
        Policy: MATRIX_FORMAT if it cannot be seen as an array.
    """
    try:
        if hasattr(matrix, "__dlpack__") and not hasattr(matrix, "__array__"):
            return np.from_dlpack(matrix)
        return np.asarray(matrix)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        # A tensor on a GPU or with gradients, a type NumPy does not have, rows of different lengths.
        raise Policy(
            "MATRIX_FORMAT",
            found=f"{type(matrix).__name__} for {what}: {' '.join(str(error).split())}",
            allowed="what NumPy can read as an array of integers in main memory",
            hint="For a PyTorch tensor: tensor.detach().cpu().to(torch.int8).",
        ) from error


def check_matrix(matrix: npt.NDArray[Any], what: str) -> AnyIntegers:
    """Refuse what no product can use, before anything is copied.

    Checks: a) integers, of any width and byte order  b) two dimensions, not empty  c) every entry in [-63, 63].

    Raises:
        Policy: MATRIX_DTYPE, MATRIX_SHAPE, MATRIX_RANGE; permanent for this matrix.
    """
    if matrix.dtype.kind not in "iu":
        raise Policy(
            "MATRIX_DTYPE",
            found=f"{matrix.dtype} in {what}",
            allowed="an integer type",
            hint=_BY_KIND.get(matrix.dtype.kind, _CONVERT),
        )
    if matrix.ndim != 2 or not matrix.size:
        shape = "x".join(map(str, matrix.shape)) or "a single number"
        raise Policy("MATRIX_SHAPE", found=f"{shape} in {what}", allowed="two dimensions, at least 1x1")
    if int(matrix.min()) < -MAX_ENTRY or int(matrix.max()) > MAX_ENTRY:
        raise Policy(
            "MATRIX_RANGE",
            found=_first_outside(matrix, what),
            allowed=RANGE,
            hint="Scale or clip the matrix.",
        )
    return matrix


def check_shapes(a_shape: tuple[int, ...], b_shape: tuple[int, ...]) -> None:
    """Refuse A [m, k] and B [k, n] that cannot be multiplied.  Raises: Policy MATRIX_SHAPES."""
    if a_shape[1] != b_shape[0]:
        raise Policy(
            "MATRIX_SHAPES",
            found=f"A {a_shape[0]}x{a_shape[1]} and B {b_shape[0]}x{b_shape[1]}",
            allowed="as many rows in B as columns in A",
            hint="Is one of them transposed?",
        )


def to_int8(matrix: AnyIntegers) -> Int8Array:
    """A checked matrix as contiguous int8, row-major; a copy only where it is not that already."""
    return np.ascontiguousarray(matrix, np.int8)


def _first_outside(matrix: AnyIntegers, what: str) -> str:
    """Place, value and count of the entries out of range."""
    count, first = 0, None
    for row, entries in enumerate(matrix):
        columns = np.flatnonzero((entries < -MAX_ENTRY) | (entries > MAX_ENTRY))
        count += len(columns)
        if first is None and len(columns):
            first = f"{entries[columns[0]]} at row {row}, column {columns[0]}"
    entry_or_entries = "entry" if count == 1 else "entries"
    return f"{first} of {what} ({count} such {entry_or_entries})"
