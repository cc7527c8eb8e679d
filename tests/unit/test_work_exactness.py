"""Every way to multiply integers, at the bound up to which it is exact and one past it.  Spec: [POW-EXACT-*].

At the bound a result must be right for every order of the terms; one past it a constructed example is wrong. So each
bound is tight: a library that passes here may be trusted up to it, and nobody can raise it by a little.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute.engines import numpy_blocks
from compute.engines.base import Engine, Order, Output
from compute.engines.blas import AddProduct, add_product_portably, find_add_product
from compute.engines.numba_int8 import NumbaEngine
from compute.engines.numpy_blocks import NumpyEngine
from compute.engines.numpy_panels import BiasedPanel, IntegerPanel, Panel, panel_type
from compute.engines.reference import ReferenceEngine
from compute.spec import freivalds
from compute.spec.arrays import Int32Array, Int64Array, Uint32Array
from compute.spec.claim import NO_BINDING
from compute.spec.padding import padded_mu
from compute.spec.profiles import CPU, MAX_DEPTH, MAX_ENTRY, MAX_NOISED, PROFILES, TEST, Profile
from compute.spec.tiles import cube_transcript
from tests.work_samples import SIGMA, random_matrix

FLOAT32_EXACT = 1 << 24
FLOAT64_EXACT = 1 << 53
BIASED_EXACT = 1 << 22
INT32_RANGE = 1 << 31


def multiply(left: Any, right: Any) -> Any:
    return left @ right


def added_to_zeros(add_product: AddProduct) -> Callable[[Any, Any], Any]:
    def multiply_by_adding(left: Any, right: Any) -> Any:
        total = np.zeros((left.shape[0], right.shape[1]), np.float32)
        add_product(total, left, right)
        return total

    return multiply_by_adding


FLOAT32_PATHS = {
    "matmul": multiply,
    "in place": added_to_zeros(find_add_product()[0]),
    "portable": added_to_zeros(add_product_portably),
}
every_float32_path = pytest.mark.parametrize("path", FLOAT32_PATHS.values(), ids=FLOAT32_PATHS)


def hard_rows(largest: int, terms: int) -> Int64Array:
    """int64[7, terms] of magnitude up to `largest`: the orders and signs in which sums come nearest to the bound."""
    climb_then_cancel = np.where(np.arange(terms) < terms // 2, largest, -largest)
    alternating = np.where(np.arange(terms) % 2, largest, -largest)
    odd_start, odd_end = np.full(terms, largest), np.full(terms, largest)
    odd_start[0] = odd_end[-1] = largest - 1
    return np.stack(
        [
            np.full(terms, largest),
            np.full(terms, -largest),
            climb_then_cancel,
            -climb_then_cancel,
            alternating,
            odd_start,
            odd_end,
        ]
    )


# float32 blocks


@every_float32_path
@pytest.mark.parametrize("largest", [31, MAX_ENTRY, MAX_NOISED, 127])
def test_float32_at_its_bound(path: Callable[[Any, Any], Any], largest: int) -> None:
    terms = FLOAT32_EXACT // largest**2
    rows = hard_rows(largest, terms)
    expected = rows @ rows.T
    assert np.abs(expected).max() == terms * largest**2 <= FLOAT32_EXACT
    for order in (np.arange(terms), np.arange(terms)[::-1], np.random.default_rng(0).permutation(terms)):
        values = np.ascontiguousarray(rows[:, order]).astype(np.float32)
        assert np.array_equal(path(values, values.T), expected)
        assert np.array_equal(path(values, np.ascontiguousarray(values.T)), expected)


@every_float32_path
@pytest.mark.parametrize("largest", [MAX_ENTRY, MAX_NOISED, 127])
def test_float32_one_past_its_bound(path: Callable[[Any, Any], Any], largest: int) -> None:
    """The smallest sum beyond the bound that is odd has no float32, whatever the order was."""
    terms = FLOAT32_EXACT // largest**2 + 1
    left, right = np.full((1, terms), largest), np.full((terms, 1), largest)
    odd = largest - 1 + largest % 2
    left[0, 0] = right[0, 0] = odd
    if (left @ right).item() % 2 == 0:  # every term was odd: make one even
        left[0, 0] = largest - 1
    exact = (left @ right).item()
    assert exact > FLOAT32_EXACT
    assert exact % 2 == 1
    assert path(left.astype(np.float32), right.astype(np.float32)).item() != exact


@given(qa=st.integers(1, 127), qb=st.integers(1, 127), share=st.floats(0.01, 1), seed=st.integers(0, 1 << 32))
def test_float32_below_its_bound_in_any_order(qa: int, qb: int, share: float, seed: int) -> None:
    terms = max(1, int(min(FLOAT32_EXACT // (qa * qb), 3000) * share))
    rng = np.random.default_rng(seed)
    left, right = rng.integers(-qa, qa + 1, (9, terms)), rng.integers(-qb, qb + 1, (terms, 11))
    start = rng.permutation(terms)
    for path in FLOAT32_PATHS.values():
        found = path(left[:, start].astype(np.float32, order="C"), right[start].astype(np.float32))
        assert np.array_equal(found, left @ right)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_one_slice_is_within_the_bound_of_float32(profile: Profile) -> None:
    assert profile.noise_rank * MAX_NOISED**2 <= FLOAT32_EXACT


@pytest.mark.parametrize("depth", [4227, 4228, 2 * 4227 + 1, 16_384])
def test_plain_product_splits_before_its_bound(depth: int) -> None:
    """An odd sum just past 2^24 in one float32 block would be wrong."""
    a, b_t = np.full((2, depth), MAX_ENTRY, np.int8), np.full((3, depth), MAX_ENTRY, np.int8)
    a[0, 0] -= (depth + 1) % 2
    expected = a.astype(np.int64) @ b_t.T.astype(np.int64)
    assert expected[0, 0] % 2 == 1
    assert np.array_equal(NumpyEngine().plain(a, b_t), expected)


# Biased bits


def deep_profile(rank: int, segment: int) -> Profile:
    """A profile out of any network's list, with tiles of 16 and the segment that a bound asks for."""
    return replace(TEST, noise_rank=rank, segment=segment)


