"""The devices of this machine that can multiply: GPUs by their driver, and cores of the CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from chain.errors import Policy
from compute.engines.select import AUTO, CPU_ENGINES, GPU_ENGINES, candidates

ALL = "all"
CPU_ONLY = "cpu"
_LIST_TIMEOUT_S = 60
_LIST = (
    "import json; from compute.devices import list_cuda_devices;"
    "print(json.dumps([(d.visible_as, d.name) for d in list_cuda_devices().devices]))"
)
_GPU_NAMES = frozenset(engine.name for engine in GPU_ENGINES)
_CPU_NAMES = frozenset(engine.name for engine in CPU_ENGINES)


@dataclass(frozen=True, slots=True)
class Device:
    """One worker process runs on it."""

    name: str
    """cpu, cpu-2, gpu-0: what logs and tables call it."""
    visible_as: str = ""
    """The value of CUDA_VISIBLE_DEVICES for its worker; empty hides every GPU."""
    model: str = ""

    @property
    def is_gpu(self) -> bool:
        return bool(self.visible_as)

    @property
    def foreign_engines(self) -> frozenset[str]:
        """Engines for the other kind of device."""
        return _CPU_NAMES if self.is_gpu else _GPU_NAMES

    def engines(self, name: str, failed: frozenset[str] = frozenset()) -> tuple[str, ...]:
        """What may still be tried here in turn, fastest first; an engine that was asked for by name is the only one.

        Raises:
            Policy: WORK_ENGINE_NAME if there is no such engine.
        """
        return tuple(each for each in candidates(name, self.foreign_engines | failed) if each not in failed)


def list_gpus() -> list[Device]:
    """The GPUs here, asked for in a process of its own: a broken driver must not take the caller with it."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _LIST],
            capture_output=True,
            timeout=_LIST_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            check=True,
        )
        found = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return []
    return [Device(f"gpu-{index}", visible_as, model) for index, (visible_as, model) in enumerate(found)]


def choose_devices(
    text: str, cpu_workers: int | None, engine: str, gpus: Sequence[Device]
) -> tuple[Device, ...]:
    """The devices that `--device all|cpu|0,2`, `--cpu-workers N` and `--engine NAME` mean together.

    `all` is every GPU, or the CPU where there is none. CPU workers come on top: by default one if no GPU is used,
    otherwise none, because the cores have to serve the GPUs and the node.

    Raises:
        Policy: DEVICE_UNKNOWN, DEVICE_NONE if nothing is left to work on, WORK_ENGINE_NAME.
    """
    chosen = _chosen_gpus(text, gpus)
    candidates(engine)
    if engine in _CPU_NAMES:
        chosen = []
    count = cpu_workers if cpu_workers is not None else int(not chosen)
    if engine in _GPU_NAMES:
        count = 0
    devices = (*chosen, *cpu_devices(count))
    if not devices:
        raise Policy(
            "DEVICE_NONE",
            found=f"no device for --engine {engine} --device {text}, {len(gpus)} GPUs here",
            allowed="at least one device",
            hint="See `tilework miner doctor`, or use --engine auto.",
        )
    return devices


def cpu_devices(count: int) -> tuple[Device, ...]:
    """So many workers on the CPU."""
    return (Device("cpu"),) if count == 1 else tuple(Device(f"cpu-{number + 1}") for number in range(count))


def needs_gpus(text: str, engine: str) -> bool:
    """Whether the GPUs have to be asked for at all."""
    return text != CPU_ONLY and (engine == AUTO or engine in _GPU_NAMES)


def _chosen_gpus(text: str, gpus: Sequence[Device]) -> list[Device]:
    if text == ALL:
        return list(gpus)
    if text == CPU_ONLY:
        return []
    known = {gpu.name.removeprefix("gpu-"): gpu for gpu in gpus}
    asked = [part.strip() for part in text.split(",")]
    unknown = [part for part in asked if part not in known]
    if unknown:
        raise Policy(
            "DEVICE_UNKNOWN",
            found=unknown[0],
            allowed=", ".join((ALL, CPU_ONLY, *known)),
            hint="See `tilework miner doctor`.",
        )
    return [known[part] for part in dict.fromkeys(asked)]
