"""Transcript of one cube: a t x t output tile over one depth segment.  Spec: [POW-TILE-*].

The partial sum P starts at zero and grows by one slice of depth r at a time; after *every* slice, the first included,
P is folded. XOR of int32 words is not linear over the integers, so cached products of parts cannot be combined into it.
"""

from __future__ import annotations

import numpy as np

from compute.spec.arrays import Int8Array, Int32Array, Uint32Array
from compute.spec.profiles import LANES, Profile

ROTATION_BITS = 13


def fold(transcript: Uint32Array, partial: Int32Array) -> Uint32Array:
    """uint32[16] after int32[t, t]: T[lane] = rotl32(T[lane], 13) ^ XOR of P[:, lane mod 16] [POW-TILE-2]."""
    rotated = (transcript << np.uint32(ROTATION_BITS)) | (transcript >> np.uint32(32 - ROTATION_BITS))
    lanes: Uint32Array = np.bitwise_xor.reduce(partial.view(np.uint32).reshape(-1, LANES), axis=0)
    return rotated ^ lanes


def cube_transcript(a_noised: Int8Array, b_noised: Int8Array, profile: Profile) -> Uint32Array:
    """uint32[16] of one cube from the noised int8[t, S] blocks of A' and of B' transposed [POW-TILE-1].

    Products of a slice are taken in float64: every partial sum is an integer below r * 126^2 < 2^53, so each
    operation is exact and the result is the same in any order and on any machine.
    """
    rank, tile = profile.noise_rank, profile.tile
    left, right = a_noised.astype(np.float64), b_noised.astype(np.float64)
    partial = np.zeros((tile, tile), np.int32)
    transcript = np.zeros(LANES, np.uint32)
    for start in range(0, profile.segment, rank):
        partial += (left[:, start : start + rank] @ right[:, start : start + rank].T).astype(np.int32)
        transcript = fold(transcript, partial)
    return transcript
