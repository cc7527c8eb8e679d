"""The public face: exact integer products of anybody's matrices that draw tickets on the way.

    from compute import Template, multiply
    from compute.spec.profiles import CPU

    product, tickets = multiply(a, b, Template(sigma, target, CPU))

`a` [m, k] and `b` [k, n] are whatever holds integers in [-63, 63]: NumPy arrays of any integer type, byte order and
memory layout, PyTorch tensors in main memory, nested lists. The product is int32[m, n], equal to `a @ b`.
"""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass

import numpy as np

from chain.errors import Invalid, LocalFault, Policy
from chain.ints import ceil_div
from chain.types import Hash32
from compute.engines.base import Attempt, Engine, Order, Output, PreparedB, checked_certificate
from compute.engines.select import AUTO, choose_engine
from compute.host_memory import available_bytes
from compute.matrices import as_array, check_matrix, check_shapes, to_int8
from compute.spec.arrays import Int8Array, Int32Array
from compute.spec.claim import NO_BINDING
from compute.spec.freivalds import find_wrong_row
from compute.spec.padding import padded_mu, round_up
from compute.spec.profiles import PROFILES, Profile

log = logging.getLogger("tilework.work")
MAX_CERTIFICATES = 8
"""Certificates made per attempt: a block needs one, and under an easy target thousands of cubes win."""
_PRODUCT_BYTES = 4
"""Size of one entry of the product."""


@dataclass(frozen=True, slots=True)
class Template:
    """What the tickets of an attempt are drawn for."""

    sigma: bytes
    """The header without its proof, of the block that would be won; any bytes for practice."""
    target: int
    profile: Profile

    def __post_init__(self) -> None:
        """Raises: Invalid WORK_PROFILE, WORK_TARGET_RANGE."""
        if PROFILES.get(self.profile.profile_id) != self.profile:
            names = ", ".join(profile.name for profile in PROFILES.values())
            raise Invalid("WORK_PROFILE", found=self.profile.name, allowed=names)
        if not 1 <= self.target <= self.profile.max_target:
            raise Invalid("WORK_TARGET_RANGE", found=self.target, allowed=f"1..{self.profile.max_target}")


@dataclass(frozen=True, slots=True)
class Win:
    """A certificate ready for a block, already replayed by the specification, and the ticket it proves."""

    certificate: bytes
    ticket: Hash32


@dataclass(frozen=True, slots=True)
class Tickets:
    """What a product drew."""

    drawn: int = 0
    macs: int = 0
    """Multiply-accumulates behind them, padding included."""
    won: int = 0
    winners: tuple[Win, ...] = ()
    """The first of those that won, at most `MAX_CERTIFICATES` of each panel."""

    def __add__(self, other: Tickets) -> Tickets:
        return Tickets(
            drawn=self.drawn + other.drawn,
            macs=self.macs + other.macs,
            won=self.won + other.won,
            winners=self.winners + other.winners,
        )


def multiply(a: object, b: object, template: Template, *, engine: str = AUTO) -> tuple[Int32Array, Tickets]:
    """The exact product int32[m, n] of integers a [m, k] and b [k, n], and the tickets it drew.

    The engine is chosen and tested once per process and profile. A product that is higher than the profile allows, or
    that would not fit into memory, runs as several panels of rows [POW-PAD-2], [POW-ENGINE-6].

    Raises:
        Policy: MATRIX_FORMAT, MATRIX_DTYPE, MATRIX_SHAPE, MATRIX_SHAPES or MATRIX_RANGE for matrices that cannot be
            used; WORK_BOUNDS if n or k exceeds the profile; WORK_MEMORY, with the numbers, before anything is
            allocated; WORK_ENGINE_NAME.
        LocalFault: WORK_ENGINE_UNUSABLE or WORK_SELF_TEST if no engine works here; WORK_ENGINE if the one that was
            named proved wrong. Under "auto" the next engine takes over [POW-ENGINE-3].
    """
    work = Multiplication(a, b, engine=engine)
    tickets = Tickets()
    while not work.finished:
        tickets += work.advance(template)
    return work.product, tickets


