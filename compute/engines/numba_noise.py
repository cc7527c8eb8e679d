"""Noise factors in the form that the `numba` engine's loops want, and the operands of its denoising.

Both uses of a chain are differences of two gathered entries: noise gathers from a row of the left factor [POW-NOISE-4],
a product with the transposed chain gathers from a slice of the other operand. Neither multiplies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chain.types import Hash32
from compute.spec.arrays import Int8Array, Int32Array
from compute.spec.noise import left_factor, permutations
from compute.spec.profiles import Profile

REACH = 64
"""Entries that one byte permutation reaches; also the bytes it reads from a row of the left factor."""
MAX_RANK = 256
"""Indices are bytes."""

Int16Array = npt.NDArray[np.int16]

_INT16_MAX = (1 << 15) - 1
_DIGIT_BITS = 10
"""1024 times an entry of a left factor, which is at least -32, is still an int16."""


@dataclass(frozen=True, slots=True)
class Differences:
    """Element at = source[first[at]] - (source[second[at]] & kept[at])."""

    first: npt.NDArray[np.uint8]
    second: npt.NDArray[np.uint8]
    kept: Int8Array
    """-1, or 0 where the second term is absent."""

    @property
    def arrays(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], Int8Array]:
        return self.first, self.second, self.kept


@dataclass(frozen=True, slots=True)
class Factors:
    """What one seed gives: the left factor and the chains of all slices."""

    left: Int8Array
    """int8[rows, r], followed in memory by `REACH` readable bytes."""
    noise: Differences
    """Of a row of `left`."""
    chain: Differences
    """Of a slice, or of the `REACH` entries it lies in if `reaches` was given."""
    right: Int8Array
    """int8[r, k]: the chains, dense."""


def factors_of(seed: Hash32, profile: Profile, rows: int, depth: int, reaches: bool) -> Factors:
    """The factors of a matrix of `rows` by `depth`; `reaches` if the loops permute `REACH` entries at a time."""
    rank = profile.noise_rank
    assert rank <= MAX_RANK
    slices = depth // rank
    memory = np.zeros(rows * rank + REACH, np.int8)
    left = memory[: rows * rank].reshape(rows, rank)
    left[:] = left_factor(seed, profile, 0, rows)
    order = permutations(seed, profile, 0, slices)
    place_of = np.argsort(order, axis=1)
    offset = (np.arange(slices) * rank % REACH if reaches else np.zeros(slices, np.int64))[:, None]
    right = np.zeros((rank, depth), np.int8)
    columns = np.arange(depth).reshape(slices, rank)
    right[order, columns] = 1
    right[order[:, 1:], columns[:, :-1]] = -1
    return Factors(
        left=left,
        noise=_differences(order, np.roll(order, -1, axis=1), np.arange(rank) < rank - 1),
        chain=_differences(place_of + offset, np.maximum(place_of - 1, 0) + offset, place_of > 0),
        right=right,
    )


def correction_operands(
    a_sums: Int32Array, left_a: Int8Array, left_b: Int8Array, b_sums: Int32Array
) -> tuple[Int16Array, Int16Array]:
    """int16[m, depth] and int16[n, depth], whose product is -(A F_L) F_R - E_L (E_R B') [POW-DENOISE-1].

    `a_sums` int32[m, r] is A F_L, `b_sums` int32[n, r] the transpose of E_R B'. Where both fit an int16 the depth is
    2r. Otherwise each is split into two digits, one of which is multiplied by 1024 on the other side, and the depth is
    4r. The product is exact either way.
    """
    a_sums, b_sums = -a_sums, -b_sums
    if max(_magnitude(a_sums), _magnitude(b_sums)) <= _INT16_MAX:
        return _joined(a_sums, left_a), _joined(left_b, b_sums)
    shift = np.int32(1 << _DIGIT_BITS)
    outer = _joined(*_digits(a_sums), left_a, left_a * shift)
    return outer, _joined(left_b, left_b * shift, *_digits(b_sums))


def _differences(
    first: npt.NDArray[np.intp], second: npt.NDArray[np.intp], kept: npt.NDArray[np.bool_]
) -> Differences:
    return Differences(
        first=first.astype(np.uint8).reshape(-1),
        second=second.astype(np.uint8).reshape(-1),
        kept=-np.broadcast_to(kept, first.shape).astype(np.int8).reshape(-1),
    )


def _magnitude(values: Int32Array) -> int:
    return max(int(values.max()), -int(values.min()))


def _digits(values: Int32Array) -> tuple[Int32Array, Int32Array]:
    """Low and high digit: values = low + 1024 * high."""
    half = 1 << (_DIGIT_BITS - 1)
    low = ((values + half) & ((1 << _DIGIT_BITS) - 1)) - half
    return low, (values - low) >> _DIGIT_BITS


def _joined(*parts: Int8Array | Int32Array) -> Int16Array:
    return np.concatenate(parts, axis=1, dtype=np.int16, casting="unsafe")
