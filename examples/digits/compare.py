"""Compare a product with NumPy's: python examples/digits/compare.py A.npy B.npy C.npy."""

from __future__ import annotations

import sys

import numpy as np

_EXACT_DEPTH = 2048
"""Sums of this many products of entries in [-63, 63] stay below 2^24, where float32 is exact (and much faster)."""


def main() -> None:
    if len(sys.argv) != 4:
        raise SystemExit("usage: compare.py A.npy B.npy C.npy   (is C the product of A and B?)")
    a, b, c = (np.load(path) for path in sys.argv[1:])
    exact = np.zeros((a.shape[0], b.shape[1]), np.int64)
    for first in range(0, a.shape[1], _EXACT_DEPTH):
        columns = slice(first, first + _EXACT_DEPTH)
        exact += (a[:, columns].astype(np.float32) @ b[columns].astype(np.float32)).astype(np.int64)
    equal = np.array_equal(c, exact)
    print(f"equal to NumPy's A @ B in all {c.size:,} entries: {'yes' if equal else 'NO'}")
    raise SystemExit(0 if equal else 1)


if __name__ == "__main__":
    main()
