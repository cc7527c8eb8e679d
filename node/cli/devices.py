"""Options that say what multiplies, shared by the node and the miner."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from compute.engines.select import AUTO, ENGINE_NAMES

if TYPE_CHECKING:
    from node.mining.devices import Device

C = TypeVar("C", bound=Callable[..., Any])


def engine_option(command: C) -> C:
    """Adds --engine."""
    return click.option(
        "--engine",
        type=click.Choice(ENGINE_NAMES),
        default=AUTO,
        show_default=True,
        help="What multiplies; auto takes the fastest that works here, and the next one if that fails.",
    )(command)


def device_options(command: C) -> C:
    """Adds --device and --cpu-workers."""
    workers = click.option(
        "--cpu-workers",
        type=click.IntRange(min=0, max=256),
        metavar="N",
        help="Workers on the CPU.  [default: 1 if no GPU is used, else 0]",
    )
    device = click.option(
        "--device",
        default="all",
        show_default=True,
        metavar="all|cpu|0,2",
        help="GPUs to use, each with a worker process of its own; with none of them, the CPU.",
    )
    return device(workers(command))


def devices_here(device: str, cpu_workers: int | None, engine: str) -> tuple[Device, ...]:
    """The devices of this machine that the options mean.  Raises: Policy DEVICE_*, WORK_ENGINE_NAME."""
    from node.mining.devices import choose_devices, list_gpus, needs_gpus

    gpus = list_gpus() if needs_gpus(device, engine) else []
    return choose_devices(device, cpu_workers, engine, gpus)
