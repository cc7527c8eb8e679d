"""Measured rate of an engine, and measured size and check of certificates; for people and for a devnet's target."""

from __future__ import annotations

import itertools
import statistics
import time
from dataclasses import dataclass

from chain.errors import Invalid, LocalFault
from compute.engines.base import Engine
from compute.entries import seeded_entries
from compute.messages import Mine
from compute.spec.certificate import Certificate, build_certificate
from compute.spec.claim import NO_BINDING, kappa_of
from compute.spec.commit import Side, commit
from compute.spec.padding import padded_mu
from compute.spec.profiles import Profile
from compute.spec.ticket import Cube
from compute.spec.verify import verify_certificate
from compute.workbench import Workbench

_UNREACHABLE_TARGET = 1
_SIGMA = b"measurement"
_VERIFY_ROUNDS = 51
_MOST_CUBES = 1024
"""Tried at most; that none of so many wins has a chance below 2^-95."""


@dataclass(frozen=True, slots=True)
class CertificateCost:
    """What one won cube costs everybody else."""

    size_bytes: int
    verify_ns: int
    """CPU time of one thread, median; whatever engine won."""


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


def certificate_cost(profile: Profile, shape: tuple[int, int, int]) -> CertificateCost:
    """Size and check of a certificate for a product of shape m, n, k under the easiest target."""
    certificate = practice_certificate(profile, shape)
    times_ns = []
    for _ in range(_VERIFY_ROUNDS):
        started_ns = time.process_time_ns()
        verify_certificate(_SIGMA, profile.max_target, certificate, profile)
        times_ns.append(time.process_time_ns() - started_ns)
    return CertificateCost(len(certificate.to_bytes()), int(statistics.median(times_ns)))


def practice_certificate(profile: Profile, shape: tuple[int, int, int]) -> Certificate:
    """A certificate that wins under the easiest target, found by replaying single cubes of a committed product.

    Raises:
        LocalFault: WORK_PRACTICE if none of the cubes wins; likely only for a handful of them.
    """
    m, n, k = shape
    mu = padded_mu(profile, m, n, k, NO_BINDING)
    kappa = kappa_of(_SIGMA, mu)
    a, b_t = seeded_entries(_SIGMA, 0, mu.m, mu.k), seeded_entries(_SIGMA, 1, mu.n, mu.k)
    commitment_a, commitment_b = commit(Side.A, kappa, a, profile), commit(Side.B, kappa, b_t, profile)
    places = itertools.product(
        range(mu.m // profile.tile), range(mu.n // profile.tile), range(mu.k // profile.segment)
    )
    for place in itertools.islice(places, _MOST_CUBES):
        certificate = build_certificate(mu, commitment_a, commitment_b, Cube(*place), profile)
        try:
            verify_certificate(_SIGMA, profile.max_target, certificate, profile)
        except Invalid:  # one cube in sixteen wins
            continue
        return certificate
    raise LocalFault(
        "WORK_PRACTICE", found=f"no winning cube in {m} x {n} x {k}", hint="Choose larger sizes."
    )
