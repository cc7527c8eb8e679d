"""What the GPU engines share: device memory, commitments, noise, tickets and denoising, through CuPy.

An engine adds one thing, how noised operands are multiplied and folded. Bulk work happens on the device: leaves of
commitments, streams, noise, products, tickets, denoising. The host makes the upper part of the trees, uploads each
matrix once and downloads a product that somebody wants. Seeded matrices are made on the device and stay there: an
attempt that nobody ordered moves digests and winners, no matrix.

Nothing here has run on a device yet: the kernels are tested in a CPU emulation of their instructions, this code over a
stand-in for CuPy. An engine's self-test stands between it and the first ticket.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np

from chain.errors import LocalFault
from chain.hashing import BulkTag, b3
from chain.ints import ceil_div
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
from compute.engines.cuda_source import PORTABLE, source
from compute.entries import entries_key
from compute.spec.arrays import Int8Array, Int32Array
from compute.spec.claim import Mu, kappa_of
from compute.spec.commit import Blocks, Commitment, Side, leaf_count, seed_a_of, seed_b_of, tree_of
from compute.spec.padding import pad, round_up
from compute.spec.profiles import LANES, Profile
from compute.spec.ticket import Cube

DIGIT_BITS = 7
_DIGITS_AT_MOST = 3
"""Enough for every thin product: |sum| <= 2 * 126 * k / r < 64 * 128^2."""
_DIGIT_COLUMNS = 64
"""Digits of a row are padded to a multiple of this, the depth of one step of the fused kernels."""
_WORKSPACE_BYTES = 64 << 20
"""cuBLAS's own, CuPy's kernels and rounding in its memory pool."""
_THREADS = 256
_LEAF_THREADS = 128
_CHUNK_BYTES = 1024
_ROWS_AT_ONCE = 4
"""Rows per block of `multiply_chains`."""
_DIGEST_WORDS = 8
_IDLE_EDGES = {"test": 1024, "dev": 4096, "cpu": 4096, "gpu": 16384}
"""Smaller products would leave a GPU waiting for its host."""
# CUDA's numbers for element types; CuPy's own list lacks the second.
_CUDA_R_8I = 3
_CUDA_R_32I = 10
_LARGE_SHARED_BYTES = 48 << 10
"""More than this a kernel must ask for."""

_INSTALL = "Run `make gpu-cuda12` or `make gpu-cuda13`, whichever fits the driver, or use --engine auto."
_NO_DEVICE = "Check that `nvidia-smi` lists the device, or use --engine auto."

DeviceArray: TypeAlias = Any
"""A cupy.ndarray; CuPy has no types of its own where it is not installed."""


@dataclass(frozen=True)
class Noised:
    """A noised operand in device memory."""

    entries: DeviceArray
    """int8, rows rounded up to the engine's blocks, in the engine's layout."""
    left: DeviceArray
    """int8[rows, r]: its left factor."""
    place: DeviceArray
    """uint16[k / r, r]: in which column of its slice each row of the right factor has its +1."""


@dataclass(frozen=True)
class CudaPreparedB(PreparedB):
    """B' transposed and its factors in device memory."""

    noised: Noised


@dataclass(frozen=True, slots=True)
class DeviceMatrix:
    """A seeded matrix in device memory, which serves the engine that made it in place of an array."""

    entries: DeviceArray

    @property
    def shape(self) -> tuple[int, int]:
        rows, depth = self.entries.shape
        return rows, depth


