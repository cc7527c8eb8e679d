"""The GPU engines' own code against the reference, over a stand-in for CuPy.  Spec: [POW-ENGINE-*].

Tests on a real GPU are in test_work_vectors.py and test_work_engines.py; they skip where there is none.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import compute.engines.cuda_fused
import compute.engines.cuda_wgmma
import compute.engines.cupy_portable
import tests.cupy_standin
from chain.errors import LocalFault
from compute.engines.base import (
    Order,
    Output,
    Progress,
    Stage,
    Withdrawn,
    checked_certificate,
    self_test,
)
from compute.engines.cuda_driver import CudaEngine
from compute.engines.cuda_mma import MmaEngine
from compute.engines.cuda_source import WGMMA, options, source
from compute.engines.cuda_wgmma import WgmmaEngine
from compute.engines.cupy_portable import CupyEngine
from compute.engines.select import CPU_ENGINES, GPU_ENGINES, choose_engine
from compute.entries import seeded_entries
from compute.messages import Mine
from compute.spec.claim import NO_BINDING, Mu
from compute.spec.padding import padded_mu
from compute.spec.profiles import GPU, PROFILES, TEST, Profile
from compute.spec.reference import reference_attempt
from compute.workbench import Workbench
from tests.bench import bench_gpu
from tests.cupy_standin import cubin_of, install
from tests.emulation.library import compiler
from tests.work_samples import SIGMA, random_matrix

SEED = bytes(range(32))
ENGINES: tuple[type[CudaEngine], ...] = (CupyEngine, MmaEngine, WgmmaEngine)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A stand-in for CuPy and one device of capability 9.0, with an nvcc that makes what the stand-in can load."""
    standin: dict[str, Any] = {}
    install(standin)
    for name, each in standin.items():
        monkeypatch.setitem(sys.modules, name, each)

    def build(profile: Profile) -> Path:
        path = tmp_path / f"{profile.name}.cubin"
        cubin_of(path, source(WGMMA), options(profile))
        return path

    monkeypatch.setattr(compute.engines.cuda_wgmma, "find_nvcc", lambda: "nvcc")
    monkeypatch.setattr(compute.engines.cuda_wgmma, "cached_cubin", lambda _: None)
    monkeypatch.setattr(compute.engines.cuda_wgmma, "build_cubin", build)
    return standin["cupy"]


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.name)
def engine(request: pytest.FixtureRequest, device: Any) -> CudaEngine:
    compiler()
    ready: CudaEngine = request.param()
    assert ready.probe().usable
    return ready


def test_self_test(engine: CudaEngine) -> None:
    self_test(engine, TEST, SEED)


@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_self_test_of_every_profile(engine: CudaEngine, profile: Profile) -> None:
    self_test(engine, profile, SEED)


