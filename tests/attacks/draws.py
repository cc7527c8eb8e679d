"""The part of an attempt that no miner can do differently: commit, derive the noise, and be judged.

Nothing here is optimised for the attacker except what he may reuse: equal leaves and nodes are hashed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from chain.errors import Invalid
from chain.types import Hash32
from compute.spec import verify
from compute.spec.arrays import Int8Array, Uint32Array
from compute.spec.certificate import Certificate, build_certificate
from compute.spec.claim import NO_BINDING, Binding, Mu
from compute.spec.commit import Commitment, Side, commit
from compute.spec.noise import left_factor, right_factor
from compute.spec.padding import padded_mu
from compute.spec.profiles import LANES, Profile
from compute.spec.ticket import Cube, wins
from compute.spec.tiles import ROTATION_BITS
from tests.attacks.counting import Integers, Operations

JUDGED_CUBES = 24
"""Cubes of a miner whose transcripts are compared with the verifier's, besides every winner."""


@dataclass(frozen=True)
class NoiseRule:
    """Where the two factors of the noise come from; tests of broken rules put others in its place."""

    left: Callable[[Hash32, Profile, int], Integers]
    """int64[rows, r] from seed, profile and row count: E_L, or F_R transposed."""
    right: Callable[[Hash32, Profile, int], Integers]
    """int64[r, r] from seed, profile and slice: that slice of E_R, or of F_L transposed."""


CHAINS = NoiseRule(
    left=lambda seed, profile, rows: left_factor(seed, profile, 0, rows).astype(np.int64),
    right=lambda seed, profile, index: right_factor(seed, profile, index, 1).astype(np.int64),
)
"""The rule as it is [POW-NOISE-1], [POW-NOISE-3]."""


@dataclass(frozen=True)
class Draw:
    """Everything that is fixed before the multiplication."""

    sigma: bytes
    profile: Profile
    mu: Mu
    a: Int8Array
    b_t: Int8Array
    commitment_a: Commitment
    commitment_b: Commitment
    seed_a: Hash32
    seed_b: Hash32
    noise: NoiseRule = CHAINS

    @cached_property
    def e_left(self) -> Integers:
        """int64[m, r]: E_L."""
        return self.noise.left(self.seed_a, self.profile, self.mu.m)

    @cached_property
    def f_right(self) -> Integers:
        """int64[r, n]: F_R."""
        return self.noise.left(self.seed_b, self.profile, self.mu.n).T

    def e_slice(self, index: int) -> Integers:
        """int64[r, r]: that slice of E_R."""
        return self.noise.right(self.seed_a, self.profile, index)

    def f_slice(self, index: int) -> Integers:
        """int64[r, r]: that slice of F_L."""
        return self.noise.right(self.seed_b, self.profile, index).T

    def depth(self, index: int) -> slice:
        """The columns of A that a slice covers."""
        rank = self.profile.noise_rank
        return slice(index * rank, (index + 1) * rank)

    def a_noised(self, index: int) -> Integers:
        """int64[m, r]: that slice of A'."""
        return self.a[:, self.depth(index)] + self.e_left @ self.e_slice(index)

    def b_noised(self, index: int) -> Integers:
        """int64[r, n]: that slice of B'."""
        return self.b_t.T[self.depth(index)] + self.f_slice(index) @ self.f_right


def prepare(
    account: Operations,
    sigma: bytes,
    profile: Profile,
    a: Int8Array,
    b_t: Int8Array,
    binding: Binding = NO_BINDING,
    noise: NoiseRule = CHAINS,
) -> Draw:
    """Commit to whole-tile A int8[m, k] and B transposed int8[n, k] and derive seeds and factors of the noise."""
    mu = padded_mu(profile, a.shape[0], b_t.shape[0], a.shape[1], binding)
    kappa = verify.kappa_of(sigma, mu)
    commitment_b = commit(Side.B, kappa, b_t, profile)
    seed_b = verify.seed_b_of(kappa, commitment_b.root, mu.n)
    book_commitment(account, commitment_b, profile)
    book_noise(account, profile, mu.n, mu.k)
    return _with_a(account, sigma, profile, mu, a, b_t, commitment_b, seed_b, noise)


def prepare_next(account: Operations, draw: Draw, a: Int8Array) -> Draw:
    """Another A for the same header and B: B' serves again, which honest miners may do as well."""
    return _with_a(
        account,
        draw.sigma,
        draw.profile,
        draw.mu,
        a,
        draw.b_t,
        draw.commitment_b,
        draw.seed_b,
        draw.noise,
    )


def _with_a(
    account: Operations,
    sigma: bytes,
    profile: Profile,
    mu: Mu,
    a: Int8Array,
    b_t: Int8Array,
    commitment_b: Commitment,
    seed_b: Hash32,
    noise: NoiseRule,
) -> Draw:
    commitment_a = commit(Side.A, verify.kappa_of(sigma, mu), a, profile)
    book_commitment(account, commitment_a, profile)
    book_noise(account, profile, mu.m, mu.k)
    seed_a = verify.seed_a_of(seed_b, commitment_a.root, mu.m)
    return Draw(sigma, profile, mu, a, b_t, commitment_a, commitment_b, seed_a, seed_b, noise)


def book_commitment(account: Operations, commitment: Commitment, profile: Profile) -> None:
    """Hashes of a tree whose equal digests are computed once."""
    leaves, *nodes = commitment.levels
    account.book_hash(profile.block_bytes, times=len(set(leaves)))
    account.book_hash(64, times=sum(len(set(level)) for level in nodes))


def book_noise(account: Operations, profile: Profile, rows: int, depth: int) -> None:
    """The two streams of one operand's noise; adding it up is left to whoever needs it."""
    account.book_hash(rows * profile.noise_rank)
    account.book_hash(4 * depth)


