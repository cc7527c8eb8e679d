"""What the engines with a fused kernel share: one launch per batch of blocks, and denoising in one pass.

Partial sums stay in registers from the first slice of a segment to its last. A kernel makes 128 x 256 of the output at
a time; shapes that this does not divide are rounded up in device memory only, and whatever a kernel computes there is
dropped. Where an attempt is for its tickets alone, no product is written.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from chain.ints import ceil_div
from compute.engines.cuda_driver import CudaEngine, DeviceArray, Noised
from compute.engines.cuda_source import MMA, options, source
from compute.spec.claim import Mu
from compute.spec.profiles import Profile

BLOCK_ROWS, BLOCK_COLUMNS = 128, 256
"""Of the output, per thread block; the kernels' sources say the same."""
ENOUGH_BLOCKS = 128
"""From here on every multiprocessor of a large device has a thread block."""
BATCH_MACS = 1 << 42
"""Work between two looks at whether it is still wanted: 5 to 100 ms."""
_MMA_SHARED_BYTES = 4 * (BLOCK_ROWS + BLOCK_COLUMNS) * 64
MMA_THREADS = 256


@dataclass(frozen=True, slots=True)
class ProductKernel:
    """A compiled `multiply_and_fold` and how it is launched."""

    module: Any
    threads: int
    shared_bytes: int


class FusedEngine(CudaEngine):
    """Multiplies and folds in one kernel."""

    block_rows = (BLOCK_ROWS, BLOCK_COLUMNS)

    def __init__(self) -> None:
        super().__init__()
        self._kernels: dict[int, ProductKernel] = {}
        self._mma_modules: dict[int, Any] = {}

    @abstractmethod
    def _build_kernel(self, profile: Profile) -> ProductKernel:
        """Compile or load the engine's kernel for a profile."""

    def _multiply(
        self,
        a: Noised,
        b: Noised,
        mu: Mu,
        profile: Profile,
        transcripts: DeviceArray,
        product: DeviceArray | None,
    ) -> Iterator[None]:
        with self._device_faults():
            kernel = self._kernel(profile)
        stride = self.slice_stride(profile)
        depth, segment_depth = mu.k // profile.noise_rank * stride, profile.slices * stride
        blocks, segments = _blocks(mu.m, mu.n), mu.k // profile.segment
        # Many blocks take all segments each; of few, each takes one, so that the whole device has work.
        at_once = segments if blocks >= ENOUGH_BLOCKS else 1
        if product is not None and at_once < segments:
            with self._device_faults():
                product.fill(0)
        # A null pointer: nobody wants the product.
        out = np.uint64(0) if product is None else product
        sizes = tuple(np.int32(size) for size in (mu.m, mu.n, depth, segment_depth, at_once))
        operands = (a.entries, b.entries, out, transcripts, *sizes)
        total = blocks * segments // at_once
        batch = max(1, BATCH_MACS // (BLOCK_ROWS * BLOCK_COLUMNS * profile.segment * at_once))
        for first in range(0, total, batch):
            arguments = (*operands, np.int32(first))
            count = min(batch, total - first)
            with self._device_faults():
                self.launch(
                    kernel.module,
                    "multiply_and_fold",
                    count,
                    kernel.threads,
                    arguments,
                    kernel.shared_bytes,
                )
                self._finish()
            yield

    def _subtract_digits(
        self, outer: DeviceArray, inner: DeviceArray, product: DeviceArray, profile: Profile
    ) -> None:
        digits, outer_rows, width = outer.shape
        m, n = product.shape
        sizes = tuple(np.int32(size) for size in (m, n, width, digits, outer_rows, inner.shape[1]))
        module = self._mma_module(profile)
        arguments = (outer, inner, product, *sizes)
        self.launch(module, "subtract_digits", _blocks(m, n), MMA_THREADS, arguments, _MMA_SHARED_BYTES)

    def _kernel(self, profile: Profile) -> ProductKernel:
        kernel = self._kernels.get(profile.profile_id)
        if kernel is None:
            kernel = self._kernels[profile.profile_id] = self._build_kernel(profile)
        return kernel

    def _mma_kernel(self, profile: Profile) -> ProductKernel:
        """The kernel of sm_80, compiled by CuPy."""
        return ProductKernel(self._mma_module(profile), MMA_THREADS, _MMA_SHARED_BYTES)

    def _mma_module(self, profile: Profile) -> Any:
        module = self._mma_modules.get(profile.profile_id)
        if module is None:
            module = self.cupy.RawModule(code=source(MMA), options=options(profile))
            self._mma_modules[profile.profile_id] = module
        return module


def _blocks(m: int, n: int) -> int:
    """Thread blocks that cover an m x n output."""
    return ceil_div(m, BLOCK_ROWS) * ceil_div(n, BLOCK_COLUMNS)
