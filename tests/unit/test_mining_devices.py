"""Which devices `--device`, `--cpu-workers` and `--engine` mean together."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace

import pytest

from chain.errors import Policy
from compute.engines.select import CPU_ENGINES, GPU_ENGINES
from node.mining import devices
from node.mining.devices import Device, choose_devices, list_gpus, needs_gpus

GPUS = [Device(f"gpu-{number}", f"GPU-{number}") for number in range(3)]
CPU_ENGINE, GPU_ENGINE = CPU_ENGINES[0].name, GPU_ENGINES[0].name


@pytest.mark.parametrize(
    ("text", "workers", "engine", "gpus", "expected"),
    [
        ("all", None, "auto", 3, "gpu-0 gpu-1 gpu-2"),
        ("all", None, "auto", 0, "cpu"),
        ("all", 2, "auto", 1, "gpu-0 cpu-1 cpu-2"),
        ("cpu", None, "auto", 3, "cpu"),
        ("cpu", 3, "auto", 0, "cpu-1 cpu-2 cpu-3"),
        ("2,0,2", None, "auto", 3, "gpu-2 gpu-0"),
        ("all", None, CPU_ENGINE, 3, "cpu"),
        ("all", 4, GPU_ENGINE, 2, "gpu-0 gpu-1"),
    ],
)
def test_choices(text: str, workers: int | None, engine: str, gpus: int, expected: str) -> None:
    chosen = choose_devices(text, workers, engine, GPUS[:gpus])
    assert " ".join(device.name for device in chosen) == expected


@pytest.mark.parametrize(
    ("text", "workers", "engine", "gpus", "code"),
    [
        ("3", None, "auto", 3, "DEVICE_UNKNOWN"),
        ("0", None, "auto", 0, "DEVICE_UNKNOWN"),
        ("gpu", None, "auto", 3, "DEVICE_UNKNOWN"),
        ("", None, "auto", 3, "DEVICE_UNKNOWN"),
        ("all", 0, "auto", 0, "DEVICE_NONE"),
        ("all", None, GPU_ENGINE, 0, "DEVICE_NONE"),
        ("cpu", None, GPU_ENGINE, 2, "DEVICE_NONE"),
        ("all", None, "abacus", 0, "WORK_ENGINE_NAME"),
    ],
)
def test_refusals(text: str, workers: int | None, engine: str, gpus: int, code: str) -> None:
    with pytest.raises(Policy) as caught:
        choose_devices(text, workers, engine, GPUS[:gpus])
    assert caught.value.code == code


def test_engines_belong_to_one_kind_of_device() -> None:
    cpu, gpu = Device("cpu"), GPUS[0]
    assert set(cpu.engines("auto")) == {engine.name for engine in CPU_ENGINES}
    assert set(gpu.engines("auto")) == {engine.name for engine in GPU_ENGINES}
    assert cpu.engines("auto", frozenset({CPU_ENGINE})) == cpu.engines("auto")[1:]
    assert cpu.engines(CPU_ENGINE) == (CPU_ENGINE,)
    assert cpu.engines(CPU_ENGINE, frozenset({CPU_ENGINE})) == ()


def test_gpus_are_asked_for_only_where_they_matter() -> None:
    assert needs_gpus("all", "auto")
    assert needs_gpus("0", GPU_ENGINE)
    assert not needs_gpus("cpu", "auto")
    assert not needs_gpus("all", CPU_ENGINE)


@pytest.mark.parametrize(
    ("printed", "names"),
    [
        (
            b'a library warns\n[["GPU-ab", "H100"], ["GPU-cd", "A10"]]\n',
            ["gpu-0 GPU-ab H100", "gpu-1 GPU-cd A10"],
        ),
        (b"[]\n", []),
        (b"", []),
        (b"nonsense\n", []),
        (None, []),
    ],
)
def test_a_driver_that_fails_means_no_gpu(
    monkeypatch: pytest.MonkeyPatch, printed: bytes | None, names: list[str]
) -> None:
    def run(*_: object, **__: object) -> SimpleNamespace:
        if printed is None:
            raise subprocess.CalledProcessError(-11, "python")
        return SimpleNamespace(stdout=printed)

    monkeypatch.setattr(devices.subprocess, "run", run)
    assert [f"{gpu.name} {gpu.visible_as} {gpu.model}" for gpu in list_gpus()] == names


def test_asking_for_gpus_here_does_no_harm() -> None:
    assert all(gpu.is_gpu for gpu in list_gpus())
