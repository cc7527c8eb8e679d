"""A device whose workers fail: the next engine, one line in the log, quarantine, and never more than that."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
import trio

from chain.errors import LocalFault
from chain.types import NO_JOB, Hash32, JobId
from compute.engines.select import CPU_ENGINES, GPU_ENGINES
from compute.messages import (
    Bench,
    BenchDone,
    Command,
    Event,
    Failed,
    Found,
    Idle,
    Load,
    Mine,
    Panel,
    PanelDone,
    Progress,
    Ready,
)
from compute.spec.profiles import TEST
from node.mining.devices import Device
from node.mining.slot import FIRST_PAUSE_MS, LONGEST_PAUSE_MS, WATCHDOG_S, Slot
from node.mining.status import State
from tests.node_world import VirtualClock

CPU, GPU = Device("cpu"), Device("gpu-0", "GPU-0", "a GPU")
CPU_NAMES = tuple(engine.name for engine in CPU_ENGINES)
GPU_NAMES = tuple(engine.name for engine in GPU_ENGINES)
WORK = Mine(1, b"sigma", 1, TEST.profile_id, bytes(32))
JOB = JobId(b"j" * 32)
MATRIX_A = Load(Hash32(b"a" * 32), 1, 1, b"\1")
MATRIX_B = Load(Hash32(b"b" * 32), 1, 1, b"\1")
PANEL = Panel(1, b"sigma", 1, TEST.profile_id, JOB, 0, MATRIX_A.matrix, 0, 1, MATRIX_B.matrix)
TOO_LARGE = Failed("WORK_MEMORY", "WORK_MEMORY: found 9 MiB for 1 x 1 x 1,\nallowed 1 MiB free", NO_JOB)
Behaviour = Callable[["ScriptedWorker"], Awaitable[None]]


class ScriptedWorker:
    """A worker on the engine that comes first, which behaves as that engine's script says."""

    def __init__(
        self, names: tuple[str, ...], excluded: frozenset[str], scripts: dict[str, Behaviour]
    ) -> None:
        left = [name for name in names if name not in excluded]
        self.engine = left[0] if left else ""
        self.commands: list[Command] = []
        self.stopped = False
        self.has_room = True
        self.made_s = trio.current_time()
        self._script = scripts.get(self.engine, lives)
        self._events: deque[Event] = deque()
        self._wake = trio.Event()
        self._scripted: trio.CancelScope | None = None

    async def start(self) -> Ready:
        if not self.engine:
            raise LocalFault("WORK_ENGINE_UNUSABLE", found="no engine left to try")
        await self._script(self)
        return Ready(self.engine, "scripted")

    async def send(self, command: Command) -> None:
        await trio.lowlevel.checkpoint()
        self.commands.append(command)
        if isinstance(command, Bench):
            self.say(BenchDone(command.profile_id, 1_000) if self.has_room else TOO_LARGE)

    async def receive(self) -> Event:
        while not self._events:
            self._wake = trio.Event()
            await self._wake.wait()
        event = self._events.popleft()
        if isinstance(event, Failed) and event.code == "GONE":
            raise LocalFault("WORKER_LOST", found="a worker that ended with signal SIGSEGV")
        return event

    async def stop(self) -> None:
        self.stopped = True

    def say(self, *events: Event) -> None:
        self._events.extend(events)
        self._wake.set()

    def end(self) -> None:
        self.say(Failed("GONE", "", NO_JOB))


async def lives(_: ScriptedWorker) -> None:
    """Starts and serves."""


async def fails_its_self_test(worker: ScriptedWorker) -> None:
    raise LocalFault("WORK_SELF_TEST", found=f"a wrong product from engine {worker.engine}")


async def dies_at_start(_: ScriptedWorker) -> None:
    raise LocalFault("WORKER_LOST", found="a worker that ended with signal SIGKILL")


