"""Lending a miner's devices to the jobs of its node: panels by long poll, matrices, products.  Spec: [POW-WORKER-5].

Every device asks for itself, so all of them share a job and one that fails costs its own panel. A panel goes before
idle work. Matrices are fetched once for all devices and kept as long as the node has panels of them.
"""

from __future__ import annotations

import base64
import logging
from typing import Any

import trio

from chain.errors import Invalid, LocalFault, Policy, TileworkError
from chain.types import NO_JOB, Hash32, JobId
from compute.host_memory import available_bytes
from compute.messages import MAX_MATRIX_BYTES, Load, Panel, PanelDone
from compute.spec.profiles import Profile
from node.mining.lent import Offer
from node.mining.miner import JobWork, Miner
from node.mining.pause import GrowingPause
from node.mining.rpc_source import FIRST_PAUSE_MS, LONGEST_PAUSE_MS, WAIT_MS
from node.mining.slot import Slot
from node.ports import Clock, Rng
from node.rpc.client import AsyncRpcClient

log = logging.getLogger("tilework.miner")
_UNMEASURED_WAIT_MS = 1_000
"""A device that does not know its rate yet says so soon again: panels are made to fit it."""
_MEMORY_FACTOR = 3
"""Of a matrix while it is fetched: its parts, the whole, and the copy that is sent to a worker."""
_GOODBYE_S = 1
"""A node that does not answer must not keep the miner from stopping."""
_FINAL = ("RPC_METHOD", "WORK_LENT_REFUSED")
"""A node of an earlier release, and one that does not want this device any more."""


class Lender:
    """Devices of one miner, lent to one node."""

    def __init__(
        self, client: AsyncRpcClient, miner: Miner, profile: Profile, clock: Clock, rng: Rng
    ) -> None:
        self._client = client
        self._miner = miner
        self._profile = profile
        self._clock = clock
        self._rng = rng
        self._matrices = _Matrices(client)
        self._lent: set[Slot] = set()

    async def run(self) -> None:
        """Lend every device until cancelled, or until the node wants none of them."""
        async with trio.open_nursery() as nursery:
            self._lend_all(nursery)

    def _lend_all(self, nursery: trio.Nursery) -> None:
        """Every device that is not lent yet."""
        for slot in self._miner.slots:
            if slot not in self._lent:
                self._lent.add(slot)
                nursery.start_soon(self._keep, slot, nursery)

    async def _keep(self, slot: Slot, nursery: trio.Nursery) -> None:
        """Lend a device; the one that takes over after the last quarantine is lent too."""
        await self._lend(slot)
        self._lend_all(nursery)

    async def _lend(self, slot: Slot) -> None:
        """Make panels on one device; whatever goes wrong between it and the node is tried again after a pause."""
        session = self._rng.bytes(32).hex()
        pause = GrowingPause(FIRST_PAUSE_MS, LONGEST_PAUSE_MS)
        while await _runs(slot):
            try:
                offer = await self._ask(slot, session)
                if offer is None:
                    await self._matrices.keep(slot)
                else:
                    await self._make(slot, session, offer)
                pause.restart()
            except TileworkError as error:
                if error.code in _FINAL:
                    log.warning("lending-ended device=%s why=%s", slot.device.name, error)
                    return
                log.debug("lending-paused device=%s why=%s", slot.device.name, error)
                await self._clock.sleep_ms(pause.take())

    async def _ask(self, slot: Slot, session: str) -> Offer | None:
        """Raises: TileworkError."""
        form = await self._client.call(
            "work_panel",
            session=session,
            device=slot.device.name,
            engine=slot.status.engine,
            macs_per_second=slot.rate,
            wait_ms=WAIT_MS if slot.rate else _UNMEASURED_WAIT_MS,
        )
        return parse_offer(form)

    async def _make(self, slot: Slot, session: str, offer: Offer) -> None:
        """One panel, or the reason why there is none.  Raises: TileworkError if the node cannot be told."""
        names = {"session": session, "panel": offer.panel.hex()}
        order = offer.order
        try:
            done = await self._product(slot, offer)
        except TileworkError as error:
            log.warning("panel-failed device=%s job=%s why=%s", slot.device.name, order.job.hex()[:16], error)
            await self._client.call("work_panel_failed", **names, code=error.code, text=str(error))
            return
        except trio.Cancelled:
            await self._say_goodbye(names)
            raise
        product = await trio.to_thread.run_sync(_text, done.product)
        try:
            await self._client.call(
                "work_panel_done",
                **names,
                product=product,
                tickets=done.tickets,
                winners=done.winners,
                macs=done.macs,
            )
        except Policy as refusal:
            log.warning("panel-not-taken device=%s why=%s", slot.device.name, refusal)
            return
        self._count(slot, offer, done)

    async def _say_goodbye(self, names: dict[str, str]) -> None:
        """Give back the panel in hand when the miner stops, so that nobody waits for it."""
        with trio.CancelScope(deadline=trio.current_time() + _GOODBYE_S, shield=True):
            try:
                await self._client.call(
                    "work_panel_failed", **names, code="WORKER_LOST", text="the miner stops"
                )
            except TileworkError as error:
                log.debug("panel-not-given-back why=%s", error)

    async def _product(self, slot: Slot, offer: Offer) -> PanelDone:
        """Raises: TileworkError."""
        order = offer.order
        if order.profile_id != self._profile.profile_id:
            raise Policy("WORK_PROFILE", found=order.profile_id, allowed=self._profile.profile_id)
        await self._matrices.keep(slot, order.a, order.b)
        a = await self._matrices.get(order.a, offer.a_rows, offer.columns, order.job)
        b = await self._matrices.get(order.b, offer.b_rows, offer.columns, order.job)
        return await slot.panel(order, a, b)

    def _count(self, slot: Slot, offer: Offer, done: PanelDone) -> None:
        order = offer.order
        work = self._miner.job_work.setdefault(order.job, JobWork())
        work.panels += 1
        work.tickets += done.tickets
        work.winners += done.winners
        work.macs += done.macs
        log.info(
            "panel-made device=%s job=%s rows=%d+%d tickets=%d winners=%d",
            slot.device.name,
            order.job.hex()[:16],
            order.row_start,
            order.row_count,
            done.tickets,
            done.winners,
        )


