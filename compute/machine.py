"""What this machine is, as far as mining is concerned.

Written for odd machines: whatever cannot be found out is "unknown" or missing, and nothing here raises.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from compute.devices import CudaDevices, list_cuda_devices
from compute.host_memory import HostMemory, host_memory

UNKNOWN = "unknown"
_ROOT = Path("/")
_INSTRUCTION_SETS = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX-512 VNNI",
    "avx_vnni": "AVX-VNNI",
    "amx_int8": "AMX int8",
    "asimddp": "Arm dot products",
    "i8mm": "Arm int8 products",
}
"""Those that make integer products fast, by the kernel's names for them."""
_CUPY_PACKAGES = ("cupy-cuda13x", "cupy-cuda12x", "cupy")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Processor:
    """The CPU."""

    model: str
    architecture: str
    cores: int
    """That this process may use."""
    instruction_sets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Software:
    """Versions; None for what is not installed."""

    python: str
    numpy: str | None
    blas: str
    """The library behind NumPy's float products, and its version."""
    numba: str | None
    cupy: str | None


@dataclass(frozen=True, slots=True)
class Machine:
    """Everything that decides which engine can run."""

    processor: Processor
    memory: HostMemory
    software: Software
    cuda: CudaDevices


def look_around(root: Path = _ROOT) -> Machine:
    """Describe this machine; never raises. `root` is where /proc and /sys are found."""
    return Machine(
        processor=Processor(
            model=_or(UNKNOWN, lambda: _cpu_fields(root, "model name") or platform.processor() or UNKNOWN),
            architecture=_or(UNKNOWN, lambda: platform.machine() or UNKNOWN),
            cores=_or(1, _cores),
            instruction_sets=_or((), lambda: _instruction_sets(root)),
        ),
        memory=_or(HostMemory(total=0, available=0), lambda: host_memory(root)),
        software=Software(
            python=platform.python_version(),
            numpy=_version("numpy"),
            blas=_or(UNKNOWN, _blas),
            numba=_version("numba"),
            cupy=next(filter(None, map(_version, _CUPY_PACKAGES)), None),
        ),
        cuda=_or(
            CudaDevices(devices=(), source="", reason="CUDA devices could not be listed", extra=""),
            list_cuda_devices,
        ),
    )


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def _instruction_sets(root: Path) -> tuple[str, ...]:
    flags = set((_cpu_fields(root, "flags") or _cpu_fields(root, "Features")).split())
    return tuple(text for flag, text in _INSTRUCTION_SETS.items() if flag in flags)


def _cpu_fields(root: Path, name: str) -> str:
    """The first value of a field of /proc/cpuinfo; empty if there is none."""
    try:
        lines = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        field, _, value = line.partition(":")
        if field.strip() == name:
            return value.strip()
    return ""


def _version(package: str) -> str | None:
    """Installed version, without importing anything: a broken package must not break the look."""
    return _or(None, lambda: metadata.version(package))


def _blas() -> str:
    import numpy as np

    config: Any = np.show_config(mode="dicts")
    blas = config["Build Dependencies"]["blas"]
    return f"{blas['name']} {blas.get('version', '')}".strip()


def _or(otherwise: T, find: Callable[[], T]) -> T:
    try:
        return find()
    except Exception:  # noqa: BLE001 - any failure to find something out means that it is not known
        return otherwise