@dataclass
class Trial:
    """A slot under test, its workers so far, and what it won."""

    slot: Slot
    workers: list[ScriptedWorker] = field(default_factory=list)
    wins: list[Found] = field(default_factory=list)

    @property
    def worker(self) -> ScriptedWorker:
        return self.workers[-1]

    async def settled(self) -> ScriptedWorker:
        """The present worker, once it has been measured."""
        with trio.fail_after(10_000):
            while not (self.slot.is_running and self.slot.rate):
                await trio.sleep(0.01)
        return self.worker


@asynccontextmanager
async def trial(device: Device = CPU, engine: str = "auto", **scripts: Behaviour) -> AsyncIterator[Trial]:
    names = GPU_NAMES if device.is_gpu else CPU_NAMES

    def make(chosen: Device, name: str, excluded: frozenset[str]) -> ScriptedWorker:
        assert chosen is device
        assert excluded >= device.foreign_engines
        made = ScriptedWorker((name,) if name != "auto" else names, excluded, scripts)
        built.workers.append(made)
        return made

    slot = Slot(
        device, engine, TEST.profile_id, make, VirtualClock(0), lambda _, found: built.wins.append(found)
    )
    built = Trial(slot)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(slot.run)
        yield built
        nursery.cancel_scope.cancel()


def failures(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    ("script", "why"),
    [(fails_its_self_test, "WORK_SELF_TEST: found a wrong product"), (dies_at_start, "SIGKILL")],
)
async def test_an_engine_that_does_not_start_gives_way_to_the_next(
    caplog: pytest.LogCaptureFixture, autojump_clock: object, script: Behaviour, why: str
) -> None:
    async with trial(**{CPU_NAMES[0]: script}) as built:
        worker = await built.settled()
        assert worker.engine == built.slot.status.engine == CPU_NAMES[1]
        (line,) = failures(caplog)
        assert line.startswith(f"engine-failed device=cpu engine={CPU_NAMES[0]} why=")
        assert why in line
        assert line.endswith(f"next={CPU_NAMES[1]}")
        assert built.workers[0].stopped


async def test_a_crash_at_work_costs_the_engine_and_the_order_goes_on(
    caplog: pytest.LogCaptureFixture, autojump_clock: object
) -> None:
    async with trial() as built:
        built.slot.offer(WORK)
        (await built.settled()).end()
        while len(built.workers) < 2:
            await trio.sleep(0.01)
        again = await built.settled()
        assert again.engine == CPU_NAMES[1]
        await trio.sleep(1)
        assert WORK in again.commands
        (line,) = failures(caplog)
        assert "SIGSEGV" in line


async def test_last_words_are_the_reason(caplog: pytest.LogCaptureFixture, autojump_clock: object) -> None:
    """A wrong ticket: the worker says so and ends, and that is one line, not two."""
    async with trial() as built:
        worker = await built.settled()
        worker.say(Failed("WORK_ENGINE", "found ticket aa, allowed bb", NO_JOB))
        worker.end()
        while len(built.workers) < 2:
            await trio.sleep(0.01)
        await built.settled()
        (line,) = failures(caplog)
        assert "why=WORK_ENGINE: found found ticket aa" in line


async def test_a_silent_worker_with_orders_is_ended(
    caplog: pytest.LogCaptureFixture, autojump_clock: object
) -> None:
    async with trial() as built:
        first = await built.settled()
        await trio.sleep(10 * WATCHDOG_S)
        assert built.worker is first, "without orders it has nothing to say"
        built.slot.offer(WORK)
        for _ in range(20):
            await trio.sleep(WATCHDOG_S / 2)
            first.say(Progress(1, 0, 0, 0, 0))
        assert built.worker is first, "signs of life are enough"
        before_s = trio.current_time()
        while len(built.workers) < 2:
            await trio.sleep(1)
        assert trio.current_time() - before_s <= 1.5 * WATCHDOG_S
        assert first.stopped
        (line,) = failures(caplog)
        assert "WORKER_SILENT" in line


async def test_a_gpu_without_engines_is_quarantined(
    caplog: pytest.LogCaptureFixture, autojump_clock: object
) -> None:
    async with trial(GPU, **dict.fromkeys(GPU_NAMES, fails_its_self_test)) as built:
        while not built.slot.is_quarantined:
            await trio.sleep(0.01)
        await trio.sleep(100_000)
        assert len(built.workers) == len(GPU_NAMES)
        assert built.slot.status.state is State.QUARANTINED
        assert "WORK_SELF_TEST" in built.slot.status.failure
        lines = failures(caplog)
        assert len(lines) == len(GPU_NAMES)
        assert lines[-1].endswith("next=quarantine")


