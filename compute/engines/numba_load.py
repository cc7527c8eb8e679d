"""Finds what the `numba` engine can use here and loads its compiled kernels; imports numba only when asked to.

Compiled code is cached below the user's cache directory, in a directory named after the sources: an old entry is never
taken for a new one. The first process compiles, others that start beside it wait and load.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from chain.errors import LocalFault

if TYPE_CHECKING:
    from compute.engines.numba_kernels import Kernels

_SOURCES = ("blake3_block.py", "numba_instructions.py", "numba_kernels.py")


@dataclass(frozen=True, slots=True)
class Variant:
    """One set of instructions and the layout it wants."""

    name: str
    features: tuple[str, ...]
    """Of the CPU, by LLVM's names; all are needed."""
    fold_kind: str
    """Names of compute.engines.numba_instructions.Kind."""
    store_kind: str
    columns: int
    """Columns of a tile and of a panel of packed B."""
    entry_bytes: int
    """Bytes of a noised entry."""
    bias: int
    """Added to the entries of A' to make them unsigned."""


VNNI = Variant(
    name="AVX512-VNNI",
    features=("avx512f", "avx512bw", "avx512vnni"),
    fold_kind="BYTES_512",
    store_kind="WORDS_512",
    columns=64,
    entry_bytes=1,
    bias=128,
)
AVX2 = Variant(
    name="AVX2",
    features=("avx2",),
    fold_kind="WORDS_256",
    store_kind="WORDS_256",
    columns=16,
    entry_bytes=2,
    bias=0,
)
VARIANTS = (VNNI, AVX2)
"""Fastest first."""


def host_features() -> frozenset[str]:
    """Features of this CPU that the operating system lets programs use.

    Raises:
        ImportError: numba or llvmlite is not installed.
    """
    import_module("numba")
    binding = import_module("llvmlite.binding")
    return frozenset(name for name, present in binding.get_host_cpu_features().items() if present)


def numba_version() -> str:
    return str(import_module("numba").__version__)


def best_variant(features: frozenset[str]) -> Variant | None:
    """The fastest variant these features allow, or None."""
    return next((variant for variant in VARIANTS if features.issuperset(variant.features)), None)


@cache
def load_kernels(variant: Variant) -> Kernels:
    """Kernels of a variant that this CPU has; compiles for a few seconds where no cache holds them.

    Raises:
        LocalFault: WORK_ENGINE_UNUSABLE if they do not compile.
    """
    try:
        directory = _cache_directory()
        with _cached_in(directory, variant):
            return _built(variant, directory is not None)
    # A compiler may fail in any way; every other engine does without it.
    except Exception as error:
        raise LocalFault(
            "WORK_ENGINE_UNUSABLE",
            found=f"numba does not compile for {variant.name}: {error!r}",
            hint="Choose another engine with --engine.",
        ) from error


def _built(variant: Variant, cached: bool) -> Kernels:
    kernels = import_module("compute.engines.numba_kernels")
    kind = import_module("compute.engines.numba_instructions").Kind
    built: Kernels = kernels.build(
        fold_kind=kind[variant.fold_kind],
        store_kind=kind[variant.store_kind],
        columns=variant.columns,
        is_wide=variant.entry_bytes == 2,
        can_permute=variant.entry_bytes == 1 and "avx512vbmi" in host_features(),
        cached=cached,
    )
    return built


def _cache_directory() -> Path | None:
    """Where compiled code is kept, made if need be; None if nothing can be written there."""
    sources = [Path(__file__).with_name(name).read_bytes() for name in _SOURCES]
    digest = hashlib.blake2b(b"".join(sources), digest_size=8).hexdigest()
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        directory = base / "tilework" / f"numba-{digest}"
        directory.mkdir(parents=True, exist_ok=True)
        writable = os.access(directory, os.W_OK | os.X_OK)
    except (OSError, RuntimeError):
        return None
    return directory if writable else None


@contextmanager
def _cached_in(directory: Path | None, variant: Variant) -> Iterator[None]:
    """numba's cache in `directory` for the time being, and no other process compiling the variant for it."""
    if directory is None:
        yield
        return
    config = import_module("numba").config
    previous, config.CACHE_DIR = config.CACHE_DIR, str(directory)
    try:
        with _alone_until_complete(directory / variant.name):
            yield
    finally:
        config.CACHE_DIR = previous


@contextmanager
def _alone_until_complete(marker: Path) -> Iterator[None]:
    """One process at a time, until the first has come to its end; the marker says that it has."""
    with open(marker.with_suffix(".lock"), "wb") as lock:
        if not marker.exists():
            fcntl.flock(lock, fcntl.LOCK_EX)
        if marker.exists():
            fcntl.flock(lock, fcntl.LOCK_UN)
        yield
        marker.touch()
