"""The numba engine on both sets of instructions: exactness, withdrawal, start-up.  Spec: [POW-ENGINE-*]."""

from __future__ import annotations

import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import compute.engines.numba_int8
import compute.engines.numba_load
from chain.errors import LocalFault
from chain.types import Hash32
from compute.engines.base import Attempt, Order, Output, Stage, Withdrawn, self_test, unobserved
from compute.engines.numba_int8 import NumbaEngine
from compute.engines.numba_load import AVX2, VNNI, Variant, best_variant, load_kernels
from compute.engines.numba_noise import correction_operands, factors_of
from compute.engines.numpy_blocks import NumpyEngine
from compute.engines.select import AUTO, GPU_ENGINES, choose_engine
from compute.engines.streamed_commit import commit_streamed
from compute.spec.arrays import Int8Array
from compute.spec.claim import NO_BINDING
from compute.spec.commit import Side, commit
from compute.spec.noise import noise
from compute.spec.padding import padded_mu
from compute.spec.profiles import CPU, DEV, PROFILES, TEST, Profile
from compute.spec.reference import reference_attempt
from compute.spec.ticket import Cube
from compute.spec.tiles import cube_transcript
from tests.work_samples import SIGMA, random_matrix

SEED = bytes(range(32))


def custom(rank: int, tile: int, segment: int) -> Profile:
    """A profile of a benchmark, as another network might choose it."""
    return Profile(9, f"r{rank} t{tile} S{segment}", rank, tile, segment, 16 * tile, 16 * tile, 1 << 14)


CUSTOM = (
    custom(64, 64, 1024),
    custom(32, 48, 128),
    custom(64, 16, 4096),
    custom(48, 16, 96),
    custom(16, 80, 64),
)


@pytest.fixture(params=[VNNI, AVX2], ids=lambda variant: variant.name)
def engine(request: pytest.FixtureRequest) -> NumbaEngine:
    """The engine on each set of instructions that this CPU has."""
    candidate = NumbaEngine(request.param)
    capabilities = candidate.probe()
    if not capabilities.usable:
        pytest.skip(capabilities.detail)
    return candidate


def by_name(profile: Profile) -> str:
    return profile.name