class CutBlocks:
    """Blocks of a padded matrix, cut when a certificate asks; the matrix must stay as it is.

    `fetch` brings a block into host memory, if the matrix is not there.
    """

    def __init__(self, matrix: Any, profile: Profile, fetch: Callable[[Any], Int8Array] = np.asarray) -> None:
        self._matrix = matrix
        self._profile = profile
        self._fetch = fetch

    def __getitem__(self, index: int, /) -> Int8Array:
        tile, segment = self._profile.tile, self._profile.segment
        row, column = divmod(index, self._matrix.shape[1] // segment)
        block = self._matrix[row * tile : (row + 1) * tile, column * segment : (column + 1) * segment]
        return self._fetch(block).reshape(-1)


class CudaEngine(Engine):
    """The first visible device; CuPy is imported by `probe`, which comes first."""

    oldest_capability: ClassVar[int]
    """Compute capability, as in 61, from which the engine's product runs."""
    block_rows: ClassVar[tuple[int, int]]
    """Rows of A' and of B' transposed to a multiple of which device memory is rounded up. What the kernel computes of
    the rows beyond the committed shape goes nowhere: no ticket, no entry of the product."""
    is_tiled: ClassVar[bool] = False
    """Whether noised operands lie in tiles of `block_rows` by 128 columns, instead of row-major."""

    def __init__(self) -> None:
        self.cupy: Any = None
        self._faults: tuple[type[BaseException], ...] = ()
        self._shared_kernels: Any = None
        self._functions: dict[tuple[int, str], Any] = {}

    @abstractmethod
    def _ready(self, capability: int) -> Capabilities:
        """Whether the engine's own kernel can be had on a device of this capability, and in one phrase how it works."""

    @abstractmethod
    def _multiply(
        self,
        a: Noised,
        b: Noised,
        mu: Mu,
        profile: Profile,
        transcripts: DeviceArray,
        product: DeviceArray | None,
    ) -> Iterator[None]:
        """Fill the zeroed transcripts uint32[k/S, m/t, n/t, 16] and, if wanted, set `product` int32[m, n] to A' B'.

        Yields whenever a batch of slices is done and the device idle: there the caller may break off.
        """

    @abstractmethod
    def _subtract_digits(
        self, outer: DeviceArray, inner: DeviceArray, product: DeviceArray, profile: Profile
    ) -> None:
        """product -= sum over d of 128^d outer[d] inner[d]^T, for int8[digits, rows, width], rows in whole blocks."""

    def probe(self) -> Capabilities:
        try:
            import cupy
            from cupy.cuda import compiler
        except ImportError as error:
            return Capabilities(usable=False, detail=f"CuPy cannot be imported ({error})", hint=_INSTALL)
        # CUDA, cuBLAS and NVRTC errors are RuntimeErrors, full device memory is a MemoryError, and CuPy looks for the
        # libraries of CUDA only when they are needed.
        self._faults = (RuntimeError, MemoryError, ImportError, OSError, compiler.CompileException)
        try:
            if cupy.cuda.runtime.getDeviceCount() == 0:
                return Capabilities(usable=False, detail="no CUDA device", hint=_NO_DEVICE)
            device = cupy.cuda.Device()
            capability = int(device.compute_capability)
            if capability < self.oldest_capability:
                found = (
                    f"compute capability {capability}, and engine {self.name} needs {self.oldest_capability}"
                )
                return Capabilities(usable=False, detail=found)
            name = cupy.cuda.runtime.getDeviceProperties(device.id)["name"].decode()
            self.cupy = cupy
            self._shared_kernels = cupy.RawModule(code=source(PORTABLE), options=("-std=c++17",))
            ready = self._ready(capability)
        except self._faults as error:
            return Capabilities(usable=False, detail=f"CUDA does not work here ({error})")
        if not ready.usable:
            return ready
        return Capabilities(usable=True, detail=f"{name}, CuPy {cupy.__version__}, {ready.detail}")

    def prepare_b(
        self, sigma: bytes, profile: Profile, mu: Mu, b_t: Int8Array, progress: Progress = unobserved
    ) -> CudaPreparedB:
        kappa = kappa_of(sigma, mu)
        with self._device_faults():
            plain, blocks = self._bring(b_t, mu.n, mu.k, profile)
            commitment = self._commit(Side.B, kappa, plain, blocks, profile)
        progress(Stage.COMMIT)
        seed_b = seed_b_of(kappa, commitment.root, mu.n)
        with self._device_faults():
            noised = self._noise(plain, seed_b, profile, self.block_rows[1])
            self._finish()
        progress(Stage.NOISE)
        return CudaPreparedB(
            profile=profile,
            mu=mu,
            kappa=kappa,
            commitment=commitment,
            seed_b=seed_b,
            columns=b_t.shape[0],
            noised=noised,
        )

    def run(self, order: Order) -> Attempt:
        prepared, a, progress = order.prepared, order.a, order.progress
        assert isinstance(prepared, CudaPreparedB)
        profile, mu = prepared.profile, prepared.mu
        with self._device_faults():
            plain, blocks = self._bring(a, mu.m, mu.k, profile)
            commitment = self._commit(Side.A, prepared.kappa, plain, blocks, profile)
        progress(Stage.COMMIT)
        seed_a = seed_a_of(prepared.seed_b, commitment.root, mu.m)
        with self._device_faults():
            noised = self._noise(plain, seed_a, profile, self.block_rows[0])
            tile_counts = (mu.k // profile.segment, mu.m // profile.tile, mu.n // profile.tile)
            transcripts = self.cupy.zeros((*tile_counts, LANES), np.uint32)
            product = self.cupy.empty((mu.m, mu.n), np.int32) if order.output is Output.PRODUCT else None
            self._finish()
        progress(Stage.NOISE)
        for _ in self._multiply(noised, prepared.noised, mu, profile, transcripts, product):
            progress(Stage.PRODUCT)
        with self._device_faults():
            winners = self._find_winners(seed_a, transcripts, order.target, profile)
        progress(Stage.HASH)
        exact = None
        if product is not None:
            with self._device_faults():
                self._subtract_noise(product, plain, noised, prepared)
                exact = np.ascontiguousarray(
                    self.cupy.asnumpy(product[: a.shape[0], : prepared.columns]), np.int32
                )
            progress(Stage.DENOISE)
        return Attempt(
            prepared=prepared,
            commitment_a=commitment,
            product=exact,
            winners=winners,
            tickets=transcripts.size // LANES,
            macs=mu.m * mu.n * mu.k,
        )

    def seeded(self, seed: bytes, index: int, rows: int, depth: int) -> Any:
        """A `DeviceMatrix` with the entries of the host's `seeded_entries`."""
        with self._device_faults():
            room = self.cupy.empty(round_up(rows * depth, 64), np.int8)
            entries = room[: rows * depth].reshape(rows, depth)
            key = self._words(entries_key(seed, index))
            self._spread("fill_entries", room.size // 64, (key, entries, np.uint64(entries.size)))
        return DeviceMatrix(entries)

    def plain(self, a: Int8Array, b_t: Int8Array) -> Int32Array:
        with self._device_faults():
            product = self.cupy.empty((a.shape[0], b_t.shape[0]), np.int32)
            self.multiply_int8(self.cupy.asarray(a), self.cupy.asarray(b_t), product, accumulate=False)
            exact: Int32Array = self.cupy.asnumpy(product)
        return exact

    def memory_needed(self, profile: Profile, mu: Mu, output: Output) -> int:
        """Bytes of device memory; the host needs the padded operands and the product besides."""
        rows_a, rows_b = round_up(mu.m, self.block_rows[0]), round_up(mu.n, self.block_rows[1])
        depth = mu.k // profile.noise_rank * self.slice_stride(profile)
        # Plain operands too: a B that was made on the device stays there, for certificates.
        operands = (mu.m + mu.n) * mu.k + (rows_a + rows_b) * depth
        factors = (mu.m + mu.n) * profile.noise_rank + 2 * 2 * 2 * mu.k
        tickets = mu.m * mu.n * mu.k // profile.cube_macs * (LANES * 4 + 32)
        needed = operands + factors + tickets + _WORKSPACE_BYTES
        if output is Output.PRODUCT:
            thin = 4 * (mu.m + mu.n) * profile.noise_rank
            digits = _DIGITS_AT_MOST * (rows_a + rows_b) * _digit_width(profile)
            # The second half of the product is its copy without padding, for the download.
            needed += 8 * mu.m * mu.n + 2 * thin + digits
        return needed

    def memory_free(self) -> int:
        """What the driver has left, and what CuPy keeps for itself without using it."""
        with self._device_faults():
            free, _ = self.cupy.cuda.runtime.memGetInfo()
            kept = self.cupy.get_default_memory_pool().free_bytes()
        return int(free) + int(kept)

    def idle_shape(self, profile: Profile) -> tuple[int, int, int]:
        edge = _IDLE_EDGES[profile.name]
        return edge, edge, edge

    def clock_ns(self) -> int:
        """Wall time with nothing left to do on the device."""
        with self._device_faults():
            self._finish()
        return time.monotonic_ns()

    def slice_stride(self, profile: Profile) -> int:
        """Columns from one slice of a noised operand to the next: tiles stretch shallow slices to 32."""
        return max(profile.noise_rank, 32) if self.is_tiled else profile.noise_rank

    def multiply_int8(
        self, left: DeviceArray, right: DeviceArray, out: DeviceArray, *, accumulate: bool
    ) -> None:
        """int32[m, n] out (+)= int8[m, k] left times int8[n, k] right transposed; rows may be strided [POW-EXACT-3].

        cuBLAS is column-major: seen from there, `out` is right * left^T of size [n, m].
        """
        from cupy.cuda import cublas, device

        one, zero = np.array(1, np.int32), np.array(0, np.int32)
        cublas.gemmEx(
            device.get_cublas_handle(),
            cublas.CUBLAS_OP_T,
            cublas.CUBLAS_OP_N,
            out.shape[1],
            out.shape[0],
            left.shape[1],
            one.ctypes.data,
            right.data.ptr,
            _CUDA_R_8I,
            right.strides[0],
            left.data.ptr,
            _CUDA_R_8I,
            left.strides[0],
            (one if accumulate else zero).ctypes.data,
            out.data.ptr,
            _CUDA_R_32I,
            out.strides[0] // 4,
            cublas.CUBLAS_COMPUTE_32I,
            cublas.CUBLAS_GEMM_DEFAULT,
        )

    def _bring(
        self, matrix: Int8Array | DeviceMatrix, rows: int, depth: int, profile: Profile
    ) -> tuple[DeviceArray, Blocks]:
        """A matrix padded to int8[rows, depth] on the device, and where its blocks can be had later."""
        if isinstance(matrix, DeviceMatrix) and matrix.shape == (rows, depth):
            return matrix.entries, CutBlocks(matrix.entries, profile, self.cupy.asnumpy)
        host = self.cupy.asnumpy(matrix.entries) if isinstance(matrix, DeviceMatrix) else matrix
        padded = pad(host, rows, depth)
        return self.cupy.asarray(padded), CutBlocks(padded, profile)

    def _commit(
        self, side: Side, kappa: Hash32, plain: DeviceArray, blocks: Blocks, profile: Profile
    ) -> Commitment:
        """Leaves hashed on the device, the tree above them on the host [POW-COMMIT-2]."""
        assert profile.block_bytes % _CHUNK_BYTES == 0
        rows, depth = plain.shape
        count = leaf_count(rows, depth, profile)
        leaves = self.cupy.empty((count, _DIGEST_WORDS), np.uint32)
        key = self._words(side.leaf_key(kappa))
        chunks = profile.block_bytes // _CHUNK_BYTES
        sizes = (np.int32(depth), np.int32(profile.tile), np.int32(profile.segment))
        # Two generations of 32-byte nodes.
        shared_bytes = 2 * chunks * 32
        threads = min(_LEAF_THREADS, max(32, chunks))
        self.launch(
            self._shared_kernels, "hash_leaves", count, threads, (plain, key, leaves, *sizes), shared_bytes
        )
        digests = self.cupy.asnumpy(leaves).astype("<u4", copy=False)
        levels = tree_of(side, kappa, [Hash32(digest.tobytes()) for digest in digests])
        return Commitment(blocks=blocks, levels=levels)

    def _noise(self, plain: DeviceArray, seed: Hash32, profile: Profile, block_rows: int) -> Noised:
        """Plain int8[rows, k] with noise added, in the engine's layout [POW-NOISE-4]."""
        cupy = self.cupy
        rows, depth = plain.shape
        rank, slices = profile.noise_rank, depth // profile.noise_rank
        left = cupy.empty((rows, rank), np.int8)
        left_key = self._words(b3(BulkTag.POW_NOISE_LEFT, seed))
        self._spread("fill_left_factor", ceil_div(left.size, 64), (left_key, left, np.uint64(left.size)))
        order, place = (cupy.empty((slices, rank), np.uint16) for _ in range(2))
        right_key = self._words(b3(BulkTag.POW_NOISE_RIGHT, seed))
        self.launch(self._shared_kernels, "order_slices", slices, rank, (right_key, order, place))
        shape = (round_up(rows, block_rows), slices * self.slice_stride(profile))
        # Gaps between stretched slices must be zero; rows beyond the committed ones may hold anything.
        entries = (cupy.zeros if self.slice_stride(profile) > rank else cupy.empty)(shape, np.int8)
        sixteens = plain.size // 16
        sizes = (np.uint64(sixteens), np.int32(slices), np.int32(rank), self._tile_rows(block_rows))
        self._spread("add_noise", sixteens, (plain, left, order, entries, *sizes))
        return Noised(entries=entries, left=left, place=place)

    def _subtract_noise(
        self, product: DeviceArray, plain: DeviceArray, a: Noised, prepared: CudaPreparedB
    ) -> None:
        """A B = A' B' - (A F_L) F_R - E_L (E_R B'), in signed base-128 digits of the thin products [POW-DENOISE-1]."""
        cupy, b = self.cupy, prepared.noised
        rank = prepared.profile.noise_rank
        a_times_f = self._multiply_chains(plain, a.left.shape[0], b.place, np.int32(0))
        b_times_e = self._multiply_chains(
            b.entries, b.left.shape[0], a.place, self._tile_rows(self.block_rows[1])
        )
        digits = digit_count(max(int(abs(a_times_f).max()), int(abs(b_times_e).max())))
        width = _digit_width(prepared.profile)
        outer = cupy.zeros((digits, round_up(a.left.shape[0], self.block_rows[0]), width), np.int8)
        inner = cupy.zeros((digits, round_up(b.left.shape[0], self.block_rows[1]), width), np.int8)
        # The factors E_L and F_R meet every digit of the other side.
        outer[:, : a.left.shape[0], rank : 2 * rank] = a.left
        inner[:, : b.left.shape[0], :rank] = b.left
        for digit in range(digits):
            self._take_digit(a_times_f, outer[digit], 0, digit)
            self._take_digit(b_times_e, inner[digit], rank, digit)
        self._subtract_digits(outer, inner, product, prepared.profile)

    def _multiply_chains(
        self, matrix: DeviceArray, rows: int, place: DeviceArray, tile_rows: np.int32
    ) -> DeviceArray:
        """int32[rows, r]: a matrix times the transposed right factor of the other operand [POW-NOISE-3]."""
        slices, rank = place.shape
        out = self.cupy.empty((rows, rank), np.int32)
        arguments = (matrix, place, out, np.int32(slices), tile_rows)
        self.launch(self._shared_kernels, "multiply_chains", rows // _ROWS_AT_ONCE, rank, arguments)
        return out

    def _take_digit(self, values: DeviceArray, out: DeviceArray, first: int, digit: int) -> None:
        rank, width = np.int32(values.shape[1]), np.int32(out.shape[1])
        sizes = (np.uint64(values.size), rank, width, np.int32(first), np.int32(digit))
        self._spread("take_digit", values.size, (values, out, *sizes))

    def _find_winners(
        self, seed_a: Hash32, transcripts: DeviceArray, target: int, profile: Profile
    ) -> tuple[Winner, ...]:
        """Hash on the device, sift there by the highest word, decide exactly on the host."""
        cupy = self.cupy
        segments, tile_rows, tile_columns, _ = transcripts.shape
        count = segments * tile_rows * tile_columns
        tickets = cupy.empty((count, _DIGEST_WORDS), np.uint32)
        sizes = (np.int32(count), np.int32(tile_rows), np.int32(tile_columns))
        self._spread("hash_tickets", count, (transcripts, self._words(seed_a), tickets, *sizes))
        limit = target * profile.cube_macs
        bound = np.uint32(min(limit >> 224, (1 << 32) - 1))
        places = cupy.flatnonzero(tickets[:, _DIGEST_WORDS - 1] <= bound)
        candidates = cupy.asnumpy(tickets[places]).astype("<u4")
        winners = []
        for place, words in zip(cupy.asnumpy(places), candidates, strict=True):
            ticket = Hash32(words.tobytes())
            if int.from_bytes(ticket, "little") < limit:
                segment, tile_row, tile_column = np.unravel_index(place, (segments, tile_rows, tile_columns))
                winners.append(Winner(Cube(int(tile_row), int(tile_column), int(segment)), ticket))
        return tuple(sorted(winners, key=lambda winner: winner.cube))

    def _tile_rows(self, block_rows: int) -> np.int32:
        """How the kernels are told the layout."""
        return np.int32(block_rows if self.is_tiled else 0)

    def _words(self, key: Hash32) -> DeviceArray:
        """uint32[8] on the device."""
        return self.cupy.asarray(np.frombuffer(key, "<u4"))

    def _finish(self) -> None:
        """Wait until the device has done everything; a fault of a kernel shows here."""
        self.cupy.cuda.runtime.deviceSynchronize()

    def _spread(self, kernel: str, threads: int, arguments: tuple[Any, ...]) -> None:
        """Launch a shared kernel with at least so many threads."""
        self.launch(self._shared_kernels, kernel, ceil_div(threads, _THREADS), _THREADS, arguments)

    def launch(
        self,
        module: Any,
        kernel: str,
        blocks: int,
        threads: int,
        arguments: tuple[Any, ...],
        shared_bytes: int = 0,
    ) -> None:
        """Start a kernel; `arguments` are contiguous arrays and NumPy scalars of the very types it declares."""
        function = self._functions.get((id(module), kernel))
        if function is None:
            function = self._functions[id(module), kernel] = module.get_function(kernel)
            if shared_bytes > _LARGE_SHARED_BYTES:
                function.max_dynamic_shared_size_bytes = shared_bytes
        function((blocks,), (threads,), arguments, shared_mem=shared_bytes)

    @contextmanager
    def _device_faults(self) -> Iterator[None]:
        """Turn whatever CUDA raises into a fault of this machine.  Raises: LocalFault WORK_GPU."""
        try:
            yield
        except self._faults as error:
            hint = "Use --engine numpy, or smaller matrices."
            raise LocalFault("WORK_GPU", found=f"{type(error).__name__}: {error}", hint=hint) from error


def digit_count(largest: int) -> int:
    """How many signed base-128 digits of [-64, 63] hold every value up to this magnitude."""
    digits = 1
    while largest > 63:
        largest = (largest + 64) >> DIGIT_BITS
        digits += 1
    return digits


def _digit_width(profile: Profile) -> int:
    """Columns of a matrix of digits: two thin operands side by side, and zeros up to a whole step."""
    return round_up(2 * profile.noise_rank, _DIGIT_COLUMNS)
