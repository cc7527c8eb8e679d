"""Every CUDA kernel, run from its own source in a CPU emulation, against the specification.  Spec: [POW-TILE-*].

What the emulation models and what it does not is said in tests/emulation/cuda.hpp.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from chain.hashing import BulkTag, b3
from chain.types import Hash32
from compute.engines.cuda_driver import digit_count
from compute.engines.cuda_fused import BLOCK_COLUMNS, BLOCK_ROWS
from compute.engines.cuda_source import MMA, PORTABLE, WGMMA, options, source
from compute.entries import entries_key, seeded_entries
from compute.spec.commit import Side, commit
from compute.spec.noise import left_factor, noise, permutations, right_factor
from compute.spec.padding import round_up
from compute.spec.profiles import PROFILES, TEST, Profile
from compute.spec.ticket import Cube, ticket_of
from compute.spec.tiles import cube_transcript
from tests.emulation.library import DOWNWARDS, UPWARDS, Library, compiler, library
from tests.work_samples import random_matrix

SEED = Hash32(bytes(range(32)))
TILES, RANKS = (16, 32, 64), (16, 32, 64, 128, 256)
SHARED_BYTES = {MMA: 4 * 384 * 64, WGMMA: 4 * 384 * 128 + 1024}
THREADS = {MMA: 256, WGMMA: 384}
GARBAGE = 0x5A5A5A5A
MARGIN = 1 << 16
"""Words behind what a kernel may write to, so that a kernel that writes further is found and harms nobody."""


def kernels(files: tuple[str, ...] = PORTABLE, profile: Profile = TEST) -> Library:
    compiler()
    return library(source(files), options(profile))


def words(key: Hash32) -> np.ndarray:
    return np.frombuffer(key, "<u4")


def with_constants(tile: int, rank: int, segment: int) -> Profile:
    return replace(TEST, tile=tile, noise_rank=rank, segment=segment)


@pytest.mark.parametrize("rank", RANKS)
def test_left_factor(rank: int) -> None:
    profile = with_constants(16, rank, rank)
    made = np.empty((48, rank), np.int8)
    key = words(b3(BulkTag.POW_NOISE_LEFT, SEED))
    kernels().launch("fill_left_factor", 1, 256, (key, made, np.uint64(made.size)))
    assert np.array_equal(made, left_factor(SEED, profile, 0, 48))


def test_seeded_entries() -> None:
    """Every value of a stream byte occurs."""
    made = np.empty((65, 64), np.int8)
    kernels().launch("fill_entries", 1, 256, (words(entries_key(SEED, 3)), made, np.uint64(made.size)))
    assert np.array_equal(made, seeded_entries(SEED, 3, 65, 64))


@pytest.mark.parametrize("direction", [UPWARDS, DOWNWARDS])
@pytest.mark.parametrize("rank", RANKS)
def test_permutations_and_their_inverses(rank: int, direction: int) -> None:
    profile = with_constants(16, rank, rank)
    order, place = np.empty((3, rank), np.uint16), np.empty((3, rank), np.uint16)
    key = words(b3(BulkTag.POW_NOISE_RIGHT, SEED))
    kernels().launch("order_slices", 3, rank, (key, order, place), direction=direction)
    assert np.array_equal(order, permutations(SEED, profile, 0, 3))
    assert np.array_equal(np.take_along_axis(place, order.astype(int), 1), np.tile(np.arange(rank), (3, 1)))


@pytest.mark.parametrize("tile_rows", [0, 128, 256])
@pytest.mark.parametrize("rank", RANKS)
def test_noise_in_both_layouts(rank: int, tile_rows: int) -> None:
    slices = 8 if rank < 128 else 2
    profile = with_constants(16, rank, slices * rank)
    plain, rows = random_matrix(144, slices * rank, 3), 256
    left = left_factor(SEED, profile, 0, 144)
    order = permutations(SEED, profile, 0, slices).astype(np.uint16)
    stride = max(rank, 32) if tile_rows else rank
    made = np.zeros((rows, slices * stride), np.int8)
    sixteens = plain.size // 16
    sizes = (np.uint64(sixteens), np.int32(slices), np.int32(rank), np.int32(tile_rows))
    kernels().launch("add_noise", -(-sixteens // 256), 256, (plain, left, order, made, *sizes))
    noised = np.zeros((rows, slices * rank), np.int8)
    noised[:144] = plain + noise(SEED, profile, 0, 144, 0, slices)
    assert np.array_equal(made.reshape(-1), laid_out(noised, rank, tile_rows).reshape(-1))


def laid_out(noised: np.ndarray, rank: int, tile_rows: int) -> np.ndarray:
    """What noise.cu says of layouts, in NumPy; 0 is row-major."""
    if tile_rows == 0:
        return np.ascontiguousarray(noised)
    rows, depth = noised.shape
    stretched = np.zeros((rows, depth // rank, max(rank, 32)), np.int8)
    stretched[:, :, :rank] = noised.reshape(rows, depth // rank, rank)
    pieces = stretched.reshape(rows // tile_rows, tile_rows, -1, 8, 16).transpose(0, 2, 1, 3, 4)
    permuted = np.empty(pieces.shape, np.int8)
    for row in range(tile_rows):
        for piece in range(8):
            permuted[:, :, row, piece ^ row % 8] = pieces[:, :, row, piece]
    return permuted


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_leaves_of_every_profile(profile: Profile) -> None:
    matrix = random_matrix(2 * profile.tile, 3 * profile.segment, 5)
    assert_leaves(matrix, profile, UPWARDS)


@pytest.mark.parametrize("direction", [UPWARDS, DOWNWARDS])
@pytest.mark.parametrize("chunks", [1, 2, 3, 5, 7, 33, 130])
def test_leaves_of_any_number_of_chunks(chunks: int, direction: int) -> None:
    """BLAKE3's tree over chunks, odd ones included, and more chunks than threads."""
    profile = with_constants(16, 16, 64 * chunks)
    assert_leaves(random_matrix(16, 2 * profile.segment, chunks), profile, direction)