@pytest.mark.parametrize("value", [None, 63, -63, 0], ids=str)
def test_ragged_shapes_and_extremes(
    engine: CudaEngine, value: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """80 x 96 cubes' worth of output in blocks of 128 x 256, or in panels of 48: what lies beyond counts nowhere."""
    monkeypatch.setattr(compute.engines.cupy_portable, "PANEL_EDGE", 48)
    a, b_t = random_matrix(75, 190, 1), random_matrix(96, 190, 2)
    if value is not None:
        a, b_t = np.full_like(a, value), np.full_like(b_t, 63)
    reference = reference_attempt(SIGMA, TEST, a, b_t)
    prepared = engine.prepare_b(SIGMA, TEST, reference.mu, b_t)
    attempt = engine.run(Order(prepared, a, TEST.max_target, Output.PRODUCT))
    assert attempt.product is not None
    assert np.array_equal(attempt.product, reference.product)
    assert attempt.tickets == len(reference.tickets) == 5 * 6 * 3
    assert [winner.cube for winner in attempt.winners] == reference.winners(TEST.max_target)
    assert engine.run(Order(prepared, a, TEST.max_target, Output.TICKETS_ONLY)).winners == attempt.winners


def test_commitments_and_certificates(engine: CudaEngine) -> None:
    """Roots made on the device are the specification's, and blocks cut later are those that were committed."""
    a, b_t = random_matrix(75, 190, 1), random_matrix(96, 190, 2)
    reference = reference_attempt(SIGMA, TEST, a, b_t)
    prepared = engine.prepare_b(SIGMA, TEST, reference.mu, b_t)
    attempt = engine.run(Order(prepared, a, TEST.max_target, Output.TICKETS_ONLY))
    assert prepared.commitment.levels == reference.commitment_b.levels
    assert attempt.commitment_a.levels == reference.commitment_a.levels
    for winner in attempt.winners:
        certificate = checked_certificate(SIGMA, TEST.max_target, attempt, winner)
        assert certificate == reference.certificate(winner.cube)


def test_idle_attempts_with_matrices_made_on_the_device(
    engine: CudaEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same attempt as with the host's matrices, its certificates included, and no matrix is uploaded."""
    monkeypatch.setattr(engine, "idle_shape", lambda _: (48, 64, 128))
    a, b_t = seeded_entries(SEED, 5, 48, 128), seeded_entries(SEED, 0, 64, 128)
    reference = reference_attempt(SIGMA, TEST, a, b_t)
    uploaded: list[int] = []
    upload = engine.cupy.asarray
    monkeypatch.setattr(engine.cupy, "asarray", lambda array: uploaded.append(array.nbytes) or upload(array))
    order = Mine(1, SIGMA, TEST.max_target, TEST.profile_id, SEED)
    done = Workbench(engine).mine(order, 4)
    assert max(uploaded) == 32
    assert (done.tickets, done.macs) == (3 * 4 * 2, 48 * 64 * 128)
    assert done.found is not None
    assert done.found.certificate == reference.certificate(reference.winners(TEST.max_target)[0]).to_bytes()


def test_seeded_matrices_of_other_shapes_are_padded(engine: CudaEngine) -> None:
    a, b_t = seeded_entries(SEED, 1, 9, 70), seeded_entries(SEED, 0, 20, 70)
    reference = reference_attempt(SIGMA, TEST, a, b_t)
    prepared = engine.prepare_b(SIGMA, TEST, reference.mu, engine.seeded(SEED, 0, 20, 70))
    attempt = engine.run(Order(prepared, engine.seeded(SEED, 1, 9, 70), TEST.max_target, Output.PRODUCT))
    assert np.array_equal(attempt.product, reference.product)


@pytest.mark.slow
def test_several_blocks_of_a_kernel(engine: CudaEngine) -> None:
    """More than one thread block each way, a last one that is not full, and a leaf of many chunks."""
    a, b_t = random_matrix(129, 4096, 3), random_matrix(289, 4096, 4)
    reference = reference_attempt(SIGMA, GPU, a, b_t)
    prepared = engine.prepare_b(SIGMA, GPU, reference.mu, b_t)
    attempt = engine.run(Order(prepared, a, (1 << 256) // GPU.cube_macs, Output.PRODUCT))
    assert np.array_equal(attempt.product, reference.product)
    assert {winner.cube: winner.ticket for winner in attempt.winners} == reference.tickets


def test_withdrawn_between_batches(engine: CudaEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute.engines.cuda_fused, "BATCH_MACS", 1)
    a, b_t = random_matrix(16, 192, 1), random_matrix(16, 192, 2)
    prepared = engine.prepare_b(SIGMA, TEST, padded_mu(TEST, 16, 16, 192, NO_BINDING), b_t)
    stages: list[Stage] = []
    whole = engine.run(Order(prepared, a, TEST.max_target, Output.PRODUCT, stages.append))
    assert stages == [
        Stage.COMMIT,
        Stage.NOISE,
        *[Stage.PRODUCT] * 3,
        Stage.HASH,
        Stage.DENOISE,
    ]
    with pytest.raises(Withdrawn):
        engine.run(Order(prepared, a, TEST.max_target, Output.PRODUCT, withdraw_at(Stage.PRODUCT)))
    again = engine.run(Order(prepared, a, TEST.max_target, Output.PRODUCT))
    assert (again.winners, again.product is not None) == (whole.winners, True)
    assert np.array_equal(again.product, whole.product)


def withdraw_at(last: Stage) -> Progress:
    def progress(stage: Stage) -> None:
        if stage is last:
            raise Withdrawn

    return progress


@pytest.mark.parametrize("error", [RuntimeError, BrokenPipeError])
def test_faults_of_a_progress_are_not_the_devices(engine: CudaEngine, error: type[Exception]) -> None:
    def fail(_: Stage) -> None:
        raise error

    with pytest.raises(error):
        engine.prepare_b(
            SIGMA, TEST, padded_mu(TEST, 16, 16, 64, NO_BINDING), random_matrix(16, 64), progress=fail
        )


def test_plain_product(engine: CudaEngine) -> None:
    a, b_t = random_matrix(48, 128, 1), random_matrix(32, 128, 2)
    assert np.array_equal(engine.plain(a, b_t), a.astype(np.int64) @ b_t.T.astype(np.int64))


def test_memory_grows_with_what_is_asked(engine: CudaEngine) -> None:
    mu = Mu(TEST.profile_id, 1024, 1024, 1024, NO_BINDING)
    tickets_only = engine.memory_needed(TEST, mu, Output.TICKETS_ONLY)
    # Plain and noised operands, and 96 bytes for each ticket.
    assert tickets_only > 3 << 20 | (64 * 64 * 16 * 96)
    assert engine.memory_needed(TEST, mu, Output.PRODUCT) > tickets_only + (4 << 20)
    assert engine.memory_free() == 1 << 30
    before = engine.clock_ns()
    assert engine.clock_ns() >= before


def test_auto_takes_the_fastest_gpu_engine(device: Any) -> None:
    compiler()
    assert [engine.name for engine in GPU_ENGINES] == ["cuda-wgmma", "cuda-mma", "cupy"]
    chosen, detail = choose_engine("auto", TEST, SEED)
    assert chosen.name == "cuda-wgmma"
    assert "stand-in" in detail


@pytest.mark.parametrize(
    ("capability", "name"),
    [("90", "cuda-wgmma"), ("89", "cuda-mma"), ("80", "cuda-mma"), ("100", "cuda-mma")],
)
def test_auto_takes_what_the_device_has(device: Any, capability: str, name: str) -> None:
    compiler()
    device.cuda.Device = lambda: type("Device", (), {"id": 0, "compute_capability": capability})()
    assert choose_engine("auto", TEST, SEED)[0].name == name


def test_auto_goes_on_without_nvcc_and_cubin(device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler()
    monkeypatch.setattr(compute.engines.cuda_wgmma, "find_nvcc", lambda: None)
    skipped: list[str] = []
    chosen, _ = choose_engine(
        "auto", TEST, SEED, skipped=lambda name, fault: skipped.append(f"{name}: {fault}")
    )
    assert chosen.name == "cuda-mma"
    assert "nvcc" in skipped[0]
    assert "make gpu-cubin" in WgmmaEngine().probe().hint


@pytest.mark.parametrize("kernel", ["multiply_and_fold", "hash_tickets", "add_noise", "hash_leaves"])
def test_auto_leaves_gpus_that_compute_wrongly(
    device: Any, kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler()
    monkeypatch.setitem(tests.cupy_standin.REPLACEMENTS, kernel, lambda *_: None)
    monkeypatch.setitem(tests.cupy_standin.REPLACEMENTS, "fold_tiles", lambda *_: None)
    skipped: list[str] = []
    chosen, _ = choose_engine(
        "auto", TEST, SEED, skipped=lambda name, fault: skipped.append(f"{name}: {fault}")
    )
    assert chosen.name in {engine.name for engine in CPU_ENGINES}
    assert ["wrong" in line for line in skipped[:3]] == [True] * 3
    with pytest.raises(LocalFault, match="WORK_SELF_TEST"):
        choose_engine("cupy", TEST, SEED)


def test_faults_of_the_device_are_faults_of_this_machine(
    engine: CudaEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError("out of device memory")

    monkeypatch.setitem(tests.cupy_standin.REPLACEMENTS, "add_noise", fail)
    mu = padded_mu(TEST, 16, 16, 64, NO_BINDING)
    with pytest.raises(LocalFault, match="WORK_GPU"):
        engine.prepare_b(SIGMA, TEST, mu, random_matrix(16, 64))


@pytest.mark.slow
def test_benchmark_is_ready_to_run(
    device: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its code, not its figures: over the stand-in everything is slow alike."""
    compiler()
    monkeypatch.setattr(bench_gpu, "PROFILES", {TEST.profile_id: TEST})
    out = tmp_path / "out.json"
    assert bench_gpu.main(["--edges", "64", "--profile", "test", "--rounds", "1", "--json", str(out)]) == 0
    rows = json.loads(out.read_text())["rows"]
    assert [row["engine"] for row in rows] == ["cuda-wgmma", "cuda-mma", "cupy"]
    assert "FAILED" not in capsys.readouterr().out


def test_benchmark_without_a_device(device: Any, capsys: pytest.CaptureFixture[str]) -> None:
    device.cuda.runtime.getDeviceCount = lambda: 0
    assert bench_gpu.main([]) == 0
    assert "No GPU could be used" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ENGINES, ids=lambda engine: engine.name)
def test_machine_without_a_device(device: Any, kind: type[CudaEngine]) -> None:
    device.cuda.runtime.getDeviceCount = lambda: 0
    assert not kind().probe().usable
    device.cuda.runtime.getDeviceCount = lambda: 1
    device.cuda.Device = lambda: type("Old", (), {"id": 0, "compute_capability": "52"})()
    old = kind().probe()
    assert not old.usable
    assert "52" in old.detail
