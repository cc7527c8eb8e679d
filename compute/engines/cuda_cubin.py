"""Machine code of the wgmma kernel, built by nvcc and kept per user: `python -m compute.engines.cuda_cubin`.

A file's name holds a digest of everything the machine code follows from, so a changed source is never served by an old
build.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from chain.errors import LocalFault
from compute.engines.cuda_source import WGMMA, options, source
from compute.spec.profiles import PROFILES, Profile

_TARGET = "-gencode=arch=compute_90a,code=sm_90a"
_TIMEOUT_SECONDS = 300


def find_nvcc() -> str | None:
    """Where nvcc is on PATH."""
    return shutil.which("nvcc")


def cached_cubin(profile: Profile) -> Path | None:
    """The kernel of a profile, if it was built before."""
    path = _path(profile)
    return path if path.is_file() else None


def build_cubin(profile: Profile) -> Path:
    """Build the kernel of a profile and keep it; takes some seconds.

    Raises:
        LocalFault: WORK_GPU if there is no nvcc, it fails, or the cache cannot be written.
    """
    nvcc, path = find_nvcc(), _path(profile)
    if nvcc is None:
        raise LocalFault(
            "WORK_GPU", found="no nvcc on PATH", hint="Install the CUDA toolkit, version 12 or later."
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Beside its final place, so that the last step is a rename and nobody sees half a file.
        with tempfile.TemporaryDirectory(dir=path.parent) as directory:
            text, made = Path(directory) / "wgmma.cu", Path(directory) / "wgmma.cubin"
            text.write_text(source(WGMMA), encoding="utf-8")
            command = [nvcc, "-O3", *options(profile), _TARGET, "-cubin", str(text), "-o", str(made)]
            subprocess.run(
                command, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=_TIMEOUT_SECONDS
            )
            os.replace(made, path)
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        found = f"nvcc failed: {said[0] if said else error.returncode}"
        raise LocalFault("WORK_GPU", found=found, hint="CUDA 12 or later is needed.") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LocalFault("WORK_GPU", found=str(error), hint=f"{path.parent} must be writable.") from error
    return path


def cache_directory() -> Path:
    """`$XDG_CACHE_HOME/tilework`, or `~/.cache/tilework`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tilework"


def _path(profile: Profile) -> Path:
    content = "\0".join((source(WGMMA), _TARGET, *options(profile)))
    digest = hashlib.sha256(content.encode()).hexdigest()[:16]
    return cache_directory() / f"wgmma-{profile.name}-{digest}.cubin"


def main() -> int:
    """Build what is missing, for every profile."""
    for profile in PROFILES.values():
        try:
            path = cached_cubin(profile) or build_cubin(profile)
        except LocalFault as error:
            print(error, file=sys.stderr)
            return 1
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
