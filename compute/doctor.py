"""Which engines work on this machine, how fast, and which one `auto` takes.

Every engine is examined in a process of its own with a time limit: a driver that crashes or hangs ends its examination
and nothing else.

    python -m compute.doctor NAME PROFILE_ID        examine one engine, one line of JSON
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TypeAlias

from chain.errors import LocalFault, TileworkError
from compute.bench import measure_rate
from compute.blas_threads import BLAS_VARIABLES
from compute.devices import CudaDevice
from compute.engines.select import ENGINES, GPU_ENGINES, choose_engine
from compute.machine import Machine, look_around
from compute.spec.profiles import PROFILES

TIME_LIMIT_S = 180
"""For one engine; the first run of a compiled one takes seconds."""
RATE_MS = 500
PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"
"""What became of a self-test."""
_VISIBLE_DEVICES = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, slots=True)
class Examination:
    """One engine on one device."""

    engine: str
    device: str
    """Name of the CUDA device; empty for the CPU."""
    usable: bool
    """Whether it runs here and gave the right results."""
    detail: str
    """What was found, or why it cannot be used."""
    hint: str = ""
    """What would make it usable."""
    self_test: str = NOT_RUN
    macs_per_second: int = 0


Examine: TypeAlias = Callable[[str, int, CudaDevice | None], Examination]
"""Engine, profile id, device: how an engine is examined."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything `tilework miner doctor` tells."""

    machine: Machine
    examinations: tuple[Examination, ...]
    """Fastest engine first, as `auto` tries them."""

    @property
    def chosen(self) -> Examination | None:
        """What `auto` takes; None if nothing here can mine."""
        return next((examined for examined in self.examinations if examined.usable), None)

    @property
    def passed_over(self) -> tuple[Examination, ...]:
        """What `auto` would have preferred."""
        chosen = self.chosen
        end = len(self.examinations) if chosen is None else self.examinations.index(chosen)
        return self.examinations[:end]

    @property
    def advice(self) -> tuple[str, ...]:
        """What to install or to change, each thing once; nothing for hardware that is not here."""
        cuda, has_cupy = self.machine.cuda, self.machine.software.cupy is not None
        found = []
        if cuda.devices and not cuda.extra:
            found.append("a newer NVIDIA driver, 525 or later")
        elif cuda.devices and not has_cupy:
            found.append(f"make {cuda.extra}")
        # Without CuPy every GPU engine asks for it, whether or not there is a GPU.
        found += [
            each.hint for each in self.passed_over if each.hint and (has_cupy or not _is_gpu(each.engine))
        ]
        return tuple(dict.fromkeys(found))

    @property
    def verdict(self) -> str:
        """One sentence."""
        chosen = self.chosen
        if chosen is None:
            return "Nothing on this machine can mine."
        place = f" on {chosen.device}" if chosen.device else ""
        return f"This machine can mine: `--engine auto` takes {chosen.engine}{place}."


def diagnose(profile_id: int, machine: Machine | None = None, examine: Examine | None = None) -> Diagnosis:
    """Look at the machine and examine every engine on every device it could use; never raises."""
    machine, examine = machine or look_around(), examine or examine_apart
    examined = []
    for name in ENGINES:
        if not _is_gpu(name):
            devices: Sequence[CudaDevice | None] = (None,)
        elif machine.cuda.devices:
            devices = machine.cuda.devices
        else:
            examined.append(Examination(engine=name, device="", usable=False, detail="no CUDA device"))
            continue
        for device in devices:
            examined.append(examine(name, profile_id, device))
    return Diagnosis(machine=machine, examinations=tuple(examined))


def examine_apart(
    name: str, profile_id: int, device: CudaDevice | None, time_limit_s: float = TIME_LIMIT_S
) -> Examination:
    """Examine an engine in a process of its own, which sees this device alone; never raises."""
    place = "" if device is None else f"{device.ordinal}: {device.name}"
    environment = {**os.environ, **dict.fromkeys(BLAS_VARIABLES, "1")}
    if device is not None:
        environment[_VISIBLE_DEVICES] = device.visible_as
    command = [sys.executable, "-m", "compute.doctor", name, str(profile_id)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=time_limit_s,
            stdin=subprocess.DEVNULL,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Examination(name, place, False, f"no answer within {time_limit_s:.0f} s")
    except OSError as error:
        return Examination(name, place, False, f"could not be examined: {error.strerror}")
    try:
        answer = json.loads(done.stdout.splitlines()[-1])
        return Examination(**{**answer, "device": place})
    except (ValueError, IndexError, TypeError):
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        return Examination(name, place, False, f"crashed: {said[-1]}")


def examine_here(name: str, profile_id: int) -> Examination:
    """Examine an engine in this process: probe, self-test, rate."""
    try:
        engine, detail = choose_engine(name, PROFILES[profile_id], os.urandom(32))
    except LocalFault as fault:
        if fault.code == "WORK_ENGINE_UNUSABLE":
            return Examination(name, "", False, str(fault.found), hint=fault.hint)
        return Examination(name, "", False, str(fault.found), self_test=FAILED)
    try:
        rate = measure_rate(engine, PROFILES[profile_id], RATE_MS)
    except TileworkError as error:
        return Examination(name, "", False, str(error), self_test=PASSED)
    return Examination(name, "", True, detail, self_test=PASSED, macs_per_second=rate)


def _is_gpu(name: str) -> bool:
    return any(engine.name == name for engine in GPU_ENGINES)


def main(arguments: Sequence[str]) -> int:
    name, profile_id = arguments
    print(json.dumps(asdict(examine_here(name, int(profile_id)))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
