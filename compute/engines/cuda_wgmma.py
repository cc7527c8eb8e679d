"""The fused GPU engine for Hopper, compute capability 9.0: wgmma.  Not yet run on a device.

Its instructions belong to the target sm_90a, which CuPy's compiler call cannot name. nvcc can, so the kernel is loaded
as a cubin: from the cache that `make gpu-cubin` fills, or built when it is first needed where nvcc is installed.
"""

from __future__ import annotations

from compute.engines.base import Capabilities
from compute.engines.cuda_cubin import build_cubin, cached_cubin, find_nvcc
from compute.engines.cuda_fused import BLOCK_COLUMNS, BLOCK_ROWS, FusedEngine, ProductKernel
from compute.spec.profiles import PROFILES, Profile

_THREADS = 384
_SHARED_BYTES = 4 * (BLOCK_ROWS + BLOCK_COLUMNS) * 128 + 1024
"""Four stages, and room to start them at a multiple of 1024."""
_WAY_OUT = (
    "Put nvcc of CUDA 12 or later on PATH, or run `make gpu-cubin` on a machine that has it and copy the cache; "
    "engine cuda-mma needs neither."
)


class WgmmaEngine(FusedEngine):
    """`cuda/wgmma.cu`: operands in swizzled tiles, fetched by bulk copies."""

    name = "cuda-wgmma"
    oldest_capability = 90
    is_tiled = True

    def _ready(self, capability: int) -> Capabilities:
        if capability != 90:
            found = f"compute capability {capability}, and wgmma exists on 90 alone"
            return Capabilities(usable=False, detail=found, hint="Use engine cuda-mma.")
        if find_nvcc() is not None:
            return Capabilities(usable=True, detail="fused wgmma kernel, built by nvcc")
        if all(cached_cubin(profile) is not None for profile in PROFILES.values()):
            return Capabilities(usable=True, detail="fused wgmma kernel from the cache")
        found = "the wgmma kernel is neither cached nor can nvcc be found to build it"
        return Capabilities(usable=False, detail=found, hint=_WAY_OUT)

    def _build_kernel(self, profile: Profile) -> ProductKernel:
        path = cached_cubin(profile) or build_cubin(profile)
        return ProductKernel(self.cupy.RawModule(path=str(path)), _THREADS, _SHARED_BYTES)
