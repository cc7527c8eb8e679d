"""Measured rate of a backend, in multiply-accumulates per second: what a devnet's target is set from."""

from __future__ import annotations

import time

from compute.backends.base import Backend
from compute.engine import Engine, idle_order
from compute.spec.profiles import Profile

_UNREACHABLE_TARGET = 1


def measure_rate(backend: Backend, profile: Profile, duration_ms: int) -> int:
    """MAC/s over at least `duration_ms` of idle attempts, after one that warms up."""
    engine = Engine(backend)
    order = idle_order(profile, 0, b"", _UNREACHABLE_TARGET, bytes(32), backend.name)
    engine.mine(order, 0)
    started_ns = time.monotonic_ns()
    macs, attempts, elapsed_ns = 0, 0, 0
    while elapsed_ns < duration_ms * 1_000_000:
        attempts += 1
        macs += engine.mine(order, attempts).macs
        elapsed_ns = time.monotonic_ns() - started_ns
    return macs * 1_000_000_000 // elapsed_ns
