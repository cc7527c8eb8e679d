"""The parts of an attempt against their written definitions, in plain Python integers.  Spec: [POW-*]."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from blake3 import blake3

from chain.codec import pack
from chain.hashing import BulkTag, b3, b3_keyed
from chain.types import Hash32
from compute.spec.commit import Side, commit, path_length, path_of, root_of_path, seed_a_of, seed_b_of
from compute.spec.noise import left_factor, noise, permutations, right_factor
from compute.spec.profiles import DEV, PROFILES, TEST, Profile
from compute.spec.reference import reference_attempt
from compute.spec.ticket import Cube, ticket_input, ticket_of, wins
from compute.spec.tiles import cube_transcript, fold
from tests.work_samples import SIGMA, random_matrix, sample_attempt

KAPPA = Hash32(bytes(range(32)))
SEED = Hash32(bytes(range(1, 33)))


# ------------------------------------------------------------------------------------------------- commitment and seeds


def test_root_by_hand() -> None:
    """Three leaves in row-major order of blocks: the third is promoted [POW-COMMIT-1], [POW-COMMIT-2]."""
    matrix = random_matrix(48, 64)
    leaf_key, node_key = b3(BulkTag.POW_LEAF_A, KAPPA), b3(BulkTag.POW_NODE_A, KAPPA)
    leaves = [blake3(matrix[row : row + 16].tobytes(), key=leaf_key).digest() for row in (0, 16, 32)]
    pair = blake3(leaves[0] + leaves[1], key=node_key).digest()
    assert commit(Side.A, KAPPA, matrix, TEST).root == blake3(pair + leaves[2], key=node_key).digest()


def test_leaves_run_along_a_block_row_first() -> None:
    matrix = random_matrix(32, 128)
    blocks = commit(Side.A, KAPPA, matrix, TEST).blocks
    expected = [matrix[:16, :64], matrix[:16, 64:], matrix[16:, :64], matrix[16:, 64:]]
    assert [block.tobytes() for block in blocks] == [block.tobytes() for block in expected]


def test_side_leaf_node_and_header_hash_apart() -> None:
    keys = [
        key
        for kappa in (KAPPA, SEED)
        for side in Side
        for key in (side.leaf_key(kappa), side.node_key(kappa))
    ]
    assert len(set(keys)) == 8


@pytest.mark.parametrize("count", range(1, 18))
def test_every_leaf_opens_with_its_one_path(count: int) -> None:
    commitment = commit(Side.B, KAPPA, random_matrix(16 * count, 64, count), TEST)
    for index in range(count):
        path = path_of(commitment, index)
        block = commitment.blocks[index].tobytes()
        assert len(path) == path_length(index, count)
        assert root_of_path(Side.B, KAPPA, block, index, count, path) == commitment.root
        for other in set(range(count)) - {index}:
            if path_length(other, count) == len(path):
                assert root_of_path(Side.B, KAPPA, block, other, count, path) != commitment.root


def test_seeds_bind_roots_and_dimensions() -> None:
    """A chain that left the dimensions out had to fork [POW-SEED-1], [POW-SEED-2]."""
    root = Hash32(b"\x09" * 32)
    assert seed_b_of(KAPPA, root, 64) == b3(BulkTag.POW_SEED_B, pack([KAPPA, root, 64]))
    assert seed_a_of(SEED, root, 64) == b3(BulkTag.POW_SEED_A, pack([SEED, root, 64]))
    seeds = {
        seed_b_of(KAPPA, root, 64),
        seed_b_of(KAPPA, root, 80),
        seed_b_of(KAPPA, KAPPA, 64),
        seed_b_of(root, root, 64),
        seed_a_of(SEED, root, 64),
        seed_a_of(SEED, root, 80),
        seed_a_of(SEED, KAPPA, 64),
        seed_a_of(root, root, 64),
    }
    assert len(seeds) == 8


def test_noise_of_b_does_not_depend_on_a() -> None:
    """B' and R_B serve many A under one header; every A has its own noise and ticket key."""
    b_t = random_matrix(16, 64, 1)
    first = reference_attempt(SIGMA, TEST, random_matrix(16, 64, 2), b_t)
    second = reference_attempt(SIGMA, TEST, random_matrix(16, 64, 3), b_t)
    assert first.seed_b == second.seed_b
    assert first.seed_a != second.seed_a


