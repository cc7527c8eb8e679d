"""Float32 products added in place, through the BLAS that NumPy itself uses.  Spec: [POW-EXACT-1].

NumPy can write a product but not add it to what is there already, which the running sums of an attempt need after
every slice; its own BLAS can. The function is looked up in NumPy's loaded extension module, so it is the same library
and nothing is installed for it. Where it is not found, or gives a wrong sum, a product and an addition do the same,
and an attempt takes about 1.4 times as long.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from compute.spec.arrays import Float32Array

AddProduct: TypeAlias = Callable[[Float32Array, Float32Array, Float32Array], None]
"""(total float32[m, n], left float32[m, k], right float32[k, n]): total += left @ right.

Rows of `total` and `left` are contiguous, of `right` either the rows or the columns; strides beyond that are free.
"""

_EXTENSION = "numpy._core._multiarray_umath"
_NAMES: tuple[tuple[str, type[ctypes.c_int64] | type[ctypes.c_int32]], ...] = (
    ("scipy_cblas_sgemm64_", ctypes.c_int64),
    ("scipy_cblas_sgemm", ctypes.c_int32),
    ("cblas_sgemm64_", ctypes.c_int64),
)
"""Symbols of the OpenBLAS builds in NumPy's wheels, with the width of their sizes. A bare `cblas_sgemm` is not among
them: its width depends on who built it, and a wrong guess ends the process."""
_BUFFER_ENTRIES = 1 << 20
_ROW_MAJOR = 101
_PLAIN = 111
_TRANSPOSED = 112
_ITEM = 4


def add_product_portably(total: Float32Array, left: Float32Array, right: Float32Array) -> None:
    """`AddProduct` with nothing but NumPy: products into a buffer of some MB at a time, then additions."""
    rows = max(1, _BUFFER_ENTRIES // total.shape[1])
    for first in range(0, len(total), rows):
        total[first : first + rows] += left[first : first + rows] @ right


def find_add_product() -> tuple[AddProduct, str]:
    """The fastest `AddProduct` that works here, and a word for people on what it is."""
    for name, integer in _NAMES:
        add_product = _bind(name, integer)
        if add_product is not None and _is_right(add_product):
            return add_product, "in-place BLAS"
    return add_product_portably, "portable BLAS calls"


def _bind(name: str, integer: type[ctypes.c_int64] | type[ctypes.c_int32]) -> AddProduct | None:
    """The `AddProduct` around CBLAS sgemm under this name, or None if NumPy's library has none."""
    path = getattr(sys.modules.get(_EXTENSION), "__file__", None)
    try:
        # A handle of the extension also finds the symbols of the libraries it was linked with.
        sgemm = getattr(ctypes.CDLL(path), name) if path else None
    except (OSError, AttributeError):
        return None
    if sgemm is None:
        return None
    sizes, scale, matrix = [integer] * 3, ctypes.c_float, [ctypes.c_void_p, integer]
    sgemm.argtypes = [ctypes.c_int] * 3 + sizes + [scale, *matrix, *matrix, scale, *matrix]
    sgemm.restype = None

    def add_product(total: Float32Array, left: Float32Array, right: Float32Array) -> None:
        assert total.strides[1] == left.strides[1] == min(right.strides) == _ITEM
        (m, n), k = total.shape, left.shape[1]
        if right.strides[1] == _ITEM:
            order, right_step = _PLAIN, _step(right, n)
        else:
            order, right_step = _TRANSPOSED, _step(right.T, k)
        sgemm(
            _ROW_MAJOR, _PLAIN, order, m, n, k,
            1.0, left.ctypes.data, _step(left, k), right.ctypes.data, right_step,
            1.0, total.ctypes.data, _step(total, n),
        )  # fmt: skip

    return add_product


def _step(matrix: Float32Array, columns: int) -> int:
    """Entries from one row to the next; of a single row NumPy may give any number, but BLAS wants at least a row."""
    return max(matrix.strides[0] // _ITEM, columns)


def _is_right(add_product: AddProduct) -> bool:
    """Whether small integer sums come out exactly, in strided memory and both orders of the right operand."""
    rows, columns, depth, gap = 37, 50, 19, 3
    numbers = np.arange(rows * (columns + depth + gap), dtype=np.float32).reshape(rows, -1) % 127
    left, right = numbers[:, :depth], numbers[:depth, depth : depth + columns]
    for operand in (right, np.ascontiguousarray(right.T).T):
        total = numbers[:, :columns].copy()
        expected = total + left @ operand
        add_product(total, left, operand)
        if not np.array_equal(total, expected):
            return False
    return True
