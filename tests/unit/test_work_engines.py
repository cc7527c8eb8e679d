"""Engines against the reference, and their guards.  Spec: [POW-ENGINE-*], [POW-EXACT-*], [POW-DENOISE-1]."""

from __future__ import annotations

import ctypes
import sys
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from blake3 import blake3

import compute.engines.numpy_blocks
from chain.errors import LocalFault, Policy
from chain.types import Hash32
from compute.engines import blas
from compute.engines.base import (
    Attempt,
    Order,
    Output,
    Stage,
    Winner,
    Withdrawn,
    checked_certificate,
    self_test,
)
from compute.engines.blake3_lanes import last_words
from compute.engines.blas import add_product_portably, find_add_product
from compute.engines.cuda_driver import digit_count
from compute.engines.cupy_portable import CupyEngine
from compute.engines.numpy_blocks import NumpyEngine
from compute.engines.numpy_panels import BiasedPanel, IntegerPanel
from compute.engines.select import AUTO, ENGINES, choose_engine
from compute.engines.tickets import find_winners
from compute.entries import seeded_entries
from compute.spec.arrays import Int8Array
from compute.spec.claim import NO_BINDING
from compute.spec.padding import padded_mu
from compute.spec.profiles import CPU, DEV, GPU, PROFILES, TEST, Profile
from compute.spec.reference import reference_attempt
from compute.spec.ticket import Cube, wins
from tests.work_samples import SIGMA, random_matrix, sample_attempt

SEED = bytes(range(32))


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_cpu_passes_its_self_test(profile: Profile) -> None:
    self_test(NumpyEngine(), profile, SEED)


def test_cuda_passes_its_self_test_where_there_is_one() -> None:
    engine = CupyEngine()
    capabilities = engine.probe()
    if not capabilities.usable:
        pytest.skip(f"no GPU: {capabilities.detail}")
    for profile in PROFILES.values():
        self_test(engine, profile, SEED)


@pytest.mark.parametrize("edge", [16, 48, 512])
def test_panel_edge_changes_nothing(edge: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute.engines.numpy_blocks, "PANEL_ROWS", edge)
    monkeypatch.setattr(compute.engines.numpy_blocks, "PANEL_COLUMNS", 32)
    reference = sample_attempt()
    attempt = cpu_attempt(TEST, random_matrix(75, 190, 1), random_matrix(96, 190, 2), reference.mu.binding)
    assert np.array_equal(attempt.product, reference.product)
    assert [winner.cube for winner in attempt.winners] == reference.winners(TEST.max_target)


@pytest.mark.parametrize("value", [63, -63, 0])
@pytest.mark.parametrize("profile", [TEST, DEV], ids=lambda profile: profile.name)
def test_extreme_matrices(profile: Profile, value: int) -> None:
    """Constant matrices of the largest entries: accumulators come nearest to their bounds."""
    depth = 4 * profile.segment
    a = np.full((profile.tile, depth), value, np.int8)
    b_t = np.full((profile.tile, depth), 63, np.int8)
    reference = reference_attempt(SIGMA, profile, a, b_t)
    attempt = cpu_attempt(profile, a, b_t)
    assert np.array_equal(attempt.product, reference.product)
    assert np.array_equal(attempt.product, np.full_like(reference.product, value * 63 * depth))
    assert [winner.cube for winner in attempt.winners] == reference.winners(profile.max_target)


@pytest.mark.parametrize("profile", [TEST, DEV, CPU], ids=lambda profile: profile.name)
@pytest.mark.parametrize("sign", [1, -1])
def test_noised_operands_at_their_bound(profile: Profile, sign: int) -> None:
    """Every entry of A' and B' at 126: the biased accumulator stays inside its 23 bits [POW-EXACT-2]."""
    a = np.full((profile.tile, profile.segment), 126, np.float32)
    b = np.full((profile.tile, profile.segment), 126 * sign, np.float32)
    a[0, 0] = 125  # an odd sum somewhere
    panels, none = [], np.zeros((profile.tile, 2), np.float32)
    for kind in (BiasedPanel, IntegerPanel):
        panel = kind(profile, profile.tile, profile.tile, Output.PRODUCT, add_product_portably)
        transcripts = panel.multiply_segment(a, b)
        product = np.empty((profile.tile, profile.tile), np.int32)
        panel.write_product(none, none, product)
        panels.append((transcripts.tolist(), product.tolist()))
    assert panels[0] == panels[1]
    expected = a.astype(np.int64) @ b.T.astype(np.int64)
    assert panels[0][1] == expected.tolist()