# ---------------------------------------------------------------------------------------------------------------- noise


def test_factors_by_hand() -> None:
    """Every entry from its own stream bytes [POW-NOISE-1], [POW-NOISE-2], [POW-NOISE-3]."""
    left_stream = blake3(b"", key=b3(BulkTag.POW_NOISE_LEFT, SEED)).digest(length=16 * 3)
    assert left_factor(SEED, TEST, 0, 3).ravel().tolist() == [(byte & 63) - 32 for byte in left_stream]
    right_stream = blake3(b"", key=b3(BulkTag.POW_NOISE_RIGHT, SEED)).digest(length=4 * 16 * 2)
    right = right_factor(SEED, TEST, 0, 2)
    for slice_index in range(2):
        words = [
            int.from_bytes(right_stream[64 * slice_index + 4 * at : 64 * slice_index + 4 * at + 4], "little")
            for at in range(16)
        ]
        order = sorted(range(16), key=lambda at: words[at])
        for column in range(16):
            expected = [0] * 16
            expected[order[column]] = 1
            if column < 15:
                expected[order[column + 1]] = -1
            assert right[:, 16 * slice_index + column].tolist() == expected


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_any_rows_and_slices_derive_alone(profile: Profile) -> None:
    """A verifier derives only what it needs, and gets what the miner got [POW-NOISE-4]."""
    whole = noise(SEED, profile, 0, 40, 0, 5)
    dense = left_factor(SEED, profile, 0, 40).astype(int) @ right_factor(SEED, profile, 0, 5).astype(int)
    assert np.array_equal(whole, dense)
    rank = profile.noise_rank
    assert np.array_equal(noise(SEED, profile, 7, 9, 2, 2), whole[7:16, 2 * rank : 4 * rank])
    assert np.abs(whole.astype(int)).max() <= 63


def test_left_factor_covers_its_range() -> None:
    values, counts = np.unique(left_factor(SEED, DEV, 0, 2000), return_counts=True)
    assert values.tolist() == list(range(-32, 32))
    assert counts.min() > 800  # of 1,000 expected


def test_noise_of_every_slice_has_full_rank() -> None:
    """A slice of lower rank than r would open a shortcut; the first slice is no exception [POW-NOISE-3]."""
    for slice_index in range(8):
        e_right = right_factor(SEED, TEST, slice_index, 1)
        f_left = right_factor(KAPPA, TEST, slice_index, 1).T
        assert abs(determinant(e_right)) == 1
        assert abs(determinant(e_right.astype(int) @ f_left.astype(int))) == 1


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_permutations_are_permutations(profile: Profile) -> None:
    orders = permutations(SEED, profile, 3, 4)
    assert np.array_equal(np.sort(orders, axis=1), np.tile(np.arange(profile.noise_rank), (4, 1)))
    assert len({order.tobytes() for order in orders}) == 4


def test_sides_have_their_own_noise() -> None:
    attempt = sample_attempt()
    assert not np.array_equal(
        noise(attempt.seed_a, TEST, 0, 16, 0, 4), noise(attempt.seed_b, TEST, 0, 16, 0, 4)
    )


# ------------------------------------------------------------------------------------------------ transcript and ticket


def test_transcript_by_hand() -> None:
    """P restarts per segment and is folded after every slice, in plain integers [POW-TILE-1], [POW-TILE-2]."""
    attempt = sample_attempt()
    a, b = random_matrix(75, 190, 1), random_matrix(96, 190, 2)
    cube = Cube(1, 2, 1)
    e = noise(attempt.seed_a, TEST, 16, 16, 4, 4).astype(int)
    f = noise(attempt.seed_b, TEST, 32, 16, 4, 4).astype(int)
    left = (a[16:32, 64:128] + e).tolist()
    right = (b[32:48, 64:128] + f).tolist()
    partial = [[0] * 16 for _ in range(16)]
    words = [0] * 16
    for start in range(0, 64, 16):
        for i in range(16):
            for j in range(16):
                partial[i][j] += sum(left[i][d] * right[j][d] for d in range(start, start + 16))
        for lane in range(16):
            mixed = 0
            for i in range(16):
                mixed ^= partial[i][lane] & 0xFFFFFFFF
            words[lane] = ((words[lane] << 13 | words[lane] >> 19) & 0xFFFFFFFF) ^ mixed
    assert attempt.transcripts[1, 2, 1].tolist() == words
    replayed = cube_transcript(np.array(left, np.int8), np.array(right, np.int8), TEST)
    assert replayed.tolist() == words

    words[0] ^= cube.tile_row
    words[1] ^= cube.tile_column
    words[2] ^= cube.segment
    block = b"".join(word.to_bytes(4, "little") for word in words)
    assert attempt.tickets[cube] == blake3(block, key=attempt.seed_a).digest()


