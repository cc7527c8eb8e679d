"""Noise: E = E_L * E_R from s_A, and F transposed by the same rule from s_B.  Spec: [POW-NOISE-*].

E_L int8[rows, r] is uniform in [-32, 31]. E_R int8[r, k] is one unimodular chain per depth slice of r columns: with a
permutation p of the slice, column d has +1 at row p(d) and, except in the last column, -1 at row p(d + 1). Its
determinant is +1 or -1, so the noise of every slice has the full rank r; two rows chosen independently per column would
reach 0.8 r, and a known attack saves the difference on every slice.

Both factors come from seekable streams, so a verifier derives only the rows and slices that it needs.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from chain.hashing import BulkTag, b3
from chain.types import Hash32
from compute.spec.arrays import Int8Array
from compute.spec.profiles import Profile

_WORD_BYTES = 4


def left_factor(seed: Hash32, profile: Profile, first_row: int, rows: int) -> Int8Array:
    """int8[rows, r] in [-32, 31]: one stream byte per entry, row-major, low six bits minus 32 [POW-NOISE-1]."""
    rank = profile.noise_rank
    stream = _stream(BulkTag.POW_NOISE_LEFT, seed, first_row * rank, rows * rank)
    low_bits = np.frombuffer(stream, np.uint8) & np.uint8(63)
    return (low_bits.view(np.int8) - np.int8(32)).reshape(rows, rank)


def permutations(seed: Hash32, profile: Profile, first_slice: int, slices: int) -> npt.NDArray[np.intp]:
    """intp[slices, r]: per slice the stable argsort of r stream words, u32 little-endian [POW-NOISE-2]."""
    rank = profile.noise_rank
    stream = _stream(
        BulkTag.POW_NOISE_RIGHT, seed, first_slice * rank * _WORD_BYTES, slices * rank * _WORD_BYTES
    )
    return np.argsort(np.frombuffer(stream, "<u4").reshape(slices, rank), axis=1, kind="stable")


def right_factor(seed: Hash32, profile: Profile, first_slice: int, slices: int) -> Int8Array:
    """int8[r, slices * r]: the dense chains, column by column as the rule says [POW-NOISE-3]."""
    rank = profile.noise_rank
    orders = permutations(seed, profile, first_slice, slices)
    columns = np.arange(slices * rank).reshape(slices, rank)
    factor = np.zeros((rank, slices * rank), np.int8)
    factor[orders, columns] = 1
    factor[orders[:, 1:], columns[:, :-1]] = -1
    return factor


def noise(
    seed: Hash32, profile: Profile, first_row: int, rows: int, first_slice: int, slices: int
) -> Int8Array:
    """int8[rows, slices * r] in [-63, 63]: those entries of left times right, by gathering [POW-NOISE-4]."""
    gathered = left_factor(seed, profile, first_row, rows)[
        :, permutations(seed, profile, first_slice, slices)
    ]
    gathered[:, :, :-1] -= gathered[:, :, 1:].copy()
    return gathered.reshape(rows, slices * profile.noise_rank)


def _stream(tag: BulkTag, seed: Hash32, start_bytes: int, size_bytes: int) -> bytes:
    """Bytes of the BLAKE3 output stream of the empty input under the key that `tag` derives from `seed`."""
    return blake3(b"", key=b3(tag, seed)).digest(length=size_bytes, seek=start_bytes)