def test_denoising_is_exact_for_an_a_made_to_match_the_noise_of_b() -> None:
    """The correction passes 2^24, where float32 loses odd sums; the bound notices and float64 takes over."""
    depth = 16_384
    b_t = np.zeros((64, depth), np.int8)
    engine = NumpyEngine()
    mu = padded_mu(CPU, 64, 64, depth, NO_BINDING)
    prepared = engine.prepare_b(SIGMA, CPU, mu, b_t)
    noise_of_b = prepared.left @ prepared.right
    a = (63 * np.sign(noise_of_b)).astype(np.int8)
    a[:, :64] += np.eye(64, dtype=np.int8) * np.where(a[:, :64] > 0, -1, 1).astype(np.int8)
    assert np.abs(a.astype(np.float64) @ noise_of_b.T.astype(np.float64)).max() > 1 << 24
    attempt = engine.run(Order(prepared, a, 1, Output.PRODUCT))
    assert attempt.product is not None
    assert not attempt.product.any()


@pytest.mark.parametrize("output", Output)
@pytest.mark.parametrize(
    ("profile", "shape"),
    [(TEST, (512, 512, 512)), (DEV, (500, 1100, 700)), (CPU, (1024, 1024, 1024)), (GPU, (64, 512, 4096))],
    ids=lambda value: value.name if isinstance(value, Profile) else "x".join(map(str, value)),
)
def test_predicted_memory_is_what_an_attempt_takes(
    profile: Profile, shape: tuple[int, int, int], output: Output
) -> None:
    engine, (m, n, k) = NumpyEngine(), shape
    mu = padded_mu(profile, m, n, k, NO_BINDING)
    tracemalloc.start()
    try:
        a, b_t = random_matrix(m, k), random_matrix(n, k)
        tracemalloc.reset_peak()
        engine.run(Order(engine.prepare_b(SIGMA, profile, mu, b_t), a, 1, output))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0.95 < engine.memory_needed(profile, mu, output) / peak < 1.3


def test_withdrawal_at_any_moment_leaves_the_engine_ready() -> None:
    engine, a, b_t = NumpyEngine(), random_matrix(75, 190, 1), random_matrix(96, 190, 2)
    mu = padded_mu(TEST, 75, 96, 190, NO_BINDING)
    prepared = engine.prepare_b(SIGMA, TEST, mu, b_t)
    reports: list[Stage] = []
    expected = engine.run(Order(prepared, a, TEST.max_target, Output.PRODUCT, reports.append))
    assert set(reports) == set(Stage)
    assert reports.count(Stage.PRODUCT) == mu.k // TEST.segment  # one batch of slices each: a single panel
    for last in range(len(reports)):
        countdown = iter(range(last, -1, -1))

        def withdraw(_: Stage, countdown: Iterator[int] = countdown) -> None:
            if next(countdown) == 0:
                raise Withdrawn

        with pytest.raises(Withdrawn):
            engine.run(Order(prepared, a, TEST.max_target, Output.PRODUCT, withdraw))
    again = engine.run(Order(prepared, a, TEST.max_target, Output.PRODUCT))
    assert again.winners == expected.winners
    assert np.array_equal(again.product, expected.product)


@pytest.mark.parametrize("count", [1, 100, 2048, 8192 + 3000])
def test_hashing_side_by_side_is_blake3(count: int) -> None:
    inputs = np.random.default_rng(count).integers(0, 1 << 32, (count, 16), dtype=np.uint32)
    expected = [blake3(row.astype("<u4").tobytes(), key=SEED).digest()[24:] for row in inputs]
    assert last_words(SEED, inputs).astype("<u8").tobytes() == b"".join(expected)


