"""The GPU engine for any device with int8 products: cuBLAS slice by slice, a fold kernel after each.

Partial sums go through device memory once per slice, which costs bandwidth that a kernel folding in registers does not.
Accumulators are int32 from first to last; integer `matmul` of CuPy is not used, because its result has the type of its
operands [POW-EXACT-3].
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from compute.engines.base import Capabilities, Output
from compute.engines.cuda_driver import DIGIT_BITS, CudaEngine, DeviceArray, Noised
from compute.spec.claim import Mu
from compute.spec.profiles import Profile

PANEL_EDGE = 8192
"""Rows and columns of the partial sums kept on the device: 256 MB of int32."""
_FOLD_THREADS = 128


class CupyEngine(CudaEngine):
    """cuBLAS int8 products; needs nothing but CuPy."""

    name = "cupy"
    # The first with int8 multiply-accumulate.
    oldest_capability = 61
    block_rows = (1, 1)

    def memory_needed(self, profile: Profile, mu: Mu, output: Output) -> int:
        panel = 4 * min(mu.m, PANEL_EDGE) * min(mu.n, PANEL_EDGE)
        return super().memory_needed(profile, mu, output) + panel

    def _ready(self, capability: int) -> Capabilities:
        return Capabilities(usable=True, detail="cuBLAS int8 per slice")

    def _multiply(
        self,
        a: Noised,
        b: Noised,
        mu: Mu,
        profile: Profile,
        transcripts: DeviceArray,
        product: DeviceArray | None,
    ) -> Iterator[None]:
        for rows in _spans(mu.m):
            for columns in _spans(mu.n):
                shape = (rows.stop - rows.start, columns.stop - columns.start)
                with self._device_faults():
                    partial = self.cupy.empty(shape, np.int32)
                for segment in range(mu.k // profile.segment):
                    with self._device_faults():
                        self._fold_segment(a, b, profile, segment, rows, columns, partial, transcripts)
                        if product is not None and segment == 0:
                            product[rows, columns] = partial
                        elif product is not None:
                            product[rows, columns] += partial
                        self._finish()
                    yield

    def _fold_segment(
        self,
        a: Noised,
        b: Noised,
        profile: Profile,
        segment: int,
        rows: slice,
        columns: slice,
        partial: DeviceArray,
        transcripts: DeviceArray,
    ) -> None:
        """Set `partial` to one segment's product of a panel, folding after every slice [POW-TILE-2]."""
        tile, rank = profile.tile, profile.noise_rank
        tiles = (partial.shape[0] // tile) * (partial.shape[1] // tile)
        corner = (rows.start // tile, columns.start // tile, transcripts.shape[2])
        sizes = tuple(np.int32(size) for size in (partial.shape[1], tile, *corner))
        first = segment * profile.segment
        for depth in range(first, first + profile.segment, rank):
            left, right = a.entries[rows, depth : depth + rank], b.entries[columns, depth : depth + rank]
            self.multiply_int8(left, right, partial, accumulate=depth != first)
            arguments = (partial, transcripts[segment], *sizes)
            self.launch(self._shared_kernels, "fold_tiles", tiles, _FOLD_THREADS, arguments)

    def _subtract_digits(
        self, outer: DeviceArray, inner: DeviceArray, product: DeviceArray, profile: Profile
    ) -> None:
        for digit, (left, right) in enumerate(zip(outer, inner, strict=True)):
            for rows in _spans(product.shape[0]):
                for columns in _spans(product.shape[1]):
                    self._subtract_panel(left[rows], right[columns], product[rows, columns], digit)

    def _subtract_panel(self, left: DeviceArray, right: DeviceArray, panel: DeviceArray, digit: int) -> None:
        """panel -= 128^digit left right^T, wrapping."""
        correction = self.cupy.empty(panel.shape, np.int32)
        self.multiply_int8(left, right, correction, accumulate=False)
        correction <<= np.int32(DIGIT_BITS * digit)
        panel -= correction


def _spans(size: int) -> Iterator[slice]:
    for start in range(0, size, PANEL_EDGE):
        yield slice(start, min(start + PANEL_EDGE, size))
