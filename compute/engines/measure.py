"""What attempts cost: one measurement for all engines, so that none can flatter itself.

Engines are measured in interleaved rounds, so that a busy machine hits all of them alike, and only medians and their
ratios are reported. Every product is first compared with the plain one: the speed of a wrong result is worth nothing.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from chain.errors import LocalFault
from compute.engines.base import Engine, Order, Output, PreparedB, Progress, Stage, check_memory, unobserved
from compute.entries import seeded_entries
from compute.spec.arrays import Int8Array
from compute.spec.claim import NO_BINDING, Mu
from compute.spec.padding import padded_mu
from compute.spec.profiles import Profile

DEFAULT_ROUNDS = 5
LOTTERY = (Stage.COMMIT, Stage.NOISE, Stage.HASH)
"""What an attempt spends on being a draw, apart from the multiplications and the denoising."""
_NO_WIN = 1
"""The hardest target: timed attempts make no certificates."""
_SEED = b"measurement"


@dataclass(frozen=True, slots=True)
class BenchRow:
    """One engine at one shape; times are medians of its own clock, in nanoseconds."""

    engine: str
    profile: str
    m: int
    n: int
    k: int
    rounds: int
    plain_ns: int
    """The exact product alone, as fast as this engine can."""
    attempt_ns: int
    """Everything for a product that somebody wants: B prepared, A noised, multiplied, drawn, denoised."""
    product_ns: int
    """The same with B prepared already."""
    tickets_only_ns: int
    """With B prepared already and no product wanted."""
    stage_ns: dict[Stage, int]
    """Where the time of an attempt goes."""
    tickets: int
    """Per attempt."""

    @property
    def ratio(self) -> float:
        """Attempt over plain product."""
        return self.attempt_ns / self.plain_ns

    @property
    def macs_per_second(self) -> int:
        return self.m * self.n * self.k * 1_000_000_000 // self.attempt_ns

    @property
    def tickets_per_second(self) -> int:
        return self.tickets * 1_000_000_000 // self.attempt_ns

    @property
    def lottery_share(self) -> float:
        """Fraction of an attempt that goes into commitment, noise and hashing."""
        return sum(self.stage_ns.get(stage, 0) for stage in LOTTERY) / max(1, sum(self.stage_ns.values()))


def measure(
    engines: Sequence[Engine], profile: Profile, shape: tuple[int, int, int], rounds: int = DEFAULT_ROUNDS
) -> list[BenchRow]:
    """One row per engine for the shape m, n, k rounded up to whole tiles and segments.

    Raises:
        Policy: WORK_MEMORY if one of them would not fit.
        LocalFault: WORK_PRODUCT if an engine's product is not its plain product.
    """
    m, n, k = shape
    mu = padded_mu(profile, m, n, k, NO_BINDING)
    for engine in engines:
        check_memory(engine, profile, mu, Output.PRODUCT)
    a, b_t = seeded_entries(_SEED, 0, mu.m, mu.k), seeded_entries(_SEED, 1, mu.n, mu.k)
    runs = [_Run(engine, profile, mu, a, b_t) for engine in engines]
    for _ in range(rounds):
        for run in runs:
            run.round()
    return [run.row() for run in runs]


class StageClock:
    """A `Progress` that notes how long each stage took, by the engine's clock."""

    def __init__(self, clock_ns: Callable[[], int]) -> None:
        self._clock_ns = clock_ns
        self._last_ns = clock_ns()
        self.taken_ns: dict[Stage, int] = {}

    def __call__(self, stage: Stage) -> None:
        now_ns = self._clock_ns()
        self.taken_ns[stage] = self.taken_ns.get(stage, 0) + now_ns - self._last_ns
        self._last_ns = now_ns


class _Run:
    """One engine under measurement."""

    def __init__(self, engine: Engine, profile: Profile, mu: Mu, a: Int8Array, b_t: Int8Array) -> None:
        self._engine, self._profile, self._mu, self._a, self._b_t = engine, profile, mu, a, b_t
        self._plain: list[int] = []
        self._attempt: list[int] = []
        self._product: list[int] = []
        self._tickets_only: list[int] = []
        self._stages: list[dict[Stage, int]] = []
        self._warm_up()

    def _warm_up(self) -> None:
        attempt = self._engine.run(Order(self._prepare(), self._a, _NO_WIN, Output.PRODUCT))
        if attempt.product is None or not np.array_equal(
            attempt.product, self._engine.plain(self._a, self._b_t)
        ):
            raise LocalFault(
                "WORK_PRODUCT",
                found=f"a product of engine {self._engine.name} that is not A B",
                allowed="exact products",
                hint="Do not use this engine on this machine.",
            )
        self._drawn = attempt.tickets

    def round(self) -> None:
        clock_ns, engine = self._engine.clock_ns, self._engine
        marks = [clock_ns()]
        engine.plain(self._a, self._b_t)
        marks.append(clock_ns())
        stages = StageClock(clock_ns)
        prepared = self._prepare(stages)
        marks.append(clock_ns())
        engine.run(Order(prepared, self._a, _NO_WIN, Output.PRODUCT, stages))
        marks.append(clock_ns())
        engine.run(Order(prepared, self._a, _NO_WIN, Output.TICKETS_ONLY))
        marks.append(clock_ns())
        self._plain.append(marks[1] - marks[0])
        self._attempt.append(marks[3] - marks[1])
        self._product.append(marks[3] - marks[2])
        self._tickets_only.append(marks[4] - marks[3])
        self._stages.append(stages.taken_ns)

    def row(self) -> BenchRow:
        """Times of at least one nanosecond, so that ratios exist however coarse the clock is."""
        return BenchRow(
            engine=self._engine.name,
            profile=self._profile.name,
            m=self._mu.m,
            n=self._mu.n,
            k=self._mu.k,
            rounds=len(self._plain),
            plain_ns=max(1, _median(self._plain)),
            attempt_ns=max(1, _median(self._attempt)),
            product_ns=max(1, _median(self._product)),
            tickets_only_ns=max(1, _median(self._tickets_only)),
            stage_ns={stage: _median([taken.get(stage, 0) for taken in self._stages]) for stage in Stage},
            tickets=self._drawn,
        )

    def _prepare(self, progress: Progress = unobserved) -> PreparedB:
        return self._engine.prepare_b(_SEED, self._profile, self._mu, self._b_t, progress)


def _median(times_ns: list[int]) -> int:
    return int(statistics.median(times_ns))
