"""What a backend offers, and the checks that stand between a backend and the world.  Spec: [POW-BACKEND-*]."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np

from chain.errors import Invalid, LocalFault
from chain.types import Hash32
from compute.entries import seeded_entries
from compute.spec.arrays import Int8Array, Int32Array
from compute.spec.certificate import Certificate, build_certificate
from compute.spec.claim import NO_BINDING, Mu
from compute.spec.commit import Commitment
from compute.spec.padding import padded_mu
from compute.spec.profiles import Profile
from compute.spec.reference import reference_attempt
from compute.spec.ticket import Cube
from compute.spec.verify import verify_certificate


class Output(Enum):
    """What an attempt is for: a product that somebody wants, or only its tickets (no denoising)."""

    PRODUCT = "product"
    TICKETS_ONLY = "tickets only"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Whether a backend can run here, and on what; `detail` is one line for people."""

    usable: bool
    detail: str


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


class Backend(Protocol):
    """A way to make attempts. One instance serves one process and one caller at a time."""

    name: str

    def probe(self) -> Capabilities:
        """Whether this backend can run here; never raises."""

    def prepare_b(self, sigma: bytes, profile: Profile, mu: Mu, b_t: Int8Array) -> PreparedB:
        """Commit and noise B transposed int8[columns, depth], entries already range-checked."""

    def attempt(self, prepared: PreparedB, a: Int8Array, target: int, output: Output) -> Attempt:
        """Multiply int8[rows, depth] A, entries already range-checked, by the prepared B and draw every ticket."""


def checked_certificate(sigma: bytes, target: int, attempt: Attempt, winner: Winner) -> Certificate:
    """The certificate of a winner, replayed by the specification before it leaves the process [POW-BACKEND-2].

    Raises:
        LocalFault: WORK_BACKEND if the replay does not give the backend's ticket; no peer is to blame.
    """
    prepared = attempt.prepared
    certificate = build_certificate(
        prepared.mu, attempt.commitment_a, prepared.commitment, winner.cube, prepared.profile
    )
    try:
        ticket = verify_certificate(sigma, target, certificate, prepared.profile)
    except Invalid as error:
        raise LocalFault(
            "WORK_BACKEND", found=str(error), allowed="a winning ticket", hint=_DISTRUST
        ) from error
    if ticket != winner.ticket:
        raise LocalFault("WORK_BACKEND", found=winner.ticket, allowed=ticket, hint=_DISTRUST)
    return certificate


def self_test(backend: Backend, profile: Profile, seed: bytes) -> None:
    """Compare a backend with the reference on fresh random input [POW-BACKEND-1].

    Raises:
        LocalFault: WORK_SELF_TEST if the product or any winner differs.
    """
    rows, columns = 2 * profile.tile - 1, 3 * profile.tile
    depth = profile.segment + 1 if profile.segment <= 1024 else profile.segment
    a, b_t = seeded_entries(seed, 0, rows, depth), seeded_entries(seed, 1, columns, depth)
    reference = reference_attempt(seed, profile, a, b_t)
    # Wins every ticket, which no header may ask for: here it makes the backend show them all.
    target = (1 << 256) // profile.cube_macs
    mu = padded_mu(profile, rows, columns, depth, NO_BINDING)
    attempt = backend.attempt(backend.prepare_b(seed, profile, mu, b_t), a, target, Output.PRODUCT)
    if attempt.product is None or not np.array_equal(attempt.product, reference.product):
        raise LocalFault(
            "WORK_SELF_TEST", found=f"a wrong product from backend {backend.name}", hint=_DISTRUST
        )
    if {winner.cube: winner.ticket for winner in attempt.winners} != reference.tickets:
        raise LocalFault("WORK_SELF_TEST", found=f"wrong tickets from backend {backend.name}", hint=_DISTRUST)


_DISTRUST = "This backend cannot be trusted on this machine: choose another with --backend."
