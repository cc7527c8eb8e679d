"""The verifier with one rule taken out: what a shortcut needs in order to pay.

Each context replaces names in `compute.spec.verify` and nothing else, so the rest of the verification is the real one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np

from chain.hashing import BulkTag, b3, b3_keyed
from chain.types import Hash32
from compute.spec import claim, commit, verify
from compute.spec.arrays import Int8Array, Uint32Array
from compute.spec.claim import NO_BINDING, Mu
from compute.spec.profiles import LANES, Profile
from compute.spec.ticket import Cube, ticket_input
from compute.spec.tiles import fold
from tests.attacks.counting import Integers
from tests.attacks.draws import CHAINS, NoiseRule, rotate_and_xor


@contextmanager
def replaced(**functions: Any) -> Iterator[None]:
    """`compute.spec.verify` with those names replaced."""
    with patch.multiple(verify, **functions):
        yield


# -------------------------------------------------------------------------------------------------------- transcript


def folding_only(
    folds: Callable[[int, Profile], bool],
) -> Callable[[Int8Array, Int8Array, Profile], Uint32Array]:
    """`cube_transcript` that folds only after the slices for which `folds` (place in the segment, profile) is true."""

    def transcript(a_noised: Int8Array, b_noised: Int8Array, profile: Profile) -> Uint32Array:
        words = np.zeros(LANES, np.uint32)
        for place, partial in enumerate(partial_sums_of(a_noised, b_noised, profile)):
            if folds(place, profile):
                words = fold(words, partial.astype(np.int32))
        return words

    return transcript


def linear_transcript(a_noised: Int8Array, b_noised: Int8Array, profile: Profile) -> Uint32Array:
    """`cube_transcript` whose lanes are sums where they should be XORs."""
    words = np.zeros(LANES, np.uint32)
    for partial in partial_sums_of(a_noised, b_noised, profile):
        sums = partial.reshape(-1, LANES).sum(axis=0)
        words = rotate_and_xor(words, (sums & 0xFFFFFFFF).astype(np.uint32))
    return words


def partial_sums_of(a_noised: Int8Array, b_noised: Int8Array, profile: Profile) -> Iterator[Integers]:
    """int64[t, t] after each slice."""
    partial = np.zeros((profile.tile, profile.tile), np.int64)
    for start in range(0, profile.segment, profile.noise_rank):
        depth = slice(start, start + profile.noise_rank)
        partial = partial + a_noised[:, depth].astype(np.int64) @ b_noised[:, depth].T.astype(np.int64)
        yield partial


# ------------------------------------------------------------------------------------------------------------- noise


def noise_from(rule: NoiseRule) -> Callable[..., Int8Array]:
    """`compute.spec.noise.noise` made by another rule."""

    def noise(
        seed: Hash32, profile: Profile, first_row: int, rows: int, first_slice: int, slices: int
    ) -> Int8Array:
        left = rule.left(seed, profile, first_row + rows)[first_row:]
        right = [rule.right(seed, profile, first_slice + place) for place in range(slices)]
        return np.concatenate([left @ part for part in right], axis=1).astype(np.int8)

    return noise


def _two_rows(seed: Hash32, profile: Profile, index: int) -> Integers:
    rank = profile.noise_rank
    drawn = np.random.default_rng([*seed, index]).integers(0, rank, (2, rank))
    factor = np.zeros((rank, rank), np.int64)
    np.add.at(factor, (drawn[0], np.arange(rank)), 1)
    np.add.at(factor, (drawn[1], np.arange(rank)), -1)
    return factor


TWO_ROWS = NoiseRule(left=CHAINS.left, right=_two_rows)
"""+1 and -1 in two rows chosen independently for every column, as an older chain has it."""


def _equal_block_rows(seed: Hash32, profile: Profile, rows: int) -> Integers:
    return np.tile(CHAINS.left(seed, profile, profile.tile), (-(-rows // profile.tile), 1))[:rows]


EQUAL_BLOCK_ROWS = NoiseRule(left=_equal_block_rows, right=CHAINS.right)
"""Every block row has the noise of the first."""
EQUAL_SEGMENTS = NoiseRule(
    left=CHAINS.left, right=lambda seed, profile, index: CHAINS.right(seed, profile, index % profile.slices)
)
"""Every segment has the noise of the first."""


def _first_row_only(seed: Hash32, profile: Profile, rows: int) -> Integers:
    left = CHAINS.left(seed, profile, rows)
    left[1:] = 0
    return left


NO_NOISE_ON_PADDING = NoiseRule(left=_first_row_only, right=CHAINS.right)
"""Of an operand with one real row, as in the attack that uses it, only that row is noised."""


# ---------------------------------------------------------------------------------------------------- keys and seeds


def kappa_without_header(_: bytes, mu: Mu) -> Hash32:
    """The key of the work without the header."""
    return claim.kappa_of(b"", mu)


def kappa_without_binding(sigma: bytes, mu: Mu) -> Hash32:
    """The key of the work without job and step."""
    return claim.kappa_of(sigma, replace(mu, binding=NO_BINDING))


def seed_a_without_root(seed_b: Hash32, _: Hash32, m: int) -> Hash32:
    """s_A known before A is committed."""
    return commit.seed_a_of(seed_b, Hash32(bytes(32)), m)


class WordInTicket:
    """A ticket rule with a free word: a result root, or the header, mixed in after the last multiplication."""

    def __init__(self) -> None:
        self.word = b""

    def __call__(self, seed_a: Hash32, transcript: Uint32Array, cube: Cube) -> Hash32:
        return b3_keyed(b3(BulkTag.POW_ENTRIES, seed_a + self.word), ticket_input(transcript, cube))


def present_with(word: bytes) -> None:
    """Tell a verifier with a free word what it is; the real one has no place for it."""
    if isinstance(verify.ticket_of, WordInTicket):
        verify.ticket_of.word = word
