"""The CUDA C++ of the GPU engines, in the files of `cuda/`, put together for one compiler run.

The compiler that CuPy calls knows no include path, so files are joined in order. Kernels find the profile in two
macros, TILE (t) and RANK (r).
"""

from __future__ import annotations

from pathlib import Path

from compute.spec.profiles import Profile

_DIRECTORY = Path(__file__).parent / "cuda"

PORTABLE = ("device", "blake3", "noise", "commitment", "fold", "ticket", "denoise")
"""Kernels for any device that multiplies int8: no matrix instruction, no shuffle."""
MMA = ("device", "ptx", "fragments", "mma")
"""The fused kernels of sm_80 and later."""
WGMMA = ("device", "ptx", "ptx_sm90", "fragments", "wgmma")
"""The fused kernel of sm_90a."""


def source(files: tuple[str, ...]) -> str:
    """The text of these files, one after the other."""
    return "\n".join((_DIRECTORY / f"{name}.cu").read_text(encoding="utf-8") for name in files)


def options(profile: Profile) -> tuple[str, ...]:
    """What every compiler of fused kernels is told."""
    return "-std=c++17", f"-DTILE={profile.tile}", f"-DRANK={profile.noise_rank}"
