"""The miner: keeps its worker busy with the newest template, and turns winning certificates into blocks.

With nothing else to do the worker multiplies seeded matrices. A job's product runs through the same worker, in row
panels of at most a quarter of the block time, each panel one attempt under the template of that moment: the
multiplications somebody pays for are the ones that draw tickets.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np
import trio

from chain.blocks import Block
from chain.errors import Invalid, LocalFault, TileworkError
from chain.tensors import TensorInfo
from chain.types import Address, Hash32, JobId, TensorRoot
from compute.messages import Bench, BenchDone, Drop, Failed, Found, Load, Mine, Panel, PanelDone, Progress
from compute.spec.padding import row_panels
from compute.spec.profiles import PROFILES
from node.chain import Chain
from node.feed import Feed
from node.importer import Importer
from node.mempool import Mempool
from node.ports import Clock, Rng, Worker
from node.producer import Template, build_template

log = logging.getLogger("tilework.miner")
_KEPT_TEMPLATES = 8
_REFRESH_MS = 500
"""How often a template takes up new transactions and a later time."""
_TIME_SHARE = 2
"""A template is renewed for its time alone after half a block time: difficulty follows the times in headers."""
_BENCH_MS = 500
_PANEL_SHARE = 4
"""A panel takes at most this fraction of the block time: a product that outlives its template draws nothing."""


@dataclass(slots=True)
class JobWork:
    """Counters of one job's product on this node."""

    tickets: int = 0
    winners: int = 0
    panels: int = 0
    macs: int = 0


