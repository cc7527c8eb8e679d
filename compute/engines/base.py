"""What an engine offers, and the checks that stand between an engine and the world.  Spec: [POW-ENGINE-*]."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import numpy as np

from chain.errors import Invalid, LocalFault, Policy
from chain.types import Hash32
from compute.entries import seeded_entries
from compute.host_memory import available_bytes
from compute.spec.arrays import Int8Array, Int32Array
from compute.spec.certificate import Certificate, build_certificate
from compute.spec.claim import NO_BINDING, Mu
from compute.spec.commit import Commitment
from compute.spec.padding import padded_mu
from compute.spec.profiles import Profile
from compute.spec.reference import reference_attempt
from compute.spec.ticket import Cube
from compute.spec.verify import verify_certificate

if TYPE_CHECKING:
    from compute.engines.measure import BenchRow


class Stage(Enum):
    """Parts of an attempt, in their order; the values are what people read."""

    COMMIT = "commitment"
    NOISE = "noise"
    PRODUCT = "product and transcript"
    HASH = "tickets"
    DENOISE = "denoising"


class Withdrawn(Exception):
    """Raised by a `Progress` to end an attempt that nobody wants any more; engines let it pass."""


Progress: TypeAlias = Callable[[Stage], None]
"""Called by an engine whenever a piece of a stage is done, at least once per stage and once per batch of slices.
It may raise `Withdrawn`: that is how stale work is dropped, and it is also how stages are timed."""


def unobserved(_: Stage) -> None:
    """The `Progress` of an attempt that nobody watches."""


class Output(Enum):
    """What an attempt is for: a product that somebody wants, or only its tickets (no denoising)."""

    PRODUCT = "product"
    TICKETS_ONLY = "tickets only"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Whether an engine can run here, and on what."""

    usable: bool
    detail: str
    """One line for people: what was found."""
    hint: str = ""
    """What would make it usable; empty if it is, or if nothing would."""


@dataclass(frozen=True)
class PreparedB:
    """B committed and noised under one template and one claim; serves any number of A."""

    profile: Profile
    mu: Mu
    kappa: Hash32
    commitment: Commitment
    seed_b: Hash32
    columns: int
    """Real columns of the product, before padding."""


@dataclass(frozen=True, slots=True)
class Winner:
    """A cube whose ticket is below the target."""

    cube: Cube
    ticket: Hash32


@dataclass(frozen=True, slots=True)
class Attempt:
    """One noised product: what it yielded and what it cost."""

    prepared: PreparedB
    commitment_a: Commitment
    product: Int32Array | None
    """int32[rows, columns], exact, without padding; None for `Output.TICKETS_ONLY`."""
    winners: tuple[Winner, ...]
    """In the order of (i, j, s)."""
    tickets: int
    """Tickets drawn: cubes of the committed shape."""
    macs: int
    """Multiply-accumulates of the committed shape."""


@dataclass(frozen=True, slots=True)
class Order:
    """One attempt to make: int8[rows, depth] A, entries already range-checked, times a prepared B."""

    prepared: PreparedB
    a: Int8Array
    target: int
    output: Output
    progress: Progress = unobserved