def assert_leaves(matrix: np.ndarray, profile: Profile, direction: int) -> None:
    expected = commit(Side.A, SEED, matrix, profile).levels[0]
    made = np.empty((len(expected), 8), np.uint32)
    sizes = (np.int32(matrix.shape[1]), np.int32(profile.tile), np.int32(profile.segment))
    chunks = profile.block_bytes // 1024
    arguments = (matrix, words(Side.A.leaf_key(SEED)), made, *sizes)
    kernels().launch(
        "hash_leaves", len(expected), min(128, max(32, chunks)), arguments, 64 * chunks, direction
    )
    assert [digest.tobytes() for digest in made] == list(expected)


def test_tickets() -> None:
    transcripts = np.random.default_rng(6).integers(0, 1 << 32, (2, 3, 5, 16), dtype=np.uint32)
    made = np.empty((30, 8), np.uint32)
    sizes = (np.int32(30), np.int32(3), np.int32(5))
    kernels().launch("hash_tickets", 1, 256, (transcripts, words(SEED), made, *sizes))
    for at, (segment, row, column) in enumerate(np.ndindex(2, 3, 5)):
        expected = ticket_of(SEED, transcripts[segment, row, column], Cube(row, column, segment))
        assert made[at].tobytes() == expected


@pytest.mark.parametrize("direction", [UPWARDS, DOWNWARDS])
def test_fold_of_partial_sums_in_memory(direction: int) -> None:
    rng = np.random.default_rng(7)
    partial = rng.integers(-(1 << 31), 1 << 31, (64, 96), dtype=np.int32)
    before = rng.integers(0, 1 << 32, (4, 7, 16), dtype=np.uint32)
    made = before.copy()
    sizes = tuple(np.int32(size) for size in (96, 32, 1, 2, 7))
    kernels().launch("fold_tiles", 6, 128, (partial, made, *sizes), direction=direction)
    for row, column in np.ndindex(2, 3):
        corner = partial[row * 32 : row * 32 + 32, column * 32 : column * 32 + 32].view(np.uint32)
        lanes = np.bitwise_xor.reduce(corner.reshape(-1, 16), axis=0)
        word = before[1 + row, 2 + column]
        before[1 + row, 2 + column] = ((word << np.uint32(13)) | (word >> np.uint32(19))) ^ lanes
    assert np.array_equal(made, before)


@pytest.mark.parametrize("tile_rows", [0, 128])
@pytest.mark.parametrize("rank", RANKS)
def test_thin_products(rank: int, tile_rows: int) -> None:
    slices = 8 if rank < 128 else 2
    profile = with_constants(16, rank, slices * rank)
    matrix = random_matrix(128, slices * rank, 8)
    place = np.argsort(permutations(SEED, profile, 0, slices), axis=1).astype(np.uint16)
    made = np.empty((128, rank), np.int32)
    given = laid_out(matrix, rank, tile_rows)
    kernels().launch("multiply_chains", 32, rank, (given, place, made, np.int32(slices), np.int32(tile_rows)))
    expected = matrix.astype(np.int64) @ right_factor(SEED, profile, 0, slices).astype(np.int64).T
    assert np.array_equal(made, expected)


