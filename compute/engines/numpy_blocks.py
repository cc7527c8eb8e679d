"""The fast CPU engine: exact integer products through float32 BLAS.  Spec: [POW-EXACT-*].

A float32 sum of integers is exact in any order while its magnitude stays within 2^24. Where a whole segment stays
below 2^22 (S * 126^2 < 2^22) the accumulator starts at 1.5 * 2^23: there one unit is one bit of the representation,
so an XOR over the bits of an even number of entries is the XOR of their low 23 bits, and its sign extension is the XOR
of the int32 values. That spares a conversion pass per slice.

One BLAS thread per process is assumed: several processes use several cores better than one BLAS does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from compute.engines.base import (
    Attempt,
    Capabilities,
    Engine,
    Order,
    Output,
    PreparedB,
    Progress,
    Stage,
    unobserved,
)
from compute.engines.tickets import find_winners
from compute.spec.arrays import Float32Array, Int8Array, Int32Array, Uint32Array
from compute.spec.claim import Mu, kappa_of
from compute.spec.commit import Side, commit, seed_a_of, seed_b_of
from compute.spec.noise import left_factor, right_factor
from compute.spec.padding import pad
from compute.spec.profiles import LANES, MAX_ENTRY, MAX_NOISED, Profile
from compute.spec.tiles import ROTATION_BITS

PANEL_ROWS = 512
PANEL_COLUMNS = 1024
"""Shape of the accumulator panel, in multiples of every tile edge; 2 MB of float32 measured best, between cache misses
and the cost of a call."""
_FLOAT32_EXACT = 1 << 24
_PLAIN_DEPTH = _FLOAT32_EXACT // MAX_ENTRY**2
"""Terms of a product of plain entries that float32 sums exactly."""
_IDLE_SHAPES = {
    "test": (64, 64, 64),
    "dev": (512, 512, 512),
    "cpu": (768, 768, 768),
    "gpu": (512, 512, 4096),
}
"""5 to 50 ms on one core."""
_LARGEST_FACTOR = 32
"""Magnitude of the entries of E_L and F_R."""
_BIAS = np.float32(1.5 * (1 << 23))
_BIAS_BITS = 0x4B400000
_SIGN_SHIFT = np.int32(9)
"""The bits above the 23 that a biased float32 keeps."""


@dataclass(frozen=True)
class NumpyPreparedB(PreparedB):
    """B' and the factors that denoising needs, as float32."""

    noised: Float32Array
    """float32[n, k]: B' transposed."""
    left: Float32Array
    """float32[n, r]: F_R transposed."""
    right: Float32Array
    """float32[r, k]: F_L transposed."""


