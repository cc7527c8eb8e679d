"""The GPU engine through CuPy: cuBLAS int8 products slice by slice, a fold kernel after each.  Spec: [POW-EXACT-3].

The portable version: partial sums go through device memory once per slice, which costs bandwidth that a kernel folding
in registers would not. Accumulators are int32 from first to last; integer `matmul` of CuPy is not used, because its
result has the type of its operands. Commitments and noise streams are made on the host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from chain.errors import LocalFault
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
from compute.engines.cupy_kernels import SOURCE
from compute.spec.arrays import Int8Array, Int32Array
from compute.spec.claim import Mu, kappa_of
from compute.spec.commit import Side, commit, seed_a_of, seed_b_of
from compute.spec.noise import left_factor, permutations, right_factor
from compute.spec.padding import pad
from compute.spec.profiles import LANES, Profile
from compute.spec.ticket import Cube

PANEL_EDGE = 8192
"""Rows and columns of the partial sums kept on the device: 256 MB of int32."""
MIN_COMPUTE_CAPABILITY = 61
"""First with int8 multiply-accumulate."""
_THREADS = 256
_FOLD_THREADS = 128
_DIGIT_BITS = 7
_IDLE_EDGES = {"test": 1024, "dev": 4096, "cpu": 4096, "gpu": 8192}
"""Smaller products would leave a GPU waiting for its host."""
# CUDA's numbers for element types; CuPy's own list lacks the second.
_CUDA_R_8I = 3
_CUDA_R_32I = 10

_INSTALL = "Run `make gpu-cuda12` or `make gpu-cuda13`, whichever fits the driver, or use --engine auto."
_NO_DEVICE = "Check that `nvidia-smi` lists the device, or use --engine auto."

DeviceArray = Any
"""A cupy.ndarray; CuPy has no types of its own where it is not installed."""


@dataclass(frozen=True)
class CupyPreparedB(PreparedB):
    """B' and its factors in device memory."""

    noised: DeviceArray
    """int8[n, k]: B' transposed."""
    left: DeviceArray
    """int8[n, r]: F_R transposed."""
    right: DeviceArray
    """int8[r, k]: F_L transposed."""


