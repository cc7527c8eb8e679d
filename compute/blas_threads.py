"""One BLAS thread per process: with more, BLAS collapses as soon as another process wants a core."""

from __future__ import annotations

import os

BLAS_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def use_one_blas_thread() -> None:
    """Ask for it; heard only before NumPy is imported. What the environment already says is respected."""
    for name in BLAS_VARIABLES:
        os.environ.setdefault(name, "1")
