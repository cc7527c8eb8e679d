"""The miner: keeps every device busy with the newest work, and hands in what they win.

With nothing else to do the workers multiply seeded matrices. A job's product runs through the same workers, in row
panels of at most a quarter of the block time, each panel one attempt under the template of that moment: the
multiplications somebody pays for are the ones that draw tickets.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import trio

from chain.errors import LocalFault
from chain.types import BlockHash, JobId
from compute.engines.select import AUTO
from compute.messages import Found, Load, Mine, Panel
from compute.spec.profiles import Profile
from node.mining.devices import Device, cpu_devices
from node.mining.lent import LentDevices
from node.mining.maker import PanelMaker
from node.mining.product import Rows, wrong_row
from node.mining.slot import MakeWorker, Slot
from node.mining.status import SlotStatus
from node.mining.work import Outcome, Submission, Work, WorkSource
from node.ports import Clock, Cpu, Rng

log = logging.getLogger("tilework.miner")
_PANEL_SHARE = 4
"""A panel takes at most this fraction of the block time: a product that outlives its template draws nothing."""
_MAX_WAITING_WINS = 64
_PANEL_FAILURES = 4
"""Panels that one device may fail within one product before the others finish it without that device."""
_DROP_LIMIT_S = 1
"""A worker that does not listen must not keep the node from stopping."""
_WRONG_PRODUCTS = 3
"""Wrong panels of one device within one product before it is given up, to be tried again from the start."""


@dataclass(slots=True)
class JobWork:
    """Counters of one job's product on this node."""

    tickets: int = 0
    winners: int = 0
    panels: int = 0
    macs: int = 0


@dataclass(frozen=True, slots=True)
class _Step:
    """A product that is being made: its job, its operands as the workers get them, its rows."""

    job: JobId
    a: Load
    b: Load
    rows: Rows[tuple[PanelMaker, int]]
    """Made by the worker of a device that had this number."""
    work: JobWork
    failures: Counter[PanelMaker] = field(default_factory=Counter)
    """Panels that a device did not make."""


