"""The product is the integer product and tickets are the reference's, whatever the input.  Spec: [POW-DENOISE-1]."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain.errors import Invalid
from compute.engines.base import Order, Output
from compute.engines.numpy_blocks import NumpyEngine
from compute.spec.arrays import Int8Array
from compute.spec.certificate import Certificate
from compute.spec.claim import NO_BINDING
from compute.spec.freivalds import find_wrong_row
from compute.spec.padding import padded_mu
from compute.spec.profiles import DEV, TEST, Profile
from compute.spec.reference import reference_attempt
from compute.spec.verify import verify_certificate
from tests.work_samples import SIGMA, sample_certificate

SEEDS = st.binary(min_size=32, max_size=32)


@st.composite
def matrices(
    draw: st.DrawFn, profile: Profile, max_tiles: int, max_segments: int
) -> tuple[Int8Array, Int8Array]:
    """A and B transposed of ragged shapes; entries random, constant, sparse, or only extremes."""
    rows = draw(st.integers(1, max_tiles * profile.tile))
    columns = draw(st.integers(1, max_tiles * profile.tile))
    depth = draw(st.integers(1, max_segments * profile.segment))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return draw(entries(rng, rows, depth)), draw(entries(rng, columns, depth))


@st.composite
def entries(draw: st.DrawFn, rng: np.random.Generator, rows: int, depth: int) -> Int8Array:
    kind = draw(st.sampled_from(["uniform", "extremes", "constant", "sparse", "one row"]))
    if kind == "uniform":
        return rng.integers(-63, 64, (rows, depth), dtype=np.int8)
    if kind == "extremes":
        return (rng.integers(0, 2, (rows, depth), dtype=np.int8) * 126 - 63).astype(np.int8)
    if kind == "constant":
        return np.full((rows, depth), draw(st.integers(-63, 63)), np.int8)
    matrix = np.zeros((rows, depth), np.int8)
    if kind == "sparse":
        matrix[rng.integers(rows), rng.integers(depth)] = draw(st.sampled_from([-63, -1, 1, 63]))
    else:
        matrix[:] = rng.integers(-63, 64, depth, dtype=np.int8)  # rank one
    return matrix


def check_attempt(profile: Profile, a: Int8Array, b_t: Int8Array) -> None:
    reference = reference_attempt(SIGMA, profile, a, b_t)
    expected = a.astype(np.int64) @ b_t.T.astype(np.int64)
    assert np.array_equal(reference.product, expected)

    engine = NumpyEngine()
    mu = padded_mu(profile, a.shape[0], b_t.shape[0], a.shape[1], NO_BINDING)
    prepared = engine.prepare_b(SIGMA, profile, mu, b_t)
    attempt = engine.run(Order(prepared, a, (1 << 256) // profile.cube_macs, Output.PRODUCT))
    assert attempt.product is not None
    assert np.array_equal(attempt.product, expected)
    assert {winner.cube: winner.ticket for winner in attempt.winners} == reference.tickets


@given(matrices(TEST, 4, 3))
def test_product_and_tickets_under_the_test_profile(pair: tuple[Int8Array, Int8Array]) -> None:
    check_attempt(TEST, *pair)


@settings(max_examples=15)
@given(matrices(DEV, 2, 2))
def test_product_and_tickets_under_the_dev_profile(pair: tuple[Int8Array, Int8Array]) -> None:
    check_attempt(DEV, *pair)


@given(matrices(TEST, 4, 3), SEEDS, st.data())
def test_any_single_error_is_found(
    pair: tuple[Int8Array, Int8Array], seed: bytes, data: st.DataObject
) -> None:
    a, b_t = pair
    c = (a.astype(np.int64) @ b_t.T.astype(np.int64)).astype(np.int32)
    assert find_wrong_row(a, b_t, c, seed) is None
    row = data.draw(st.integers(0, c.shape[0] - 1))
    column = data.draw(st.integers(0, c.shape[1] - 1))
    wrong = data.draw(st.integers(-(2**31), 2**31 - 1).filter(lambda value: value != c[row, column]))
    c[row, column] = wrong
    assert find_wrong_row(a, b_t, c, seed) == row


@settings(max_examples=300)
@given(st.data())
def test_any_changed_byte_of_a_certificate_is_refused(data: st.DataObject) -> None:
    """One winning cube has one certificate: no byte of it is free."""
    honest = sample_certificate().to_bytes()
    verify_certificate(SIGMA, TEST.max_target, Certificate.from_bytes(honest), TEST)
    position = data.draw(st.integers(0, len(honest) - 1))
    changed = bytearray(honest)
    changed[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Invalid):
        verify_certificate(SIGMA, TEST.max_target, Certificate.from_bytes(bytes(changed)), TEST)
