"""`tilework miner doctor`: can this machine mine, with what, and what would make it faster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from node.amounts import scaled
from node.cli.context import json_option, show
from node.cli.errors import LOCAL_FAULT, CommandFailed
from node.cli.profile import profile_option

if TYPE_CHECKING:
    from compute.devices import CudaDevice
    from compute.doctor import Diagnosis, Examination
    from compute.host_memory import HostMemory
    from compute.machine import Software
    from compute.spec.profiles import Profile

SUPPORTED = (
    "any CPU that NumPy runs on; integer kernels need AVX2, better AVX-512 VNNI, and Numba",
    "NVIDIA GPUs of compute capability 6.1 and later, fused kernels from 8.0; driver 525 or later, and CuPy",
)


@click.command()
@profile_option
@json_option
def doctor(profile: Profile, as_json: bool) -> None:
    """What was found here, which engines work and how fast, which one `--engine auto` takes, and what to install.

    Every engine runs its self-test and a short measurement in a process of its own. Exit code 0 if something can mine.
    """
    from compute.doctor import diagnose

    diagnosis = diagnose(profile.profile_id)
    if as_json:
        show(form(diagnosis))
    else:
        for line in screen(diagnosis):
            click.echo(line)
    if diagnosis.chosen is None:
        raise CommandFailed(diagnosis.verdict, LOCAL_FAULT)


def form(diagnosis: Diagnosis) -> dict[str, Any]:
    """For programs."""
    chosen = diagnosis.chosen
    return {
        "can_mine": chosen is not None,
        "engine": chosen.engine if chosen is not None else None,
        "verdict": diagnosis.verdict,
        "machine": asdict(diagnosis.machine),
        "engines": [asdict(examined) for examined in diagnosis.examinations],
        "install": list(diagnosis.advice),
        "supported": list(SUPPORTED),
    }


def screen(diagnosis: Diagnosis) -> Iterator[str]:
    """For people."""
    machine = diagnosis.machine
    processor, cuda = machine.processor, machine.cuda
    sets = ", ".join(processor.instruction_sets) or "no integer instructions that matter"
    cores = f"{processor.cores} core{'s'[: processor.cores != 1]}"
    yield f"CPU        {processor.model} ({processor.architecture}), {cores}; {sets}"
    yield f"memory     {_memory(machine.memory)}"
    yield f"software   {_software(machine.software)}"
    for device in cuda.devices:
        yield f"GPU {device.ordinal}      {_device(device)}"
    if not cuda.devices:
        yield f"GPU        none found: {cuda.reason}"
    yield ""
    width = max(len(_name(examined)) for examined in diagnosis.examinations)
    yield f"{'engine':<{width}}  {'self-test':<9}  {'rate':<12}  found"
    for examined in diagnosis.examinations:
        rate = scaled(examined.macs_per_second, "MAC/s") if examined.usable else "unusable"
        yield f"{_name(examined):<{width}}  {examined.self_test:<9}  {rate:<12}  {examined.detail}"
    yield ""
    yield from (f"supported  {text}" for text in SUPPORTED)
    for text in diagnosis.advice or ("nothing is missing",):
        yield f"install    {text}"
    yield ""
    if diagnosis.chosen is not None:  # otherwise the error says it
        yield diagnosis.verdict
        yield from _passed_over(diagnosis)
        yield from _faster(diagnosis, diagnosis.chosen)


def _passed_over(diagnosis: Diagnosis) -> Iterator[str]:
    """Why not what `auto` would have preferred; one line per reason."""
    names: dict[str, list[str]] = {}
    for examined in diagnosis.passed_over:
        names.setdefault(examined.detail, []).append(_name(examined))
    yield from (f"Not {', '.join(several)}: {reason}." for reason, several in names.items())


def _faster(diagnosis: Diagnosis, chosen: Examination) -> Iterator[str]:
    fastest = max(diagnosis.examinations, key=lambda examined: examined.macs_per_second)
    if fastest.macs_per_second > chosen.macs_per_second:
        yield f"Here {_name(fastest)} measured faster: choose it with --engine {fastest.engine}."


def _name(examined: Examination) -> str:
    return f"{examined.engine} on {examined.device}" if examined.device else examined.engine


def _memory(memory: HostMemory) -> str:
    if not memory.total:
        return "unknown"
    return f"{_gib(memory.total)}, {_gib(memory.available)} free"


def _software(software: Software) -> str:
    numpy = f"NumPy {software.numpy} with {software.blas}" if software.numpy else "no NumPy"
    numba = f"Numba {software.numba}" if software.numba else "no Numba"
    cupy = f"CuPy {software.cupy}" if software.cupy else "no CuPy"
    return f"Python {software.python}, {numpy}, {numba}, {cupy}"


def _device(device: CudaDevice) -> str:
    memory = _gib(device.memory_bytes) if device.memory_bytes else "memory shared with the machine"
    runtime = f", runtime {device.runtime_version}" if device.runtime_version else ""
    versions = f"compute capability {device.compute_capability}, driver {device.driver_version}{runtime}"
    return f"{device.name}, {memory}, {versions}"


def _gib(size_bytes: int) -> str:
    return f"{size_bytes * 10 // (1 << 30) / 10:.1f} GiB"
