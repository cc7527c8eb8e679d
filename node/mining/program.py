"""A miner in a process of its own: work over RPC, one worker process per device, lines for the person who watches."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import trio

from compute.spec.profiles import Profile
from node.amounts import scaled
from node.mining.devices import Device
from node.mining.lending import Lender
from node.mining.miner import Miner
from node.mining.rpc_source import WAIT_MS, RpcSource
from node.mining.status import SlotStatus, State
from node.ports import SystemRng, ThreadCpu, WallClock
from node.rpc.client import AsyncRpcClient
from node.signals import stop_on_signal
from node.worker_process import worker_processes

log = logging.getLogger("tilework.miner")
_POLL_SLACK_S = 10
_COLUMNS = ("device", "engine", "rate", "tickets", "panels", "blocks", "state")


@dataclass(frozen=True, slots=True)
class MinerSettings:
    """What a person decides, and what the node said about its network."""

    url: str
    genesis: str
    profile: Profile
    block_time_ms: int
    address: str
    """Of the account that earns the coinbase, spelled for this network."""
    engine: str
    devices: tuple[Device, ...]
    report_s: int
    jobs: bool
    """Whether the devices make panels of the node's jobs."""


def run_miner(settings: MinerSettings, say: Callable[[str], object]) -> None:
    """Mine until SIGINT or SIGTERM; `say` gets the lines of the table.

    Raises:
        TileworkError: (in a group) if the node turns out to be one that cannot be mined for.
    """
    trio.run(partial(_mine, settings, say))


async def _mine(settings: MinerSettings, say: Callable[[str], object]) -> None:
    clock, rng = WallClock(), SystemRng()
    timeout_s = WAIT_MS / 1000 + _POLL_SLACK_S
    async with AsyncRpcClient(settings.url, timeout_s=timeout_s) as client, trio.open_nursery() as nursery:
        nursery.start_soon(stop_on_signal, nursery.cancel_scope)
        source = RpcSource(client, settings.genesis, settings.address, clock)
        miner = Miner(
            source,
            settings.devices,
            worker_processes(settings.profile.profile_id),
            settings.profile,
            settings.block_time_ms,
            clock,
            ThreadCpu(),
            rng,
            engine=settings.engine,
            idle_mining=True,
        )
        if settings.jobs:
            nursery.start_soon(Lender(client, miner, settings.profile, clock, rng).run)
        nursery.start_soon(_report, miner, settings.report_s, say)
        await miner.run()
    log.info("stopped blocks=%d", sum(status.blocks for status in miner.devices))


async def _report(miner: Miner, interval_s: int, say: Callable[[str], object]) -> None:
    while True:
        await trio.sleep(interval_s)
        for line in table(miner):
            say(line)


def table(miner: Miner) -> list[str]:
    """The state of a miner: a line for all, a line for every device."""
    work, blocks = miner.work, sum(status.blocks for status in miner.devices)
    doing = f"height {work.height}" if work is not None else "waiting for the node"
    rate = scaled(miner.macs_per_second, "MAC/s")
    lines = [f"{doing} · {rate} · {blocks} blocks won, {miner.stale} too late"]
    return lines + aligned([_COLUMNS, *map(_cells, miner.devices)])


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines with columns of equal width, indented."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        ("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip()
        for row in rows
    ]


def _cells(status: SlotStatus) -> tuple[str, ...]:
    failure = f": {status.failure}" if status.failure and status.state is not State.RUNNING else ""
    return (
        status.device,
        status.engine or "-",
        scaled(status.macs_per_second, "MAC/s"),
        f"{status.tickets:,}",
        str(status.panels),
        str(status.blocks),
        f"{status.state.value}{failure}",
    )
