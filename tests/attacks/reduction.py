"""The fewest multiplications per entry that a known r x r matrix between two unknown factors leaves.

Where A and B contribute nothing, a slice is E_L (E_R,l F_L,l) F_R with a small known matrix in the middle. Written as
U V with a thin U, the product costs as many multiply-accumulates per entry as U has columns: (E_L U)(V F_R). All words
live modulo 2^32, so the elimination may work there: it pivots on entries with the fewest factors of two, and its result
is exact for every transcript. This covers the reduction of the noise to the components of its graph, and more.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tests.attacks.counting import Integers

Words = npt.NDArray[np.uint32]
_MODULUS = 1 << 32


def thin_factors(matrix: Integers) -> tuple[Words, Words]:
    """U uint32[r, inner] and V uint32[inner, r] with U V = matrix modulo 2^32 and the smallest inner dimension."""
    rest = (matrix & (_MODULUS - 1)).astype(np.uint64)
    columns, rows = [], []
    while rest.any():
        lowest_bits = np.where(rest == 0, np.uint64(_MODULUS), rest & (~rest + np.uint64(1)))
        row, column = np.unravel_index(int(lowest_bits.argmin()), rest.shape)
        power = int(lowest_bits[row, column])
        inverse = pow(int(rest[row, column]) // power, -1, _MODULUS)
        u = rest[:, column].copy()
        v = (rest[row] // np.uint64(power)) * np.uint64(inverse) % np.uint64(_MODULUS)
        rest = (rest - np.outer(u, v)) % np.uint64(_MODULUS)
        columns.append(u)
        rows.append(v)
    if not columns:
        return np.zeros((len(matrix), 0), np.uint32), np.zeros((0, len(matrix)), np.uint32)
    return np.stack(columns, axis=1).astype(np.uint32), np.stack(rows).astype(np.uint32)


def inner_dimension(matrix: Integers) -> int:
    """Columns of the thinnest U."""
    return int(thin_factors(matrix)[0].shape[1])