async def test_a_cpu_without_engines_tries_all_again_after_growing_pauses(
    caplog: pytest.LogCaptureFixture, autojump_clock: object
) -> None:
    async with trial(**dict.fromkeys(CPU_NAMES, dies_at_start)) as built:
        await trio.sleep(80)
        firsts = [worker.made_s for worker in built.workers if worker.engine == CPU_NAMES[0]]
        pauses = [round(1000 * (after - before)) for before, after in pairwise(firsts)]
        assert pauses == [FIRST_PAUSE_MS * factor for factor in (1, 2, 4, 8)]
        assert len(failures(caplog)) == len(built.workers) == 5 * len(CPU_NAMES)


async def test_an_engine_asked_for_by_name_is_insisted_on(
    caplog: pytest.LogCaptureFixture, autojump_clock: object
) -> None:
    async with trial(GPU, GPU_NAMES[0], **{GPU_NAMES[0]: dies_at_start}) as built:
        while len(built.workers) < 3:
            await trio.sleep(1)
        assert {worker.engine for worker in built.workers} == {GPU_NAMES[0]}
        assert not built.slot.is_quarantined


async def test_only_the_newest_order_is_sent_and_its_urgency_is_kept(autojump_clock: object) -> None:
    """A patient order that takes the place of an unsent urgent one is urgent: the block before has changed."""
    async with trial() as built:
        worker = await built.settled()
        built.slot.offer(Mine(2, b"2", 1, TEST.profile_id, bytes(32)))
        built.slot.offer(Mine(3, b"3", 1, TEST.profile_id, bytes(32), patient=1))
        await trio.sleep(1)
        built.slot.offer(Mine(4, b"4", 1, TEST.profile_id, bytes(32), patient=1))
        await trio.sleep(1)
        built.slot.offer(None)
        await trio.sleep(1)
        sent = [(c.template, c.patient) if isinstance(c, Mine) else c for c in worker.commands]
        assert sent == [Bench(TEST.profile_id, 500), (3, 0), (4, 1), Idle()]


async def test_wins_and_rates_are_passed_on(autojump_clock: object) -> None:
    async with trial() as built:
        worker = await built.settled()
        found = Found(1, b"certificate", Hash32(bytes(32)))
        worker.say(found, Progress(1, attempts=2, macs=10_000, tickets=32, busy_ms=500))
        await trio.sleep(1)
        assert built.wins == [found]
        assert (built.slot.status.macs_per_second, built.slot.status.tickets) == (20_000, 32)


@pytest.mark.parametrize("crash", [True, False])
async def test_a_panel_that_is_not_delivered_is_a_fault(autojump_clock: object, crash: bool) -> None:
    async with trial() as built:
        worker = await built.settled()

        async def fail() -> None:
            while PANEL not in worker.commands:
                await trio.sleep(0.01)
            worker.say(Failed("WORK_MEMORY", "9 GiB", JOB))
            if crash:
                worker.end()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail)
            with pytest.raises(LocalFault) as caught:
                await built.slot.panel(PANEL, MATRIX_A, MATRIX_B)
        assert caught.value.code == "WORK_MEMORY"
        assert worker.commands[-3:] == [MATRIX_A, MATRIX_B, PANEL]
        await trio.sleep(5)
        assert built.slot.is_running
        assert (built.worker is worker) is not crash


async def test_a_worker_that_lied_is_replaced(
    caplog: pytest.LogCaptureFixture, autojump_clock: object
) -> None:
    async with trial() as built:
        await built.settled()
        built.slot.distrust(built.slot.life - 1, LocalFault("WORK_PRODUCT", found="an earlier worker's"))
        await trio.sleep(10)
        assert len(built.workers) == 1
        built.slot.distrust(built.slot.life, LocalFault("WORK_PRODUCT", found="a wrong row 3"))
        while len(built.workers) < 2:
            await trio.sleep(0.01)
        assert (await built.settled()).engine == CPU_NAMES[1]
        assert "WORK_PRODUCT" in failures(caplog)[0]