def fused(files: tuple[str, ...], profile: Profile, shape: tuple[int, int, int], **changes: Any) -> Any:
    """Product and transcripts of a fused kernel on operands of the largest range, and what they ought to be."""
    m, n, k = shape
    rng = np.random.default_rng(m + n + k)
    rank, is_tiled = profile.noise_rank, files is WGMMA
    # Rows beyond m and n hold garbage, as they do on a device: it must show nowhere.
    a = rng.integers(-128, 128, (round_up(m, BLOCK_ROWS), k), dtype=np.int8)
    b = rng.integers(-128, 128, (round_up(n, BLOCK_COLUMNS), k), dtype=np.int8)
    a[:m], b[:n] = np.clip(a[:m], -126, 126), np.clip(b[:n], -126, 126)
    given = [
        laid_out(operand, rank, rows if is_tiled else 0)
        for operand, rows in ((a, BLOCK_ROWS), (b, BLOCK_COLUMNS))
    ]
    stretch = max(rank, 32) // rank if is_tiled else 1
    segments = k // profile.segment
    counts = (segments, m // profile.tile, n // profile.tile)
    memory = np.full((2, m * n + MARGIN), GARBAGE, np.uint32)
    product = memory[0, : m * n].view(np.int32).reshape(m, n)
    transcripts = memory[1, : 16 * np.prod(counts)].reshape(*counts, 16)
    transcripts.fill(0)
    at_once = changes.get("segments_at_once", 1)
    if at_once < segments:
        product.fill(0)
    blocks = (a.shape[0] // BLOCK_ROWS) * (b.shape[0] // BLOCK_COLUMNS) * segments // at_once
    sizes = tuple(np.int32(size) for size in (m, n, k * stretch, profile.segment * stretch, at_once))
    out = product if changes.get("is_product_wanted", True) else np.uint64(0)
    for first, count in changes.get("batches", [(0, blocks)]):
        changes.get("library", kernels(files, profile)).launch(
            "multiply_and_fold",
            count,
            THREADS[files],
            (*given, out, transcripts, *sizes, np.int32(first)),
            SHARED_BYTES[files],
            changes.get("direction", UPWARDS),
        )
    assert (memory[0, product.size :] == GARBAGE).all(), "the kernel wrote beyond the product"
    assert (memory[1, transcripts.size :] == GARBAGE).all(), "the kernel wrote beyond the transcripts"
    expected = np.zeros_like(transcripts)
    for segment, row, column in np.ndindex(counts):
        depth = slice(segment * profile.segment, (segment + 1) * profile.segment)
        block_a = a[row * profile.tile : (row + 1) * profile.tile, depth]
        block_b = b[column * profile.tile : (column + 1) * profile.tile, depth]
        expected[segment, row, column] = cube_transcript(block_a, block_b, profile)
    exact = a[:m].astype(np.float64) @ b[:n].astype(np.float64).T
    return product, transcripts, exact.astype(np.int32), expected


def assert_fused(
    files: tuple[str, ...], profile: Profile, shape: tuple[int, int, int], **changes: Any
) -> None:
    product, transcripts, exact, expected = fused(files, profile, shape, **changes)
    assert np.array_equal(transcripts, expected)
    assert np.array_equal(product, exact)


@pytest.mark.parametrize("files", [MMA, WGMMA], ids=["mma", "wgmma"])
def test_fused_product(files: tuple[str, ...]) -> None:
    assert_fused(files, TEST, (32, 48, 128))


@pytest.mark.slow
@pytest.mark.parametrize("files", [MMA, WGMMA], ids=["mma", "wgmma"])
@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize(("direction", "segments_at_once"), [(UPWARDS, 1), (DOWNWARDS, 2)])
def test_fused_product_of_every_tile_and_rank(
    files: tuple[str, ...], tile: int, rank: int, direction: int, segments_at_once: int
) -> None:
    """Several blocks each way, the last ones ragged; stages used more than once; two segments, by one block or two."""
    profile = with_constants(tile, rank, max(2 * rank, 256))
    shape = (128 + tile, 256 + 2 * tile, 2 * profile.segment)
    assert_fused(files, profile, shape, direction=direction, segments_at_once=segments_at_once)


@pytest.mark.slow
@pytest.mark.parametrize("files", [MMA, WGMMA], ids=["mma", "wgmma"])
def test_many_stages_in_one_segment(files: tuple[str, ...]) -> None:
    """The pipeline goes round several times, and one segment overwrites what the product held."""
    profile = with_constants(32, 128, 2048)
    assert_fused(files, profile, (32, 64, 2048))
    assert_fused(files, profile, (32, 64, 2048), direction=DOWNWARDS)


@pytest.mark.slow
@pytest.mark.parametrize("files", [MMA, WGMMA], ids=["mma", "wgmma"])
def test_blocks_in_tall_outputs(files: tuple[str, ...]) -> None:
    """More block rows than run side by side: every block is made once."""
    profile = with_constants(64, 128, 128)
    assert_fused(files, profile, (17 * 128 + 64, 320, 128))


@pytest.mark.parametrize("files", [MMA, WGMMA], ids=["mma", "wgmma"])
@pytest.mark.parametrize("segments_at_once", [1, 3])
def test_segments_by_one_block_or_several(files: tuple[str, ...], segments_at_once: int) -> None:
    assert_fused(files, TEST, (32, 32, 192), segments_at_once=segments_at_once)


@pytest.mark.parametrize("files", [MMA, WGMMA], ids=["mma", "wgmma"])
def test_batches_of_blocks_and_no_product(files: tuple[str, ...]) -> None:
    assert_fused(files, TEST, (32, 32, 192), batches=[(0, 2), (2, 1)])
    product, transcripts, _, expected = fused(files, TEST, (32, 32, 192), is_product_wanted=False)
    assert np.array_equal(transcripts, expected)
    assert not product.any()


@pytest.mark.parametrize("largest", [63, 64, 8255, 8256, 129024])
@pytest.mark.parametrize("direction", [UPWARDS, DOWNWARDS])
def test_digits_are_subtracted(largest: int, direction: int) -> None:
    rng = np.random.default_rng(largest)
    m, n, rank, width = 144, 272, 16, 64
    values = rng.integers(-largest, largest + 1, (m, rank), dtype=np.int32)
    values[0, 0], values[0, 1] = largest, -largest
    factor = rng.integers(-32, 32, (n, rank), dtype=np.int8)
    digits = digit_count(largest)
    outer, inner = np.zeros((digits, 256, width), np.int8), np.zeros((digits, 512, width), np.int8)
    for digit in range(digits):
        sizes = tuple(np.int32(size) for size in (rank, width, 0, digit))
        kernels().launch(
            "take_digit", -(-values.size // 256), 256, (values, outer[digit], np.uint64(values.size), *sizes)
        )
        inner[digit, :n, :rank] = factor
    product = rng.integers(-(1 << 31), 1 << 31, (m, n), dtype=np.int32)
    expected = product.astype(np.int64) - values.astype(np.int64) @ factor.astype(np.int64).T
    arguments = (outer, inner, product, *(np.int32(size) for size in (m, n, width, digits, 256, 512)))
    kernels(MMA).launch("subtract_digits", 4, 256, arguments, SHARED_BYTES[MMA], direction)
    assert np.array_equal(product, expected.astype(np.int32))


MUTATIONS = {
    "no wait for copies": (MMA, "wait_for_copies<STAGES - 2>();", ""),
    "a wait that is one group short": (
        MMA,
        "wait_for_copies<STAGES - 2>();",
        "wait_for_copies<STAGES - 1>();",
    ),
    "no barrier after the wait": (
        MMA,
        "wait_for_copies<STAGES - 2>();\n    __syncthreads();",
        "wait_for_copies<STAGES - 2>();",
    ),
    "half a row of threads too far": (MMA, "lane % 8 + lane / 16 * 8", "lane % 16"),
    "rotation by 12": (MMA, "(word << 13) | (word >> 19)", "(word << 12) | (word >> 20)"),
    "fold after two slices": (MMA, "done % RANK == 0", "done % (2 * RANK) == 0"),
    "tickets beyond the rows": (MMA, "tile_row < m / TILE && ", ""),
    "product beyond the columns": (MMA, "|| at_column >= n", ""),
    "lanes in another order": (MMA, "out + 2 * lane + 8, words[2]", "out + 2 * lane + 8, words[3]"),
    "products not waited for": (WGMMA, "finish_products();\n          fold", "fold"),
    "stage never given back": (WGMMA, "if (threadIdx.x % 128 == 0) arrive(empty + 8 * stage);", ""),
    "phase never waited for": (WGMMA, "wait_for_phase(full + 8 * stage, (step / STAGES) & 1);", ""),
    "stage overwritten early": (
        WGMMA,
        "if (step >= STAGES) wait_for_phase",
        "if (step >= 2 * STAGES) wait_for_phase",
    ),
    "swizzle of the wrong rows": (WGMMA, "first_row * STEP", "first_row * STEP + STEP"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTATIONS)
def test_mistakes_in_kernels_show(name: str) -> None:
    """Each of these mistakes makes a result wrong, or a block hang, in one order of turns or the other."""
    compiler()
    files, right, wrong = MUTATIONS[name]
    assert source(files).count(right) >= 1
    profile = with_constants(32, 32, 1024)
    broken = Library(source(files).replace(right, wrong), options(profile))
    shape = (64, 96, 1024)
    for direction in (UPWARDS, DOWNWARDS):
        try:
            product, transcripts, exact, expected = fused(
                files, profile, shape, library=broken, direction=direction
            )
        except AssertionError:
            return
        if not (np.array_equal(product, exact) and np.array_equal(transcripts, expected)):
            return
    pytest.fail("nothing noticed")