@pytest.mark.parametrize("transposed", [False, True])
def test_products_added_in_place(transposed: bool) -> None:
    """Strided operands as the engine has them, by the fastest way found here and by the portable one."""
    rng = np.random.default_rng(0)
    left, right = (rng.integers(-126, 127, (70, 96)).astype(np.float32)[:, 7:71] for _ in range(2))
    operand = right.T if transposed else np.ascontiguousarray(right.T)
    start = rng.integers(-1000, 1000, (70, 86)).astype(np.float32)
    expected = start.copy()
    expected[:, :70] += left @ right.T
    for add_product in (find_add_product()[0], add_product_portably):
        total = start.copy()
        add_product(total[:, :70], left, operand)
        assert np.array_equal(total, expected)


def test_in_place_products_are_found_in_the_wheels_of_numpy() -> None:
    library = np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"]  # type: ignore[index]
    if library != "scipy-openblas" or sys.platform == "win32":
        pytest.skip(f"this NumPy was built with {library}")
    assert find_add_product()[1] == "in-place BLAS"


def test_a_blas_that_is_absent_or_wrong_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blas, "_NAMES", (("no_such_symbol", ctypes.c_int64),))
    assert find_add_product()[0] is add_product_portably
    monkeypatch.undo()
    monkeypatch.setattr(blas, "_bind", lambda name, integer: lambda total, left, right: None)
    assert find_add_product()[0] is add_product_portably
    attempt = cpu_attempt(
        TEST, random_matrix(75, 190, 1), random_matrix(96, 190, 2), sample_attempt().mu.binding
    )
    assert np.array_equal(attempt.product, sample_attempt().product)
    assert [winner.cube for winner in attempt.winners] == sample_attempt().winners(TEST.max_target)


def test_one_prepared_b_serves_many_a() -> None:
    engine, b_t = NumpyEngine(), random_matrix(48, 64, 5)
    prepared = engine.prepare_b(SIGMA, TEST, padded_mu(TEST, 32, 48, 64, NO_BINDING), b_t)
    for seed in range(3):
        a = random_matrix(32, 64, seed)
        attempt = engine.run(Order(prepared, a, TEST.max_target, Output.PRODUCT))
        reference = reference_attempt(SIGMA, TEST, a, b_t)
        assert np.array_equal(attempt.product, reference.product)
        assert [winner.cube for winner in attempt.winners] == reference.winners(TEST.max_target)


