"""One device and the worker on it: started, fed, listened to, watched, and started again on the next engine.

Whatever goes wrong with a worker (it cannot start, ends, falls silent, or computes wrongly) costs its engine the place
on this device. A GPU without an engine left is quarantined; the CPU begins again with all engines after a pause. Memory
that is short just now is nobody's fault: idle work rests for a while, and the same engine tries again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import trio

from chain.errors import LocalFault
from chain.types import NO_JOB, Hash32
from compute.engines.select import AUTO
from compute.messages import (
    MAX_MATRIX_BYTES,
    Bench,
    BenchDone,
    Drop,
    Event,
    Failed,
    Found,
    Idle,
    Load,
    Mine,
    Panel,
    PanelDone,
    Progress,
)
from node.feed import Feed
from node.mining.devices import Device
from node.mining.pause import GrowingPause
from node.mining.status import SlotStatus, State
from node.ports import Clock, Worker

log = logging.getLogger("tilework.miner")
WATCHDOG_S = 120
"""A worker with orders that says nothing for so long hangs; a sound one speaks every few seconds."""
FIRST_PAUSE_MS = 5_000
LONGEST_PAUSE_MS = 300_000
_SOUND_S = 600
"""A worker that lived for so long was no failed start: the pause begins at its shortest again."""
_BENCH_MS = 500
_MEMORY_SHORT = "WORK_MEMORY"
"""Code with which a worker refuses what would not fit now; it goes on."""
_SHOWN_CHARACTERS = 200

MakeWorker: TypeAlias = Callable[[Device, str, frozenset[str]], Worker]
"""A worker, not yet started, on a device with an engine (or `auto`) and without the engines of a set."""


class Slot:
    """Keeps one device at work."""

    max_product_bytes = MAX_MATRIX_BYTES

    def __init__(
        self,
        device: Device,
        engine: str,
        profile_id: int,
        make_worker: MakeWorker,
        clock: Clock,
        won: Callable[[Slot, Found], None],
    ) -> None:
        self.device = device
        self.status = SlotStatus(device.name, device.model)
        self.rate = 0
        """MAC/s measured at start; 0 until then."""
        self.life = 0
        """Number of the present worker."""
        self.ready = Feed()
        """Published whenever a worker is ready, and when none will be any more."""
        self._engine = engine
        self._profile_id = profile_id
        self._make_worker = make_worker
        self._clock = clock
        self._won = won
        self._failed_engines: frozenset[str] = frozenset()
        self._engine_pause = GrowingPause(FIRST_PAUSE_MS, LONGEST_PAUSE_MS)
        self._memory_pause = GrowingPause(FIRST_PAUSE_MS, LONGEST_PAUSE_MS)
        self._worker: Worker | None = None
        self._orders = Feed()
        self._order: Mine | None = None
        self._measuring = False
        self._is_stale = False
        self._memory_short = ""
        """Why idle work rests; empty while it does not."""
        self._pending: _Pending | None = None
        self._loaded: set[Hash32] = set()
        self._heard_s = 0.0
        self._last_failure: Failed | None = None
        self._distrust: LocalFault | None = None
        self._distrusted = trio.Event()

    @property
    def is_running(self) -> bool:
        return self._worker is not None

    @property
    def is_quarantined(self) -> bool:
        return self.status.state is State.QUARANTINED

    async def run(self) -> None:
        """Serve until cancelled; returns when the device is quarantined."""
        while not self.is_quarantined:
            worker = self._make_worker(
                self.device, self._engine, self.device.foreign_engines | self._failed_engines
            )
            started_s = trio.current_time()
            fault = await self._live(worker)
            if trio.current_time() - started_s >= _SOUND_S:
                self._engine_pause.restart()
            await self._recover(worker.engine, fault)

    def offer(self, order: Mine | None) -> None:
        """Replace the standing order; None lets the worker rest."""
        self._order = order
        self._is_stale |= order is None or not order.patient
        self._orders.publish()

    async def panel(self, order: Panel, a: Load, b: Load) -> PanelDone:
        """The product of a row panel of two matrices, which are sent ahead if the worker does not hold them.

        Raises:
            LocalFault: WORKER_LOST if the worker ends first, or the code with which it refuses.
        """
        worker = self._worker
        if worker is None:
            raise LocalFault("WORKER_LOST", found=f"no worker on {self.device.name}", allowed="a running one")
        pending = self._pending = _Pending(order)
        self._heard_s = trio.current_time()
        try:
            for load in (a, b):
                if load.matrix not in self._loaded:
                    await worker.send(load)
                    self._loaded.add(load.matrix)
            await worker.send(order)
            return await pending.answer()
        finally:
            self._pending = None

    async def drop(self, *matrices: Hash32) -> None:
        """Let the worker forget matrices; nothing happens if it has gone."""
        try:
            for matrix in self._loaded.intersection(matrices):
                self._loaded.discard(matrix)
                if self._worker is not None:
                    await self._worker.send(Drop(matrix))
        except LocalFault as fault:
            log.debug("matrices-went-with-worker device=%s why=%s", self.device.name, fault)

    def distrust(self, life: int, why: LocalFault) -> None:
        """End the worker with this number, if it is still there: what it said turned out to be wrong."""
        if life == self.life:
            self._distrust = why
            self._distrusted.set()

    def count_block(self) -> None:
        """A win of this device became a block."""
        self.status = replace(self.status, blocks=self.status.blocks + 1)

    # -- one worker -------------------------------------------------------------------------------------------------

    async def _live(self, worker: Worker) -> LocalFault:
        """The life of one worker; what ended it."""
        self.status = replace(self.status, state=State.STARTING, engine="", macs_per_second=0)
        self._last_failure = self._distrust = None
        self._memory_short = ""
        self._is_stale = True
        self.life += 1
        self._distrusted = trio.Event()
        ended: LocalFault | None = None
        try:
            ready = await worker.start()
            log.info(
                "worker-ready device=%s engine=%s detail=%s", self.device.name, ready.engine, ready.detail
            )
            self.status = replace(self.status, state=State.RUNNING, engine=ready.engine)
            self._heard_s = trio.current_time()
            async with trio.open_nursery() as nursery:
                self._worker = worker
                self.ready.publish()
                nursery.start_soon(self._feed, worker)
                nursery.start_soon(self._listen, worker)
                nursery.start_soon(self._watch)
                nursery.start_soon(self._until_distrusted)
        except* LocalFault as faults:
            ended = _first(faults)
        finally:
            self._worker = None
            self._loaded.clear()
            self.rate = 0
            if self._pending is not None:
                self._pending.lose()
            await worker.stop()
        assert ended is not None
        return self._explained(ended)

    def _explained(self, ended: LocalFault) -> LocalFault:
        """The worker's own last words, if it had any, say more than that it went."""
        said = self._last_failure
        if said is None or ended.code != "WORKER_LOST":
            return ended
        return LocalFault(said.code, found=said.text)

    async def _feed(self, worker: Worker) -> None:
        """Send the newest standing order; what came and went while the pipe was busy is not sent at all.

        An order is patient only if all those it stands for were.
        """
        await self._measure(worker)
        sent: Mine | None = None
        while True:
            seen, order = self._orders.version, self._order
            if self._memory_short:
                await self._rest(worker)
                sent = None
                continue
            if order is not sent:
                self._heard_s = trio.current_time() if sent is None else self._heard_s
                patient = int(not self._is_stale)
                self._is_stale = False
                await worker.send(replace(order, patient=patient) if order is not None else Idle())
                sent = order
            await self._orders.after(seen)

    async def _measure(self, worker: Worker) -> None:
        self._measuring = True
        self._heard_s = trio.current_time()
        await worker.send(Bench(self._profile_id, _BENCH_MS))

    async def _rest(self, worker: Worker) -> None:
        """No idle attempts until the memory they need may be free; panels of jobs, which can be smaller, go on."""
        log.warning(
            "memory-short device=%s why=%s next=idle work again in %d s",
            self.device.name,
            self._memory_short,
            self._memory_pause.next_ms // 1000,
        )
        self.status = replace(
            self.status, state=State.PAUSED, macs_per_second=0, failure=self._memory_short[:_SHOWN_CHARACTERS]
        )
        # What was refused is forgotten there; a newer order may have been on its way.
        await worker.send(Idle())
        await self._clock.sleep_ms(self._memory_pause.take())
        self.status = replace(self.status, state=State.RUNNING)
        self._memory_short = ""
        if not self.rate:
            await self._measure(worker)

    async def _listen(self, worker: Worker) -> None:
        while True:
            event = await worker.receive()
            self._heard_s = trio.current_time()
            self._take(event)

    def _take(self, event: Event) -> None:
        status = self.status
        match event:
            case Found():
                self._won(self, event)
            case PanelDone():
                if self._pending is not None:
                    self._pending.done(event)
                    self.status = replace(status, panels=status.panels + 1)
            case Progress() if event.attempts:
                if not self._memory_short:
                    self._memory_pause.restart()
                rate = event.macs * 1000 // max(1, event.busy_ms)
                self.status = replace(status, macs_per_second=rate, tickets=status.tickets + event.tickets)
            case BenchDone():
                self._measuring = False
                self.rate = event.macs_per_second
                self.status = replace(status, macs_per_second=event.macs_per_second)
            case Failed():
                self._take_failure(event)
            case _:
                pass

    def _take_failure(self, event: Failed) -> None:
        """A panel or an idle attempt that was refused, and the worker goes on; or an order it cannot carry out at all.

        Raises:
            LocalFault: with the worker's code, for the latter.
        """
        if event.job != NO_JOB:
            self._last_failure = event
            if self._pending is not None:
                self._pending.refuse(event)
        elif event.code == _MEMORY_SHORT:
            self._measuring = False
            self._memory_short = _one_line(event.text) or event.code
            self._orders.publish()
        else:
            self._last_failure = event
            raise LocalFault(event.code, found=event.text)

    async def _watch(self) -> None:
        """Raises: LocalFault WORKER_SILENT once a worker with orders has been silent for too long."""
        while True:
            await self._clock.sleep_ms(WATCHDOG_S * 1000 // 4)
            silent_s = trio.current_time() - self._heard_s
            if self._has_orders() and silent_s >= WATCHDOG_S:
                raise LocalFault(
                    "WORKER_SILENT",
                    found=f"no word for {silent_s:.0f} s",
                    allowed=f"one within {WATCHDOG_S} s of work",
                )

    def _has_orders(self) -> bool:
        idle_work = self._order is not None and not self._memory_short
        return idle_work or self._measuring or self._pending is not None

    async def _until_distrusted(self) -> None:
        await self._distrusted.wait()
        assert self._distrust is not None
        raise self._distrust

    # -- what comes next --------------------------------------------------------------------------------------------

    async def _recover(self, engine: str, fault: LocalFault) -> None:
        """Choose what the next worker may use; one line in the log says what happened and what comes."""
        left: tuple[str, ...] = ()
        if engine and fault.code != "WORK_ENGINE_UNUSABLE":
            self._failed_engines |= {engine}
            left = self.device.engines(self._engine, self._failed_engines)
        why = _one_line(str(fault))
        self.status = replace(self.status, engine="", macs_per_second=0, failure=why[:_SHOWN_CHARACTERS])
        if left:
            self._report(engine, why, left[0])
        elif self.device.is_gpu and self._engine == AUTO and engine:
            self._report(engine, why, "quarantine")
            self.status = replace(self.status, state=State.QUARANTINED)
            self.ready.publish()
        else:
            self._report(engine, why, f"all engines again in {self._engine_pause.next_ms // 1000} s")
            self._failed_engines = frozenset()
            self.status = replace(self.status, state=State.PAUSED)
            await self._clock.sleep_ms(self._engine_pause.take())

    def _report(self, engine: str, why: str, following: str) -> None:
        log.warning(
            "engine-failed device=%s engine=%s why=%s next=%s",
            self.device.name,
            engine or "none",
            why,
            following,
        )


class _Pending:
    """A panel that a worker owes."""

    def __init__(self, order: Panel) -> None:
        self._order = order
        self._event = trio.Event()
        self._result: PanelDone | LocalFault | None = None

    async def answer(self) -> PanelDone:
        """Raises: LocalFault."""
        await self._event.wait()
        if isinstance(self._result, PanelDone):
            return self._result
        raise self._result or LocalFault("WORKER_LOST", found="no product", allowed="a running worker")

    def done(self, event: PanelDone) -> None:
        order = self._order
        if (event.job, event.row_start, event.row_count) == (order.job, order.row_start, order.row_count):
            self._settle(event)

    def refuse(self, event: Failed) -> None:
        if event.job == self._order.job:
            self._settle(LocalFault(event.code, found=event.text))

    def lose(self) -> None:
        self._event.set()

    def _settle(self, result: PanelDone | LocalFault) -> None:
        self._result = result
        self._event.set()


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _first(group: BaseExceptionGroup[LocalFault]) -> LocalFault:
    """The first failure of a group; the others followed from it."""
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, LocalFault)
    return found