class Miner:
    """Devices at work on what one source hands out."""

    def __init__(
        self,
        source: WorkSource,
        devices: Sequence[Device],
        make_worker: MakeWorker,
        profile: Profile,
        block_time_ms: int,
        clock: Clock,
        cpu: Cpu,
        rng: Rng,
        *,
        engine: str = AUTO,
        idle_mining: bool,
        lent: LentDevices | None = None,
    ) -> None:
        """`lent` are devices of others that make panels too."""
        self._source = source
        self._make_worker = make_worker
        self._profile = profile
        self._block_time_ms = block_time_ms
        self._clock = clock
        self._cpu = cpu
        self._rng = rng
        self._engine = engine
        self._idle_mining = idle_mining
        self._lent = lent if lent is not None else LentDevices(rng)
        self._wins_in, self._wins_out = trio.open_memory_channel[tuple[Slot, Found]](_MAX_WAITING_WINS)
        self._multiplying = trio.Lock()
        self._work: Work | None = None
        self.slots = [self._slot(device) for device in devices]
        self.job_work: dict[JobId, JobWork] = {}
        self.stale = 0
        """Wins that came too late."""

    @property
    def work(self) -> Work | None:
        """What the devices work on with no job; None before the first template, and while the source is away."""
        return self._work

    @property
    def devices(self) -> tuple[SlotStatus, ...]:
        """Every device with its engine, rate and state, and after them those that are lent."""
        return (*(slot.status for slot in self.slots), *self._lent.statuses)

    @property
    def engine(self) -> str:
        """The engines that run; empty until one has passed its self-test."""
        return ", ".join(dict.fromkeys(status.engine for status in self.devices if status.engine))

    @property
    def macs_per_second(self) -> int:
        """Rate of all devices together."""
        return sum(status.macs_per_second for status in self.devices)

    async def run(self) -> None:
        """Mine until cancelled; no failure of a device ends this.

        Raises:
            TileworkError: what the source raises where it cannot go on.
        """
        async with trio.open_nursery() as nursery:
            for slot in self.slots:
                nursery.start_soon(self._keep, slot, nursery)
            nursery.start_soon(self._deliver)
            if self._idle_mining:
                nursery.start_soon(self._follow)

    async def _keep(self, slot: Slot, nursery: trio.Nursery) -> None:
        """Run a slot; where the last device goes into quarantine, the CPU takes over."""
        await slot.run()
        if all(each.is_quarantined for each in self.slots):
            log.warning("cpu-takes-over why=no device is left")
            (device,) = cpu_devices(1)
            substitute = self._slot(device)
            self.slots.append(substitute)
            if self._idle_mining and self._work is not None:
                substitute.offer(self._order(self._work, patient=False))
            nursery.start_soon(self._keep, substitute, nursery)

    def _slot(self, device: Device) -> Slot:
        return Slot(
            device, self._engine, self._profile.profile_id, self._make_worker, self._clock, self._take_win
        )

    # -- the lottery ------------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        """Give every device the newest work; none of them, while the source is away."""
        parent: BlockHash | None = None
        while True:
            work = await self._source.newest(self._work.version if self._work is not None else 0)
            for slot in self.slots:
                patient = work is not None and work.parent == parent
                slot.offer(self._order(work, patient=patient) if work is not None else None)
            self._work = work
            parent = work.parent if work is not None else None

    def _order(self, work: Work, *, patient: bool) -> Mine:
        """An order of its own for one device: equal seeds would draw equal tickets."""
        return Mine(
            work.version, work.sigma, work.target, work.profile_id, self._rng.bytes(32), patient=int(patient)
        )

    def _take_win(self, slot: Slot, found: Found) -> None:
        try:
            self._wins_in.send_nowait((slot, found))
        except trio.WouldBlock:
            log.debug("win-dropped device=%s why=%d others wait", slot.device.name, _MAX_WAITING_WINS)

    async def _deliver(self) -> None:
        async for slot, found in self._wins_out:
            try:
                submission = await self._source.submit(found.template, found.certificate)
            except LocalFault as fault:
                log.warning("win-not-delivered device=%s why=%s", slot.device.name, fault)
                continue
            self._count(slot, submission)

    def _count(self, slot: Slot, submission: Submission) -> None:
        if submission.outcome is Outcome.ACCEPTED:
            slot.count_block()
            block = submission.block.hex()[:16] if submission.block is not None else "-"
            log.info("block-won device=%s id=%s", slot.device.name, block)
        elif submission.outcome is Outcome.STALE:
            self.stale += 1
            log.debug("win-stale device=%s", slot.device.name)
        else:
            log.error("own-block-refused device=%s why=%s", slot.device.name, submission.reason)

    # -- products ---------------------------------------------------------------------------------------------------

    async def multiply(self, job: JobId, a: Load, b: Load) -> bytes:
        """The exact product int32[m, n] (little-endian, row-major) of a claimed job, drawing its tickets on the way.

        `a` is A and `b` B transposed, each named by its root, under which whoever lends a device fetches it. Panels go
        to every device that is free. The whole is checked as a committee checks it before it is returned: a device that
        made a wrong panel loses its engine, or is not borrowed again, and the panel is made again.

        Raises:
            LocalFault: WORKER_LOST if no device can finish it, or the code with which the last one refused;
                WORK_PRODUCT if it was wrong too often. The job can be tried again.
        """
        async with self._multiplying:
            work = self.job_work.setdefault(job, JobWork())
            step = _Step(job, a, b, Rows(a.rows, b.rows), work)
            try:
                wrong: Counter[PanelMaker] = Counter()
                while max(wrong.values(), default=0) < _WRONG_PRODUCTS:
                    await self._make(step)
                    seed = self._rng.bytes(32)
                    row = await self._cpu.run(wrong_row, a, b, step.rows.data, seed)
                    if row is None:
                        return bytes(step.rows.data)
                    culprit, life = step.rows.reopen(row)
                    wrong[culprit] += 1
                    why = LocalFault("WORK_PRODUCT", found=f"a wrong row {row} of a job's product")
                    culprit.distrust(life, why)
            finally:
                with trio.CancelScope(deadline=trio.current_time() + _DROP_LIMIT_S, shield=True):
                    for maker in self._makers():
                        await maker.drop(a.matrix, b.matrix)
        raise LocalFault(
            "WORK_PRODUCT",
            found=f"{_WRONG_PRODUCTS} wrong panels",
            allowed="an exact product",
            hint=_DISTRUST,
        )

    async def _make(self, step: _Step) -> None:
        """Every row that is not made yet, by all devices, also those that come while it is made.

        Raises:
            LocalFault: what the last device said, when none is left.
        """
        refusal = LocalFault("WORKER_LOST", found="no device", allowed="at least one")
        helping: set[PanelMaker] = set()

        async def help_with(maker: PanelMaker) -> None:
            nonlocal refusal
            fault = await self._work_off(step, maker)
            refusal = fault or refusal
            helping.remove(maker)
            if step.rows.is_complete or not helping:
                nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            while True:
                seen = self._lent.joined.version
                for maker in self._makers():
                    if maker not in helping and step.failures[maker] < _PANEL_FAILURES:
                        helping.add(maker)
                        nursery.start_soon(help_with, maker)
                if not helping:
                    break
                await self._lent.joined.after(seen)
        if not step.rows.is_complete:
            raise refusal

    def _makers(self) -> tuple[PanelMaker, ...]:
        return (*self.slots, *self._lent.present)

    async def _work_off(self, step: _Step, maker: PanelMaker) -> LocalFault | None:
        """Make panels on one device until none is left; why not, if it gives up before."""
        while True:
            while not maker.is_running:
                if maker.is_quarantined:
                    return LocalFault("WORKER_LOST", found=f"no engine on {maker.device.name}", allowed="one")
                await maker.ready.after(maker.ready.version)
            panel = await step.rows.take(self._panel_rows(step, maker))
            if panel is None:
                return None
            made = False
            try:
                await self._make_panel(step, maker, *panel)
                made = True
            except LocalFault as fault:
                step.failures[maker] += 1
                log.warning("panel-failed device=%s why=%s", maker.device.name, fault)
                if step.failures[maker] >= _PANEL_FAILURES:
                    return fault
            finally:
                if not made:
                    step.rows.give_back(*panel)

    async def _make_panel(self, step: _Step, maker: PanelMaker, first: int, count: int) -> None:
        work = await self._source.newest()
        if work is None:
            raise LocalFault("WORK_SOURCE", found="no template", allowed="one to bind the product to")
        order = Panel(
            template=work.version,
            sigma=work.sigma,
            target=work.target,
            profile_id=work.profile_id,
            job=step.job,
            step=0,
            a=step.a.matrix,
            row_start=first,
            row_count=count,
            b=step.b.matrix,
        )
        life = maker.life
        done = await maker.panel(order, step.a, step.b)
        try:
            step.rows.put(first, count, done.product, (maker, life))
        except LocalFault as fault:
            maker.distrust(life, fault)
            raise
        step.work.tickets += done.tickets
        step.work.winners += done.winners
        step.work.panels += 1
        step.work.macs += done.macs

    def _panel_rows(self, step: _Step, maker: PanelMaker) -> int:
        """Rows whose product takes a quarter of the block time at the measured rate, in whole tiles; after failures
        fewer, because memory is a reason to fail."""
        tile, segment = self._profile.tile, self._profile.segment
        budget = maker.rate * self._block_time_ms // 1000 // _PANEL_SHARE >> step.failures[maker]
        rows = budget // (max(step.b.rows, tile) * max(step.b.columns, segment))
        rows = min(rows, maker.max_product_bytes // (4 * step.b.rows))
        return min(max(1, rows // tile) * tile, self._profile.max_m)


_DISTRUST = "The devices of this machine cannot be trusted: see the log for engine-failed."