def test_winner_search_decides_exactly_at_the_bound() -> None:
    """Tickets one below, at and one above the bound, whatever machine word sifts them first."""
    seed_a, transcripts = Hash32(SEED), np.arange(2 * 3 * 4 * 16, dtype=np.uint32).reshape(2, 3, 4, 16)
    shown = find_winners(seed_a, transcripts.copy(), (1 << 256) // TEST.cube_macs, TEST)
    assert len(shown) == 24
    assert [winner.cube for winner in shown] == [
        Cube(i, j, s) for i in range(3) for j in range(4) for s in range(2)
    ]
    for winner in shown:
        target = int.from_bytes(winner.ticket, "little") // TEST.cube_macs
        for near in (target, target + 1):
            found = find_winners(seed_a, transcripts.copy(), near, TEST)
            assert list(found) == [other for other in shown if wins(other.ticket, near, TEST)]
            assert (winner in found) == (near == target + 1)


class WrongProduct(NumpyEngine):
    """One element off, as from a saturating kernel."""

    def run(self, order: Order) -> Attempt:
        attempt = super().run(order)
        assert attempt.product is not None
        attempt.product[-1, -1] += 1
        return attempt


class LostTicket(NumpyEngine):
    """One winner fewer."""

    def run(self, order: Order) -> Attempt:
        attempt = super().run(order)
        return replace(attempt, winners=attempt.winners[1:])


class WrongTicket(NumpyEngine):
    """One ticket's last bit off."""

    def run(self, order: Order) -> Attempt:
        attempt = super().run(order)
        first, *others = attempt.winners
        wrong = Winner(first.cube, Hash32(bytes([first.ticket[0] ^ 1]) + first.ticket[1:]))
        return replace(attempt, winners=(wrong, *others))


@pytest.mark.parametrize(
    "engine", [WrongProduct(), LostTicket(), WrongTicket()], ids=lambda b: type(b).__name__
)
def test_self_test_catches_a_faulty_engine(engine: NumpyEngine) -> None:
    with pytest.raises(LocalFault, match="WORK_SELF_TEST"):
        self_test(engine, TEST, SEED)


def test_nothing_leaves_before_the_replay_agrees() -> None:
    attempt = cpu_attempt(TEST, random_matrix(75, 190, 1), random_matrix(96, 190, 2))
    honest = attempt.winners[0]
    certificate = checked_certificate(SIGMA, TEST.max_target, attempt, honest)
    assert certificate.cube == honest.cube
    loser = next(
        Cube(i, j, 0) for i, j in np.ndindex(5, 6) if Cube(i, j, 0) not in {w.cube for w in attempt.winners}
    )
    for fake in (Winner(loser, honest.ticket), Winner(honest.cube, Hash32(bytes(32)))):
        with pytest.raises(LocalFault, match="WORK_ENGINE"):
            checked_certificate(SIGMA, TEST.max_target, attempt, fake)


def test_choice_of_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, detail = choose_engine("numpy", TEST, SEED)
    assert engine.name == "numpy"
    assert "NumPy" in detail
    with pytest.raises(Policy, match="WORK_ENGINE_NAME"):
        choose_engine("fpga", TEST, SEED)
    monkeypatch.setitem(sys.modules, "cupy", None)  # as if it were not installed
    with pytest.raises(LocalFault, match="WORK_ENGINE_UNUSABLE"):
        choose_engine("cupy", TEST, SEED)
    skipped: list[str] = []
    slower = frozenset(ENGINES) - {"cupy", "numpy"}
    engine, _ = choose_engine(
        AUTO, TEST, SEED, slower, lambda name, fault: skipped.append(f"{name}: {fault}")
    )
    assert engine.name == "numpy"
    assert "cupy: WORK_ENGINE_UNUSABLE" in skipped[0]
    with pytest.raises(LocalFault, match="no engine left"):
        choose_engine(AUTO, TEST, SEED, frozenset(ENGINES))


@pytest.mark.parametrize("value", [0, 63, 64, 8_255, 8_256, 129_024, 1 << 20])
def test_gpu_digits_hold_every_value(value: int) -> None:
    """The decomposition of the GPU's denoising, in plain integers."""
    for signed in (value, -value):
        total, rest = 0, signed
        for digit in range(digit_count(value)):
            low = ((rest + 64) & 127) - 64
            total += low << (7 * digit)
            rest = (rest + 64) >> 7
        assert total == signed
        assert rest == 0


def test_seeded_entries_cover_the_range_and_differ() -> None:
    entries = seeded_entries(SEED, 0, 200, 200)
    values, counts = np.unique(entries, return_counts=True)
    assert values.tolist() == list(range(-63, 64))
    assert counts.min() > 200  # of 315 expected, one value in 127 twice as often
    assert not np.array_equal(entries, seeded_entries(SEED, 1, 200, 200))
    assert not np.array_equal(entries, seeded_entries(SEED[::-1], 0, 200, 200))
    assert np.array_equal(entries, seeded_entries(SEED, 0, 200, 200))


def cpu_attempt(profile: Profile, a: Int8Array, b_t: Int8Array, binding: Any = NO_BINDING) -> Attempt:
    engine = NumpyEngine()
    mu = padded_mu(profile, a.shape[0], b_t.shape[0], a.shape[1], binding)
    prepared = engine.prepare_b(SIGMA, profile, mu, b_t)
    return engine.run(Order(prepared, a, profile.max_target, Output.PRODUCT))