def transcript_and_product(
    kind: type[Panel], profile: Profile, a: Any, b: Any, segments: int = 1
) -> tuple[Uint32Array, Int32Array]:
    """Of one tile, from int8[16, S] operands that every segment repeats."""
    panel = kind(profile, LANE_TILE, LANE_TILE, Output.PRODUCT, find_add_product()[0])
    for _ in range(segments):
        transcript = panel.multiply_segment(a.astype(np.float32), b.astype(np.float32))[0, 0]
    product = np.empty((LANE_TILE, LANE_TILE), np.int32)
    nothing = np.zeros((LANE_TILE, 2), np.float32)
    panel.write_product(nothing, nothing, product)
    return transcript, product


LANE_TILE = 16


def extreme_operands(depth: int, sign: int) -> tuple[Any, Any]:
    """int8[16, depth] twice, all at 126 but for one entry that makes sums of a row differ."""
    a, b = (
        np.full((LANE_TILE, depth), MAX_NOISED, np.int8),
        np.full((LANE_TILE, depth), sign * MAX_NOISED, np.int8),
    )
    a[3, 0] = 125
    b[5, -1] = sign * 123
    return a, b


@pytest.mark.parametrize("sign", [1, -1])
def test_biased_bits_at_their_bound(sign: int) -> None:
    """264 is the deepest segment with S * 126^2 < 2^22."""
    profile = deep_profile(8, 264)
    assert profile.segment * MAX_NOISED**2 < BIASED_EXACT <= (profile.segment + 1) * MAX_NOISED**2
    assert panel_type(profile) is BiasedPanel
    a, b = extreme_operands(264, sign)
    transcript, product = transcript_and_product(BiasedPanel, profile, a, b)
    assert np.array_equal(transcript, cube_transcript(a, b, profile))
    assert np.array_equal(product, a.astype(np.int64) @ b.T.astype(np.int64))


