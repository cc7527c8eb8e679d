"""The fastest CPU engine: int8 products with the fold in registers, compiled by numba at run time.  Spec: [POW-TILE-*].

Noised A is multiplied row-major, a block of rows at a time; noised B is packed into panels. A tile of 4 rows by one
panel never leaves the registers between the first slice of a segment and its last fold. The denoising correction is
what the product starts from, so that C is written once and only added to. Tickets are hashed 16 at a time, and only
those below the first word of the target come back to Python.

Where a CPU has no AVX512-VNNI, the same loops run with AVX2 on int16. One thread; several processes use several cores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import gcd
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

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
    Winner,
    unobserved,
)
from compute.engines.numba_load import (
    VARIANTS,
    Variant,
    best_variant,
    host_features,
    load_kernels,
    numba_version,
)
from compute.engines.numba_noise import REACH, Factors, Int16Array, correction_operands, factors_of
from compute.engines.streamed_commit import commit_streamed
from compute.spec.arrays import Int8Array, Int32Array, Uint32Array
from compute.spec.claim import Mu, kappa_of
from compute.spec.commit import Side, seed_a_of, seed_b_of
from compute.spec.padding import pad, round_up
from compute.spec.profiles import LANES, Profile
from compute.spec.ticket import Cube, ticket_of

if TYPE_CHECKING:
    from compute.engines.numba_kernels import Kernels

_BLOCK_ROWS = 256
"""Rows of A noised at a time, at least one tile: they stay in the second-level cache."""
_BATCH_MACS = 2 << 30
"""Multiply-accumulates between two calls of `progress`: 10 to 20 ms."""
_BATCH_COLUMNS = 512
"""Columns between two calls at most: their sums, 512 KiB, stay in the second-level cache."""
_BATCH_ENTRIES = 8 << 20
"""Entries noised or summed between two calls: some 5 ms."""
_PLAIN_DEPTH = 1024
"""Depth of a panel that stays in the cache in a plain product."""
_CACHE_LINE = 64
_STEP_BYTES = 4
_IDLE_SHAPES = {
    "test": (512, 512, 512),
    "dev": (512, 4096, 2048),
    "cpu": (512, 4096, 2048),
    "gpu": (256, 4096, 4096),
}
"""10 to 60 ms on one core; B is prepared once per template and therefore the larger one."""
_FIXED_BYTES = 1 << 20
_TREE_BYTES_PER_LEAF = 200
"""A digest as an object with its share of the levels above."""
_INDEX_BYTES = 64
"""Per column of depth: permutations as machine words, while both their forms are made."""
_CORRECTION_BYTES = 40
"""Per entry of a left factor: thin products, their digits, and the operands as int16, packed and not."""
_INSTALL = "Install numba: `make setup`, or pip install 'tilework[fast]'."


@dataclass(frozen=True)
class NumbaPreparedB(PreparedB):
    """B' in panels, and what denoising needs of B and of its noise."""

    packed: Uint32Array
    """uint32[panels, steps, columns]: four bytes of depth per element; anything beyond n, where nobody looks."""
    starts: Int32Array
    """int32[panels, slices, columns]: what the bias of A' makes too much, negated; empty without bias."""
    factors: Factors
    plain: Int8Array
    """int8[n, k]: B transposed, padded."""


