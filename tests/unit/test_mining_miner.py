"""One miner over several devices: products in panels, devices that fail in the middle, a source that goes away."""

from __future__ import annotations

import logging
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio

from chain.errors import LocalFault
from chain.types import NO_JOB, BlockHash, Hash32, JobId
from compute.engines.select import CPU_ENGINES, GPU_ENGINES
from compute.messages import Command, Event, Failed, Idle, Load, Mine, Panel, PanelDone, Ready
from compute.spec.profiles import TEST
from node.app import Node
from node.mining.devices import Device, cpu_devices
from node.mining.miner import Miner
from node.mining.product import Rows
from node.mining.program import table
from node.mining.status import State
from node.mining.work import Submission, Work
from tests.node_world import InlineCpu, InlineWorker, SeededRng, VirtualClock, network_spec, world

JOB = JobId(b"job".ljust(32, b"."))
A = np.random.default_rng(11).integers(-63, 64, (200, 100)).astype(np.int8)
B = np.random.default_rng(12).integers(-63, 64, (100, 96)).astype(np.int8)
TWO = cpu_devices(2)
FIRST, SECOND = CPU_ENGINES[0].name, CPU_ENGINES[1].name


class CrashesOnPanels(InlineWorker):
    """Dies of the first panel it gets."""

    async def send(self, command: Command) -> None:
        if isinstance(command, Panel):
            self.break_down()
        else:
            await super().send(command)


class Lies(InlineWorker):
    """Gets one entry of every panel wrong."""

    async def receive(self) -> Event:
        event = await super().receive()
        if not isinstance(event, PanelDone):
            return event
        wrong = np.frombuffer(event.product, "<i4").copy()
        wrong[7] += 1
        fields = {name: getattr(event, name) for name in event.__slots__}
        return PanelDone(**fields | {"product": wrong.tobytes()})


class LeavesOut(InlineWorker):
    """Sends every panel without its last entry."""

    async def receive(self) -> Event:
        event = await super().receive()
        if not isinstance(event, PanelDone):
            return event
        fields = {name: getattr(event, name) for name in event.__slots__}
        return PanelDone(**fields | {"product": event.product[:-4]})


class FailsItsSelfTest(InlineWorker):
    async def start(self) -> Ready:
        raise LocalFault("WORK_SELF_TEST", found=f"a wrong product from engine {self.engine}")


class HasNoMemory(InlineWorker):
    async def send(self, command: Command) -> None:
        if isinstance(command, Panel):
            self._events.append(Failed("WORK_MEMORY", "9 GiB", command.job))
            self._wake.set()
        else:
            await super().send(command)


class HasRoomForPanelsOnly(InlineWorker):
    """On a GPU that something else fills: idle attempts are as large as the device allows, panels are not."""

    async def send(self, command: Command) -> None:
        if isinstance(command, Mine):
            self.commands.append(command)
            self._events.append(Failed("WORK_MEMORY", "WORK_MEMORY: found 9 GiB, allowed 1 GiB free", NO_JOB))
            self._wake.set()
        else:
            await super().send(command)


async def multiplied(node: Node) -> bytes:
    miner = node.miner
    assert miner is not None
    b_t = np.ascontiguousarray(B.T)
    a, b = (
        Load(Hash32(name * 32), *matrix.shape, matrix.tobytes()) for name, matrix in ((b"a", A), (b"b", b_t))
    )
    return await miner.multiply(JOB, a, b)


def exact() -> bytes:
    return (A.astype(np.int32) @ B.astype(np.int32)).astype("<i4").tobytes()


def failures(caplog: pytest.LogCaptureFixture, event: str = "engine-failed") -> list[str]:
    return [r.getMessage() for r in caplog.records if r.getMessage().startswith(event)]


async def running(net: Any, node: Node) -> None:
    await net.until(lambda: node.miner is not None and all(slot.rate for slot in node.miner.slots))


async def test_a_product_is_made_by_all_devices_together(tmp_path: Path, autojump_clock: object) -> None:
    async with world(tmp_path) as net:
        node = await net.start(0, devices=TWO)
        await running(net, node)
        assert await multiplied(node) == exact()
        makers = [sum(isinstance(c, Panel) for c in worker.commands) for worker in net.workers["node-0"]]
        assert len(makers) == 2
        assert min(makers) > 0
        assert sum(makers) == node.miner.job_work[JOB].panels
        assert node.tickets_drawn(JOB) >= 200 // 16 * 96 // 16