class NumpyEngine(Engine):
    """NumPy only; runs everywhere."""

    name = "numpy"

    def probe(self) -> Capabilities:
        return Capabilities(usable=True, detail=f"NumPy {np.__version__}, float32 blocks, one thread")

    def prepare_b(
        self, sigma: bytes, profile: Profile, mu: Mu, b_t: Int8Array, progress: Progress = unobserved
    ) -> NumpyPreparedB:
        kappa = kappa_of(sigma, mu)
        padded = pad(b_t, mu.n, mu.k)
        commitment = commit(Side.B, kappa, padded, profile)
        progress(Stage.COMMIT)
        seed_b = seed_b_of(kappa, commitment.root, mu.n)
        left = left_factor(seed_b, profile, 0, mu.n).astype(np.float32)
        right = right_factor(seed_b, profile, 0, mu.k // profile.noise_rank).astype(np.float32)
        noised = _noised(padded, left, right)
        progress(Stage.NOISE)
        return NumpyPreparedB(
            profile=profile,
            mu=mu,
            kappa=kappa,
            commitment=commitment,
            seed_b=seed_b,
            columns=b_t.shape[0],
            noised=noised,
            left=left,
            right=right,
        )

    def run(self, order: Order) -> Attempt:
        prepared, a, progress = order.prepared, order.a, order.progress
        assert isinstance(prepared, NumpyPreparedB)
        profile, mu = prepared.profile, prepared.mu
        padded = pad(a, mu.m, mu.k)
        commitment = commit(Side.A, prepared.kappa, padded, profile)
        progress(Stage.COMMIT)
        seed_a = seed_a_of(prepared.seed_b, commitment.root, mu.m)
        left = left_factor(seed_a, profile, 0, mu.m).astype(np.float32)
        right = right_factor(seed_a, profile, 0, mu.k // profile.noise_rank).astype(np.float32)
        noised = _noised(padded, left, right)
        progress(Stage.NOISE)

        tile_counts = (mu.k // profile.segment, mu.m // profile.tile, mu.n // profile.tile)
        transcripts = np.zeros((*tile_counts, LANES), np.uint32)
        product = np.zeros((mu.m, mu.n), np.uint32) if order.output is Output.PRODUCT else None
        _multiply(noised, prepared.noised, profile, transcripts, product, progress)
        exact = None
        if product is not None:
            _subtract_noise(product.view(np.int32), padded, left, right, prepared)
            exact = np.ascontiguousarray(product.view(np.int32)[: a.shape[0], : prepared.columns])
            progress(Stage.DENOISE)
        winners = find_winners(seed_a, transcripts, order.target, profile)
        progress(Stage.HASH)
        return Attempt(
            prepared=prepared,
            commitment_a=commitment,
            product=exact,
            winners=winners,
            tickets=transcripts.size // LANES,
            macs=mu.m * mu.n * mu.k,
        )

    def plain(self, a: Int8Array, b_t: Int8Array) -> Int32Array:
        total: Int32Array | None = None
        for first in range(0, a.shape[1], _PLAIN_DEPTH):
            depth = slice(first, first + _PLAIN_DEPTH)
            part = (a[:, depth].astype(np.float32) @ b_t[:, depth].astype(np.float32).T).astype(np.int32)
            total = part if total is None else np.add(total, part, out=total)
        assert total is not None
        return total

    def memory_needed(self, profile: Profile, mu: Mu, output: Output) -> int:
        operands = 6 * (mu.m + mu.n) * mu.k  # given, in leaf order, and noised as float32
        transcripts = mu.m * mu.n * mu.k // profile.cube_macs * (LANES * 4 + 3 * 32)
        return operands + transcripts + (8 * mu.m * mu.n if output is Output.PRODUCT else 0)

    def idle_shape(self, profile: Profile) -> tuple[int, int, int]:
        return _IDLE_SHAPES[profile.name]


def _noised(padded: Int8Array, left: Float32Array, right: Float32Array) -> Float32Array:
    """float32[rows, k]: matrix plus left times right; two terms per sum, so exact."""
    noised = left @ right
    noised += padded
    return noised


def _multiply(
    a: Float32Array,
    b: Float32Array,
    profile: Profile,
    transcripts: Uint32Array,
    product: Uint32Array | None,
    progress: Progress,
) -> None:
    """Fill the transcripts uint32[k/S, m/t, n/t, 16] and, if wanted, add A' B' to `product`, wrapping."""
    multiply_panel = _biased_panel if profile.segment * MAX_NOISED**2 < 1 << 22 else _integer_panel
    tile = profile.tile
    for rows in _spans(a.shape[0], PANEL_ROWS):
        for columns in _spans(b.shape[0], PANEL_COLUMNS):
            panel_transcripts = transcripts[
                :, rows.start // tile : rows.stop // tile, columns.start // tile : columns.stop // tile
            ]
            panel_product = None if product is None else product[rows, columns]
            multiply_panel(a[rows], b[columns], profile, panel_transcripts, panel_product)
            progress(Stage.PRODUCT)


def _biased_panel(
    a: Float32Array, b: Float32Array, profile: Profile, transcripts: Uint32Array, product: Uint32Array | None
) -> None:
    """One panel with partial sums kept as biased float32 [POW-EXACT-2]."""
    rank = profile.noise_rank
    partial = np.empty((a.shape[0], b.shape[0]), np.float32)
    step = np.empty_like(partial)
    bits = partial.view(np.uint32)
    for segment in range(len(transcripts)):
        first = segment * profile.segment
        for depth in range(first, first + profile.segment, rank):
            np.matmul(a[:, depth : depth + rank], b[:, depth : depth + rank].T, out=step)
            np.add(step, _BIAS if depth == first else partial, out=partial)
            lanes = _lanes(bits, profile.tile)
            lanes = ((lanes.view(np.int32) << _SIGN_SHIFT) >> _SIGN_SHIFT).view(np.uint32)
            _rotate_and_mix(transcripts[segment], lanes)
        if product is not None:
            product += bits
    if product is not None:
        product -= np.uint32(len(transcripts) * _BIAS_BITS & 0xFFFFFFFF)


def _integer_panel(
    a: Float32Array, b: Float32Array, profile: Profile, transcripts: Uint32Array, product: Uint32Array | None
) -> None:
    """One panel with int32 partial sums, for segments too deep for float32; each slice is exact [POW-EXACT-1]."""
    rank = profile.noise_rank
    partial: Int32Array = np.empty((a.shape[0], b.shape[0]), np.int32)
    step = np.empty(partial.shape, np.float32)
    step_integer = np.empty_like(partial)
    for segment in range(len(transcripts)):
        first = segment * profile.segment
        partial.fill(0)
        for depth in range(first, first + profile.segment, rank):
            np.matmul(a[:, depth : depth + rank], b[:, depth : depth + rank].T, out=step)
            np.copyto(step_integer, step, casting="unsafe")
            partial += step_integer
            _rotate_and_mix(transcripts[segment], _lanes(partial.view(np.uint32), profile.tile))
        if product is not None:
            product += partial.view(np.uint32)


def _lanes(bits: Uint32Array, tile: int) -> Uint32Array:
    """uint32[rows/t, columns/t, 16]: XOR of the words of each tile by column modulo 16."""
    rows, columns = bits.shape
    by_column = np.bitwise_xor.reduce(bits.reshape(rows // tile, tile, columns), axis=1)
    grouped = by_column.reshape(rows // tile, columns // tile, tile // LANES, LANES)
    lanes: Uint32Array = np.bitwise_xor.reduce(grouped, axis=2)
    return lanes


def _rotate_and_mix(transcripts: Uint32Array, lanes: Uint32Array) -> None:
    rotated = (transcripts << np.uint32(ROTATION_BITS)) | (transcripts >> np.uint32(32 - ROTATION_BITS))
    np.bitwise_xor(rotated, lanes, out=transcripts)


def _subtract_noise(
    product: Int32Array, a: Int8Array, left: Float32Array, right: Float32Array, prepared: NumpyPreparedB
) -> None:
    """A B = A' B' - (A F_L) F_R - E_L (E_R B'), as one product of depth 2r [POW-DENOISE-1].

    The thin products are exact: each of their sums has at most two terms per slice. The last one is exact in float32
    if the bound from their real magnitudes holds; where an A was made to match the noise of B, float64 takes over.
    """
    a_times_f = a.astype(np.float32) @ prepared.right.T
    b_times_e = prepared.noised @ right.T
    outer = np.concatenate([a_times_f, left], axis=1)
    inner = np.concatenate([prepared.left, b_times_e], axis=1)
    largest_sums = np.abs(a_times_f).sum(axis=1).max() + np.abs(b_times_e).sum(axis=1).max()
    if float(largest_sums) * _LARGEST_FACTOR > _FLOAT32_EXACT:
        outer, inner = outer.astype(np.float64), inner.astype(np.float64)
    for rows in _spans(outer.shape[0], PANEL_ROWS):
        for columns in _spans(inner.shape[0], PANEL_COLUMNS):
            correction = outer[rows] @ inner[columns].T
            product[rows, columns] -= correction.astype(np.int32)


def _spans(size: int, width: int) -> Iterator[slice]:
    for start in range(0, size, width):
        yield slice(start, min(start + width, size))