def rotate_and_xor(transcripts: Uint32Array, lanes: Uint32Array) -> Uint32Array:
    """[POW-TILE-2]."""
    rotated = (transcripts << np.uint32(ROTATION_BITS)) | (transcripts >> np.uint32(32 - ROTATION_BITS))
    return rotated ^ lanes


@dataclass(frozen=True)
class Mined:
    """Transcripts uint32[m/t, n/t, k/S, 16] of the cubes that a miner computed."""

    draw: Draw
    transcripts: Uint32Array
    cubes: tuple[Cube, ...]

    def transcript(self, cube: Cube) -> Uint32Array:
        """uint32[16]."""
        words: Uint32Array = self.transcripts[cube.tile_row, cube.tile_column, cube.segment]
        return words

    def certificate(self, cube: Cube) -> Certificate:
        draw = self.draw
        return build_certificate(draw.mu, draw.commitment_a, draw.commitment_b, cube, draw.profile)


PartialSums = Callable[[int], Iterable[npt.NDArray[np.integer]]]
"""From a segment to its partial sums P [rows, columns], one per fold."""
LaneWords = Callable[[int], Iterable[Uint32Array]]
"""From a segment to the words uint32[block rows, n/t, 16] that each fold mixes into the transcripts."""


def mine(
    account: Operations,
    draw: Draw,
    partial_sums: PartialSums,
    segments: Iterable[int] | None = None,
    block_rows: range | None = None,
) -> Mined:
    """Fold and hash what `partial_sums` gives, for whole block rows; both are booked here."""

    def lane_words(segment: int) -> Iterator[Uint32Array]:
        for partial in partial_sums(segment):
            yield lanes_of(account, partial, draw.profile.tile)

    return mine_lanes(account, draw, lane_words, segments, block_rows)


def mine_lanes(
    account: Operations,
    draw: Draw,
    lane_words: LaneWords,
    segments: Iterable[int] | None = None,
    block_rows: range | None = None,
    mix: Callable[[Uint32Array, Uint32Array], Uint32Array] | None = None,
) -> Mined:
    """Transcripts and tickets from the words of the lanes; `mix` is the rule of one fold [POW-TILE-2]."""
    profile, tile = draw.profile, draw.profile.tile
    rows = range(draw.mu.m // tile) if block_rows is None else block_rows
    columns = draw.mu.n // tile
    counts = (draw.mu.m // tile, columns, draw.mu.k // profile.segment)
    transcripts = np.zeros((*counts, LANES), np.uint32)
    cubes = []
    for segment in range(counts[2]) if segments is None else segments:
        folded = np.zeros((len(rows), columns, LANES), np.uint32)
        for words in lane_words(segment):
            folded = (mix or rotate_and_xor)(folded, words)
        transcripts[rows.start : rows.stop, :, segment] = folded
        cubes += [Cube(i, j, segment) for i in rows for j in range(columns)]
    account.book_hash(64, times=len(cubes))
    return Mined(draw, transcripts, tuple(cubes))


def lanes_of(account: Operations, partial: npt.NDArray[np.integer], tile: int) -> Uint32Array:
    """uint32[m/t, n/t, 16]: XOR of the words of each tile by column modulo 16; one word operation per entry."""
    account.book_words(*partial.shape)
    words = (partial & 0xFFFFFFFF).astype(np.uint32)
    grid = words.reshape(words.shape[0] // tile, tile, words.shape[1] // tile, tile // LANES, LANES)
    lanes: Uint32Array = np.bitwise_xor.reduce(np.bitwise_xor.reduce(grid, axis=1), axis=2)
    return lanes


def valid_tickets(mined: Mined) -> int:
    """How many different tickets a verifier accepts as drawn."""
    return len(judged(mined))


def judged(mined: Mined) -> frozenset[Hash32]:
    """The tickets of all mined cubes, after checking that they are what the verifier would replay.

    A spread of cubes is compared bit for bit, and every winner at the easiest target must verify. `verify` is used
    through its module, so that a test that breaks a rule there breaks it here.

    Raises:
        Forged: if the verifier would not accept the transcripts.
    """
    draw, cubes = mined.draw, mined.cubes
    tickets = {cube: verify.ticket_of(draw.seed_a, mined.transcript(cube), cube) for cube in cubes}
    for cube in cubes[:: max(len(cubes) // JUDGED_CUBES, 1)]:
        if not np.array_equal(mined.transcript(cube), replayed(draw, cube)):
            raise Forged(f"{cube}: another transcript than the verifier's")
    target = draw.profile.max_target
    for cube, ticket in tickets.items():
        if wins(ticket, target, draw.profile):
            try:
                verify.verify_certificate(draw.sigma, target, mined.certificate(cube), draw.profile)
            except Invalid as error:
                raise Forged(f"{cube}: {error}") from error
    return frozenset(tickets.values())


def replayed(draw: Draw, cube: Cube) -> Uint32Array:
    """uint32[16]: the transcript that the verifier computes for a cube."""
    profile, tile = draw.profile, draw.profile.tile
    columns = slice(cube.segment * profile.segment, (cube.segment + 1) * profile.segment)
    sides = []
    for matrix, seed, block in (
        (draw.a, draw.seed_a, cube.tile_row),
        (draw.b_t, draw.seed_b, cube.tile_column),
    ):
        first_slice = cube.segment * profile.slices
        noise = verify.noise(seed, profile, block * tile, tile, first_slice, profile.slices)
        sides.append(matrix[block * tile : (block + 1) * tile, columns] + noise)
    return verify.cube_transcript(sides[0], sides[1], profile)


class Forged(Exception):
    """A miner's tickets that no verifier accepts."""
