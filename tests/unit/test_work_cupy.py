"""The GPU engine's own code against the reference, over a stand-in for CuPy.  Spec: [POW-ENGINE-*].

Tests on a real GPU are in test_work_vectors.py and test_work_engines.py; they skip where there is none.
"""

from __future__ import annotations

import sys

import numpy as np
import pytest

import compute.engines.cupy_portable
from chain.errors import LocalFault
from compute.engines.base import Order, Output, self_test
from compute.engines.cupy_portable import CupyEngine
from compute.engines.select import CPU_ENGINES, choose_engine
from compute.spec.claim import NO_BINDING
from compute.spec.padding import padded_mu
from compute.spec.profiles import PROFILES, TEST, Profile
from compute.spec.reference import reference_attempt
from tests.cupy_standin import install
from tests.work_samples import SIGMA, random_matrix

SEED = bytes(range(32))


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> CupyEngine:
    standin: dict[str, object] = {}
    install(standin)
    for name, each in standin.items():
        monkeypatch.setitem(sys.modules, name, each)
    ready = CupyEngine()
    assert ready.probe().usable
    return ready


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_self_test_of_every_profile(engine: CupyEngine, profile: Profile) -> None:
    self_test(engine, profile, SEED)


@pytest.mark.parametrize("edge", [16, 48])
@pytest.mark.parametrize("value", [None, 63, -63, 0], ids=str)
def test_panels_and_extremes(
    engine: CupyEngine, edge: int, value: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compute.engines.cupy_portable, "PANEL_EDGE", edge)
    a, b_t = random_matrix(75, 190, 1), random_matrix(96, 190, 2)
    if value is not None:
        a, b_t = np.full_like(a, value), np.full_like(b_t, 63)
    reference = reference_attempt(SIGMA, TEST, a, b_t)
    prepared = engine.prepare_b(SIGMA, TEST, reference.mu, b_t)
    attempt = engine.run(Order(prepared, a, TEST.max_target, Output.PRODUCT))
    assert attempt.product is not None
    assert np.array_equal(attempt.product, reference.product)
    assert [winner.cube for winner in attempt.winners] == reference.winners(TEST.max_target)
    assert engine.run(Order(prepared, a, TEST.max_target, Output.TICKETS_ONLY)).winners == attempt.winners


def test_auto_takes_a_gpu_that_passes(engine: CupyEngine) -> None:
    chosen, detail = choose_engine("auto", TEST, SEED)
    assert chosen.name == "cupy"
    assert "stand-in" in detail


def test_auto_leaves_a_gpu_that_computes_wrongly(engine: CupyEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    import tests.cupy_standin

    monkeypatch.setitem(tests.cupy_standin.KERNELS, "fold_tiles", lambda *_: None)
    skipped: list[str] = []
    chosen, _ = choose_engine(
        "auto", TEST, SEED, skipped=lambda name, fault: skipped.append(f"{name}: {fault}")
    )
    assert chosen.name in {engine.name for engine in CPU_ENGINES}
    assert "wrong tickets" in skipped[0]
    with pytest.raises(LocalFault, match="WORK_SELF_TEST"):
        choose_engine("cupy", TEST, SEED)


def test_faults_of_the_device_are_faults_of_this_machine(
    engine: CupyEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tests.cupy_standin

    def fail(*_: object) -> None:
        raise MemoryError("out of device memory")

    monkeypatch.setitem(tests.cupy_standin.KERNELS, "add_noise", fail)
    mu = padded_mu(TEST, 16, 16, 64, NO_BINDING)
    with pytest.raises(LocalFault, match="WORK_GPU"):
        engine.prepare_b(SIGMA, TEST, mu, random_matrix(16, 64))


def test_machine_without_a_device(engine: CupyEngine) -> None:
    sys.modules["cupy"].cuda.runtime.getDeviceCount = lambda: 0
    assert not CupyEngine().probe().usable
    sys.modules["cupy"].cuda.runtime.getDeviceCount = lambda: 1
    sys.modules["cupy"].cuda.Device = lambda: type("Old", (), {"id": 0, "compute_capability": "52"})()
    old = CupyEngine().probe()
    assert not old.usable
    assert "52" in old.detail