def refuses_idle_work(worker: ScriptedWorker) -> list[float]:
    """From now on every standing order is refused for its memory; when they came."""
    came: list[float] = []
    send = worker.send

    async def refuse(command: Command) -> None:
        await send(command)
        if isinstance(command, Mine):
            came.append(trio.current_time())
            worker.say(TOO_LARGE)

    worker.send = refuse  # type: ignore[method-assign]
    return came


async def test_memory_that_is_short_rests_idle_work_and_costs_no_engine(
    caplog: pytest.LogCaptureFixture, autojump_clock: object
) -> None:
    """Pauses grow far beyond the watchdog's patience: a device that rests is not silent."""
    async with trial(GPU) as built:
        worker = await built.settled()
        came = refuses_idle_work(worker)
        built.slot.offer(WORK)
        await trio.sleep(1)
        status = built.slot.status
        assert (status.state, status.engine, status.macs_per_second) == (State.PAUSED, GPU_NAMES[0], 0)
        assert status.failure == "WORK_MEMORY: found 9 MiB for 1 x 1 x 1, allowed 1 MiB free"
        await trio.sleep(3 * LONGEST_PAUSE_MS / 1000)
        pauses_ms = [round(1000 * (after - before)) for before, after in pairwise(came)]
        grown = [min(FIRST_PAUSE_MS << step, LONGEST_PAUSE_MS) for step in range(len(pauses_ms))]
        assert pauses_ms == grown
        assert pauses_ms[-1] == LONGEST_PAUSE_MS > WATCHDOG_S * 1000
        assert built.workers == [worker]
        lines = failures(caplog)
        assert len(lines) == len(came)
        why = "WORK_MEMORY: found 9 MiB for 1 x 1 x 1, allowed 1 MiB free"
        assert lines[0] == f"memory-short device=gpu-0 why={why} next=idle work again in 5 s"
        assert lines[1].endswith("in 10 s")


async def test_idle_work_that_fits_again_goes_on_and_the_next_pause_is_short(autojump_clock: object) -> None:
    newer = Mine(2, b"newer", 1, TEST.profile_id, bytes(32))
    async with trial() as built:
        worker = await built.settled()
        built.slot.offer(WORK)
        for _ in range(2):
            await trio.sleep(1)
            del worker.commands[:]
            worker.say(TOO_LARGE)
            await trio.sleep(1)
            built.slot.offer(newer)
            await trio.sleep(1)
            assert worker.commands == [Idle()], "no order while the device rests"
            await trio.sleep(FIRST_PAUSE_MS / 1000)
            assert worker.commands == [Idle(), newer], "the newest one afterwards, and no other"
            assert built.slot.status.state is State.RUNNING
            worker.say(Progress(1, attempts=2, macs=10_000, tickets=32, busy_ms=500))


async def test_a_device_that_rests_still_makes_panels(autojump_clock: object) -> None:
    async with trial() as built:
        worker = await built.settled()
        built.slot.offer(WORK)
        await trio.sleep(1)
        worker.say(TOO_LARGE)
        await trio.sleep(1)
        made = PanelDone(1, JOB, 0, 0, 1, b"\1\0\0\0", 1, 0, 1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(built.slot.panel, PANEL, MATRIX_A, MATRIX_B)
            await trio.sleep(1)
            worker.say(made)
        assert built.slot.status.state is State.PAUSED


async def test_a_measurement_that_did_not_fit_is_made_later(autojump_clock: object) -> None:
    async def is_full(worker: ScriptedWorker) -> None:
        worker.has_room = False

    async with trial(**{CPU_NAMES[0]: is_full}) as built:
        await trio.sleep(1)
        worker = built.worker
        assert worker.commands == [Bench(TEST.profile_id, 500), Idle()]
        assert not built.slot.rate
        worker.has_room = True
        assert await built.settled() is worker
        assert built.slot.status.state is State.RUNNING
