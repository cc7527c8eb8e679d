"""The fused GPU engine for compute capability 8.0 and later: mma.sync, compiled at run time. Not yet run on a GPU."""

from __future__ import annotations

from compute.engines.base import Capabilities
from compute.engines.cuda_fused import FusedEngine, ProductKernel
from compute.spec.profiles import Profile


class MmaEngine(FusedEngine):
    """`cuda/mma.cu`: operands row-major, fetched by cp.async."""

    name = "cuda-mma"
    oldest_capability = 80

    def _ready(self, capability: int) -> Capabilities:
        return Capabilities(usable=True, detail="fused mma.sync kernel")

    def _build_kernel(self, profile: Profile) -> ProductKernel:
        return self._mma_kernel(profile)