class CupyEngine(Engine):
    """One device, the current one; CuPy is imported by `probe`, which comes first."""

    name = "cupy"

    def __init__(self) -> None:
        self._cupy: Any = None
        self._kernels: Any = None
        self._faults: tuple[type[BaseException], ...] = ()

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
            if capability < MIN_COMPUTE_CAPABILITY:
                return Capabilities(usable=False, detail=f"compute capability {capability}: no int8 products")
            name = cupy.cuda.runtime.getDeviceProperties(device.id)["name"].decode()
            self._kernels = cupy.RawModule(code=SOURCE)
        except self._faults as error:
            return Capabilities(usable=False, detail=f"CUDA does not work here ({error})")
        self._cupy = cupy
        return Capabilities(usable=True, detail=f"{name}, CuPy {cupy.__version__}, cuBLAS int8 per slice")

    def prepare_b(
        self, sigma: bytes, profile: Profile, mu: Mu, b_t: Int8Array, progress: Progress = unobserved
    ) -> CupyPreparedB:
        kappa = kappa_of(sigma, mu)
        padded = pad(b_t, mu.n, mu.k)
        commitment = commit(Side.B, kappa, padded, profile)
        progress(Stage.COMMIT)
        seed_b = seed_b_of(kappa, commitment.root, mu.n)
        with self._device_faults():
            noised, left = self._noised(padded, seed_b, profile)
            right = self._cupy.asarray(right_factor(seed_b, profile, 0, mu.k // profile.noise_rank))
        progress(Stage.NOISE)
        return CupyPreparedB(
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
        assert isinstance(prepared, CupyPreparedB)
        profile, mu = prepared.profile, prepared.mu
        padded = pad(a, mu.m, mu.k)
        commitment = commit(Side.A, prepared.kappa, padded, profile)
        progress(Stage.COMMIT)
        seed_a = seed_a_of(prepared.seed_b, commitment.root, mu.m)
        with self._device_faults():
            cupy = self._cupy
            noised, left = self._noised(padded, seed_a, profile)
            progress(Stage.NOISE)
            tile_counts = (mu.k // profile.segment, mu.m // profile.tile, mu.n // profile.tile)
            transcripts = cupy.zeros((*tile_counts, LANES), np.uint32)
            product = cupy.zeros((mu.m, mu.n), np.int32) if order.output is Output.PRODUCT else None
            self._multiply(noised, prepared.noised, profile, transcripts, product, progress)
            exact = None
            if product is not None:
                right = cupy.asarray(right_factor(seed_a, profile, 0, mu.k // profile.noise_rank))
                self._subtract_noise(product, cupy.asarray(padded), left, right, prepared)
                exact = np.ascontiguousarray(cupy.asnumpy(product)[: a.shape[0], : prepared.columns])
                progress(Stage.DENOISE)
            winners = self._find_winners(seed_a, transcripts, order.target, profile)
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
        with self._device_faults():
            product = self._cupy.empty((a.shape[0], b_t.shape[0]), np.int32)
            self._multiply_int8(self._cupy.asarray(a), self._cupy.asarray(b_t), product, accumulate=False)
            exact: Int32Array = self._cupy.asnumpy(product)
        return exact

    def memory_needed(self, profile: Profile, mu: Mu, output: Output) -> int:
        operands = 2 * (mu.m + mu.n) * mu.k
        partial = 4 * min(mu.m, PANEL_EDGE) * min(mu.n, PANEL_EDGE)
        tickets = mu.m * mu.n * mu.k // profile.cube_macs * (LANES * 4 + 32)
        return operands + partial + tickets + (8 * mu.m * mu.n if output is Output.PRODUCT else 0)

    def memory_free(self) -> int:
        with self._device_faults():
            free, _ = self._cupy.cuda.runtime.memGetInfo()
        return int(free)

    def idle_shape(self, profile: Profile) -> tuple[int, int, int]:
        edge = _IDLE_EDGES[profile.name]
        return edge, edge, edge

    def _noised(self, padded: Int8Array, seed: Hash32, profile: Profile) -> tuple[DeviceArray, DeviceArray]:
        """int8[rows, k] on the device with noise added, and its left factor int8[rows, r]."""
        cupy = self._cupy
        rows, depth = padded.shape
        order = permutations(seed, profile, 0, depth // profile.noise_rank).astype(np.uint16)
        left, plain = cupy.asarray(left_factor(seed, profile, 0, rows)), cupy.asarray(padded)
        noised = cupy.empty((rows, depth), np.int8)
        rank = np.int32(profile.noise_rank)
        arguments = (plain, left, cupy.asarray(order), noised, np.uint64(plain.size), np.int32(depth), rank)
        self._launch("add_noise", plain.size, arguments)
        return noised, left

    def _multiply(
        self,
        a: DeviceArray,
        b: DeviceArray,
        profile: Profile,
        transcripts: DeviceArray,
        product: DeviceArray | None,
        progress: Progress,
    ) -> None:
        """Fill the transcripts uint32[k/S, m/t, n/t, 16] and, if wanted, set `product` to A' B'."""
        tile, rank = profile.tile, profile.noise_rank
        tiles_per_row = np.int32(b.shape[0] // tile)
        fold = self._kernels.get_function("fold_tiles")
        for rows in _spans(a.shape[0]):
            for columns in _spans(b.shape[0]):
                partial = self._cupy.empty((rows.stop - rows.start, columns.stop - columns.start), np.int32)
                tiles = (partial.shape[0] // tile) * (partial.shape[1] // tile)
                corner = (np.int32(rows.start // tile), np.int32(columns.start // tile), tiles_per_row)
                for segment in range(transcripts.shape[0]):
                    first = segment * profile.segment
                    for depth in range(first, first + profile.segment, rank):
                        left, right = a[rows, depth : depth + rank], b[columns, depth : depth + rank]
                        self._multiply_int8(left, right, partial, accumulate=depth != first)
                        arguments = (
                            partial,
                            transcripts[segment],
                            np.int32(partial.shape[1]),
                            np.int32(tile),
                        )
                        fold((tiles,), (_FOLD_THREADS,), (*arguments, *corner))
                        progress(Stage.PRODUCT)
                    if product is not None:
                        product[rows, columns] += partial

    def _subtract_noise(
        self,
        product: DeviceArray,
        a: DeviceArray,
        left: DeviceArray,
        right: DeviceArray,
        prepared: CupyPreparedB,
    ) -> None:
        """A B = A' B' - (A F_L) F_R - E_L (E_R B'), in signed base-128 digits of the thin products [POW-DENOISE-1]."""
        cupy = self._cupy
        rank = prepared.profile.noise_rank
        a_times_f = cupy.empty((a.shape[0], rank), np.int32)
        b_times_e = cupy.empty((prepared.noised.shape[0], rank), np.int32)
        self._multiply_int8(a, prepared.right, a_times_f, accumulate=False)
        self._multiply_int8(prepared.noised, right, b_times_e, accumulate=False)
        largest = max(int(abs(a_times_f).max()), int(abs(b_times_e).max()))
        outer = cupy.empty((a.shape[0], 2 * rank), np.int8)
        inner = cupy.empty((prepared.noised.shape[0], 2 * rank), np.int8)
        outer[:, rank:] = left
        inner[:, :rank] = prepared.left
        for digit in range(_digits(largest)):
            self._take_digit(a_times_f, outer, 0, digit)
            self._take_digit(b_times_e, inner, rank, digit)
            for rows in _spans(outer.shape[0]):
                correction = cupy.empty((rows.stop - rows.start, inner.shape[0]), np.int32)
                self._multiply_int8(outer[rows], inner, correction, accumulate=False)
                shift = np.int32(_DIGIT_BITS * digit)
                arguments = (product[rows], correction, np.uint64(correction.size), shift)
                self._launch("subtract_shifted", correction.size, arguments)
            # The factors E_L and F_R meet every digit of the other side, each weighted by its own power of 128.

    def _take_digit(self, values: DeviceArray, out: DeviceArray, first: int, digit: int) -> None:
        rank, width = np.int32(values.shape[1]), np.int32(out.shape[1])
        arguments = (values, out, np.uint64(values.size), rank, width, np.int32(first), np.int32(digit))
        self._launch("take_digit", values.size, arguments)

    def _find_winners(
        self, seed_a: Hash32, transcripts: DeviceArray, target: int, profile: Profile
    ) -> tuple[Winner, ...]:
        """Hash on the device, sift there by the highest word, decide exactly on the host."""
        cupy = self._cupy
        segments, tile_rows, tile_columns, _ = transcripts.shape
        count = segments * tile_rows * tile_columns
        tickets = cupy.empty((count, 8), np.uint32)
        key = cupy.asarray(np.frombuffer(seed_a, "<u4"))
        sizes = (np.int32(count), np.int32(tile_rows), np.int32(tile_columns))
        self._launch("hash_tickets", count, (transcripts, key, tickets, *sizes))
        limit = target * profile.cube_macs
        bound = np.uint32(min(limit >> 224, (1 << 32) - 1))
        places = cupy.flatnonzero(tickets[:, 7] <= bound)
        candidates = cupy.asnumpy(tickets[places]).astype("<u4")
        winners = []
        for place, words in zip(cupy.asnumpy(places), candidates, strict=True):
            ticket = Hash32(words.tobytes())
            if int.from_bytes(ticket, "little") < limit:
                segment, tile_row, tile_column = np.unravel_index(place, (segments, tile_rows, tile_columns))
                winners.append(Winner(Cube(int(tile_row), int(tile_column), int(segment)), ticket))
        return tuple(sorted(winners, key=lambda winner: winner.cube))

    def _multiply_int8(
        self, left: DeviceArray, right: DeviceArray, out: DeviceArray, *, accumulate: bool
    ) -> None:
        """int32[m, n] out (+)= int8[m, k] left times int8[n, k] right transposed; rows may be strided.

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

    def _launch(self, kernel: str, threads: int, arguments: tuple[Any, ...]) -> None:
        function: Callable[..., None] = self._kernels.get_function(kernel)
        function(((threads + _THREADS - 1) // _THREADS,), (_THREADS,), arguments)

    @contextmanager
    def _device_faults(self) -> Iterator[None]:
        """Turn whatever CUDA raises into a fault of this machine."""
        try:
            yield
        except self._faults as error:
            hint = "Use --engine cpu, or smaller matrices."
            raise LocalFault("WORK_GPU", found=f"{type(error).__name__}: {error}", hint=hint) from error


def _digits(largest: int) -> int:
    """How many signed base-128 digits of [-64, 63] hold every value up to this magnitude."""
    digits = 1
    while largest > 63:
        largest = (largest + 64) >> _DIGIT_BITS
        digits += 1
    return digits


def _spans(size: int) -> Iterator[slice]:
    for start in range(0, size, PANEL_EDGE):
        yield slice(start, min(start + PANEL_EDGE, size))