def test_biased_bits_one_slice_past_their_bound() -> None:
    """They go wrong, and so the integer panel is chosen, which does not."""
    for rank, segment in ((1, 265), (8, 272)):
        profile = deep_profile(rank, segment)
        a, b = extreme_operands(segment, 1)
        wrong, _ = transcript_and_product(BiasedPanel, profile, a, b)
        assert not np.array_equal(wrong, cube_transcript(a, b, profile))
        assert panel_type(profile) is IntegerPanel
        right, product = transcript_and_product(IntegerPanel, profile, a, b)
        assert np.array_equal(right, cube_transcript(a, b, profile))
        assert np.array_equal(product, a.astype(np.int64) @ b.T.astype(np.int64))


@given(seed=st.integers(0, 1 << 32), largest=st.sampled_from([1, 40, MAX_NOISED]), slices=st.integers(1, 33))
def test_biased_and_integer_panels_agree(seed: int, largest: int, slices: int) -> None:
    profile = deep_profile(8, 8 * slices)
    rng = np.random.default_rng(seed)
    a, b = (rng.integers(-largest, largest + 1, (LANE_TILE, 8 * slices), dtype=np.int8) for _ in range(2))
    for kind in (BiasedPanel, IntegerPanel):
        transcript, product = transcript_and_product(kind, profile, a, b)
        assert np.array_equal(transcript, cube_transcript(a, b, profile))
        assert np.array_equal(product, a.astype(np.int64) @ b.T.astype(np.int64))


# float64