def test_lanes_are_columns_modulo_sixteen() -> None:
    partial = np.random.default_rng(4).integers(0, 1 << 31, (32, 32)).astype(np.int32)
    expected = [np.bitwise_xor.reduce(partial[:, lane::16].ravel()) for lane in range(16)]
    assert fold(np.zeros(16, np.uint32), partial).tolist() == expected


@pytest.mark.parametrize("slice_index", range(4))
def test_every_slice_is_folded(slice_index: int) -> None:
    """Skipping one fold would halve the cost of its neighbour: swapping two slices must show."""
    a, b = random_matrix(16, 64, 3), random_matrix(16, 64, 4)
    order = np.arange(64).reshape(4, 16)
    order[[slice_index, (slice_index + 1) % 4]] = order[[(slice_index + 1) % 4, slice_index]]
    swapped = order.ravel()
    assert np.array_equal(
        a.astype(int) @ b.T.astype(int), a[:, swapped].astype(int) @ b[:, swapped].T.astype(int)
    )
    assert not np.array_equal(
        cube_transcript(a, b, TEST), cube_transcript(a[:, swapped], b[:, swapped], TEST)
    )


def test_zero_matrices_still_need_the_product() -> None:
    """A = B = 0 draws tickets that differ from header to header and from cube to cube."""
    zeros = np.zeros((32, 64), np.int8)
    first, second = (reference_attempt(sigma, TEST, zeros, zeros) for sigma in (b"one", b"two"))
    assert not first.product.any()
    assert len({*first.tickets.values(), *second.tickets.values()}) == 8


def test_ticket_input_holds_the_cube_and_nothing_else() -> None:
    transcript = np.arange(100, 116, dtype=np.uint32)
    words = np.frombuffer(ticket_input(transcript, Cube(1, 2, 4)), "<u4")
    assert words.tolist() == [100 ^ 1, 101 ^ 2, 102 ^ 4, *range(103, 116)]
    assert transcript.tolist() == list(range(100, 116))
    assert ticket_of(SEED, transcript, Cube(1, 2, 4)) == b3_keyed(SEED, words.tobytes())


def test_ticket_wins_strictly_below_the_bound_in_little_endian() -> None:
    bound = 5 * TEST.cube_macs
    assert wins(Hash32((bound - 1).to_bytes(32, "little")), 5, TEST)
    assert not wins(Hash32(bound.to_bytes(32, "little")), 5, TEST)
    assert not wins(Hash32((bound - 1).to_bytes(32, "big")), 5, TEST)


def test_expected_work_does_not_depend_on_the_profile() -> None:
    """2^256 / target multiply-accumulates per block: chance per ticket over cost per ticket is the same everywhere."""
    target = 1 << 200
    chances = {
        Fraction(target * profile.cube_macs, 1 << 256) / profile.cube_macs for profile in PROFILES.values()
    }
    assert chances == {Fraction(target, 1 << 256)}


def determinant(matrix: np.ndarray) -> int:
    """Exact, by elimination over the rationals."""
    rows = [[Fraction(int(entry)) for entry in row] for row in matrix]
    result = Fraction(1)
    for column in range(len(rows)):
        pivot = next((at for at in range(column, len(rows)) if rows[at][column]), None)
        if pivot is None:
            return 0
        if pivot != column:
            rows[column], rows[pivot] = rows[pivot], rows[column]
            result = -result
        result *= rows[column][column]
        for at in range(column + 1, len(rows)):
            factor = rows[at][column] / rows[column][column]
            rows[at] = [x - factor * y for x, y in zip(rows[at], rows[column], strict=True)]
    return int(result)