async def test_devices_draw_different_tickets(tmp_path: Path, autojump_clock: object) -> None:
    async with world(tmp_path) as net:
        node = await net.start(0, devices=TWO)
        await net.until(lambda: node.chain.head.height >= 3)
        seeds = [
            command.seed
            for worker in net.workers["node-0"]
            for command in worker.commands
            if isinstance(command, Mine)
        ]
        assert len(set(seeds)) == len(seeds) > 4
        assert sum(status.blocks for status in node.devices) == 3


async def test_a_crash_in_the_middle_of_a_product_costs_nothing_but_time(
    tmp_path: Path, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    async with world(tmp_path) as net:
        net.worker_kinds = {(device.name, FIRST): CrashesOnPanels for device in TWO}
        node = await net.start(0, devices=TWO)
        await running(net, node)
        assert await multiplied(node) == exact()
        assert len(failures(caplog)) == 2
        assert {status.engine for status in node.devices} == {SECOND}


async def test_a_wrong_product_is_made_again_and_the_liar_loses_its_engine(
    tmp_path: Path, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    async with world(tmp_path) as net:
        net.worker_kinds = {(TWO[0].name, FIRST): Lies}
        node = await net.start(0, devices=TWO)
        await running(net, node)
        assert await multiplied(node) == exact()
        (line,) = failures(caplog)
        assert f"device={TWO[0].name} engine={FIRST} why=WORK_PRODUCT" in line
        height = node.chain.head.height
        await net.until(lambda: node.chain.head.height > height)


async def test_a_panel_that_is_not_whole_is_made_again_and_costs_the_engine(
    tmp_path: Path, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    async with world(tmp_path) as net:
        net.worker_kinds = {(TWO[0].name, FIRST): LeavesOut}
        node = await net.start(0, devices=TWO)
        await running(net, node)
        assert await multiplied(node) == exact()
        (line,) = failures(caplog)
        assert f"device={TWO[0].name} engine={FIRST} why=WORK_PRODUCT: found a panel of" in line


async def test_wrong_products_without_end_are_given_up(tmp_path: Path, autojump_clock: object) -> None:
    async with world(tmp_path) as net:
        net.worker_kinds = {("cpu", engine.name): Lies for engine in CPU_ENGINES}
        node = await net.start(0)
        await running(net, node)
        with pytest.raises(LocalFault) as caught:
            await multiplied(node)
        assert caught.value.code == "WORK_PRODUCT"


async def test_a_product_that_fits_nowhere_is_given_back_with_the_reason(
    tmp_path: Path, autojump_clock: object
) -> None:
    async with world(tmp_path) as net:
        net.worker_kinds = {(device.name, FIRST): HasNoMemory for device in TWO}
        node = await net.start(0, devices=TWO)
        await running(net, node)
        with pytest.raises(LocalFault) as caught:
            await multiplied(node)
        assert caught.value.code == "WORK_MEMORY"
        net.worker_kinds = {}
        asked = [c.row_count for c in net.workers["node-0"][0].commands if isinstance(c, Panel)]
        assert not asked, "a worker without memory never saw one"


async def test_one_device_without_memory_leaves_the_product_to_the_others(
    tmp_path: Path, autojump_clock: object
) -> None:
    async with world(tmp_path) as net:
        net.worker_kinds = {(TWO[0].name, FIRST): HasNoMemory}
        node = await net.start(0, devices=TWO)
        await running(net, node)
        assert await multiplied(node) == exact()


async def test_a_device_without_memory_for_idle_work_still_serves_jobs_and_is_shown(
    tmp_path: Path, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    async with world(tmp_path) as net:
        net.worker_kinds = {("cpu", FIRST): HasRoomForPanelsOnly}
        node = await net.start(0)
        await net.until(lambda: bool(failures(caplog, "memory-short")))
        assert node.miner is not None
        (status,) = node.devices
        assert (status.state, status.engine) == (State.PAUSED, FIRST)
        assert "paused: WORK_MEMORY: found 9 GiB, allowed 1 GiB free" in table(node.miner)[-1]
        assert await multiplied(node) == exact()
        await trio.sleep(1_000)
        assert len(net.workers["node-0"]) == 1
        assert not failures(caplog)


async def test_where_the_last_gpu_is_quarantined_the_cpu_takes_over_and_the_node_goes_on(
    tmp_path: Path, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    gpus = (Device("gpu-0", "GPU-0"), Device("gpu-1", "GPU-1"))
    async with world(tmp_path) as net:
        net.worker_kinds = {
            (gpu.name, engine.name): FailsItsSelfTest for gpu in gpus for engine in GPU_ENGINES
        }
        node = await net.start(0, devices=gpus)
        await net.until(lambda: node.chain.head.height >= 3)
        assert [status.state for status in node.devices] == [
            State.QUARANTINED,
            State.QUARANTINED,
            State.RUNNING,
        ]
        assert node.devices[2].device == "cpu"
        assert len(failures(caplog)) == 2 * len(GPU_ENGINES)
        assert len(failures(caplog, "cpu-takes-over")) == 1
        assert await multiplied(node) == exact()
        text = "\n".join(table(node.miner))
        assert text.count("quarantined: WORK_SELF_TEST") == 2


async def test_a_node_whose_every_engine_fails_still_follows_the_chain(
    tmp_path: Path, autojump_clock: object
) -> None:
    async with world(tmp_path) as net:
        net.worker_kinds = {("cpu-1", engine.name): FailsItsSelfTest for engine in CPU_ENGINES}
        broken = await net.start(0, devices=(Device("cpu-1"),))
        await net.start(1)
        await net.until(lambda: broken.chain.head.height >= 3)
        assert broken.engine == ""
        assert broken.macs_per_second == 0


class ScriptedSource:
    """Hands out what it is told to, one after the other, then nothing new."""

    def __init__(self, *works: Work | None) -> None:
        self._works = deque(works)

    async def newest(self, after: int = 0) -> Work | None:
        if not self._works:
            await trio.sleep_forever()
        await trio.sleep(1)
        return self._works.popleft()

    async def submit(self, version: int, certificate: bytes) -> Submission:
        raise LocalFault("NODE_UNREACHABLE", found="nobody")


async def test_workers_rest_while_the_source_is_away_and_know_urgent_work(
    autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    def work(version: int, parent: bytes, target: int = 1) -> Work:
        return Work(version, b"sigma", target, TEST.profile_id, 1, BlockHash(parent * 32), 1_000)

    source = ScriptedSource(work(1, b"p"), work(2, b"p"), work(3, b"q"), None, work(4, b"q", TEST.max_target))
    worker = InlineWorker()
    miner = Miner(
        source, cpu_devices(1), lambda *_: worker, TEST, 1_000, VirtualClock(0), InlineCpu(), SeededRng("m"),
        idle_mining=True,
    )  # fmt: skip
    async with trio.open_nursery() as nursery:
        nursery.start_soon(miner.run)
        await trio.sleep(4.5)
        assert miner.work is None
        assert "waiting for the node" in table(miner)[0]
        await trio.sleep(20)
        nursery.cancel_scope.cancel()
    orders = [(c.template, c.patient) if isinstance(c, Mine) else c for c in worker.commands]
    assert orders[1:] == [(1, 0), (2, 1), (3, 0), Idle(), (4, 0)]
    lost = [record for record in caplog.records if record.getMessage().startswith("win-not-delivered")]
    assert lost, "a win that cannot be delivered is a line in the log"
    assert all(record.levelno == logging.WARNING for record in lost)
    assert NO_JOB not in miner.job_work
    assert network_spec().profile_id == TEST.profile_id


async def test_everything_a_liar_made_is_opened_again(autojump_clock: object) -> None:
    """One wrong row is enough: nobody recomputes a product to find out which other rows are wrong."""
    rows: Rows[str] = Rows(100, 1)
    for maker in ("honest", "liar", "liar", "honest", "liar"):
        panel = await rows.take(20)
        assert panel is not None
        rows.put(*panel, bytes(20 * 4), maker)
    assert rows.is_complete
    assert await rows.take(20) is None
    assert rows.reopen(45) == "liar"
    assert not rows.is_complete
    assert [await rows.take(20) for _ in range(3)] == [(20, 20), (40, 20), (80, 20)]
