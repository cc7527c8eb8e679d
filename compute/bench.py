"""Measured rate of an engine, in multiply-accumulates per second: what a devnet's target is set from."""

from __future__ import annotations

import time

from compute.engines.base import Engine
from compute.messages import Mine
from compute.spec.profiles import Profile
from compute.workbench import Workbench

_UNREACHABLE_TARGET = 1


def measure_rate(engine: Engine, profile: Profile, duration_ms: int) -> int:
    """MAC/s over at least `duration_ms` of idle attempts, after one that warms up."""
    workbench = Workbench(engine)
    order = Mine(0, b"", _UNREACHABLE_TARGET, profile.profile_id, bytes(32))
    workbench.mine(order, 0)
    started_ns = time.monotonic_ns()
    macs, attempts, elapsed_ns = 0, 0, 0
    while elapsed_ns < duration_ms * 1_000_000:
        attempts += 1
        macs += workbench.mine(order, attempts).macs
        elapsed_ns = time.monotonic_ns() - started_ns
    return macs * 1_000_000_000 // elapsed_ns