def test_float64_at_its_bound_and_one_past_it() -> None:
    largest = 1 << 25
    rows = hard_rows(largest, FLOAT64_EXACT // largest**2)
    expected = rows @ rows.T
    assert np.abs(expected).max() == FLOAT64_EXACT
    assert np.array_equal(rows.astype(np.float64) @ rows.T.astype(np.float64), expected)
    past = np.append(rows[0], 1)
    assert (past @ past).item() == FLOAT64_EXACT + 1
    assert int(past.astype(np.float64) @ past.astype(np.float64)) == FLOAT64_EXACT


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_replay_is_far_below_the_bound_of_float64(profile: Profile) -> None:
    assert profile.segment * MAX_NOISED**2 < FLOAT64_EXACT


# int32 accumulators


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("segments", [1, 256])
def test_int32_sums_at_the_deepest_product(sign: int, segments: int) -> None:
    """MAX_DEPTH terms of 126^2, in one segment and over many: less than 2^31."""
    profile = deep_profile(256, MAX_DEPTH // segments)
    a, b = extreme_operands(profile.segment, sign)
    transcript, product = transcript_and_product(panel_type(profile), profile, a, b, segments)
    expected = segments * (a.astype(np.int64) @ b.T.astype(np.int64))
    assert np.abs(expected).max() == MAX_DEPTH * MAX_NOISED**2 < INT32_RANGE
    assert np.array_equal(product, expected)
    assert np.array_equal(transcript, cube_transcript(a, b, profile))


@pytest.mark.parametrize("segments", [1, 512])
def test_int32_sums_past_their_range_wrap(segments: int) -> None:
    depth = (INT32_RANGE // MAX_NOISED**2 // 512 + 1) * 512
    profile = deep_profile(depth // 512, depth // segments)
    a, b = extreme_operands(profile.segment, 1)
    _, product = transcript_and_product(panel_type(profile), profile, a, b, segments)
    exact = segments * (a.astype(np.int64) @ b.T.astype(np.int64))
    assert exact.max() >= INT32_RANGE
    assert np.array_equal(product[exact >= INT32_RANGE], exact[exact >= INT32_RANGE] - (1 << 32))


# Denoising


def correction_of(first: int, second: int) -> numpy_blocks._Correction:
    """Of one row and one column: A F_L is (first, second, 0 ...) and the entries of F_R are as large as they get."""
    rank = TEST.noise_rank
    prepared = NumpyEngine().prepare_b(
        SIGMA, TEST, padded_mu(TEST, 16, 16, 64, NO_BINDING), np.zeros((16, 64), np.int8)
    )
    prepared = replace(
        prepared,
        noised=np.zeros((1, rank), np.float32),
        left=np.array([[-32, 31] + [-32] * (rank - 2)], np.float32),
        right=np.eye(rank, dtype=np.float32),
    )
    a = np.zeros((1, rank), np.float32)
    a[0, :2] = first, second
    return numpy_blocks._Correction.of(a, prepared.left, prepared.right, prepared)


def test_correction_at_the_bound_of_float32_and_one_past_it() -> None:
    at_bound = correction_of(-(1 << 19) + 1, 1)
    assert at_bound.outer.dtype == at_bound.inner.dtype == np.float32
    assert (at_bound.outer @ at_bound.inner.T).item() == (1 << 24) - 32 + 31
    past = correction_of(-(1 << 19), 1)
    assert past.outer.dtype == past.inner.dtype == np.float64
    assert (past.outer @ past.inner.T).item() == (1 << 24) + 31
    assert (past.outer.astype(np.float32) @ past.inner.T.astype(np.float32)).item() != (1 << 24) + 31


def test_correction_in_float64_reaches_the_product() -> None:
    panel = BiasedPanel(TEST, 16, 16, Output.PRODUCT, add_product_portably)
    past, product = correction_of(-(1 << 19), 1), np.empty((1, 1), np.int32)
    outer, inner = np.repeat(past.outer, 16, axis=0), np.repeat(past.inner, 16, axis=0)
    panel.write_product(outer, inner, product)
    assert product.item() == -((1 << 24) + 31)


# Freivalds


def test_freivalds_rows_at_their_bound_and_past_it() -> None:
    """A y over the deepest product of largest entries; the bound allows 66,576 terms and [POW-PROFILE-2] 65,536."""
    largest = freivalds.PRIME - 1
    for depth, is_exact in ((MAX_DEPTH, True), (66_600, False)):
        y = np.full(depth, float(largest))
        y[0] -= 1
        a_row = np.full(depth, float(MAX_ENTRY))
        exact = MAX_ENTRY * (depth * largest - 1)
        assert (exact < FLOAT64_EXACT) == is_exact
        assert exact % 2 == 1
        assert (int(a_row @ y) == exact) == is_exact


@pytest.mark.parametrize("entry", [-(1 << 31), (1 << 31) - 1])
@pytest.mark.parametrize("columns", [1 << 14, (1 << 14) + 1, 40_000])
def test_freivalds_claims_at_their_bound(entry: int, columns: int) -> None:
    """C x for the largest entries and limbs: 2^31 * 255 * 2^14 < 2^53, and wider rows are taken in parts."""
    x = np.full((columns, 1), freivalds.PRIME - 1)
    c = np.full((2, columns), entry, np.int32)
    found = freivalds._times(c, freivalds._limbs_of(x))
    assert found[:, 0].tolist() == [entry * columns * (freivalds.PRIME - 1) % freivalds.PRIME] * 2


def test_freivalds_claims_past_their_bound() -> None:
    columns = FLOAT64_EXACT // (255 * (1 << 31)) + 64
    limbs, c_row = np.full(columns, 255.0), np.full(columns, float((1 << 31) - 1))
    exact = columns * 255 * ((1 << 31) - 1)
    limbs[0] -= 1 - exact % 2
    exact -= (1 - exact % 2) * ((1 << 31) - 1)
    assert exact > FLOAT64_EXACT
    assert exact % 2 == 1
    assert int(c_row @ limbs) != exact
    assert columns > freivalds._BLOCK_COLUMNS


@pytest.mark.parametrize("rows", [127, 128, 129, 70_001])
def test_freivalds_columns_at_their_bound(rows: int) -> None:
    """B x for the largest entries, block by block; in one block 70,001 rows would pass 2^53."""
    b_t = np.full((rows, 3), -MAX_ENTRY, np.int8)
    x = np.full((rows, 2), freivalds.PRIME - 1)
    x[0] -= 1
    found = freivalds._transposed_times(b_t, x)
    assert found.astype(np.int64).tolist() == [[MAX_ENTRY * (rows + 1)] * 2] * 3


# Engines


def engines() -> list[Any]:
    numba = NumbaEngine().probe()
    absent = pytest.mark.skip(reason=f"numba engine not usable here: {numba.detail}")
    return [
        pytest.param(NumpyEngine(), id="numpy"),
        pytest.param(NumbaEngine(), id="numba", marks=() if numba.usable else absent),
    ]


@pytest.mark.parametrize("engine", engines())
@pytest.mark.parametrize("sign", [1, -1])
def test_plain_product_of_an_engine_at_the_deepest(engine: Engine, sign: int) -> None:
    a = np.full((64, MAX_DEPTH), MAX_ENTRY, np.int8)
    b_t = np.full((64, MAX_DEPTH), sign * MAX_ENTRY, np.int8)
    a[7, 1] -= 1
    expected = np.full((64, 64), sign * MAX_ENTRY**2 * MAX_DEPTH)
    expected[7] -= sign * MAX_ENTRY
    assert np.array_equal(engine.plain(a, b_t), expected)


@pytest.mark.parametrize("engine", engines())
@pytest.mark.parametrize("values", [(63, 63), (63, -63), (-63, 0)], ids=str)
def test_attempt_of_an_engine_at_the_largest_entries(engine: Engine, values: tuple[int, int]) -> None:
    depth = 1024
    a, b_t = (np.full((64, depth), value, np.int8) for value in values)
    a[:, ::97], b_t[:, ::89] = random_matrix(64, len(range(0, depth, 97))), 62
    mu = padded_mu(CPU, 64, 64, depth, NO_BINDING)
    found, expected = (
        maker.run(Order(maker.prepare_b(SIGMA, CPU, mu, b_t), a, CPU.max_target, Output.PRODUCT))
        for maker in (engine, ReferenceEngine())
    )
    assert np.array_equal(found.product, expected.product)
    assert found.winners == expected.winners


# Other kernels of the same library

NEEDED = {
    "Prescott": "pni",
    "Nehalem": "sse4_2",
    "Sandybridge": "avx",
    "Haswell": "avx2",
    "Zen": "avx2",
    "SkylakeX": "avx512f",
    "Cooperlake": "avx512_bf16",
}
"""Family of kernels to the instructions without which they end a process."""


def cpu_flags() -> set[str]:
    """What Linux says that this CPU can do; nothing elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return set()
    return {flag for line in lines if line.startswith("flags") for flag in line.split()}


@pytest.mark.slow
@pytest.mark.parametrize("core", NEEDED)
def test_exactness_with_the_kernels_of_another_cpu(core: str) -> None:
    """OpenBLAS chooses its kernels by CPU; every family of them must keep the bounds above."""
    if NEEDED[core] not in cpu_flags():
        pytest.skip(f"this CPU has no {NEEDED[core]}, which kernels for {core} use")
    chosen = subprocess.run(
        [sys.executable, "-m", "pytest", __file__, "-q", "-k", "not another_cpu", "-p", "no:cacheprovider"],
        env=os.environ | {"OPENBLAS_CORETYPE": core, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert chosen.returncode == 0, chosen.stdout[-3000:]
