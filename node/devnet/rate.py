"""How fast the miners of a local network will multiply, measured on this machine with all of them at once.

Several miners share cores, caches and memory bandwidth, so the rate of one is not simply multiplied: as many processes
as there will be miners measure at the same time, each on one thread as a worker runs, and their rates are added.
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.synchronize import Barrier

SINGLE_THREAD = {
    name: "1" for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
}
"""One thread per worker: the miners of one machine must not fight for its cores with threads of their own."""
LEFT_FOR_MINING_PERCENT = 80
"""The rest goes to the nodes themselves: every one of them verifies, executes and gossips on the same cores."""
_START_TIMEOUT_S = 60

_everybody_ready: Barrier


def measure_mining(miners: int, profile_id: int, duration_ms: int) -> int:
    """MAC/s that `miners` workers reach together beside their nodes; takes `duration_ms` and the start of processes."""
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(miners)
    os.environ.update(SINGLE_THREAD)  # read by BLAS when the children import NumPy
    with ProcessPoolExecutor(miners, context, initializer=_remember, initargs=(ready,)) as pool:
        rates = [pool.submit(_measure, profile_id, duration_ms) for _ in range(miners)]
        total = sum(rate.result() for rate in rates)
    return total * LEFT_FOR_MINING_PERCENT // 100


def _remember(ready: Barrier) -> None:
    global _everybody_ready
    _everybody_ready = ready


def _measure(profile_id: int, duration_ms: int) -> int:
    from compute.backends.cpu import CpuBackend
    from compute.bench import measure_rate
    from compute.spec.profiles import PROFILES

    _everybody_ready.wait(_START_TIMEOUT_S)
    return measure_rate(CpuBackend(), PROFILES[profile_id], duration_ms)