def attempt_of(
    engine: NumbaEngine, profile: Profile, a: Int8Array, b_t: Int8Array, output: Output = Output.PRODUCT
) -> Attempt:
    mu = padded_mu(profile, a.shape[0], b_t.shape[0], a.shape[1], NO_BINDING)
    prepared = engine.prepare_b(SIGMA, profile, mu, b_t)
    return engine.run(Order(prepared, a, (1 << 256) // profile.cube_macs, output))


def assert_equals_reference(engine: NumbaEngine, profile: Profile, a: Int8Array, b_t: Int8Array) -> None:
    reference = reference_attempt(SIGMA, profile, a, b_t)
    attempt = attempt_of(engine, profile, a, b_t)
    assert attempt.product is not None
    assert attempt.product.dtype.str == "<i4"
    assert np.array_equal(attempt.product, reference.product)
    assert {winner.cube: winner.ticket for winner in attempt.winners} == reference.tickets


@pytest.mark.parametrize("profile", [*PROFILES.values(), *CUSTOM], ids=by_name)
def test_passes_its_self_test(engine: NumbaEngine, profile: Profile) -> None:
    self_test(engine, profile, SEED)


@pytest.mark.parametrize("shape", [(1, 1, 1), (17, 33, 65), (5, 129, 64), (300, 20, 100), (16, 64, 200)])
@pytest.mark.parametrize("profile", [TEST, DEV, CUSTOM[4]], ids=by_name)
def test_ragged_shapes(engine: NumbaEngine, profile: Profile, shape: tuple[int, int, int]) -> None:
    """Panels that are partly or wholly padding, and a last block of rows that is short."""
    m, n, k = shape
    assert_equals_reference(engine, profile, random_matrix(m, k, 1), random_matrix(n, k, 2))


def test_shapes_beyond_one_block_and_one_batch(engine: NumbaEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute.engines.numba_int8, "_BLOCK_ROWS", 32)
    monkeypatch.setattr(compute.engines.numba_int8, "_BATCH_COLUMNS", 64)
    monkeypatch.setattr(compute.engines.numba_int8, "_BATCH_ENTRIES", 1000)
    a, b_t = random_matrix(75, 190, 1), random_matrix(210, 190, 2)
    assert_equals_reference(engine, TEST, a, b_t)
    assert_equals_reference(engine, DEV, a, b_t)
    assert np.array_equal(
        engine.plain(a[:64, :128], b_t[:208, :128]), exact_product(a[:64, :128], b_t[:208, :128])
    )


@pytest.mark.parametrize("value", [63, -63, 0])
@pytest.mark.parametrize("profile", [TEST, DEV, CPU], ids=by_name)
def test_extreme_matrices(engine: NumbaEngine, profile: Profile, value: int) -> None:
    a = np.full((profile.tile, profile.segment), value, np.int8)
    b_t = np.full((profile.tile, profile.segment), 63, np.int8)
    assert_equals_reference(engine, profile, a, b_t)


@pytest.mark.parametrize("sign", [1, -1])
def test_noised_operands_at_their_bound(engine: NumbaEngine, sign: int) -> None:
    """Every entry of A' and B' at 126: no multiplication saturates, and the bias is taken off exactly."""
    kernels, variant, depth = load_kernels(engine._variant()), engine._variant(), 256
    largest = np.full((16, depth), 126, np.int8)
    other = np.full((16, depth), 126 * sign, np.int8)
    other[0, 0] = 125
    transcript, product = multiply_noised(kernels, variant, largest, other)
    profile = custom(64, 16, depth)
    assert transcript.tolist() == cube_transcript(largest, other, profile).tolist()
    assert np.array_equal(product, exact_product(largest, other))


def multiply_noised(kernels: Any, variant: Variant, a: Int8Array, b: Int8Array) -> tuple[Any, Any]:
    """Transcript uint32[16] and product of one 16 x 16 tile of operands that are noised already, in slices of 64."""
    module = compute.engines.numba_int8
    depth, slices = a.shape[1], a.shape[1] // 64
    packed, starts = module._pack(
        kernels, variant, 16, depth, 64, lambda rows, out: module._assign(out, b[rows])
    )
    block = module._rows_of_a(variant, 16, depth)
    block[:, :depth] = a
    if variant.bias:
        block[:, :depth] ^= np.int8(-variant.bias)
    transcripts = np.zeros((variant.columns // 16, 16), np.uint32)
    sums, product = np.zeros((16, variant.columns), np.int32), np.zeros((16, 16), np.int32)
    kernels.multiply(
        block.ctypes.data, block.strides[0], 16, packed.ctypes.data, starts.ctypes.data, 0, 1, 1, 1, slices,
        module._steps(variant, 64), transcripts.ctypes.data, 16, 0, sums.ctypes.data, 0,
        product.ctypes.data, product.strides[0], 16, 16,
    )  # fmt: skip
    return transcripts[0], product


def exact_product(a: Int8Array, b_t: Int8Array) -> Any:
    return a.astype(np.int64) @ b_t.astype(np.int64).T


@pytest.mark.parametrize("profile", [TEST, DEV, CPU], ids=by_name)
def test_denoising_is_exact_for_operands_made_to_match_the_noise(
    engine: NumbaEngine, profile: Profile
) -> None:
    """Thin products as large as they get; with many slices they leave the range of int16."""
    depth, tile = min(profile.max_k, 8192), profile.tile
    b_t = np.zeros((tile, depth), np.int8)
    mu = padded_mu(profile, tile, tile, depth, NO_BINDING)
    prepared = engine.prepare_b(SIGMA, profile, mu, b_t)
    noise_of_b = noise(prepared.seed_b, profile, 0, tile, 0, depth // profile.noise_rank)
    a = (63 * np.sign(noise_of_b)).astype(np.int8)
    attempt = engine.run(Order(prepared, a, 1, Output.PRODUCT))
    assert attempt.product is not None
    assert not attempt.product.any()


def test_thin_products_outgrow_int16(engine: NumbaEngine) -> None:
    """Rows made to match the chains of 512 slices: sums of bytes are kept as int16 only as long as they fit."""
    loops = engine._loops(custom(64, 16, 4096))
    factors = factors_of(Hash32(SEED), loops.profile, 4, 1 << 15, loops.reaches)
    matrix = (63 * factors.right[:4]).astype(np.int8)
    expected = exact_product(matrix, factors.right)
    assert expected.max() > 1 << 15
    assert np.array_equal(loops.chain_sums(matrix, factors, unobserved), expected)


@pytest.mark.parametrize("largest", [100, (1 << 15) - 1, 1 << 15, 126 << 13])
def test_correction_of_any_size_is_exact_in_int16(largest: int) -> None:
    """Within int16 the depth is 2r, beyond it 4r; either way the operands are int16 and their product is the same."""
    generator = np.random.default_rng(largest)
    left_a, left_b = (generator.integers(-32, 32, (8, 16), dtype=np.int8) for _ in range(2))
    left_a[0], left_b[0] = -32, -32
    a_sums, b_sums = (generator.integers(-largest, largest + 1, (8, 16), dtype=np.int32) for _ in range(2))
    a_sums[0, 0], b_sums[0, 0] = largest, -largest
    outer, inner = correction_operands(a_sums, left_a, left_b, b_sums)
    assert outer.dtype == inner.dtype == np.int16
    assert outer.shape == inner.shape == (8, 32 if largest < 1 << 15 else 64)
    expected = -(a_sums.astype(np.int64) @ left_b.T) - left_a.astype(np.int64) @ b_sums.T
    assert np.array_equal(outer.astype(np.int64) @ inner.astype(np.int64).T, expected)


@pytest.mark.parametrize("shape", [(16, 16, 64), (48, 80, 192), (272, 528, 1088), (64, 64, 4096)])
def test_plain_product(engine: NumbaEngine, shape: tuple[int, int, int]) -> None:
    m, n, k = shape
    a, b_t = random_matrix(m, k, 1), random_matrix(n, k, 2)
    product = engine.plain(a, b_t)
    assert product.dtype == np.int32
    assert np.array_equal(product, exact_product(a, b_t))


def test_read_only_and_strided_operands(engine: NumbaEngine) -> None:
    """Loaded matrices are views of received bytes, panels are views of matrices."""
    a = np.frombuffer(random_matrix(32, 64, 1).tobytes(), np.int8).reshape(32, 64)
    b_t = random_matrix(96, 128, 2)[::2, ::2]
    assert_equals_reference(engine, TEST, a, b_t)
    assert_equals_reference(engine, TEST, a[8:], b_t)
    assert np.array_equal(engine.plain(a, b_t), exact_product(a, b_t))


def test_one_prepared_b_serves_many_a(engine: NumbaEngine) -> None:
    b_t = random_matrix(48, 64, 5)
    prepared = engine.prepare_b(SIGMA, TEST, padded_mu(TEST, 32, 48, 64, NO_BINDING), b_t)
    for seed in range(3):
        a = random_matrix(32, 64, seed)
        reference = reference_attempt(SIGMA, TEST, a, b_t)
        attempt = engine.run(Order(prepared, a, TEST.max_target, Output.PRODUCT))
        assert np.array_equal(attempt.product, reference.product)
        assert [winner.cube for winner in attempt.winners] == reference.winners(TEST.max_target)


def test_tickets_only_draws_the_same_tickets(engine: NumbaEngine) -> None:
    a, b_t = random_matrix(75, 190, 1), random_matrix(96, 190, 2)
    both = [attempt_of(engine, TEST, a, b_t, output) for output in Output]
    assert both[0].winners == both[1].winners
    assert [attempt.product is None for attempt in both] == [False, True]
    assert both[0].tickets == both[1].tickets == len(both[0].winners) == 5 * 6 * 3


def test_winners_are_sifted_exactly_at_the_bound(engine: NumbaEngine) -> None:
    a, b_t = random_matrix(32, 128, 1), random_matrix(32, 128, 2)
    prepared = engine.prepare_b(SIGMA, TEST, padded_mu(TEST, 32, 32, 128, NO_BINDING), b_t)
    shown = engine.run(Order(prepared, a, (1 << 256) // TEST.cube_macs, Output.TICKETS_ONLY)).winners
    assert [winner.cube for winner in shown] == [Cube(*place) for place in np.ndindex(2, 2, 2)]
    values = {winner.cube: int.from_bytes(winner.ticket, "little") for winner in shown}
    for bound in values.values():
        for target in (bound // TEST.cube_macs, bound // TEST.cube_macs + 1):
            won = engine.run(Order(prepared, a, target, Output.TICKETS_ONLY)).winners
            expected = {cube for cube, value in values.items() if value < target * TEST.cube_macs}
            assert {winner.cube for winner in won} == expected


@pytest.mark.parametrize("shape", [(16, 64), (48, 64), (80, 192), (16, 320)])
def test_streamed_commitment_is_the_commitment(shape: tuple[int, int]) -> None:
    """Every level of the tree and every block; trees with odd levels and of one leaf."""
    matrix = random_matrix(*shape)
    for side in Side:
        streamed = commit_streamed(side, Hash32(SEED), matrix, TEST, unobserved)
        expected = commit(side, Hash32(SEED), matrix, TEST)
        assert streamed.levels == expected.levels
        for index in range(len(expected.levels[0])):
            assert streamed.blocks[index].tobytes() == expected.blocks[index].tobytes()


@pytest.mark.parametrize("stage", Stage, ids=lambda stage: stage.name)
def test_withdrawn_in_every_stage(engine: NumbaEngine, stage: Stage) -> None:
    """The first call of every stage ends the attempt, and the engine is ready for the next one."""
    a, b_t = random_matrix(64, 128, 1), random_matrix(64, 128, 2)
    mu = padded_mu(TEST, 64, 64, 128, NO_BINDING)

    def withdraw(reached: Stage) -> None:
        if reached is stage:
            raise Withdrawn

    prepared = engine.prepare_b(SIGMA, TEST, mu, b_t)
    with pytest.raises(Withdrawn):
        engine.run(Order(prepared, a, 1, Output.PRODUCT, withdraw))
    if stage in (Stage.COMMIT, Stage.NOISE):
        with pytest.raises(Withdrawn):
            engine.prepare_b(SIGMA, TEST, mu, b_t, withdraw)
    attempt = engine.run(Order(prepared, a, 1, Output.PRODUCT))
    assert np.array_equal(attempt.product, exact_product(a, b_t))


def test_a_batch_is_a_small_part_of_an_attempt(engine: NumbaEngine) -> None:
    """Progress is called at least once per 2^31 multiply-accumulates of the product [POW-ENGINE-5]."""
    shape = (256, 2048, 4096)
    a, b_t = np.zeros((256, 4096), np.int8), np.zeros((2048, 4096), np.int8)
    stages: list[Stage] = []
    prepared = engine.prepare_b(SIGMA, CPU, padded_mu(CPU, *shape, NO_BINDING), b_t, stages.append)
    engine.run(Order(prepared, a, 1, Output.TICKETS_ONLY, stages.append))
    assert stages.count(Stage.PRODUCT) >= 256 * 2048 * 4096 >> 31
    assert stages.count(Stage.PRODUCT) == 4
    assert set(stages) == {Stage.COMMIT, Stage.NOISE, Stage.PRODUCT, Stage.HASH}


@pytest.mark.parametrize("output", Output, ids=lambda output: output.name)
@pytest.mark.parametrize("profile", PROFILES.values(), ids=by_name)
def test_memory_is_predicted(engine: NumbaEngine, profile: Profile, output: Output) -> None:
    """Never less than is taken, and less than three times as much."""
    m, n, k = 300, 500, min(1500, profile.max_k)
    a, b_t = random_matrix(m, k, 1), random_matrix(n, k, 2)
    mu = padded_mu(profile, m, n, k, NO_BINDING)
    attempt_of(engine, profile, a[:1], b_t[:1])  # compiles, outside the measure
    tracemalloc.start()
    try:
        attempt = engine.run(Order(engine.prepare_b(SIGMA, profile, mu, b_t), a, 1, output))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert attempt.tickets > 0
    taken = peak + a.nbytes + b_t.nbytes
    assert taken <= engine.memory_needed(profile, mu, output) <= 3 * taken


def test_idle_shapes_are_whole(engine: NumbaEngine) -> None:
    for profile in PROFILES.values():
        m, n, k = engine.idle_shape(profile)
        mu = padded_mu(profile, m, n, k, NO_BINDING)
        assert (mu.m, mu.n, mu.k) == (m, n, k)
        assert m <= profile.max_m
        assert n <= profile.max_n
        assert k <= profile.max_k


class OneBitOff(NumbaEngine):
    """Kernels whose fold is wrong in one bit of one word, as by a wrong instruction."""

    def _loops(self, profile: Profile) -> Any:
        loops = super()._loops(profile)

        def sift(transcripts: Any, *rest: Any) -> int:
            transcripts[0, 0, 0, -1] ^= 1
            return int(loops.kernels.sift(transcripts, *rest))

        return replace(loops, kernels=replace(loops.kernels, sift=sift))


class ShortCorrection(NumbaEngine):
    """Denoising that leaves out the last two of its terms."""

    def _loops(self, profile: Profile) -> Any:
        loops = super()._loops(profile)

        def correct(*arguments: Any) -> None:
            loops.kernels.correct(*arguments[:5], arguments[5] - 1, arguments[6])

        return replace(loops, kernels=replace(loops.kernels, correct=correct))


@pytest.mark.parametrize("faulty", [OneBitOff, ShortCorrection])
def test_self_test_catches_a_wrong_kernel(faulty: type[NumbaEngine]) -> None:
    engine = faulty()
    if not engine.probe().usable:
        pytest.skip(engine.probe().detail)
    with pytest.raises(LocalFault, match="WORK_SELF_TEST"):
        self_test(engine, TEST, SEED)


@pytest.mark.parametrize("missing", ["numba", "llvmlite.binding"])
def test_a_machine_without_numba_is_told_what_to_install(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    capabilities = NumbaEngine().probe()
    assert not capabilities.usable
    assert "not installed" in capabilities.detail
    assert "make setup" in capabilities.hint
    chosen, _ = choose_engine(AUTO, TEST, SEED, frozenset(engine.name for engine in GPU_ENGINES))
    assert isinstance(chosen, NumpyEngine)


def test_a_broken_installation_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> frozenset[str]:
        raise RuntimeError("this CPU is unknown")

    monkeypatch.setattr(compute.engines.numba_int8, "host_features", broken)
    capabilities = NumbaEngine().probe()
    assert not capabilities.usable
    assert "this CPU is unknown" in capabilities.detail


def test_a_compiler_that_fails_leaves_the_work_to_the_next_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels = pytest.importorskip("compute.engines.numba_kernels")

    def fail(**_: Any) -> None:
        raise ValueError("cannot select an instruction")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kernels, "build", fail)
    load_kernels.cache_clear()
    try:
        with pytest.raises(LocalFault, match="cannot select an instruction"):
            choose_engine("numba", TEST, SEED)
        # Nothing says that compiling has come to its end.
        assert not [path for path in tmp_path.rglob("*") if path.name in (VNNI.name, AVX2.name)]
    finally:
        load_kernels.cache_clear()


@pytest.mark.parametrize(
    ("features", "variant"),
    [
        ({"sse2", "avx"}, None),
        ({"sse2", "avx2"}, AVX2),
        ({"avx2", "avx512f", "avx512bw"}, AVX2),
        ({"avx2", "avx512f", "avx512bw", "avx512vnni"}, VNNI),
    ],
)
def test_instructions_follow_the_cpu(
    features: set[str], variant: Variant | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert best_variant(frozenset(features)) is variant
    pytest.importorskip("numba")
    monkeypatch.setattr(compute.engines.numba_int8, "host_features", lambda: frozenset(features))
    capabilities = NumbaEngine().probe()
    assert capabilities.usable is (variant is not None)
    assert (variant.name if variant else "no AVX2") in capabilities.detail
    assert NumbaEngine(VNNI).probe().usable is (variant is VNNI)


def test_noise_without_byte_permutations(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU with AVX512-VNNI but without AVX512-VBMI: the first generation."""
    engine = NumbaEngine(VNNI)
    if not engine.probe().usable:
        pytest.skip(engine.probe().detail)
    kernels = replace(load_kernels(VNNI), noise_by_permutation=None, chain_by_permutation=None)
    monkeypatch.setattr(compute.engines.numba_int8, "load_kernels", lambda variant: kernels)
    self_test(engine, CPU, SEED)


def test_importing_the_engines_does_not_import_numba() -> None:
    """The command line starts without it, and so does a machine that lacks it."""
    import subprocess

    code = "import sys, compute.engines.select; print([m for m in ('numba', 'llvmlite') if m in sys.modules])"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_compiled_code_is_kept_per_source_and_never_required(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    directory = compute.engines.numba_load._cache_directory()
    assert directory is not None
    assert directory.parent == tmp_path / "cache" / "tilework"
    assert directory.is_dir()
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert compute.engines.numba_load._cache_directory() is None