class Multiplication:
    """One product, made in panels of rows, each under the template of its moment."""

    def __init__(self, a: object, b: object, *, engine: str = AUTO) -> None:
        """Raises: Policy MATRIX_FORMAT, MATRIX_DTYPE, MATRIX_SHAPE, MATRIX_SHAPES, MATRIX_RANGE."""
        self._given_a = check_matrix(as_array(a, "A"), "A")
        self._given_b = check_matrix(as_array(b, "B"), "B")
        check_shapes(self._given_a.shape, self._given_b.shape)
        self.rows: int = self._given_a.shape[0]
        self.depth: int = self._given_a.shape[1]
        self.columns: int = self._given_b.shape[1]
        self.rows_done = 0
        self._engine_name = engine
        self._operands: _Operands | None = None
        self._panel_rows: dict[int, int] = {}
        self._prepared: tuple[bytes, PreparedB] | None = None

    @property
    def finished(self) -> bool:
        return self.rows_done == self.rows

    @property
    def product(self) -> Int32Array:
        """int32[m, n], of which the first `rows_done` rows are there; there is none before the first panel."""
        assert self._operands is not None
        return self._operands.product

    def engine(self, profile: Profile) -> Engine:
        """The engine that works under `profile`.  Raises: as `multiply`."""
        return _engine(self._engine_name, profile)

    def panel_rows(self, profile: Profile, most: int | None = None) -> int:
        """Rows of the next panel: what the profile and the memory allow, evenly divided, and at most about `most`.

        Raises: Policy WORK_BOUNDS, WORK_MEMORY.
        """
        if profile.profile_id not in self._panel_rows:
            self._panel_rows[profile.profile_id] = self._largest_panel(profile)
        largest = self._panel_rows[profile.profile_id]
        wanted = largest if most is None else min(largest, round_up(max(1, most), profile.tile))
        even = ceil_div(self.rows, ceil_div(self.rows, wanted))
        return min(round_up(even, profile.tile), self.rows - self.rows_done)

    def advance(self, template: Template, most_rows: int | None = None) -> Tickets:
        """Compute the next panel under `template`.  Raises: as `multiply`."""
        with _working:
            return self._advance(template, most_rows)

    def check(self) -> None:
        """Compare the finished product with its matrices, a tenth of the work or less [FREIVALDS-2].

        Raises:
            LocalFault: WORK_PRODUCT if a row is wrong; one that is wrong is missed with a probability below 2^-92.
        """
        operands = self._allocated()
        row = find_wrong_row(operands.a, operands.b_t, operands.product, os.urandom(32))
        if row is not None:
            raise LocalFault(
                "WORK_PRODUCT",
                found=f"a wrong row, number {row}",
                allowed="the exact product",
                hint="Do not trust this engine or this memory: run it again with --engine reference.",
            )

    def _advance(self, template: Template, most_rows: int | None) -> Tickets:
        profile = template.profile
        engine = self.engine(profile)
        count = self.panel_rows(profile, most_rows)
        try:
            attempt = self._attempt(engine, template, count)
            tickets = _tickets(template, attempt)
        except LocalFault as fault:
            if self._engine_name != AUTO:
                raise
            _distrust(engine, fault)
            self._prepared = None
            self._panel_rows.clear()
            return self._advance(template, most_rows)
        assert attempt.product is not None
        self._allocated().product[self.rows_done : self.rows_done + count] = attempt.product
        self.rows_done += count
        return tickets

    def _attempt(self, engine: Engine, template: Template, count: int) -> Attempt:
        """The next `count` rows."""
        a = self._allocated().a[self.rows_done : self.rows_done + count]
        return engine.run(Order(self._prepare(engine, template, count), a, template.target, Output.PRODUCT))

    def _prepare(self, engine: Engine, template: Template, count: int) -> PreparedB:
        """B under the template, kept as long as the template and the height of the panels stay the same."""
        profile = template.profile
        mu = padded_mu(profile, count, self.columns, self.depth, NO_BINDING)
        if self._prepared is not None and self._prepared[0] == template.sigma and self._prepared[1].mu == mu:
            return self._prepared[1]
        self._prepared = None  # freed before the next one is allocated
        prepared = engine.prepare_b(template.sigma, profile, mu, self._allocated().b_t)
        self._prepared = (template.sigma, prepared)
        return prepared

    def _allocated(self) -> _Operands:
        if self._operands is None:
            self._operands = _Operands(
                a=to_int8(self._given_a),
                b_t=to_int8(self._given_b.T),
                product=np.empty((self.rows, self.columns), np.int32),
            )
        return self._operands

    def _largest_panel(self, profile: Profile) -> int:
        for what, size, most in (
            ("n, columns of B", self.columns, profile.max_n),
            ("k, columns of A and rows of B", self.depth, profile.max_k),
        ):
            if size > most:
                raise Policy(
                    "WORK_BOUNDS",
                    found=f"{size} as {what}",
                    allowed=f"at most {most} under profile {profile.name}",
                    hint="Multiply parts of it: columns of B one after another, or parts of the depth and add up.",
                )
        engine = self.engine(profile)
        free = min(available_bytes(), engine.memory_free())
        held = self._bytes_held()
        rows = min(round_up(self.rows, profile.tile), profile.max_m)
        while True:
            mu = padded_mu(profile, rows, self.columns, self.depth, NO_BINDING)
            needed = held + engine.memory_needed(profile, mu, Output.PRODUCT)
            if needed <= free:
                return rows
            if rows == profile.tile:
                raise Policy(
                    "WORK_MEMORY",
                    found=f"{_mib(needed)} for {self.rows} x {self.columns} x {self.depth},"
                    f" {rows} rows at a time, on engine {engine.name}",
                    allowed=f"{_mib(free)} free",
                    hint="Multiply fewer rows and columns at a time, or on another machine.",
                )
            rows = round_up(rows // 2, profile.tile)

    def _bytes_held(self) -> int:
        """What stays allocated from the first panel to the last: the product, and operands that must be copied."""
        if self._operands is not None:
            return 0
        a_is_ready = self._given_a.dtype == np.int8 and self._given_a.flags.c_contiguous
        copies: int = self._given_b.size + (0 if a_is_ready else self._given_a.size)
        return copies + _PRODUCT_BYTES * self.rows * self.columns


@dataclass(frozen=True, slots=True)
class _Operands:
    """What a product works on, allocated when it is known to fit."""

    a: Int8Array
    b_t: Int8Array
    product: Int32Array


_working = threading.RLock()
"""One engine serves one caller at a time."""
_engines: dict[tuple[str, int], Engine] = {}
_distrusted: set[str] = set()
"""Engines that failed in this process; `auto` does not take them again."""


def _engine(name: str, profile: Profile) -> Engine:
    """The engine of this name that passed its self-test in this process, tested at the first use."""
    with _working:
        key = (name, profile.profile_id)
        if key not in _engines:
            _engines[key], _ = choose_engine(
                name, profile, os.urandom(32), frozenset(_distrusted), _note_skipped
            )
        return _engines[key]


def _note_skipped(name: str, fault: LocalFault) -> None:
    if fault.code != "WORK_ENGINE_UNUSABLE":  # what is not there is nothing to worry about
        log.warning("engine-skipped engine=%s why=%s", name, fault)


def _distrust(engine: Engine, fault: LocalFault) -> None:
    """Never take this engine again unless it is named [POW-ENGINE-3]."""
    log.warning("engine-failed engine=%s why=%s; the next one takes over", engine.name, fault)
    _distrusted.add(engine.name)
    for key in [key for key, known in _engines.items() if key[0] == AUTO and known.name == engine.name]:
        del _engines[key]


def _tickets(template: Template, attempt: Attempt) -> Tickets:
    wins = []
    for winner in attempt.winners[:MAX_CERTIFICATES]:
        certificate = checked_certificate(template.sigma, template.target, attempt, winner)
        wins.append(Win(certificate=certificate.to_bytes(), ticket=winner.ticket))
    return Tickets(drawn=attempt.tickets, macs=attempt.macs, won=len(attempt.winners), winners=tuple(wins))


def _mib(size_bytes: int) -> str:
    return f"{size_bytes >> 20} MiB"
