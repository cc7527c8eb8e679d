"""Devices are found through CuPy or nvidia-smi, nothing that is missing or broken raises, and what is found works."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from compute.devices import list_cuda_devices
from compute.engines.base import Engine, self_test
from compute.engines.select import GPU_ENGINES
from compute.spec.profiles import PROFILES, Profile

TABLE = """0, NVIDIA H100 80GB HBM3, 9.0, 81559, 580.65.06, GPU-11111111-2222-3333-4444-555555555555
1, NVIDIA A100-SXM4-40GB, 8.0, 40960, 580.65.06, GPU-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
"""


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
@pytest.mark.parametrize("kind", GPU_ENGINES, ids=lambda kind: kind.name)
def test_engine_on_a_real_device(kind: type[Engine], profile: Profile) -> None:
    """The only test of the kernels that is not an emulation; it needs a GPU."""
    engine = kind()
    capabilities = engine.probe()
    if not capabilities.usable:
        pytest.skip(f"{kind.name} cannot run here: {capabilities.detail}")
    self_test(engine, profile, secrets.token_bytes(32))


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts an `nvidia-smi` on an otherwise empty PATH that prints a text and exits with a status."""
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setenv("PATH", str(tmp_path))

    def write(text: str, status: int = 0) -> None:
        (tmp_path / "answer").write_text(text)
        script = tmp_path / "nvidia-smi"
        script.write_text(
            f"#!/bin/sh\nwhile read -r line; do echo \"$line\"; done <'{tmp_path}/answer'\nexit {status}\n"
        )
        script.chmod(0o755)

    return write


def cupy_with(monkeypatch: pytest.MonkeyPatch, count: Any, **properties: Any) -> None:
    runtime = SimpleNamespace(
        driverGetVersion=lambda: 12090,
        runtimeGetVersion=lambda: 12080,
        getDeviceCount=count,
        getDeviceProperties=lambda _: properties,
    )
    cupy = SimpleNamespace(__version__="14.2.0", cuda=SimpleNamespace(runtime=runtime))
    monkeypatch.setitem(sys.modules, "cupy", cupy)


def test_devices_of_the_tool(tool: Any) -> None:
    tool(TABLE)
    found = list_cuda_devices()
    assert (found.source, found.reason, found.extra) == ("nvidia-smi", "", "gpu-cuda13")
    first, second = found.devices
    assert (first.ordinal, first.name, first.compute_capability) == (0, "NVIDIA H100 80GB HBM3", "9.0")
    assert first.memory_bytes == 81559 << 20
    assert second.visible_as == "GPU-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"


@pytest.mark.parametrize(
    ("driver", "extra"),
    [("580.1", "gpu-cuda13"), ("600.1", "gpu-cuda13"), ("535.2", "gpu-cuda12"), ("470.3", "")],
)
def test_extra_that_fits_the_driver(tool: Any, driver: str, extra: str) -> None:
    tool(TABLE.replace("580.65.06", driver))
    assert list_cuda_devices().extra == extra


def test_memory_that_is_not_reported(tool: Any) -> None:
    tool(TABLE.replace("81559", "[N/A]"))
    assert list_cuda_devices().devices[0].memory_bytes == 0


@pytest.mark.parametrize(
    ("text", "status", "reason"),
    [
        ("", 0, "lists no device"),
        ("No devices were found\n", 0, "lists no device"),
        (
            "NVIDIA-SMI has failed because it could not talk to the driver.\n",
            9,
            "could not talk to the driver",
        ),
        ("", 6, "exit status 6"),
    ],
)
def test_reasons_of_the_tool(tool: Any, text: str, status: int, reason: str) -> None:
    tool(text, status)
    found = list_cuda_devices()
    assert found.devices == ()
    assert "CuPy cannot be imported" in found.reason
    assert reason in found.reason


def test_neither_library_nor_tool(tool: Any) -> None:
    found = list_cuda_devices()
    assert (found.devices, found.extra) == ((), "")
    assert "not on PATH" in found.reason


def test_devices_of_cupy(tool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = bytes(range(16))
    cupy_with(monkeypatch, lambda: 1, name=b"H100", major=9, minor=0, totalGlobalMem=80 << 30, uuid=raw)
    found = list_cuda_devices()
    assert (found.source, found.extra) == ("CuPy 14.2.0", "gpu-cuda12")
    (device,) = found.devices
    assert (device.driver_version, device.runtime_version) == ("CUDA 12.9", "12.8")
    assert device.visible_as == "GPU-00010203-0405-0607-0809-0a0b0c0d0e0f"


def test_cupy_without_uuids(tool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cupy_with(monkeypatch, lambda: 1, name=b"H100", major=9, minor=0, totalGlobalMem=80 << 30)
    assert list_cuda_devices().devices[0].visible_as == "0"


def test_cupy_that_does_not_fit_the_driver(tool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> int:
        raise RuntimeError("cudaErrorInsufficientDriver")

    cupy_with(monkeypatch, fail)
    assert "cudaErrorInsufficientDriver" in list_cuda_devices().reason
    tool(TABLE)
    assert len(list_cuda_devices().devices) == 2