class NumbaEngine(Engine):
    """AVX512-VNNI or AVX2 through numba."""

    name = "numba"

    def __init__(self, variant: Variant | None = None) -> None:
        """`variant` instead of the fastest that this CPU has."""
        self._chosen = variant

    def probe(self) -> Capabilities:
        try:
            features = host_features()
            version = numba_version()
        except ImportError as error:
            return Capabilities(usable=False, detail=f"numba is not installed ({error})", hint=_INSTALL)
        # Whatever a broken installation raises, another engine can mine.
        except Exception as error:  # noqa: BLE001
            return Capabilities(usable=False, detail=f"numba does not load: {error!r}", hint=_INSTALL)
        variant = self._chosen or best_variant(features)
        if variant is None or not features.issuperset(variant.features):
            missing = (self._chosen or VARIANTS[-1]).name
            return Capabilities(usable=False, detail=f"numba is installed, but this CPU has no {missing}")
        return Capabilities(usable=True, detail=f"numba {version}, {variant.name}, one thread")

    def prepare_b(
        self, sigma: bytes, profile: Profile, mu: Mu, b_t: Int8Array, progress: Progress = unobserved
    ) -> NumbaPreparedB:
        loops = self._loops(profile)
        kappa = kappa_of(sigma, mu)
        padded = pad(b_t, mu.n, mu.k)
        commitment = commit_streamed(Side.B, kappa, padded, profile, progress)
        seed_b = seed_b_of(kappa, commitment.root, mu.n)
        factors = factors_of(seed_b, profile, mu.n, mu.k, loops.reaches)
        packed, starts = loops.pack_noised(padded, factors, progress)
        return NumbaPreparedB(
            profile=profile,
            mu=mu,
            kappa=kappa,
            commitment=commitment,
            seed_b=seed_b,
            columns=b_t.shape[0],
            packed=packed,
            starts=starts,
            factors=factors,
            plain=padded,
        )

    def run(self, order: Order) -> Attempt:
        prepared, progress = order.prepared, order.progress
        assert isinstance(prepared, NumbaPreparedB)
        profile, mu = prepared.profile, prepared.mu
        loops = self._loops(profile)
        padded = pad(order.a, mu.m, mu.k)
        commitment = commit_streamed(Side.A, prepared.kappa, padded, profile, progress)
        seed_a = seed_a_of(prepared.seed_b, commitment.root, mu.m)
        factors = factors_of(seed_a, profile, mu.m, mu.k, loops.reaches)
        progress(Stage.NOISE)
        correction = None
        if order.output is Output.PRODUCT:
            correction = _correction(loops, prepared, padded, factors, progress)
            progress(Stage.DENOISE)
        product, winners = _multiply(loops, order, padded, factors, correction, seed_a)
        return Attempt(
            prepared=prepared,
            commitment_a=commitment,
            product=product,
            winners=winners,
            tickets=mu.m * mu.n * mu.k // profile.cube_macs,
            macs=mu.m * mu.n * mu.k,
        )

    def plain(self, a: Int8Array, b_t: Int8Array) -> Int32Array:
        variant = self._variant()
        kernels = load_kernels(variant)
        (m, k), n = a.shape, b_t.shape[0]
        segment = gcd(k, _PLAIN_DEPTH)
        packed, starts = _pack(kernels, variant, n, k, segment, lambda rows, out: _assign(out, b_t[rows]))
        panels, block_rows = len(packed), min(m, _BLOCK_ROWS)
        product = np.empty((m, n), np.int32)
        block = _rows_of_a(variant, block_rows, k)
        sums = _aligned((block_rows, variant.columns), np.int32)
        transcripts = np.zeros((k // segment, panels * variant.columns // LANES, LANES), np.uint32)
        for first in range(0, m, _BLOCK_ROWS):
            rows = a[first : first + _BLOCK_ROWS]
            _assign(block[: len(rows), :k], rows)
            if variant.bias:
                block[: len(rows), :k] ^= np.int8(-variant.bias)
            kernels.multiply(
                block.ctypes.data, block.strides[0], len(rows), packed.ctypes.data, starts.ctypes.data,
                0, panels, panels, k // segment, 1, _steps(variant, segment),
                transcripts.ctypes.data, len(rows), 0, sums.ctypes.data, 0,
                product[first:].ctypes.data, product.strides[0], len(rows), n,
            )  # fmt: skip
        return product

    def memory_needed(self, profile: Profile, mu: Mu, output: Output) -> int:
        variant = self._variant()
        columns, width = round_up(mu.n, variant.columns), variant.entry_bytes
        rank, block_rows = profile.noise_rank, _block_rows(profile)
        operands = 2 * (mu.m + mu.n) * mu.k  # given, and padded
        packed = columns * mu.k * width + 4 * columns * mu.k // rank
        block = (block_rows + variant.columns) * (mu.k + _CACHE_LINE) * width
        leaves = (mu.m + mu.n) * mu.k // profile.block_bytes * _TREE_BYTES_PER_LEAF
        tickets = block_rows * columns * mu.k // profile.cube_macs * (4 * profile.tile + 8)
        factors = (mu.m + mu.n) * rank * 2 + mu.k * rank * 2
        indices = mu.k * _INDEX_BYTES
        needed = operands + packed + block + leaves + tickets + factors + indices + _FIXED_BYTES
        if output is Output.PRODUCT:
            sums = 4 * block_rows * max(_BATCH_COLUMNS, variant.columns)
            needed += 4 * mu.m * mu.n + sums + (mu.m + columns) * rank * _CORRECTION_BYTES
        return needed

    def idle_shape(self, profile: Profile) -> tuple[int, int, int]:
        return _IDLE_SHAPES[profile.name]

    def _variant(self) -> Variant:
        variant = self._chosen or best_variant(host_features())
        assert variant is not None, "probe comes first"
        return variant

    def _loops(self, profile: Profile) -> _Loops:
        variant = self._variant()
        return _Loops(load_kernels(variant), variant, profile)


@dataclass(frozen=True, slots=True)
class _Loops:
    """The compiled loops with the constants of one profile."""

    kernels: Kernels
    variant: Variant
    profile: Profile

    @property
    def reaches(self) -> bool:
        """True if byte permutations serve this profile: they take whole slices of a segment."""
        permutes = self.kernels.noise_by_permutation is not None
        return permutes and REACH % self.profile.noise_rank == 0 and self.profile.segment % REACH == 0

    @property
    def group_shift(self) -> int:
        """log2 of the groups of 16 columns of a panel that one transcript joins."""
        groups = gcd(self.profile.tile // LANES, self.variant.columns // LANES)
        return groups.bit_length() - 1

    @property
    def groups(self) -> int:
        """Transcripts of a row of tiles that belong to one tile."""
        return self.profile.tile // LANES >> self.group_shift

    def add_noise(
        self, rows: slice, plain: Int8Array, factors: Factors, out: npt.NDArray[Any], flip: int
    ) -> None:
        """Those rows of int8[rows, k] plus noise into `out`."""
        by_permutation = self.kernels.noise_by_permutation if self.reaches else None
        noise = by_permutation or self.kernels.noise_by_index
        noise(plain[rows], factors.left[rows], *factors.noise.arrays, out, flip)

    def pack_noised(
        self, padded: Int8Array, factors: Factors, progress: Progress
    ) -> tuple[Uint32Array, Int32Array]:
        """Panels of B' and the starts of their sums."""
        n, k = padded.shape
        done = 0

        def noise(rows: slice, out: npt.NDArray[Any]) -> None:
            nonlocal done
            self.add_noise(rows, padded, factors, out, 0)
            done += len(out) * k
            if done >= _BATCH_ENTRIES:
                done = 0
                progress(Stage.NOISE)

        packed = _pack(self.kernels, self.variant, n, k, self.profile.noise_rank, noise)
        progress(Stage.NOISE)
        return packed

    def chain_sums(self, padded: Int8Array, factors: Factors, progress: Progress) -> Int32Array:
        """int32[rows, r]: int8[rows, k] times the transposed chains of the other operand's noise."""
        rows, depth = padded.shape
        sums = np.zeros((rows, self.profile.noise_rank), np.int32)
        by_permutation = self.kernels.chain_by_permutation if self.reaches else None
        chain = by_permutation or self.kernels.chain_by_index
        batch = max(1, _BATCH_ENTRIES // depth)
        for first in range(0, rows, batch):
            part = slice(first, first + batch)
            chain(padded[part], *factors.chain.arrays, sums[part])
            progress(Stage.DENOISE)
        return sums

    def pack_words(self, rows: Int16Array) -> Uint32Array:
        """uint32[panels, depth / 2, columns] of int16[rows, depth]; zeros beyond them."""
        columns, (count, depth) = self.variant.columns, rows.shape
        padded = np.zeros((round_up(count, columns), depth), np.int16)
        padded[:count] = rows
        panels = padded.view(np.uint32).reshape(-1, columns, depth // 2)
        packed: Uint32Array = _aligned((len(panels), depth // 2, columns), np.uint32)
        for panel, target in zip(panels, packed, strict=True):
            self.kernels.pack(panel, target)
        return packed

    def thin_product(self, left: Int8Array, square: Int32Array) -> Int32Array:
        """int32[rows, r]: int8[rows, r] times int32[r, r], whose entries are sums of two terms per slice: int16."""
        rows, rank = left.shape
        packed = self.pack_words(square.T.astype(np.int16))
        words = left.astype(np.int16)
        sums = _aligned((len(packed), rows, self.variant.columns), np.int32)
        self.kernels.correct(
            words.ctypes.data, words.strides[0], rows, packed.ctypes.data, len(packed), packed.shape[1],
            sums.ctypes.data,
        )  # fmt: skip
        return sums.transpose(1, 0, 2).reshape(rows, -1)[:, :rank]


@dataclass(frozen=True, slots=True)
class _Correction:
    """Operands of the correction that a product starts from, int16."""

    outer: Int16Array
    """int16[m, depth]."""
    packed: Uint32Array
    """uint32[panels, depth / 2, columns]."""


def _correction(
    loops: _Loops, prepared: NumbaPreparedB, padded: Int8Array, factors: Factors, progress: Progress
) -> _Correction:
    of_b = prepared.factors
    a_sums = loops.chain_sums(padded, of_b, progress)
    # E_R B' = E_R B + (E_R F_L) F_R, and the rows of F_L transposed are a matrix like any other.
    b_sums = loops.chain_sums(prepared.plain, factors, progress)
    b_sums += loops.thin_product(of_b.left, loops.chain_sums(of_b.right, factors, progress))
    outer, inner = correction_operands(a_sums, factors.left, of_b.left, b_sums)
    return _Correction(outer=outer, packed=loops.pack_words(inner))


def _multiply(
    loops: _Loops,
    order: Order,
    padded: Int8Array,
    factors: Factors,
    correction: _Correction | None,
    seed_a: Hash32,
) -> tuple[Int32Array | None, tuple[Winner, ...]]:
    """int32[rows, columns] A B if a correction is given, and the winners, block of rows by block of rows."""
    prepared, progress = order.prepared, order.progress
    assert isinstance(prepared, NumbaPreparedB)
    kernels, variant, profile, mu = loops.kernels, loops.variant, loops.profile, prepared.mu
    tile, rank, panels, columns = profile.tile, profile.noise_rank, len(prepared.packed), variant.columns
    segments = mu.k // profile.segment
    block_rows = min(mu.m, _block_rows(profile))
    batch = max(1, min(_BATCH_COLUMNS // columns, _BATCH_MACS // (block_rows * columns * mu.k)))
    product = None if correction is None else np.empty((len(order.a), prepared.columns), np.int32)
    sums = None if correction is None else _aligned((batch, block_rows, columns), np.int32)
    block = _rows_of_a(variant, block_rows, mu.k)
    groups = panels * (columns // LANES >> loops.group_shift)
    words = _aligned((segments * (block_rows // tile) * groups * LANES,), np.uint32)
    winners: list[Winner] = []
    for first in range(0, mu.m, block_rows):
        rows = slice(first, min(first + block_rows, mu.m))
        count = rows.stop - first
        loops.add_noise(rows, padded, factors, block, -variant.bias)
        progress(Stage.NOISE)
        transcripts = words[: segments * (count // tile) * groups * LANES]
        transcripts.fill(0)
        for first_panel in range(0, panels, batch):
            last_panel = min(first_panel + batch, panels)
            output = (0, 0, 0, 0, 0, 0)
            if product is not None and sums is not None and correction is not None:
                outer, inner = correction.outer[rows], correction.packed[first_panel:last_panel]
                kernels.correct(
                    outer.ctypes.data, outer.strides[0], count, inner.ctypes.data, len(inner), inner.shape[1],
                    sums.ctypes.data,
                )  # fmt: skip
                progress(Stage.DENOISE)
                target = product[rows]
                output = (sums.ctypes.data, 1, target.ctypes.data, target.strides[0], *target.shape)
            kernels.multiply(
                block.ctypes.data, block.strides[0], count,
                prepared.packed.ctypes.data, prepared.starts.ctypes.data, first_panel, last_panel, panels,
                segments, profile.slices, _steps(variant, rank),
                transcripts.ctypes.data, tile, loops.group_shift, *output,
            )  # fmt: skip
            progress(Stage.PRODUCT)
        found = transcripts.reshape(segments, count // tile, groups, LANES)
        winners += _winners(loops, order, found, first // tile, seed_a)
        progress(Stage.HASH)
    return product, tuple(sorted(winners, key=lambda winner: winner.cube))


def _winners(
    loops: _Loops, order: Order, transcripts: Uint32Array, first_tile_row: int, seed_a: Hash32
) -> list[Winner]:
    """Winners among transcripts uint32[segments, rows of tiles, groups, 16] of a block of rows."""
    profile, groups = loops.profile, loops.groups
    segments, tile_rows = transcripts.shape[:2]
    tile_columns = order.prepared.mu.n // profile.tile
    limit = order.target * profile.cube_macs
    bound = min(limit >> 192, (1 << 64) - 1)
    key = np.frombuffer(seed_a, "<u4").astype(np.uint32)
    numbers = np.empty(segments * tile_rows * tile_columns, np.int64)
    count = loops.kernels.sift(
        transcripts, groups, tile_columns, first_tile_row, key, np.uint64(bound), numbers
    )
    winners = []
    for number in numbers[:count]:
        place = np.unravel_index(number, (segments, tile_rows, tile_columns))
        segment, tile_row, tile_column = map(int, place)
        parts = transcripts[segment, tile_row, tile_column * groups : (tile_column + 1) * groups]
        cube = Cube(first_tile_row + tile_row, tile_column, segment)
        ticket = ticket_of(seed_a, np.bitwise_xor.reduce(parts, axis=0), cube)
        if int.from_bytes(ticket, "little") < limit:
            winners.append(Winner(cube, ticket))
    return winners


def _pack(
    kernels: Kernels,
    variant: Variant,
    n: int,
    k: int,
    rank: int,
    fill: Callable[[slice, npt.NDArray[Any]], None],
) -> tuple[Uint32Array, Int32Array]:
    """Panels uint32[panels, steps, columns] and int32[panels, k / rank, columns] of n rows that `fill` writes."""
    columns = variant.columns
    panels, steps = round_up(n, columns) // columns, _steps(variant, k)
    packed = _aligned((panels, steps, columns), np.uint32)
    starts = _aligned((panels if variant.bias else 0, k // rank, columns), np.int32)
    rows = _rows_of_b(variant, k)
    for panel in range(panels):
        first = panel * columns
        real = slice(first, min(first + columns, n))
        fill(real, rows[: real.stop - first])
        kernels.pack(rows.view(np.uint32), packed[panel])
        if kernels.sum_slices is not None:
            kernels.sum_slices(packed[panel], _steps(variant, rank), -variant.bias, starts[panel])
    return packed, starts


def _assign(out: npt.NDArray[Any], rows: Int8Array) -> None:
    out[:, : rows.shape[1]] = rows


def _rows_of_a(variant: Variant, rows: int, depth: int) -> npt.NDArray[Any]:
    return _aligned((rows, depth + _CACHE_LINE), np.dtype(f"i{variant.entry_bytes}"))


def _rows_of_b(variant: Variant, depth: int) -> npt.NDArray[Any]:
    return _rows_of_a(variant, variant.columns, depth)


def _steps(variant: Variant, depth: int) -> int:
    return depth * variant.entry_bytes // _STEP_BYTES


def _block_rows(profile: Profile) -> int:
    return max(_BLOCK_ROWS // profile.tile, 1) * profile.tile


def _aligned(shape: tuple[int, ...], of: npt.DTypeLike) -> npt.NDArray[Any]:
    """Uninitialised, starting on a cache line: a vector across two lines costs two loads."""
    size = int(np.prod(shape)) * np.dtype(of).itemsize
    memory = np.empty(size + _CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % _CACHE_LINE
    return memory[start : start + size].view(of).reshape(shape)
