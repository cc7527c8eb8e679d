"""The portable CPU engine: exact integer products through NumPy's float32 BLAS.  Spec: [POW-EXACT-*].

One BLAS thread per process is assumed: several processes use several cores better than one BLAS does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from chain.types import Hash32
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
from compute.engines.blake3_lanes import BATCH
from compute.engines.blas import find_add_product
from compute.engines.numpy_panels import FloatArray, Panel, panel_type, spaced
from compute.engines.tickets import find_winners
from compute.spec.arrays import Float32Array, Int8Array, Int32Array, Uint32Array
from compute.spec.claim import Mu, kappa_of
from compute.spec.commit import Side, commit, seed_a_of, seed_b_of
from compute.spec.noise import left_factor, right_factor
from compute.spec.padding import pad
from compute.spec.profiles import LANES, MAX_ENTRY, Profile

PANEL_ROWS = 1024
PANEL_COLUMNS = 1024
"""Shape of a panel, in multiples of every tile edge: 4 MB of float32 measured best, between cache misses and what BLAS
spends on packing operands in every call."""
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
_OPERAND_BYTES = 6
"""Per entry: as given, in leaf order and noised; a padded copy is gone before the noised one is made."""
_LEAF_BYTES = 2 * 80
"""Per leaf: its hash and one node above it, as Python keeps them."""
_TICKET_BYTES = 2 * 4 * LANES
"""Per cube: its transcript and the input of its hash."""
_PANEL_BYTES = 8
"""Per entry of a panel: partial sums and folded rows."""
_TOTAL_BYTES = 8
"""Per entry of a panel: the total of its segments and the correction."""
_HASHING_BYTES = 2 * 4 * LANES
"""Per ticket that is hashed beside others: state and message."""
_LARGEST_FACTOR = 32
"""Magnitude of the entries of E_L and F_R."""


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

    def __init__(self) -> None:
        self._add_product, self._blas = find_add_product()
        self._last_panel: tuple[tuple[Profile, int, int, Output], Panel] | None = None

    def probe(self) -> Capabilities:
        return Capabilities(usable=True, detail=f"NumPy {np.__version__}, float32, {self._blas}, one thread")

    def prepare_b(
        self, sigma: bytes, profile: Profile, mu: Mu, b_t: Int8Array, progress: Progress = unobserved
    ) -> NumpyPreparedB:
        kappa = kappa_of(sigma, mu)
        padded = pad(b_t, mu.n, mu.k)
        commitment = commit(Side.B, kappa, padded, profile)
        progress(Stage.COMMIT)
        seed_b = seed_b_of(kappa, commitment.root, mu.n)
        left, right = _factors(seed_b, profile, mu.n, mu.k)
        noised = _floats(padded)
        self._add_product(noised, left, right)
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
        left, right = _factors(seed_a, profile, mu.m, mu.k)
        noised = _floats(padded)
        del padded
        progress(Stage.NOISE)
        correction = None
        if order.output is Output.PRODUCT:
            # Before the noise goes over A in place.
            correction = _Correction.of(noised, left, right, prepared)
            progress(Stage.DENOISE)
        self._add_product(noised, left, right)
        progress(Stage.NOISE)

        tile_counts = (mu.k // profile.segment, mu.m // profile.tile, mu.n // profile.tile)
        transcripts = np.empty((*tile_counts, LANES), np.uint32)
        product = None if correction is None else np.empty((a.shape[0], prepared.columns), np.int32)
        for rows in _spans(mu.m, PANEL_ROWS):
            for columns in _spans(mu.n, PANEL_COLUMNS):
                corner = transcripts[:, _tiles(rows, profile), _tiles(columns, profile)]
                panel = self._multiply(noised[rows], prepared.noised[columns], corner, order)
                if product is not None and correction is not None:
                    outer, inner = correction.outer[rows], correction.inner[columns]
                    panel.write_product(outer, inner, product[rows, columns])
                    progress(Stage.DENOISE)
        winners = find_winners(seed_a, transcripts, order.target, profile)
        progress(Stage.HASH)
        return Attempt(
            prepared=prepared,
            commitment_a=commitment,
            product=product,
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
        edges, tickets = mu.m + mu.n, mu.m * mu.n * mu.k // profile.cube_macs
        panel = min(mu.m, PANEL_ROWS) * min(mu.n, PANEL_COLUMNS)
        needed = edges * mu.k * _OPERAND_BYTES
        needed += edges // profile.tile * (mu.k // profile.segment) * _LEAF_BYTES
        needed += 4 * profile.noise_rank * (edges + 2 * mu.k)
        needed += tickets * _TICKET_BYTES + min(tickets, BATCH) * _HASHING_BYTES
        needed += panel * _PANEL_BYTES
        if output is Output.PRODUCT:
            needed += 4 * mu.m * mu.n + panel * _TOTAL_BYTES + 12 * profile.noise_rank * edges
        return needed

    def idle_shape(self, profile: Profile) -> tuple[int, int, int]:
        return _IDLE_SHAPES[profile.name]

    def _multiply(self, a: Float32Array, b: Float32Array, transcripts: Uint32Array, order: Order) -> Panel:
        """One panel of A' B', filling its transcripts uint32[k/S, rows/t, columns/t, 16]."""
        profile = order.prepared.profile
        panel = self._panel(profile, len(a), len(b), order.output)
        for place, transcript in enumerate(transcripts):
            segment = slice(place * profile.segment, (place + 1) * profile.segment)
            transcript[...] = panel.multiply_segment(a[:, segment], b[:, segment])
            order.progress(Stage.PRODUCT)
        return panel

    def _panel(self, profile: Profile, rows: int, columns: int, output: Output) -> Panel:
        """An empty panel; the last one again if it has the same shape."""
        wanted = (profile, rows, columns, output)
        if self._last_panel is None or self._last_panel[0] != wanted:
            self._last_panel = wanted, panel_type(profile)(profile, rows, columns, output, self._add_product)
        panel = self._last_panel[1]
        panel.restart()
        return panel


@dataclass(frozen=True, slots=True)
class _Correction:
    """What the noise adds to the product, (A F_L) F_R + E_L (E_R B'), as one product of depth 2r [POW-DENOISE-1]."""

    outer: FloatArray
    """[m, 2r]: A F_L beside E_L."""
    inner: FloatArray
    """[n, 2r]: F_R transposed beside E_R B' transposed."""

    @classmethod
    def of(
        cls, a: Float32Array, left: Float32Array, right: Float32Array, prepared: NumpyPreparedB
    ) -> _Correction:
        """From A without noise and the factors of its noise.

        The thin products are exact: each of their sums has at most two terms per slice. The product of both is exact
        in float32 if the bound from their real magnitudes holds; where an A was made to match the noise of B, float64
        takes over.
        """
        a_times_f = a @ prepared.right.T
        b_times_e = prepared.noised @ right.T
        outer = np.concatenate([a_times_f, left], axis=1)
        inner = np.concatenate([prepared.left, b_times_e], axis=1)
        largest_sums = np.abs(a_times_f).sum(axis=1).max() + np.abs(b_times_e).sum(axis=1).max()
        if float(largest_sums) * _LARGEST_FACTOR > _FLOAT32_EXACT:
            return cls(outer.astype(np.float64), inner.astype(np.float64))
        return cls(outer, inner)


def _factors(seed: Hash32, profile: Profile, rows: int, depth: int) -> tuple[Float32Array, Float32Array]:
    """float32[rows, r] and float32[r, depth]: the noise is their product."""
    left = left_factor(seed, profile, 0, rows)
    right = right_factor(seed, profile, 0, depth // profile.noise_rank)
    return left.astype(np.float32), right.astype(np.float32)


def _floats(matrix: Int8Array) -> Float32Array:
    """float32[rows, depth] with a gap between its rows; noise is added in place, two terms per sum, so exactly."""
    floats = spaced(*matrix.shape)
    floats[...] = matrix
    return floats


def _tiles(span: slice, profile: Profile) -> slice:
    return slice(span.start // profile.tile, span.stop // profile.tile)


def _spans(size: int, width: int) -> Iterator[slice]:
    for start in range(0, size, width):
        yield slice(start, min(start + width, size))
