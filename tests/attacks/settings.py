"""Where an attack takes place: profile and committed shape, and the honest miner of that shape as its yardstick."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from compute.spec.arrays import Int8Array
from compute.spec.profiles import TEST, Profile
from tests.attacks.counting import Integers, Operations, Yield
from tests.attacks.draws import Draw, mine, prepare, valid_tickets

SIGMA = b"header of an attempt"


@dataclass(frozen=True)
class Setting:
    """A profile and m, n, k."""

    profile: Profile
    m: int
    n: int
    k: int

    def zeros(self) -> tuple[Int8Array, Int8Array]:
        """A and B transposed."""
        return np.zeros((self.m, self.k), np.int8), np.zeros((self.n, self.k), np.int8)

    def random(self, seed: int = 1) -> tuple[Int8Array, Int8Array]:
        """A and B transposed, uniform in [-63, 63]."""
        rng = np.random.default_rng(seed)
        return (
            rng.integers(-63, 64, (self.m, self.k), dtype=np.int8),
            rng.integers(-63, 64, (self.n, self.k), dtype=np.int8),
        )


SMALL = Setting(TEST, 512, 512, 128)
"""2,048 tickets; large enough that commitment and noise are 6 % of an honest attempt."""
REPLAYED = Setting(TEST, 128, 128, 128)
"""Where only one honest attempt is made and presented many times."""


def direct_sums(account: Operations, draw: Draw, segment: int) -> Iterator[Integers]:
    """The honest way: add the noise, multiply slice by slice, accumulate."""
    profile = draw.profile
    partial = np.zeros((draw.mu.m, draw.mu.n), np.int64)
    for index in range(segment * profile.slices, (segment + 1) * profile.slices):
        # One difference of two entries of the left factor, one addition to the matrix.
        account.book_words(2, draw.mu.m + draw.mu.n, profile.noise_rank)
        partial = partial + account.product(draw.a_noised(index), draw.b_noised(index))
        yield partial


def direct(setting: Setting, a: Int8Array, b_t: Int8Array) -> Yield:
    """Any two matrices, multiplied honestly; what repeats in the commitment is hashed once."""
    account = Operations()
    draw = prepare(account, SIGMA, setting.profile, a, b_t)
    mined = mine(account, draw, lambda segment: direct_sums(account, draw, segment))
    return Yield(account, valid_tickets(mined))


@cache
def honest(setting: Setting) -> Yield:
    """The yardstick: random matrices."""
    return direct(setting, *setting.random())