class Miner:
    """One worker, fed and listened to."""

    def __init__(
        self,
        chain: Chain,
        importer: Importer,
        mempool: Mempool,
        worker: Worker,
        address: Address,
        clock: Clock,
        rng: Rng,
        announce: Callable[[Block], Awaitable[None]],
        *,
        idle_mining: bool,
    ) -> None:
        self._chain = chain
        self._importer = importer
        self._mempool = mempool
        self._worker = worker
        self._address = address
        self._clock = clock
        self._rng = rng
        self._announce = announce
        self._idle_mining = idle_mining
        self._profile = PROFILES[chain.spec.profile_id]
        self._templates: OrderedDict[int, Template] = OrderedDict()
        self._next_number = 1
        self._pool_version = -1
        self._renewed = Feed()
        self._panels: dict[tuple[JobId, int], tuple[trio.Event, list[PanelDone | Failed]]] = {}
        self._rate: int = 0
        self._multiplying = trio.Lock()
        self.engine = ""
        self.macs_per_second = 0
        self.job_work: dict[JobId, JobWork] = {}

    async def run(self) -> None:
        """Mine until cancelled; a lost worker ends this with LocalFault, and the supervisor starts it again."""
        try:
            ready = await self._worker.start()
            self.engine = ready.engine
            log.info("worker-ready engine=%s detail=%s", ready.engine, ready.detail)
            await self._worker.send(Bench(self._profile.profile_id, _BENCH_MS))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._listen)
                nursery.start_soon(self._feed)
        finally:
            for done, _ in self._panels.values():
                done.set()
            await self._worker.stop()

    async def multiply(
        self, job: JobId, a: TensorInfo, a_bytes: bytes, b: TensorInfo, b_bytes: bytes
    ) -> bytes:
        """The exact product int32[m, n] (little-endian, row-major) of a claimed job, drawing its tickets on the way.

        Raises:
            LocalFault: WORKER_LOST, or the worker's own code; the job can be tried again.
        """
        async with self._multiplying:
            a_id, b_id = TensorRoot(self._rng.bytes(32)), TensorRoot(self._rng.bytes(32))
            await self._worker.send(Load(Hash32(a_id), a.rows, a.columns, a_bytes))
            await self._worker.send(Load(Hash32(b_id), b.rows, b.columns, b_bytes))
            try:
                return await self._panels_of(job, a, b, Hash32(a_id), Hash32(b_id))
            finally:
                with trio.CancelScope(shield=True):
                    await self._drop(Hash32(a_id), Hash32(b_id))

    async def _panels_of(self, job: JobId, a: TensorInfo, b: TensorInfo, a_id: Hash32, b_id: Hash32) -> bytes:
        work = self.job_work.setdefault(job, JobWork())
        product = bytearray(a.rows * b.rows * 4)
        for first, count in row_panels(a.rows, self._panel_rows(a, b)):
            template = await self._template()
            order = Panel(
                template=template.number,
                sigma=template.header.sigma(),
                target=template.header.target,
                profile_id=self._profile.profile_id,
                job=job,
                step=0,
                a=a_id,
                row_start=first,
                row_count=count,
                b=b_id,
            )
            done = await self._panel(order)
            product[first * b.rows * 4 : (first + count) * b.rows * 4] = done.product
            work.tickets += done.tickets
            work.winners += done.winners
            work.panels += 1
            work.macs += done.macs
        return bytes(product)

    async def _panel(self, order: Panel) -> PanelDone:
        event, result = trio.Event(), list[PanelDone | Failed]()
        self._panels[order.job, order.row_start] = (event, result)
        try:
            await self._worker.send(order)
            await event.wait()
        finally:
            del self._panels[order.job, order.row_start]
        if not result:
            raise LocalFault("WORKER_LOST", found="no product", allowed="a running worker")
        if isinstance(result[0], Failed):
            raise LocalFault(result[0].code, found=result[0].text, allowed="a finished panel")
        return result[0]

    def _panel_rows(self, a: TensorInfo, b: TensorInfo) -> int:
        """Rows whose product takes a quarter of the block time at the measured rate, in whole tiles."""
        budget = self._rate * self._chain.spec.pace.block_time_ms // 1000 // _PANEL_SHARE
        rows = budget // (max(b.rows, self._profile.tile) * max(b.columns, self._profile.segment))
        tiles = max(1, rows // self._profile.tile)
        return min(tiles * self._profile.tile, self._profile.max_m)

    async def _drop(self, *matrices: Hash32) -> None:
        try:
            for matrix in matrices:
                await self._worker.send(Drop(matrix))
        except LocalFault:
            log.debug("worker-gone matrices went with it")

    # -- templates --------------------------------------------------------------------------------------------------

    async def _feed(self) -> None:
        """Give the worker a new template when the head moves, and at intervals when there is something new in it."""
        version = self._importer.heads.version
        while True:
            await self._renew()
            with trio.move_on_after(_REFRESH_MS / 1000):
                await self._importer.heads.after(version)
            version = self._importer.heads.version

    async def _renew(self) -> None:
        newest, now_ms = next(reversed(self._templates.values()), None), self._clock.now_ms()
        if self._is_current(newest):
            if now_ms - newest.header.time_ms < self._chain.spec.pace.block_time_ms // _TIME_SHARE:
                return
            template = newest.later(self._next_number, now_ms)
        else:
            template = build_template(self._chain, self._mempool, self._address, self._next_number, now_ms)
            self._pool_version = self._mempool.version
        self._next_number += 1
        self._templates[template.number] = template
        while len(self._templates) > _KEPT_TEMPLATES:
            self._templates.popitem(last=False)
        self._renewed.publish()
        if self._idle_mining:
            sigma, target = template.header.sigma(), template.header.target
            seed, profile_id = self._rng.bytes(32), self._profile.profile_id
            await self._worker.send(Mine(template.number, sigma, target, profile_id, seed))

    def _is_current(self, template: Template | None) -> TypeGuard[Template]:
        """Whether a template is on the head and knows everything that waits."""
        if template is None or template.header.parent != self._chain.head.id:
            return False
        return self._pool_version == self._mempool.version

    async def _template(self) -> Template:
        """The newest template that builds on the present head."""
        while True:
            newest = next(reversed(self._templates.values()), None)
            if newest is not None and newest.header.parent == self._chain.head.id:
                return newest
            await self._renewed.after(self._renewed.version)

    # -- events -----------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        while True:
            event = await self._worker.receive()
            if isinstance(event, Found):
                await self._won(event)
            elif isinstance(event, PanelDone):
                self._resolve(event.job, event.row_start, event)
            elif isinstance(event, Progress):
                self.macs_per_second = event.macs * 1000 // max(1, event.busy_ms)
            elif isinstance(event, BenchDone):
                self._rate = event.macs_per_second
                self.macs_per_second = event.macs_per_second
            elif isinstance(event, Failed):
                self._failed(event)

    def _resolve(self, job: JobId, row_start: int, event: PanelDone | Failed) -> None:
        waiting = self._panels.get((job, row_start))
        if waiting is not None:
            waiting[1].append(event)
            waiting[0].set()

    def _failed(self, event: Failed) -> None:
        log.warning("worker-failed code=%s text=%s", event.code, event.text)
        for (job, row_start), _ in list(self._panels.items()):
            if job == event.job:
                self._resolve(job, row_start, event)

    async def _won(self, event: Found) -> None:
        template = self._templates.get(event.template)
        if template is None or template.header.parent != self._chain.head.id:
            return  # somebody else was faster; the work was for a block that can no longer win
        block = template.sealed(event.certificate)
        try:
            change = await self._importer.take(block)
        except TileworkError as error:
            level = logging.ERROR if isinstance(error, Invalid) else logging.WARNING
            log.log(level, "own-block-refused height=%d why=%s", block.header.height, error)
            return
        if change is not None:
            log.info("block-won height=%d id=%s", block.header.height, block.id.hex()[:16])
        await self._announce(block)


def as_matrix(info: TensorInfo, data: bytes) -> np.ndarray[tuple[int, int], np.dtype[np.int8]]:
    """int8[rows, columns] view of an input tensor's bytes."""
    return np.frombuffer(data, np.int8).reshape(info.rows, info.columns)
