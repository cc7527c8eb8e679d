"""Choice of a backend by name: `auto`, `cpu` or `cuda`."""

from __future__ import annotations

from chain.errors import LocalFault, Policy
from compute.backends.base import Backend, self_test
from compute.backends.cpu import CpuBackend
from compute.backends.cuda import CudaBackend
from compute.spec.profiles import Profile

BACKEND_NAMES = ("auto", "cpu", "cuda")


def choose_backend(name: str, profile: Profile, seed: bytes) -> tuple[Backend, str]:
    """A backend that works here and passed its self-test under `profile`, and one line on why it was chosen.

    `auto` takes the GPU if it is there and gives the reference's tickets, else the CPU. `seed` is fresh randomness.

    Raises:
        Policy: WORK_BACKEND_NAME if there is no such backend.
        LocalFault: WORK_BACKEND_UNUSABLE or WORK_SELF_TEST if a backend asked for by name cannot be used.
    """
    if name not in BACKEND_NAMES:
        raise Policy("WORK_BACKEND_NAME", found=name, allowed=", ".join(BACKEND_NAMES))
    if name == "cpu":
        return _tested(CpuBackend(), profile, seed)
    if name == "cuda":
        return _tested(CudaBackend(), profile, seed)
    try:
        return _tested(CudaBackend(), profile, seed)
    except LocalFault as fault:
        backend, detail = _tested(CpuBackend(), profile, seed)
        return backend, f"{detail} (no GPU: {fault.found})"


def _tested(backend: Backend, profile: Profile, seed: bytes) -> tuple[Backend, str]:
    capabilities = backend.probe()
    if not capabilities.usable:
        raise LocalFault(
            "WORK_BACKEND_UNUSABLE",
            found=capabilities.detail,
            hint="Use --backend cpu, or install the gpu extra that fits the driver (gpu-cuda12 or gpu-cuda13).",
        )
    self_test(backend, profile, seed)
    return backend, capabilities.detail
