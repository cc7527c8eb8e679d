"""Freivalds' check and the elements and vectors that proofs re-run.  Spec: [FREIVALDS-*]."""

from __future__ import annotations

import numpy as np
import pytest

from chain.errors import Invalid
from compute.spec.arrays import Int8Array, Int32Array
from compute.spec.freivalds import PRIME, challenge, evidence_vector, exact_element, find_wrong_row
from tests.work_samples import random_matrix

SEED = bytes(range(32))


def sample(m: int = 300, n: int = 70, k: int = 90) -> tuple[Int8Array, Int8Array, Int32Array]:
    a, b_t = random_matrix(m, k, 1), random_matrix(n, k, 2)
    return a, b_t, (a.astype(np.int64) @ b_t.T.astype(np.int64)).astype(np.int32)


@pytest.mark.parametrize("shape", [(1, 1, 1), (300, 70, 90), (2, 500, 3), (129, 1, 400)])
def test_true_product_passes(shape: tuple[int, int, int]) -> None:
    a, b_t, c = sample(*shape)
    assert find_wrong_row(a, b_t, c, SEED) is None


@pytest.mark.parametrize("sign", [1, -1])
def test_extreme_product_passes(sign: int) -> None:
    """Largest sums of every intermediate: the float64 bounds of the module docstring are tight enough."""
    depth = 1 << 14
    a = np.full((2, depth), 63, np.int8)
    b_t = np.full((3, depth), 63 * sign, np.int8)
    c = np.full((2, 3), sign * 63 * 63 * depth, np.int32)
    assert find_wrong_row(a, b_t, c, SEED) is None
    c[1, 2] -= sign
    assert find_wrong_row(a, b_t, c, SEED) == 1


def test_deepest_product_is_exact() -> None:
    depth = 1 << 16
    a, b_t = np.full((1, depth), -63, np.int8), np.full((1, depth), 63, np.int8)
    c = np.full((1, 1), -63 * 63 * depth, np.int32)
    assert find_wrong_row(a, b_t, c, SEED) is None


def test_wide_product_is_exact() -> None:
    a, b_t, c = sample(3, 40_000, 5)
    assert find_wrong_row(a, b_t, c, SEED) is None
    c[2, 39_999] += 1
    assert find_wrong_row(a, b_t, c, SEED) == 2


@pytest.mark.parametrize("row", [0, 127, 128, 299])
def test_first_wrong_row_is_named(row: int) -> None:
    a, b_t, c = sample()
    c[row, 69] ^= 1
    c[299, 3] ^= 1
    assert find_wrong_row(a, b_t, c, SEED) == row


@pytest.mark.parametrize("shift", [PRIME, -PRIME])
def test_difference_of_one_prime_is_seen(shift: int) -> None:
    """Modulo p this error is zero; the range check sees it."""
    a, b_t, c = sample()
    row, column = next((i, j) for i, j in np.ndindex(c.shape) if -(1 << 31) <= int(c[i, j]) + shift < 1 << 31)
    c[row, column] = int(c[row, column]) + shift
    assert find_wrong_row(a, b_t, c, SEED) == row


def test_zero_result_is_wrong() -> None:
    a, b_t, c = sample()
    assert find_wrong_row(a, b_t, np.zeros_like(c), SEED) == 0


def test_unequal_shapes_are_refused() -> None:
    a, b_t, c = sample()
    for bad in ((a[:, 1:], b_t, c), (a, b_t, c[1:]), (a, b_t[1:], c), (a[:0], b_t, c[:0])):
        with pytest.raises(Invalid, match="WORK_SHAPE"):
            find_wrong_row(*bad, SEED)


def test_entries_out_of_range_are_refused() -> None:
    """Outside the range differences could be multiples of p, so nothing is said about such a product."""
    a, b_t, c = sample()
    a[5, 5] = -128
    with pytest.raises(Invalid, match="WORK_RANGE"):
        find_wrong_row(a, b_t, c, SEED)
    a[5, 5], b_t[5, 5] = 0, 64
    with pytest.raises(Invalid, match="WORK_RANGE"):
        find_wrong_row(a, b_t, c, SEED)


def test_challenge_is_field_elements_of_the_seed() -> None:
    x = challenge(SEED, 1000)
    assert x.shape == (1000, 3)
    assert 0 <= x.min() < PRIME // 100
    assert PRIME - PRIME // 100 < x.max() < PRIME
    assert not np.array_equal(x, challenge(SEED[::-1], 1000))
    assert len(np.unique(x)) > 2990


def test_exact_element_is_an_integer_of_the_product() -> None:
    a, b_t, c = sample()
    assert exact_element(a[7], b_t[9]) == int(c[7, 9])
    ones = np.full(1 << 16, 63, np.int8)
    assert exact_element(ones, -ones) == -63 * 63 * (1 << 16)


def test_evidence_is_c_times_x_and_rows_stand_alone() -> None:
    _, _, c = sample()
    x = [int(value) for value in challenge(SEED, c.shape[1], rounds=1)[:, 0]]
    evidence = evidence_vector(c, SEED)
    expected = [sum(int(entry) * value for entry, value in zip(row, x, strict=True)) % PRIME for row in c]
    assert evidence.tolist() == expected
    assert evidence_vector(c[200:201], SEED).tolist() == expected[200:201]


def test_evidence_is_exact_for_any_int32() -> None:
    """A claimed result may hold anything; two verifiers must still agree on y."""
    for entry in (-(1 << 31), -(1 << 31) + 1, (1 << 31) - 1):
        c = np.full((1, 1 << 16), entry, np.int32)
        x = challenge(SEED, 1 << 16, rounds=1)[:, 0]
        assert evidence_vector(c, SEED).tolist() == [entry * sum(x.tolist()) % PRIME]
