"""`tilework miner doctor` on machines of every kind, most of them made up."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from chain.errors import LocalFault
from compute import doctor as examining
from compute import machine as looking
from compute.devices import CudaDevice, CudaDevices
from compute.doctor import Diagnosis, Examination, diagnose, examine_apart, examine_here
from compute.engines import select
from compute.engines.reference import ReferenceEngine
from compute.engines.select import CPU_ENGINES, ENGINES, GPU_ENGINES, choose_engine
from compute.host_memory import HostMemory
from compute.machine import Machine, Processor, Software, look_around
from compute.spec.profiles import TEST
from node.cli.main import cli

BARE = Machine(
    processor=Processor("Old Faithful", "riscv64", 1, ()),
    memory=HostMemory(total=0, available=0),
    software=Software("3.11.0", "2.4.6", "unknown", None, None),
    cuda=CudaDevices(devices=(), source="", reason="nvidia-smi is not on PATH", extra=""),
)
CARD = CudaDevice(0, "NVIDIA H100", "9.0", 80 << 30, "580.65", "13.0", "GPU-1")
OLD_CARD = CudaDevice(1, "NVIDIA K80", "3.7", 0, "470.10", "", "GPU-2")
WITH_CARDS = replace(
    BARE, cuda=CudaDevices(devices=(CARD, OLD_CARD), source="nvidia-smi", reason="", extra="gpu-cuda13")
)
GPU_NAMES = [engine.name for engine in GPU_ENGINES]
CPU_NAMES = [engine.name for engine in CPU_ENGINES]


def works(name: str, profile_id: int, device: CudaDevice | None) -> Examination:
    place = "" if device is None else f"{device.ordinal}: {device.name}"
    rate = 10**9 * (len(ENGINES) - list(ENGINES).index(name))
    return Examination(name, place, True, f"{name} is fine", self_test="passed", macs_per_second=rate)


def only(*names: str) -> Callable[[str, int, CudaDevice | None], Examination]:
    def examine(name: str, profile_id: int, device: CudaDevice | None) -> Examination:
        fine = works(name, profile_id, device)
        if name in names:
            return fine
        return Examination(
            name, fine.device, False, f"{name} is broken", hint=f"Mend {name}.", self_test="failed"
        )

    return examine


def shown(monkeypatch: pytest.MonkeyPatch, diagnosis: Diagnosis, *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr(examining, "diagnose", lambda profile_id: diagnosis)
    result = CliRunner().invoke(cli, ["miner", "doctor", *arguments], prog_name="tilework")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def test_a_bare_machine_mines_with_what_works_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    diagnosis = diagnose(1, BARE, only("reference"))
    code, out, _ = shown(monkeypatch, diagnosis)
    assert code == 0
    assert "CPU        Old Faithful (riscv64), 1 core; no integer instructions that matter\n" in out
    assert "memory     unknown\n" in out
    assert "software   Python 3.11.0, NumPy 2.4.6 with unknown, no Numba, no CuPy\n" in out
    assert "GPU        none found: nvidia-smi is not on PATH\n" in out
    assert "This machine can mine: `--engine auto` takes reference.\n" in out
    assert f"Not {', '.join(GPU_NAMES)}: no CUDA device.\n" in out
    assert "install    Mend numba.\n" in out
    assert "make gpu" not in out
    for name in GPU_NAMES:
        assert f"Mend {name}" not in out


def test_cards_without_cupy_get_the_exact_command(monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = shown(monkeypatch, diagnose(1, WITH_CARDS, only(*CPU_NAMES)))
    assert code == 0
    assert "GPU 0      NVIDIA H100, 80.0 GiB, compute capability 9.0, driver 580.65, runtime 13.0\n" in out
    assert (
        "GPU 1      NVIDIA K80, memory shared with the machine, compute capability 3.7, driver 470.10\n"
        in out
    )
    assert "install    make gpu-cuda13\n" in out
    assert f"takes {CPU_NAMES[0]}.\n" in out
    assert (
        f"Not {GPU_NAMES[0]} on 0: NVIDIA H100, {GPU_NAMES[0]} on 1: NVIDIA K80: {GPU_NAMES[0]} is broken.\n"
        in out
    )


def test_a_driver_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = replace(WITH_CARDS, cuda=replace(WITH_CARDS.cuda, extra=""))
    _, out, _ = shown(monkeypatch, diagnose(1, machine, only("reference")))
    assert "install    a newer NVIDIA driver, 525 or later\n" in out


def test_with_cupy_its_engines_say_what_they_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = replace(WITH_CARDS, software=replace(BARE.software, cupy="14.2.0"))
    _, out, _ = shown(monkeypatch, diagnose(1, machine, only("cupy")))
    assert "takes cupy on 0: NVIDIA H100.\n" in out
    assert f"install    Mend {GPU_NAMES[0]}.\n" in out
    assert "make gpu" not in out


def test_nothing_is_missing_where_the_fastest_works(monkeypatch: pytest.MonkeyPatch) -> None:
    _, out, _ = shown(monkeypatch, diagnose(1, WITH_CARDS, works))
    assert f"takes {GPU_NAMES[0]} on 0: NVIDIA H100.\n" in out
    assert "Not " not in out


def test_a_slower_engine_that_measured_faster_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def surprising(name: str, profile_id: int, device: CudaDevice | None) -> Examination:
        fine = works(name, profile_id, device)
        return replace(fine, macs_per_second=10**13) if name == "numpy" else fine

    _, out, _ = shown(monkeypatch, diagnose(1, BARE, surprising))
    assert "Here numpy measured faster: choose it with --engine numpy.\n" in out


def test_a_machine_that_cannot_mine(monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = shown(monkeypatch, diagnose(1, BARE, only()))
    assert code == 5
    assert err == "Error: Nothing on this machine can mine.\n"
    assert "reference is broken" in out
    code, out, _ = shown(monkeypatch, diagnose(1, BARE, only()), "--json")
    assert code == 5
    assert json.loads(out)["can_mine"] is False


def test_json(monkeypatch: pytest.MonkeyPatch) -> None:
    _, out, _ = shown(monkeypatch, diagnose(1, WITH_CARDS, only(*CPU_NAMES)), "--json")
    form = json.loads(out)
    assert form["can_mine"] is True
    assert form["engine"] == CPU_NAMES[0]
    assert form["machine"]["cuda"]["devices"][0]["name"] == "NVIDIA H100"
    assert len(form["engines"]) == 2 * len(GPU_NAMES) + len(CPU_NAMES)
    assert form["engines"][-1]["self_test"] == "passed"
    assert form["install"] == ["make gpu-cuda13"]


def failing(*_: object, **__: object) -> Any:
    raise RuntimeError("an odd machine")


def test_a_look_around_survives_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", failing)
    monkeypatch.setattr(platform, "processor", failing)
    monkeypatch.setattr(os, "sched_getaffinity", failing)
    monkeypatch.setattr(np, "show_config", failing)
    monkeypatch.setattr(importlib.metadata, "version", failing)
    monkeypatch.setattr(looking, "list_cuda_devices", failing)
    monkeypatch.setattr(looking, "host_memory", failing)
    machine = look_around(tmp_path)
    assert machine.processor == Processor("unknown", "unknown", 1, ())
    assert machine.memory == HostMemory(0, 0)
    assert (machine.software.numpy, machine.software.blas, machine.software.numba) == (None, "unknown", None)
    assert machine.cuda.reason == "CUDA devices could not be listed"


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        (
            "model name\t: Fast\nflags\t\t: sse avx2 avx512f avx512_vnni\n",
            ("AVX2", "AVX-512", "AVX-512 VNNI"),
        ),
        ("processor : 0\nFeatures : fp asimd asimddp i8mm\n", ("Arm dot products", "Arm int8 products")),
        ("flags\n\x00\xff:::\n", ()),
    ],
)
def test_instruction_sets(tmp_path: Path, cpuinfo: str, expected: tuple[str, ...]) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(cpuinfo)
    assert look_around(tmp_path).processor.instruction_sets == expected


def test_no_affinity_on_other_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert look_around().processor.cores == 1


def test_an_engine_is_examined_in_a_process_of_its_own() -> None:
    examined = examine_apart("reference", TEST.profile_id, None)
    assert (examined.engine, examined.usable, examined.self_test) == ("reference", True, "passed")
    assert examined.macs_per_second > 0


def test_an_examination_that_hangs_crashes_or_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    assert examine_apart("reference", 1, None, time_limit_s=0.01).detail == "no answer within 0 s"
    crashed = examine_apart("abacus", 1, CARD)
    assert (crashed.usable, crashed.device) == (False, "0: NVIDIA H100")
    assert crashed.detail.startswith("crashed: ")
    assert "WORK_ENGINE_NAME" in crashed.detail
    monkeypatch.setattr(examining.sys, "executable", "/nowhere/python")
    assert examine_apart("reference", 1, None).detail == "could not be examined: No such file or directory"


@pytest.mark.parametrize(
    ("said", "code", "detail"),
    [
        (
            "a library talks\n" + json.dumps({"engine": "x", "device": "", "usable": True, "detail": "y"}),
            0,
            "y",
        ),
        ("", -11, "crashed: exit status -11"),
        ("{not json", 0, "crashed: exit status 0"),
        ('{"other": 1}', 0, "crashed: exit status 0"),
        ("[1]", 0, "crashed: exit status 0"),
    ],
)
def test_what_an_examination_says(monkeypatch: pytest.MonkeyPatch, said: str, code: int, detail: str) -> None:
    asked: list[dict[str, str]] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        asked.append(options["env"])
        return subprocess.CompletedProcess(command, code, said, "")

    monkeypatch.setattr(subprocess, "run", run)
    examined = examine_apart("x", 1, CARD)
    assert (examined.detail, examined.device) == (detail, "0: NVIDIA H100")
    assert asked[0]["CUDA_VISIBLE_DEVICES"] == "GPU-1"
    assert asked[0]["OPENBLAS_NUM_THREADS"] == "1"


class Explodes(ReferenceEngine):
    """Its compiler fails in a way of its own."""

    name = "explodes"

    def run(self, order: Any) -> Any:
        raise ZeroDivisionError("compiler")


def test_a_failed_self_test_is_told_and_the_next_engine_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(select, "ENGINES", {"explodes": Explodes, "reference": ReferenceEngine})
    monkeypatch.setattr(select, "ENGINE_NAMES", ("auto", "explodes", "reference"))
    examined = examine_here("explodes", TEST.profile_id)
    assert (examined.usable, examined.self_test) == (False, "failed")
    assert examined.detail == "ZeroDivisionError in engine explodes: compiler"
    skipped: list[str] = []
    engine, _ = choose_engine("auto", TEST, b"seed", skipped=lambda name, fault: skipped.append(fault.code))
    assert engine.name == "reference"
    assert skipped == ["WORK_SELF_TEST"]
    with pytest.raises(LocalFault):
        choose_engine("explodes", TEST, b"seed")


def test_an_engine_that_is_not_there() -> None:
    examined = examine_here("cupy", TEST.profile_id)
    if not examined.usable:
        assert examined.self_test == "not run"
        assert examined.hint


@pytest.mark.parametrize("command", [("miner", "doctor"), ("bench", "work"), ("work", "multiply")])
def test_the_commands_are_where_people_look(command: tuple[str, str]) -> None:
    result = CliRunner().invoke(cli, [*command, "--help"], prog_name="tilework")
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: tilework {' '.join(command)} ")