class _Matrices:
    """What the devices multiply, fetched once for all of them."""

    def __init__(self, client: AsyncRpcClient) -> None:
        self._client = client
        self._fetching = trio.Lock()
        self._held: dict[Hash32, Load] = {}
        self._wanted: dict[Slot, frozenset[Hash32]] = {}

    async def keep(self, slot: Slot, *roots: Hash32) -> None:
        """A device needs these and no others: those that none needs are dropped."""
        left = self._wanted.get(slot, frozenset()).difference(roots)
        self._wanted[slot] = frozenset(roots)
        needed = frozenset().union(*self._wanted.values())
        self._held = {root: load for root, load in self._held.items() if root in needed}
        await slot.drop(*left)

    async def get(self, root: Hash32, rows: int, columns: int, job: JobId) -> Load:
        """A matrix that somebody keeps.

        Raises:
            LocalFault: WORK_MEMORY before anything is allocated, NODE_UNREACHABLE.
            Invalid: WORK_MATRIX if the node sends something else.
            TileworkError: another refusal of the node.
        """
        async with self._fetching:
            if root not in self._held:
                _check_room(rows * columns)
                self._held[root] = Load(root, rows, columns, await self._fetch(root, rows, columns, job))
            return self._held[root]

    async def _fetch(self, root: Hash32, rows: int, columns: int, job: JobId) -> bytes:
        data, first = bytearray(), 0
        while first < rows:
            form = await self._client.call("blob_get", root=root.hex(), first=first, job=job.hex())
            part = await trio.to_thread.run_sync(base64.b64decode, form["data"])
            count = form["count"]
            if not 0 < count <= rows - first or len(part) != count * columns:
                raise Invalid(
                    "WORK_MATRIX",
                    found=f"{len(part)} bytes for {count} rows",
                    allowed=f"{columns} bytes per row, {rows} rows",
                )
            data += part
            first += count
        return bytes(data)


def parse_offer(form: Any) -> Offer | None:
    """What `work_panel` hands out.  Raises: Invalid WORK_OFFER if it is neither a panel nor nothing."""
    try:
        if form["panel"] is None:
            return None
        offer = Offer(
            panel=Hash32(bytes.fromhex(form["panel"])),
            order=Panel.from_bytes(bytes.fromhex(form["order"])),
            a_rows=int(form["a_rows"]),
            b_rows=int(form["b_rows"]),
            columns=int(form["columns"]),
        )
        order = offer.order
        is_sound = (
            offer.columns > 0
            and 0 < offer.b_rows * offer.columns <= MAX_MATRIX_BYTES
            and 0 < offer.a_rows * offer.columns <= MAX_MATRIX_BYTES
            and 0 < order.row_count <= offer.a_rows - order.row_start
            and order.job != NO_JOB
        )
    except (KeyError, TypeError, ValueError, Invalid) as error:
        raise Invalid("WORK_OFFER", found=repr(error)[:200], allowed="the answer of work_panel") from error
    if not is_sound:
        raise Invalid("WORK_OFFER", found=repr(form)[:200], allowed="rows of a product that exist")
    return offer


async def _runs(slot: Slot) -> bool:
    """Wait until the device has a worker; False if it never will have one again."""
    while not slot.is_running:
        if slot.is_quarantined:
            return False
        await slot.ready.after(slot.ready.version)
    return True


def _check_room(size_bytes: int) -> None:
    needed, free = _MEMORY_FACTOR * size_bytes, available_bytes()
    if needed > free:
        raise LocalFault("WORK_MEMORY", found=f"{needed >> 20} MiB for a matrix", allowed=f"{free >> 20} MiB")


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
