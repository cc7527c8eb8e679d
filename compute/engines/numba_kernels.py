"""Compiled loops of the `numba` engine around the instructions of compute/engines/numba_instructions.py.

Importing this module imports numba; `build` compiles, or loads from numba's cache. Signatures are given, so that all
compiling happens there. Depth that is packed for tiles is counted in steps of four bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit, types

from compute.engines.numba_instructions import (
    CHUNK,
    TICKETS_AT_ONCE,
    TILE_ROWS,
    Kind,
    copy_bytes,
    fold_tile,
    hash_blocks,
    noise_chunk,
    store_tile,
    sum_chunk,
    sum_columns,
    transpose_words,
)
from compute.spec.profiles import LANES

_WORD_BYTES = 4
_FLUSH_CHUNKS = 256
"""Differences of plain entries, at most 126 each, that an int16 holds."""


@dataclass(frozen=True, slots=True)
class Kernels:
    """Compiled for one variant; the docstrings of the builders below give the arguments."""

    multiply: Callable[..., None]
    correct: Callable[..., None]
    noise_by_permutation: Callable[..., None] | None
    noise_by_index: Callable[..., None]
    chain_by_permutation: Callable[..., None] | None
    chain_by_index: Callable[..., None]
    pack: Callable[..., None]
    sum_slices: Callable[..., None] | None
    sift: Callable[..., int]


def build(
    fold_kind: Kind, store_kind: Kind, columns: int, is_wide: bool, can_permute: bool, cached: bool
) -> Kernels:
    """Compile everything for tiles of `columns`; `is_wide` if noised entries take two bytes."""
    options = {"nogil": True, "cache": cached}
    return Kernels(
        multiply=_multiply(int(fold_kind), columns, options),
        correct=_correct(int(store_kind), columns, options),
        noise_by_permutation=_noise_by_permutation(options) if can_permute else None,
        noise_by_index=_noise_by_index(types.int16 if is_wide else types.int8, options),
        chain_by_permutation=_chain_by_permutation(options) if can_permute else None,
        chain_by_index=_chain_by_index(options),
        pack=_pack(options),
        sum_slices=None if is_wide else _sum_slices(options),
        sift=_sift(options),
    )


def _read(element: Any, dimensions: int) -> Any:
    """A C-contiguous array that is only read, so that read-only arrays fit."""
    return types.Array(element, dimensions, "C", readonly=True)


def _written(element: Any, dimensions: int) -> Any:
    return types.Array(element, dimensions, "C")


_INDICES = (_read(types.uint8, 1), _read(types.uint8, 1), _read(types.int8, 1))
"""first, second, kept: element at = source[first[at]] - (source[second[at]] & kept[at])."""


def _multiply(kind: int, columns: int, options: dict[str, bool]) -> Any:
    @njit(types.void(*[types.intp] * 20), **options)
    def multiply(
        a, a_stride, rows, b, starts, first_panel, last_panel, panels, segments, slices, steps,
        transcripts, tile, group_shift, sums, is_corrected, product, product_stride, product_rows, product_columns,
    ):  # fmt: skip
        """Panels first to last of B, all rows and all segments.

        `rows` of A at `a`, a multiple of `tile`; B packed uint32[panel, step, column]; `starts` int32[panel, slice,
        column]; transcripts uint32[segment, row of tiles, group of columns, 16], XORed into. `sums` is 0 if nobody
        wants the product, int32[last - first, rows, columns] with the correction if `is_corrected`, else room for one
        panel; from there the product's rows and columns that exist are copied to int32 `product`.
        """
        row_bytes = _WORD_BYTES * columns
        segment_steps = slices * steps
        panel_groups = columns // LANES >> group_shift
        row_groups = panel_groups * panels
        for panel in range(first_panel, last_panel):
            panel_sums = sums + (panel - first_panel) * rows * row_bytes if is_corrected else sums
            for segment in range(segments):
                place = panel * segments + segment
                adds = is_corrected or segment > 0
                for row in range(0, rows, TILE_ROWS):
                    group = (segment * (rows // tile) + row // tile) * row_groups + panel * panel_groups
                    fold_tile(
                        kind,
                        a + row * a_stride + segment * segment_steps * _WORD_BYTES,
                        a_stride,
                        b + place * segment_steps * row_bytes,
                        starts + place * slices * row_bytes,
                        panel_sums + row * row_bytes if sums else 0,
                        adds,
                        transcripts + group * LANES * _WORD_BYTES,
                        group_shift,
                        steps,
                        slices,
                    )
            # A panel may lie wholly in the padding.
            size = min(row_bytes, _WORD_BYTES * product_columns - panel * row_bytes)
            if sums and size > 0:
                for row in range(product_rows):
                    target = product + row * product_stride + panel * row_bytes
                    copy_bytes(target, panel_sums + row * row_bytes, size)

    return multiply


def _correct(kind: int, columns: int, options: dict[str, bool]) -> Any:
    @njit(types.void(*[types.intp] * 7), **options)
    def correct(a, a_stride, rows, b, panels, steps, sums):
        """int32[panels, rows, columns] `sums` = A B for int16 A and packed int16 B of depth 2 * `steps`."""
        row_bytes = _WORD_BYTES * columns
        for panel in range(panels):
            for row in range(0, rows, TILE_ROWS):
                target = sums + (panel * rows + row) * row_bytes
                store_tile(kind, a + row * a_stride, a_stride, b + panel * steps * row_bytes, target, steps)

    return correct


def _noise_by_permutation(options: dict[str, bool]) -> Any:
    @njit(
        types.void(
            _read(types.int8, 2), _read(types.int8, 2), *_INDICES, _written(types.int8, 2), types.intp
        ),
        **options,
    )
    def noise(plain, left, first, second, kept, out, flip):
        """The first columns of int8 `out` = (plain + differences of left) XOR flip; depth a multiple of 64.

        int8[rows, r] `left` is followed by at least 64 - r readable bytes.
        """
        for row in range(plain.shape[0]):
            target, source, table = out[row].ctypes.data, plain[row].ctypes.data, left[row].ctypes.data
            for at in range(0, plain.shape[1], CHUNK):
                noise_chunk(
                    target + at, source + at, table,
                    first.ctypes.data + at, second.ctypes.data + at, kept.ctypes.data + at, flip,
                )  # fmt: skip

    return noise


def _noise_by_index(noised: Any, options: dict[str, bool]) -> Any:
    @njit(
        types.void(_read(types.int8, 2), _read(types.int8, 2), *_INDICES, _written(noised, 2), types.intp),
        **options,
    )
    def noise(plain, left, first, second, kept, out, flip):
        """The same for any depth, entry by entry, and for int16 `out`."""
        for row in range(plain.shape[0]):
            for at in range(plain.shape[1]):
                value = plain[row, at] + left[row, first[at]] - (left[row, second[at]] & kept[at])
                out[row, at] = value ^ flip

    return noise


def _chain_by_permutation(options: dict[str, bool]) -> Any:
    @njit(types.void(_read(types.int8, 2), *_INDICES, _written(types.int32, 2)), **options)
    def chain_sums(plain, first, second, kept, out):
        """int32[rows, r] `out`, zero before: int8[rows, k] times the transposed chains, k a multiple of 64.

        Element (c, slice) of the index arrays is the place in its 64 entries; entries within [-63, 63].
        """
        rows, depth = plain.shape
        rank = out.shape[1]
        sums = np.zeros(CHUNK, np.int16)
        for row in range(rows):
            source = plain[row].ctypes.data
            pending = 0
            for at in range(0, depth, CHUNK):
                sum_chunk(
                    sums.ctypes.data,
                    source + at,
                    first.ctypes.data + at,
                    second.ctypes.data + at,
                    kept.ctypes.data + at,
                )
                pending += 1
                if pending == _FLUSH_CHUNKS or at + CHUNK == depth:
                    for lane in range(CHUNK):
                        out[row, lane % rank] += sums[lane]
                        sums[lane] = 0
                    pending = 0

    return chain_sums


def _chain_by_index(options: dict[str, bool]) -> Any:
    @njit(types.void(_read(types.int8, 2), *_INDICES, _written(types.int32, 2)), **options)
    def chain_sums(plain, first, second, kept, out):
        """The same for any k; indices within one slice."""
        rows, depth = plain.shape
        rank = out.shape[1]
        for row in range(rows):
            for at in range(0, depth, rank):
                source = plain[row, at : at + rank]
                for c in range(rank):
                    out[row, c] += source[first[at + c]] - (source[second[at + c]] & kept[at + c])

    return chain_sums


def _pack(options: dict[str, bool]) -> Any:
    @njit(types.void(_read(types.uint32, 2), _written(types.uint32, 2)), **options)
    def pack(rows, out):
        """uint32[steps, columns] `out` from the first steps of every row: one panel of B; columns a multiple of 16."""
        steps, columns = out.shape
        whole = steps - steps % LANES
        for step in range(0, whole, LANES):
            for column in range(0, columns, LANES):
                source = rows[column].ctypes.data + _WORD_BYTES * step
                target = out[step].ctypes.data + _WORD_BYTES * column
                transpose_words(source, _WORD_BYTES * rows.shape[1], target, _WORD_BYTES * columns)
        for step in range(whole, steps):
            for column in range(columns):
                out[step, column] = rows[column, step]

    return pack


def _sum_slices(options: dict[str, bool]) -> Any:
    @njit(types.void(_read(types.uint32, 2), types.intp, types.intp, _written(types.int32, 2)), **options)
    def sum_slices(packed, steps, factor, out):
        """int32[slices, 64] `out` = factor times the sum of every slice of `steps` of a panel of int8 B."""
        for place in range(out.shape[0]):
            sum_columns(packed[place * steps].ctypes.data, factor, out[place].ctypes.data, steps)

    return sum_slices


def _sift(options: dict[str, bool]) -> Any:
    @njit(
        types.intp(
            _read(types.uint32, 4),
            types.intp,
            types.intp,
            types.intp,
            _read(types.uint32, 1),
            types.uint64,
            _written(types.int64, 1),
        ),
        **options,
    )
    def sift(transcripts, groups, tile_columns, first_tile_row, key, bound, found):
        """How many tickets have their highest 64 bits at or below `bound`; their numbers are in `found`.

        transcripts: uint32[segments, rows of tiles, groups of columns, 16], `groups` of them to a tile; tickets are
        numbered (segment, row of tiles, column of tiles), rows from first_tile_row on [POW-TICKET-1].
        """
        segments, tile_rows = transcripts.shape[0], transcripts.shape[1]
        words = np.empty((LANES, TICKETS_AT_ONCE), np.uint32)
        highest = np.empty((2, TICKETS_AT_ONCE), np.uint32)
        count, filled, number = 0, 0, 0
        total = segments * tile_rows * tile_columns
        for segment in range(segments):
            for tile_row in range(tile_rows):
                for tile_column in range(tile_columns):
                    for word in range(LANES):
                        mixed = transcripts[segment, tile_row, tile_column * groups, word]
                        for group in range(tile_column * groups + 1, (tile_column + 1) * groups):
                            mixed ^= transcripts[segment, tile_row, group, word]
                        words[word, filled] = mixed
                    words[0, filled] ^= np.uint32(first_tile_row + tile_row)
                    words[1, filled] ^= np.uint32(tile_column)
                    words[2, filled] ^= np.uint32(segment)
                    filled += 1
                    number += 1
                    if filled == TICKETS_AT_ONCE or number == total:
                        hash_blocks(words.ctypes.data, key.ctypes.data, highest.ctypes.data)
                        for lane in range(filled):
                            top = (np.uint64(highest[1, lane]) << np.uint64(32)) | np.uint64(highest[0, lane])
                            if top <= bound:
                                found[count] = number - filled + lane
                                count += 1
                        filled = 0
        return count

    return sift
