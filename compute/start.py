"""How a worker process finds its engine, one candidate after the other and in the open.  Spec: [POW-WORKER-*]."""

from __future__ import annotations

from collections.abc import Callable

from chain.errors import LocalFault
from compute.engines.base import Engine
from compute.engines.select import candidates, choose_engine
from compute.spec.profiles import Profile


def first_engine(
    name: str, excluded: frozenset[str], profile: Profile, seed: bytes, trying: Callable[[str], object]
) -> tuple[Engine, str]:
    """The first candidate that is usable here, self-tested, and one line on it and on those that were not usable.

    `trying` hears each name first, so that the parent knows whom to blame if this process ends or falls silent. An
    engine that is usable but fails its self-test ends the search: what it did to its device is best left behind with
    the process, and the parent starts another one without it.

    Raises:
        Policy: WORK_ENGINE_NAME if there is no such engine.
        LocalFault: WORK_ENGINE_UNUSABLE if none is left; WORK_SELF_TEST.
    """
    unusable: list[tuple[str, LocalFault]] = []
    for candidate in candidates(name, excluded):
        trying(candidate)
        try:
            engine, detail = choose_engine(candidate, profile, seed)
        except LocalFault as fault:
            if fault.code != "WORK_ENGINE_UNUSABLE":
                raise
            unusable.append((candidate, fault))
            continue
        return engine, "; ".join([detail, *_reasons(unusable)])
    if len(unusable) == 1:
        raise unusable[0][1]
    raise LocalFault("WORK_ENGINE_UNUSABLE", found="; ".join(_reasons(unusable)) or "no engine left to try")


def _reasons(unusable: list[tuple[str, LocalFault]]) -> list[str]:
    return [f"not {name}: {fault.found}" for name, fault in unusable]
