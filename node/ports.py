"""What the node needs from the outside world, as small interfaces with a production adapter each.

Tests and simulations pass other adapters: a virtual clock, seeded randomness, work done inline.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import trio

from compute.messages import Command, Event, Ready

T = TypeVar("T")


class Clock(Protocol):
    """Wall time in milliseconds, and waiting."""

    def now_ms(self) -> int: ...

    async def sleep_ms(self, duration_ms: int) -> None: ...


class Cpu(Protocol):
    """Where CPU-heavy functions run, so that the main task keeps serving peers."""

    async def run(self, function: Callable[..., T], *arguments: Any) -> T: ...


class Rng(Protocol):
    """Unpredictable bytes (salts, seeds of made-up matrices)."""

    def bytes(self, count: int) -> bytes: ...


class Worker(Protocol):
    """One engine that multiplies; see compute/messages.py for what is said to it and by it."""

    @property
    def engine(self) -> str:
        """The engine that was chosen, or is being tried; empty before the first."""

    async def start(self) -> Ready:
        """Raises: LocalFault WORKER_START, WORKER_LOST, or the code with which the worker gave up."""

    async def send(self, command: Command) -> None:
        """Raises: LocalFault WORKER_LOST."""

    async def receive(self) -> Event:
        """The next event, in order.  Raises: LocalFault WORKER_LOST."""

    async def stop(self) -> None:
        """End the worker; safe to call twice."""


class WallClock:
    """The machine's clock, on trio's timers."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    async def sleep_ms(self, duration_ms: int) -> None:
        await trio.sleep(duration_ms / 1000)


class ThreadCpu:
    """Functions run in threads; NumPy, BLAKE3 and libsodium release the interpreter lock there."""

    def __init__(self, threads: int = 2) -> None:
        self._limiter = trio.CapacityLimiter(threads)

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        return await trio.to_thread.run_sync(function, *arguments, limiter=self._limiter)


class SystemRng:
    """The operating system's generator."""

    def bytes(self, count: int) -> bytes:
        return os.urandom(count)
