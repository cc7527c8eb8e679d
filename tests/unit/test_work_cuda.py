"""The GPU backend's own code against the reference, over a stand-in for CuPy.  Spec: [POW-BACKEND-*].

Tests on a real GPU are in test_work_vectors.py and test_work_backends.py; they skip where there is none.
"""

from __future__ import annotations

import sys

import numpy as np
import pytest

import compute.backends.cuda
from chain.errors import LocalFault
from compute.backends.base import Output, self_test
from compute.backends.cuda import CudaBackend
from compute.backends.select import choose_backend
from compute.spec.claim import NO_BINDING
from compute.spec.padding import padded_mu
from compute.spec.profiles import PROFILES, TEST, Profile
from compute.spec.reference import reference_attempt
from tests.cupy_standin import install
from tests.work_samples import SIGMA, random_matrix

SEED = bytes(range(32))


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> CudaBackend:
    standin: dict[str, object] = {}
    install(standin)
    for name, each in standin.items():
        monkeypatch.setitem(sys.modules, name, each)
    ready = CudaBackend()
    assert ready.probe().usable
    return ready


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_self_test_of_every_profile(backend: CudaBackend, profile: Profile) -> None:
    self_test(backend, profile, SEED)


@pytest.mark.parametrize("edge", [16, 48])
@pytest.mark.parametrize("value", [None, 63, -63, 0], ids=str)
def test_panels_and_extremes(
    backend: CudaBackend, edge: int, value: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compute.backends.cuda, "PANEL_EDGE", edge)
    a, b_t = random_matrix(75, 190, 1), random_matrix(96, 190, 2)
    if value is not None:
        a, b_t = np.full_like(a, value), np.full_like(b_t, 63)
    reference = reference_attempt(SIGMA, TEST, a, b_t)
    prepared = backend.prepare_b(SIGMA, TEST, reference.mu, b_t)
    attempt = backend.attempt(prepared, a, TEST.max_target, Output.PRODUCT)
    assert attempt.product is not None
    assert np.array_equal(attempt.product, reference.product)
    assert [winner.cube for winner in attempt.winners] == reference.winners(TEST.max_target)
    assert backend.attempt(prepared, a, TEST.max_target, Output.TICKETS_ONLY).winners == attempt.winners


def test_auto_takes_a_gpu_that_passes(backend: CudaBackend) -> None:
    chosen, detail = choose_backend("auto", TEST, SEED)
    assert chosen.name == "cuda"
    assert "stand-in" in detail


def test_auto_leaves_a_gpu_that_computes_wrongly(
    backend: CudaBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tests.cupy_standin

    monkeypatch.setitem(tests.cupy_standin.KERNELS, "fold_tiles", lambda *_: None)
    chosen, detail = choose_backend("auto", TEST, SEED)
    assert chosen.name == "cpu"
    assert "wrong tickets" in detail
    with pytest.raises(LocalFault, match="WORK_SELF_TEST"):
        choose_backend("cuda", TEST, SEED)


def test_faults_of_the_device_are_faults_of_this_machine(
    backend: CudaBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tests.cupy_standin

    def fail(*_: object) -> None:
        raise MemoryError("out of device memory")

    monkeypatch.setitem(tests.cupy_standin.KERNELS, "add_noise", fail)
    mu = padded_mu(TEST, 16, 16, 64, NO_BINDING)
    with pytest.raises(LocalFault, match="WORK_GPU"):
        backend.prepare_b(SIGMA, TEST, mu, random_matrix(16, 64))


def test_machine_without_a_device(backend: CudaBackend) -> None:
    sys.modules["cupy"].cuda.runtime.getDeviceCount = lambda: 0
    assert not CudaBackend().probe().usable
    sys.modules["cupy"].cuda.runtime.getDeviceCount = lambda: 1
    sys.modules["cupy"].cuda.Device = lambda: type("Old", (), {"id": 0, "compute_capability": "52"})()
    old = CudaBackend().probe()
    assert not old.usable
    assert "52" in old.detail
