"""Tickets win at the stated rate, whatever is multiplied: target * t * t * S / 2^256 per ticket.  Spec: [POW-TARGET-1].

Seeds are fixed, so nothing here is random from run to run. A threshold of one in 10,000 keeps the many tests of one run
from finding what is not there; a rate that is off by a tenth is far beyond it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from math import exp, lgamma, log

import numpy as np
import numpy.typing as npt
import pytest

from chain.codec import pack
from compute.engines.base import Order, Output
from compute.engines.numpy_blocks import NumpyEngine
from compute.spec.arrays import Int8Array
from compute.spec.claim import NO_BINDING
from compute.spec.padding import padded_mu
from compute.spec.profiles import CPU, DEV, TEST, Profile
from tests.work_samples import random_matrix

LEAST_CHANCE = 1e-4
"""A result less probable than this fails."""


# -------------------------------------------------------------------------------------------------------- statistics


def upper_gamma(shape: float, x: float) -> float:
    """Q(shape, x), the regularised upper incomplete gamma function: a series below the mean, a fraction above."""
    if x <= 0:
        return 1.0
    scale = exp(shape * log(x) - x - lgamma(shape))
    if x < shape + 1:
        term = total = 1 / shape
        place = shape
        while term > total * 1e-15:
            place += 1
            term *= x / place
            total += term
        return 1 - scale * total
    # Lentz's evaluation of the continued fraction.
    tiny = 1e-300
    b = x + 1 - shape
    c, d = 1 / tiny, 1 / b
    fraction = d
    for step in range(1, 1000):
        a = step * (shape - step)
        b += 2
        d = 1 / (b + a * d or tiny)
        c = b + a / c or tiny
        fraction *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return scale * fraction


def chance_of(statistic: float, degrees: int) -> float:
    """Probability of a chi-square at least this large."""
    return upper_gamma(degrees / 2, statistic / 2)


def test_the_table_of_chi_square() -> None:
    """Against the usual printed quantiles."""
    assert chance_of(3.841, 1) == pytest.approx(0.05, abs=1e-4)
    assert chance_of(18.307, 10) == pytest.approx(0.05, abs=1e-4)
    assert chance_of(149.449, 100) == pytest.approx(0.001, abs=1e-5)
    assert chance_of(2.558, 10) == pytest.approx(0.99, abs=1e-4)


# ----------------------------------------------------------------------------------------------------------- tickets


@dataclass(frozen=True)
class Sample:
    """A shape, and the matrices that fill it."""

    profile: Profile
    rows: int
    columns: int
    depth: int
    fill: Callable[[int, int, int], Int8Array] = random_matrix


def zeros(rows: int, depth: int, _: int) -> Int8Array:
    return np.zeros((rows, depth), np.int8)


def identity(rows: int, depth: int, _: int) -> Int8Array:
    return np.eye(rows, depth, dtype=np.int8)


def rank_one(rows: int, depth: int, seed: int) -> Int8Array:
    return np.outer(random_matrix(rows, 1, seed) > 0, random_matrix(1, depth, seed + 1)).astype(np.int8)


def extremes(rows: int, depth: int, _: int) -> Int8Array:
    return np.full((rows, depth), 63, np.int8)


def tickets_of(sample: Sample, nonces: range) -> npt.NDArray[np.uint8]:
    """uint8[nonce, i, j, s, 32]: every ticket of the attempts under headers that differ in the nonce alone."""
    profile, engine = sample.profile, NumpyEngine()
    a, b_t = sample.fill(sample.rows, sample.depth, 1), sample.fill(sample.columns, sample.depth, 2)
    mu = padded_mu(profile, sample.rows, sample.columns, sample.depth, NO_BINDING)
    all_win = (1 << 256) // profile.cube_macs
    digests = bytearray()
    for nonce in nonces:
        prepared = engine.prepare_b(pack([b"rate", nonce]), profile, mu, b_t)
        attempt = engine.run(Order(prepared, a, all_win, Output.TICKETS_ONLY))
        digests += b"".join(winner.ticket for winner in attempt.winners)
    counts = (mu.m // profile.tile, mu.n // profile.tile, mu.k // profile.segment)
    return np.frombuffer(bytes(digests), np.uint8).reshape(len(nonces), *counts, 32)


SAMPLES = {
    "test": Sample(TEST, 512, 256, 128),
    "test, flat": Sample(TEST, 16, 1024, 256),
    "test, ragged": Sample(TEST, 250, 190, 70),
    "dev": Sample(DEV, 512, 512, 256),
    "cpu": Sample(CPU, 512, 512, 256),
    "zero": Sample(TEST, 512, 256, 128, zeros),
    "identity": Sample(TEST, 512, 256, 128, identity),
    "rank one": Sample(TEST, 512, 256, 128, rank_one),
    "extremes": Sample(TEST, 512, 256, 128, extremes),
}
NONCES = {"test": 2, "test, flat": 4, "test, ragged": 6, "dev": 4, "cpu": 8}
"""Attempts per sample; 4 where nothing is said."""


@pytest.fixture(scope="module", params=SAMPLES)
def drawn(request: pytest.FixtureRequest) -> tuple[Sample, npt.NDArray[np.uint8]]:
    """A sample and its tickets."""
    name: str = request.param
    return SAMPLES[name], tickets_of(SAMPLES[name], range(NONCES.get(name, 4)))


# -------------------------------------------------------------------------------------------------------------- rate


def winners_by_engine(sample: Sample, target: int, nonces: range) -> int:
    """Winners that the engine reports at a target."""
    profile, engine = sample.profile, NumpyEngine()
    a, b_t = sample.fill(sample.rows, sample.depth, 1), sample.fill(sample.columns, sample.depth, 2)
    mu = padded_mu(profile, sample.rows, sample.columns, sample.depth, NO_BINDING)
    found = 0
    for nonce in nonces:
        prepared = engine.prepare_b(pack([b"rate", nonce]), profile, mu, b_t)
        found += len(engine.run(Order(prepared, a, target, Output.TICKETS_ONLY)).winners)
    return found


def rate_statistic(winners: int, tickets: int, target: int, profile: Profile) -> float:
    """Chi-square, one degree of freedom, of a count of winners."""
    chance = target * profile.cube_macs / (1 << 256)
    expected = tickets * chance
    return (winners - expected) ** 2 / (expected * (1 - chance))


def test_winners_come_at_the_stated_rate(drawn: tuple[Sample, npt.NDArray[np.uint8]]) -> None:
    """At every target, easy or hard, the number of winners fits target * t * t * S / 2^256."""
    sample, tickets = drawn
    profile = sample.profile
    numbers = [int.from_bytes(ticket.tobytes(), "little") for ticket in tickets.reshape(-1, 32)]
    for divisor in (1, 2, 3, 10):
        target = profile.max_target // divisor
        winners = sum(number < target * profile.cube_macs for number in numbers)
        assert chance_of(rate_statistic(winners, len(numbers), target, profile), 1) > LEAST_CHANCE


def test_winners_over_targets_and_shapes() -> None:
    """One chi-square over what the engine itself reports, for disjoint headers, shapes, profiles and targets."""
    statistic, degrees, first = 0.0, 0, 1000
    for name, divisor in product(("test", "test, flat", "test, ragged", "dev", "zero", "rank one"), (1, 3)):
        sample = SAMPLES[name]
        target = sample.profile.max_target // divisor
        mu = padded_mu(sample.profile, sample.rows, sample.columns, sample.depth, NO_BINDING)
        nonces = range(first, first + 2)
        winners = winners_by_engine(sample, target, nonces)
        tickets = len(nonces) * mu.m * mu.n * mu.k // sample.profile.cube_macs
        statistic += rate_statistic(winners, tickets, target, sample.profile)
        degrees += 1
        first = nonces.stop
    assert LEAST_CHANCE < chance_of(statistic, degrees) < 1 - LEAST_CHANCE


def test_a_rate_off_by_a_fifth_would_show() -> None:
    """The test can fail: 2,000 tickets tell a target from 1.2 times that target."""
    sample = SAMPLES["test"]
    tickets = tickets_of(sample, range(2)).reshape(-1, 32)
    target = sample.profile.max_target * 8
    bound = target * sample.profile.cube_macs * 6 // 5
    winners = sum(int.from_bytes(ticket.tobytes(), "little") < bound for ticket in tickets)
    assert chance_of(rate_statistic(winners, len(tickets), target, sample.profile), 1) < LEAST_CHANCE


# --------------------------------------------------------------------------------------- uniformity and independence


def flat_statistic(counts: npt.NDArray[np.int64]) -> float:
    """Chi-square of counts that should be equal."""
    expected = counts.sum() / len(counts)
    return float(((counts - expected) ** 2 / expected).sum())


def test_bits_and_bytes_are_uniform(drawn: tuple[Sample, npt.NDArray[np.uint8]]) -> None:
    """Every bit of the tickets, the values of all bytes together, and no ticket twice."""
    _, tickets = drawn
    flat = tickets.reshape(-1, 32)
    assert len({ticket.tobytes() for ticket in flat}) == len(flat)
    ones = np.unpackbits(flat, axis=1).sum(axis=0, dtype=np.int64)
    bits = float(((ones - len(flat) / 2) ** 2 / (len(flat) / 4)).sum())
    assert LEAST_CHANCE < chance_of(bits, 256) < 1 - LEAST_CHANCE
    assert chance_of(flat_statistic(np.bincount(flat.ravel(), minlength=256)), 255) > LEAST_CHANCE


def test_neighbours_are_independent(drawn: tuple[Sample, npt.NDArray[np.uint8]]) -> None:
    """Neither the next nonce, nor the next tile below or to the right, nor the next segment says anything.

    The deciding bits, the highest four, of both tickets of a pair fall evenly into 256 cells, and on average half of
    all 256 bits agree.
    """
    _, tickets = drawn
    for axis in range(4):
        first = np.take(tickets, range(tickets.shape[axis] - 1), axis=axis).reshape(-1, 32)
        second = np.take(tickets, range(1, tickets.shape[axis]), axis=axis).reshape(-1, 32)
        if not len(first):
            continue
        cells = (first[:, 31] & 0xF0).astype(np.int64) + (second[:, 31] >> 4)
        if len(first) >= 5 * 256:
            assert chance_of(flat_statistic(np.bincount(cells, minlength=256)), 255) > LEAST_CHANCE
        agreeing = int(np.unpackbits(~(first ^ second)).sum())
        pairs = 256 * len(first)
        assert chance_of((agreeing - pairs / 2) ** 2 / (pairs / 4), 1) > LEAST_CHANCE


def test_degenerate_matrices_win_as_often_as_random_ones() -> None:
    """Counts of winners of four kinds of input under the same headers, against one common rate."""
    target, statistic = TEST.max_target, 0.0
    tickets = 2 * (512 // 16) * (256 // 16) * (128 // 64)
    for name in ("test", "zero", "identity", "rank one"):
        winners = winners_by_engine(SAMPLES[name], target, range(50, 52))
        statistic += rate_statistic(winners, tickets, target, TEST)
    assert chance_of(statistic, 4) > LEAST_CHANCE


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLES)
def test_rate_and_bits_over_many_headers(name: str) -> None:
    """Forty headers per sample, so that a rate off by a twentieth shows."""
    sample = SAMPLES[name]
    tickets = tickets_of(sample, range(100, 140)).reshape(-1, 32)
    for threshold in (8, 16, 64, 128):
        # The highest byte below the threshold: targets from max_target / 2 upwards.
        winners = int((tickets[:, 31] < threshold).sum())
        expected = len(tickets) * threshold / 256
        statistic = (winners - expected) ** 2 / (expected * (1 - threshold / 256))
        assert chance_of(statistic, 1) > LEAST_CHANCE
    ones = np.unpackbits(tickets, axis=1).sum(axis=0, dtype=np.int64)
    bits = float(((ones - len(tickets) / 2) ** 2 / (len(tickets) / 4)).sum())
    assert LEAST_CHANCE < chance_of(bits, 256) < 1 - LEAST_CHANCE
