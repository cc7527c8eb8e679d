"""The environment of every process a local network starts."""

from __future__ import annotations

import os
from pathlib import Path

_SINGLE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
"""One thread per process: the miners of one machine must not fight for its cores with threads of their own."""
_SOURCES = Path(__file__).resolve().parents[2]


def process_environment() -> dict[str, str]:
    """Ours, with single-threaded BLAS, unbuffered output, and the same sources also in another working directory."""
    paths = [str(_SOURCES), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        **dict.fromkeys(_SINGLE_THREAD, "1"),
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": os.pathsep.join(paths),
    }
