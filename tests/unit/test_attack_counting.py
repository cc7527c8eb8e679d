"""The attackers' tools: their arithmetic is exact and their accounts are right."""

from __future__ import annotations

import numpy as np
import pytest

from compute.spec.profiles import TEST
from compute.spec.tiles import cube_transcript
from tests.attacks.arithmetic import table_product, table_words_per_mac, winograd_products, winograd_sum
from tests.attacks.broken import folding_only, partial_sums_of
from tests.attacks.counting import Operations, compressions
from tests.attacks.reduction import inner_dimension, thin_factors
from tests.attacks.settings import SMALL, honest

RNG = np.random.default_rng(3)


def test_a_product_is_exact_and_booked_by_its_shape() -> None:
    account = Operations()
    left, right = RNG.integers(-126, 127, (5, 7)), RNG.integers(-126, 127, (7, 3))
    assert np.array_equal(account.product(left, right), left @ right)
    assert account == Operations(macs=5 * 7 * 3)


def test_exchange_of_words_and_compressions() -> None:
    account = Operations(macs=100, words=10, compressions=1)
    assert (account.total(), account.total(4)) == (910, 3340)


@pytest.mark.parametrize(("size", "expected"), [(0, 1), (64, 1), (65, 2), (1024, 16), (1025, 18), (4096, 67)])
def test_compressions_of_a_hash(size: int, expected: int) -> None:
    """Blocks of 64 bytes, and one parent for every chunk of 1,024 but the first."""
    assert compressions(size) == expected


def test_the_honest_miner_pays_a_multiplication_per_mac() -> None:
    outcome = honest(SMALL)
    assert outcome.operations.macs == SMALL.m * SMALL.n * SMALL.k
    assert outcome.tickets * TEST.cube_macs == outcome.operations.macs


@pytest.mark.parametrize("rank", range(9))
def test_thin_factors_are_exact_and_thinnest(rank: int) -> None:
    """Also where words overflow, and where every pivot is even."""
    for scale in (1, 6, 1 << 20):
        matrix = scale * RNG.integers(-3, 4, (8, rank)) @ RNG.integers(-3, 4, (rank, 8))
        u, v = thin_factors(matrix)
        assert u.shape[1] == v.shape[0] == np.linalg.matrix_rank(matrix)
        assert np.array_equal(u @ v, matrix.astype(np.uint32))


def test_a_thin_dimension_needs_no_unit_pivot() -> None:
    assert inner_dimension(np.array([[2, 4], [4, 8]])) == 1
    assert inner_dimension(np.array([[2, 0], [0, 2]])) == 2


@pytest.mark.parametrize(("planes", "bound"), [(6, 32), (8, 128)])
@pytest.mark.parametrize("width", [1, 3, 5])
def test_tables_give_the_product_without_multiplying(planes: int, bound: int, width: int) -> None:
    account = Operations()
    left, right = RNG.integers(-bound, bound, (20, 10)), RNG.integers(-200, 201, (10, 4))
    assert np.array_equal(table_product(account, left, right, planes, width), left @ right)
    account.book_words(20, 4)
    expected = table_words_per_mac(10, 20, planes, width) * 20 * 10 * 4
    assert account.macs == 0
    # The last table may be smaller than the estimate has it.
    assert account.words == pytest.approx(expected, rel=0.05)


def test_seven_products_give_the_product() -> None:
    account = Operations()
    left, right = RNG.integers(-126, 127, (6, 8)), RNG.integers(-126, 127, (8, 10))
    assert np.array_equal(winograd_sum(account, winograd_products(account, left, right)), left @ right)
    assert account.macs == 7 * 6 * 8 * 10 // 8


def test_the_broken_verifier_is_broken_in_one_place_only() -> None:
    """With every slice folded its transcript is the real one."""
    a, b_t = (RNG.integers(-126, 127, (TEST.tile, TEST.segment)).astype(np.int8) for _ in range(2))
    whole = folding_only(lambda place, profile: True)
    assert np.array_equal(whole(a, b_t, TEST), cube_transcript(a, b_t, TEST))
    last = list(partial_sums_of(a, b_t, TEST))[-1]
    assert np.array_equal(last, a.astype(np.int64) @ b_t.T.astype(np.int64))