class Engine(ABC):
    """A way to make attempts. One instance serves one device and one caller at a time."""

    name: ClassVar[str]

    @abstractmethod
    def probe(self) -> Capabilities:
        """Whether this engine can run here; never raises, comes before anything else."""

    @abstractmethod
    def prepare_b(
        self, sigma: bytes, profile: Profile, mu: Mu, b_t: Int8Array, progress: Progress = unobserved
    ) -> PreparedB:
        """Commit and noise B transposed int8[columns, depth], entries already range-checked."""

    def seeded(self, seed: bytes, index: int, rows: int, depth: int) -> Int8Array:
        """Matrix number `index` of a seed, int8[rows, depth], for attempts that nobody ordered [POW-ENTRIES-1].

        An engine may make it where it multiplies: then it serves that engine alone, as an operand.
        """
        return seeded_entries(seed, index, rows, depth)

    @abstractmethod
    def run(self, order: Order) -> Attempt:
        """Multiply and draw every ticket.

        Raises:
            Withdrawn: when `order.progress` does; the engine is ready for the next order.
        """

    @abstractmethod
    def plain(self, a: Int8Array, b_t: Int8Array) -> Int32Array:
        """int32[m, n] exact A B as fast as this engine can, without noise or tickets: the yardstick of an attempt.

        Shapes are multiples of the tile and segment of a profile the engine supports.
        """

    @abstractmethod
    def memory_needed(self, profile: Profile, mu: Mu, output: Output) -> int:
        """Bytes that preparing B and one attempt take together, operands and results included."""

    @abstractmethod
    def idle_shape(self, profile: Profile) -> tuple[int, int, int]:
        """m, n, k of the attempts to make when nobody has ordered one."""

    def memory_free(self) -> int:
        """Bytes of the memory that `memory_needed` speaks of which can be had now."""
        return available_bytes()

    def clock_ns(self) -> int:
        """Nanoseconds this engine has worked: CPU time of the process, so that other programs do not count.

        An engine whose device works on its own waits for it and reads a wall clock.
        """
        return time.process_time_ns()

    def bench(self, profile: Profile, shape: tuple[int, int, int], rounds: int) -> BenchRow:
        """What attempts of the shape m, n, k cost beside the plain product; see compute.engines.measure.

        Raises:
            LocalFault: WORK_PRODUCT if an attempt's product is not the plain one.
        """
        # Imported here because measuring is written in terms of everything above.
        from compute.engines.measure import measure

        return measure([self], profile, shape, rounds)[0]


def check_memory(engine: Engine, profile: Profile, mu: Mu, output: Output) -> None:
    """Refuse an attempt that would not fit, before anything is allocated.

    Raises:
        Policy: WORK_MEMORY, with both numbers.
    """
    needed, free = engine.memory_needed(profile, mu, output), engine.memory_free()
    if needed > free:
        raise Policy(
            "WORK_MEMORY",
            found=f"{needed >> 20} MiB for {mu.m} x {mu.n} x {mu.k} on engine {engine.name}",
            allowed=f"{free >> 20} MiB free",
            hint="Multiply fewer rows at a time, or on another machine.",
        )


def checked_certificate(sigma: bytes, target: int, attempt: Attempt, winner: Winner) -> Certificate:
    """The certificate of a winner, replayed by the specification before it leaves the process [POW-ENGINE-2].

    Raises:
        LocalFault: WORK_ENGINE if the replay does not give the engine's ticket; no peer is to blame.
    """
    prepared = attempt.prepared
    certificate = build_certificate(
        prepared.mu, attempt.commitment_a, prepared.commitment, winner.cube, prepared.profile
    )
    try:
        ticket = verify_certificate(sigma, target, certificate, prepared.profile)
    except Invalid as error:
        raise LocalFault(
            "WORK_ENGINE", found=str(error), allowed="a winning ticket", hint=_DISTRUST
        ) from error
    if ticket != winner.ticket:
        raise LocalFault("WORK_ENGINE", found=winner.ticket, allowed=ticket, hint=_DISTRUST)
    return certificate


def self_test(engine: Engine, profile: Profile, seed: bytes) -> None:
    """Compare an engine with the reference on fresh random input [POW-ENGINE-1].

    Raises:
        LocalFault: WORK_SELF_TEST if the product or any winner differs.
    """
    rows, columns = 2 * profile.tile - 1, 3 * profile.tile
    depth = profile.segment + 1 if profile.segment <= 1024 else profile.segment
    a, b_t = seeded_entries(seed, 0, rows, depth), seeded_entries(seed, 1, columns, depth)
    reference = reference_attempt(seed, profile, a, b_t)
    # Wins every ticket, which no header may ask for: here it makes the engine show them all.
    target = (1 << 256) // profile.cube_macs
    mu = padded_mu(profile, rows, columns, depth, NO_BINDING)
    attempt = engine.run(Order(engine.prepare_b(seed, profile, mu, b_t), a, target, Output.PRODUCT))
    if attempt.product is None or not np.array_equal(attempt.product, reference.product):
        raise LocalFault("WORK_SELF_TEST", found=f"a wrong product from engine {engine.name}", hint=_DISTRUST)
    if {winner.cube: winner.ticket for winner in attempt.winners} != reference.tickets:
        raise LocalFault("WORK_SELF_TEST", found=f"wrong tickets from engine {engine.name}", hint=_DISTRUST)


_DISTRUST = "This engine cannot be trusted on this machine: choose another with --engine."
