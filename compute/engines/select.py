"""Which engines there are, and the first of them that works here."""

from __future__ import annotations

from collections.abc import Callable

from chain.errors import LocalFault, Policy, TileworkError
from compute.engines.base import Engine, self_test
from compute.engines.cuda_mma import MmaEngine
from compute.engines.cuda_wgmma import WgmmaEngine
from compute.engines.cupy_portable import CupyEngine
from compute.engines.numba_int8 import NumbaEngine
from compute.engines.numpy_blocks import NumpyEngine
from compute.engines.reference import ReferenceEngine
from compute.spec.profiles import Profile

AUTO = "auto"
GPU_ENGINES: tuple[type[Engine], ...] = (WgmmaEngine, MmaEngine, CupyEngine)
"""Fastest first."""
CPU_ENGINES: tuple[type[Engine], ...] = (NumbaEngine, NumpyEngine, ReferenceEngine)
"""Fastest first; the last one works everywhere."""
ENGINES = {engine.name: engine for engine in (*GPU_ENGINES, *CPU_ENGINES)}
ENGINE_NAMES = (AUTO, *ENGINES)


def candidates(name: str, excluded: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """The engines to try in turn: the one that is named, or for `auto` all but those excluded, fastest first.

    Raises:
        Policy: WORK_ENGINE_NAME if there is no such engine.
    """
    if name not in ENGINE_NAMES:
        raise Policy("WORK_ENGINE_NAME", found=name, allowed=", ".join(ENGINE_NAMES))
    return tuple(known for known in ENGINES if known not in excluded) if name == AUTO else (name,)


def choose_engine(
    name: str,
    profile: Profile,
    seed: bytes,
    excluded: frozenset[str] = frozenset(),
    skipped: Callable[[str, LocalFault], None] = lambda name, fault: None,
) -> tuple[Engine, str]:
    """An engine that works here and passed its self-test under `profile`, and one line on what it found.

    `auto` takes the fastest; `skipped` hears of every faster one and why not. `seed` is fresh randomness.

    Raises:
        Policy: WORK_ENGINE_NAME if there is no such engine.
        LocalFault: WORK_ENGINE_UNUSABLE or WORK_SELF_TEST if none is left.
    """
    fault = LocalFault("WORK_ENGINE_UNUSABLE", found="no engine left to try", hint="Restart the miner.")
    for candidate in candidates(name, excluded):
        try:
            return _tested(ENGINES[candidate](), profile, seed)
        except LocalFault as error:
            fault = error
            skipped(candidate, error)
    raise fault


def _tested(engine: Engine, profile: Profile, seed: bytes) -> tuple[Engine, str]:
    capabilities = engine.probe()
    if not capabilities.usable:
        raise LocalFault("WORK_ENGINE_UNUSABLE", found=capabilities.detail, hint=capabilities.hint)
    try:
        self_test(engine, profile, seed)
    except TileworkError:
        raise
    # Compilers and drivers fail in ways of their own, and the next engine may work.
    except Exception as error:
        raise LocalFault(
            "WORK_SELF_TEST", found=f"{type(error).__name__} in engine {engine.name}: {error}"
        ) from error
    return engine, capabilities.detail
