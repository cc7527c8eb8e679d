"""Panels of the noised product: slices added up and folded while they are warm.  Spec: [POW-EXACT-*], [POW-TILE-*].

A panel is a block of the product that fits a CPU's caches; its partial sums stay in place while slice after slice is
added. After every slice the rows of each tile are folded into one, which reads all of the panel; the rest of the fold
is small and waits for the end of the segment.

A float32 sum of integers is exact in any order while its magnitude stays within 2^24. Where a whole segment stays
below 2^22 (S * 126^2 < 2^22) the sums start at 1.5 * 2^23: there one unit is one bit of the representation, so an XOR
over the bits of an even number of entries is the XOR of their low 23 bits, and its sign extension is the XOR of the
int32 values. That spares a conversion of the whole panel per slice.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeAlias

import numpy as np

from compute.engines.base import Output
from compute.engines.blas import AddProduct
from compute.spec.arrays import Float32Array, Float64Array, Int32Array, Uint32Array
from compute.spec.profiles import LANES, MAX_NOISED, Profile
from compute.spec.tiles import ROTATION_BITS

FloatArray: TypeAlias = Float32Array | Float64Array

ROW_GAP = 16
"""Unused entries between two rows. Rows that start a power of two apart would share few places of a cache: without the
gap a product takes a quarter longer."""
_STRIP_ROWS = 64
"""Rows of a panel converted at a time: what is converted stays in the cache."""
_BIASED_LIMIT = 1 << 22
_BIAS = np.float32(1.5 * (1 << 23))
_BIAS_BITS = 0x4B400000
_SIGN_BITS = np.int32(9)
"""The bits above the 23 that a biased float32 keeps."""
_SIXTEEN_WORDS = np.dtype("V64")
"""One word of every lane, moved as a whole."""


class Panel(ABC):
    """One panel from its first segment to its product; `rows` and `columns` are whole tiles."""

    def __init__(
        self, profile: Profile, rows: int, columns: int, output: Output, add_product: AddProduct
    ) -> None:
        self._profile = profile
        self._add_product = add_product
        # Passes over a whole buffer include the gaps: one long run is much faster than many short ones.
        self._floats = np.empty((rows, columns + ROW_GAP), np.float32)
        self._total = np.zeros(self._floats.shape, np.uint32) if output is Output.PRODUCT else None
        self._folded = np.empty((profile.slices, rows // profile.tile, columns), np.uint32)

    def restart(self) -> None:
        """Forget what was multiplied: memory that is in use already is much faster than new memory."""
        if self._total is not None:
            self._total.fill(0)

    @abstractmethod
    def multiply_segment(self, a: Float32Array, b: Float32Array) -> Uint32Array:
        """Transcripts uint32[rows/t, columns/t, 16] of float32[rows, S] A' times float32[columns, S] B' transposed."""

    def write_product(self, outer: FloatArray, inner: FloatArray, product: Int32Array) -> None:
        """All segments added up, less float[rows, 2r] times float[columns, 2r] transposed, as int32[rows, columns].

        `product` may have fewer rows and columns than the panel; the others are padding. Ends the use of the panel.
        """
        # Nobody needs the last partial sums: a correction that fits float32 goes over them.
        out = self._floats[:, :-ROW_GAP] if outer.dtype == np.float32 else None
        correction, sums = np.matmul(outer, inner.T, out=out), self._sums()
        for first in range(0, len(product), _STRIP_ROWS):
            strip = slice(first, min(first + _STRIP_ROWS, len(product)))
            exact = sums[strip] - correction[strip].astype(np.int32)
            product[strip] = exact[:, : product.shape[1]]

    @abstractmethod
    def _sums(self) -> Int32Array:
        """int32[rows, columns]: the segments added up."""

    def _fold_rows(self, place: int, partial: Uint32Array) -> None:
        """XOR the rows of every tile after slice number `place` of the segment."""
        rows, columns = partial.shape
        tiles = partial.reshape(rows // self._profile.tile, self._profile.tile, columns)
        np.bitwise_xor.reduce(tiles, axis=1, out=self._folded[place])


class BiasedPanel(Panel):
    """Partial sums as biased float32 [POW-EXACT-2]."""

    _segments = 0

    def restart(self) -> None:
        super().restart()
        self._segments = 0

    def multiply_segment(self, a: Float32Array, b: Float32Array) -> Uint32Array:
        rank, bits = self._profile.noise_rank, self._floats.view(np.uint32)
        partial = self._floats[:, :-ROW_GAP]
        self._floats.fill(_BIAS)
        for place, depth in enumerate(range(0, self._profile.segment, rank)):
            self._add_product(partial, a[:, depth : depth + rank], b[:, depth : depth + rank].T)
            self._fold_rows(place, bits[:, :-ROW_GAP])
        if self._total is not None:
            self._total += bits
            self._segments += 1
        lanes = _lanes(self._folded, self._profile.tile).view(np.int32)
        lanes <<= _SIGN_BITS
        lanes >>= _SIGN_BITS
        return _mix(lanes.view(np.uint32))

    def _sums(self) -> Int32Array:
        assert self._total is not None
        self._total -= np.uint32(self._segments * _BIAS_BITS & 0xFFFFFFFF)
        sums: Int32Array = self._total.view(np.int32)
        return sums[:, :-ROW_GAP]


class IntegerPanel(Panel):
    """Partial sums as int32, for segments too deep for float32; each slice is exact [POW-EXACT-1]."""

    def multiply_segment(self, a: Float32Array, b: Float32Array) -> Uint32Array:
        rank, step = self._profile.noise_rank, self._floats[:, :-ROW_GAP]
        partial = np.zeros(step.shape, np.int32)
        for place, depth in enumerate(range(0, self._profile.segment, rank)):
            np.matmul(a[:, depth : depth + rank], b[:, depth : depth + rank].T, out=step)
            partial += step.astype(np.int32)
            self._fold_rows(place, partial.view(np.uint32))
        if self._total is not None:
            self._total[:, :-ROW_GAP] += partial.view(np.uint32)
        return _mix(_lanes(self._folded, self._profile.tile))

    def _sums(self) -> Int32Array:
        assert self._total is not None
        sums: Int32Array = self._total.view(np.int32)
        return sums[:, :-ROW_GAP]


def panel_type(profile: Profile) -> type[BiasedPanel | IntegerPanel]:
    """The faster panel that is exact under this profile."""
    return BiasedPanel if profile.segment * MAX_NOISED**2 < _BIASED_LIMIT else IntegerPanel


def spaced(rows: int, columns: int) -> Float32Array:
    """float32[rows, columns], uninitialised, with `ROW_GAP` entries between the rows."""
    return np.empty((rows, columns + ROW_GAP), np.float32)[:, :columns]


def _lanes(folded: Uint32Array, tile: int) -> Uint32Array:
    """uint32[slices, rows/t, columns/t, 16] of uint32[slices, rows/t, columns]: XOR by column modulo 16."""
    groups = np.ascontiguousarray(folded.view(_SIXTEEN_WORDS).reshape(-1, tile // LANES).T)
    lanes: Uint32Array = np.bitwise_xor.reduce(groups.view(np.uint32), axis=0)
    return lanes.reshape(*folded.shape[:2], -1, LANES)


def _mix(lanes: Uint32Array) -> Uint32Array:
    """uint32[rows/t, columns/t, 16]: transcripts after the lanes of all slices of a segment [POW-TILE-2]."""
    transcripts: Uint32Array = lanes[0].copy()
    for folded in lanes[1:]:
        rotated = (transcripts << np.uint32(ROTATION_BITS)) | (transcripts >> np.uint32(32 - ROTATION_BITS))
        np.bitwise_xor(rotated, folded, out=transcripts)
    return transcripts
