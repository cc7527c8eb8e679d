"""Devices that miners beside the node lend it for its jobs: each asks for panels and hands in products.
Spec: [POW-WORKER-5].

The node never waits for one without a bound. A panel that nobody fetches, or whose product does not come in time, is
made again by somebody else. Whoever handed in a wrong row is refused for as long as the node runs.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from math import inf

import trio

from chain.errors import LocalFault, Policy
from chain.types import Hash32
from compute.messages import Load, Panel, PanelDone
from node.feed import Feed
from node.mining.devices import Device
from node.mining.status import SlotStatus, State
from node.ports import Rng

log = logging.getLogger("tilework.miner")
MAX_LENT = 16
"""Devices at a time; every one may hold a place among the callers who wait."""
MAX_PRODUCT_BYTES = 64 << 20
"""Of one panel: it travels in one call."""
FETCH_S = 5
"""A device that is there asks again at once; a panel that is not fetched for so long is given to another."""
ABSENT_S = 10
"""A device with nothing to do that has not asked for so long has gone."""
_LEASE_FACTOR = 4
"""A panel may take so many times what it should take at the rate that was reported."""
_LONGEST_WORK_S = 300
"""However slow a device says it is."""
_TRANSFER_BYTES_PER_S = 8 << 20
"""Slower than any loopback: matrices and product are to be moved within the lease too."""
_SHORTEST_LEASE_S = 15
_GONE = ("WORK_PANEL_LATE", "WORKER_LOST")
"""A device that is silent, stops, or has lost its worker is not there until it asks again."""
_SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Offer:
    """A panel that a lent device is to make."""

    panel: Hash32
    """Names this order and no other, also after a restart of the node."""
    order: Panel
    """`a` and `b` are the roots of the matrices."""
    a_rows: int
    b_rows: int
    columns: int

    @property
    def product_bytes(self) -> int:
        return self.order.row_count * self.b_rows * 4


@dataclass(slots=True)
class _Lease:
    """A panel that a lent device owes."""

    offer: Offer
    fetched: trio.Event = field(default_factory=trio.Event)
    settled: trio.Event = field(default_factory=trio.Event)
    result: PanelDone | LocalFault | None = None

    def settle(self, result: PanelDone | LocalFault) -> None:
        self.result = result
        self.settled.set()

    def product(self) -> PanelDone:
        """What it was settled with.  Raises: LocalFault if that was a failure."""
        if isinstance(self.result, LocalFault):
            raise self.result
        assert self.result is not None
        return self.result


class LentDevice:
    """One device of one miner beside the node, as long as it keeps asking; see `PanelMaker`."""

    life = 0
    """All its panels are one worker's: a miner that lies is not believed again."""
    max_product_bytes = MAX_PRODUCT_BYTES

    def __init__(self, name: str, rng: Rng) -> None:
        self.device = Device(name)
        self.status = SlotStatus(name, "", state=State.RUNNING)
        self.ready = Feed()
        self.is_refused = False
        self._rng = rng
        self._lease: _Lease | None = None
        self._changed = Feed()
        self._turn = 0
        self._waiting = 0
        self._heard_s = -inf

    @property
    def rate(self) -> int:
        return self.status.macs_per_second

    @property
    def owed(self) -> _Lease | None:
        """The panel that it has to make, if there is one."""
        return None if self._lease is None or self._lease.settled.is_set() else self._lease

    @property
    def is_running(self) -> bool:
        """Whether it asks, works, or did a moment ago."""
        if self.is_refused:
            return False
        is_busy = self._waiting > 0 or self._lease is not None
        return is_busy or trio.current_time() - self._heard_s < ABSENT_S

    @property
    def is_quarantined(self) -> bool:
        """One that has gone is not waited for."""
        return not self.is_running

    async def next(self, engine: str, macs_per_second: int, wait_ms: int) -> Offer | None:
        """The panel to make, as soon as there is one; None after `wait_ms`, if the job is over, or if this device asks
        again meanwhile: who asked before may not be there any more.
        """
        self.status = replace(self.status, engine=engine, macs_per_second=macs_per_second)
        self._end_waits()
        turn = self._turn
        self._waiting += 1
        try:
            with trio.move_on_after(wait_ms / 1000):
                while turn == self._turn:
                    if self.owed is not None:
                        self.owed.fetched.set()
                        return self.owed.offer
                    await self._changed.after(self._changed.version)
        finally:
            self._waiting -= 1
            self._heard_s = trio.current_time()
        return None

    async def panel(self, order: Panel, a: Load, b: Load) -> PanelDone:
        """The product of a row panel of two matrices, which the miner fetches from this node's store by their ids.

        Raises:
            LocalFault: WORK_PANEL_LATE if nobody fetches it or it does not come in time, WORK_PANEL_SIZE, or the code
                with which the device gives it back.
        """
        offer = Offer(Hash32(self._rng.bytes(32)), order, a.rows, b.rows, a.columns)
        lease = self._lease = _Lease(offer)
        self._changed.publish()
        try:
            await self._until(lease.fetched, FETCH_S, "a call")
            await self._until(lease.settled, self._lease_s(offer), "a product")
            done = lease.product()
        except LocalFault as fault:
            if fault.code in _GONE:
                self._heard_s = -inf
            self.status = replace(self.status, failure=str(fault)[:_SHOWN_CHARACTERS])
            raise
        finally:
            self._lease = None
        self._count(done)
        return done

    async def _until(self, event: trio.Event, limit_s: float, awaited: str) -> None:
        """Raises: LocalFault WORK_PANEL_LATE."""
        with trio.move_on_after(limit_s):
            await event.wait()
        if not event.is_set():
            raise LocalFault(
                "WORK_PANEL_LATE",
                found=f"no word from {self.device.name}",
                allowed=f"{awaited} within {limit_s:.0f} s",
            )
        self._heard_s = trio.current_time()

    async def drop(self, *matrices: Hash32) -> None:
        """The product is finished: whoever waits is told that there is nothing, and drops what it holds."""
        del matrices
        self._end_waits()

    def distrust(self, life: int, why: LocalFault) -> None:
        """Take nothing from this device any more."""
        del life
        log.warning("lent-device-refused device=%s why=%s", self.device.name, why)
        self.is_refused = True
        self.status = replace(self.status, state=State.QUARANTINED, failure=str(why)[:_SHOWN_CHARACTERS])
        self._end_waits()

    def _count(self, done: PanelDone) -> None:
        status = self.status
        self.status = replace(status, tickets=status.tickets + done.tickets, panels=status.panels + 1)

    def _end_waits(self) -> None:
        self._turn += 1
        self._changed.publish()

    def _lease_s(self, offer: Offer) -> float:
        macs = offer.order.row_count * offer.b_rows * offer.columns
        work_s = min(_LEASE_FACTOR * macs / max(1, self.rate), _LONGEST_WORK_S)
        moved_bytes = (offer.a_rows + offer.b_rows) * offer.columns + offer.product_bytes
        return max(_SHORTEST_LEASE_S, work_s) + moved_bytes / _TRANSFER_BYTES_PER_S


class LentDevices:
    """Everything that miners beside the node lend it."""

    def __init__(self, rng: Rng) -> None:
        self.joined = Feed()
        """Published when a device comes, or comes back."""
        self._rng = rng
        self._devices: dict[Hash32, LentDevice] = {}
        """By session, the 32 bytes that name a device of one run of a miner."""
        self._refused: set[Hash32] = set()
        """Sessions that were forgotten, but not what they did."""

    @property
    def present(self) -> tuple[LentDevice, ...]:
        """Devices that ask for panels or make one."""
        return tuple(device for device in self._devices.values() if device.is_running)

    @property
    def statuses(self) -> tuple[SlotStatus, ...]:
        """Those, and the ones that are refused."""
        return tuple(
            device.status for device in self._devices.values() if device.is_running or device.is_refused
        )

    async def poll(
        self, session: Hash32, name: str, engine: str, macs_per_second: int, wait_ms: int
    ) -> Offer | None:
        """The panel that a device is to make; see `LentDevice.next`.

        Raises:
            Policy: WORK_LENT_REFUSED for a device that made a wrong product, WORK_LENT_FULL.
        """
        device = self._devices.get(session)
        if session in self._refused or (device is not None and device.is_refused):
            raise Policy(
                "WORK_LENT_REFUSED",
                found="a device that made a wrong product",
                allowed="others, until this node starts again",
                hint="See the node's log for lent-device-refused; do not trust the hardware.",
            )
        if device is None:
            self._make_room()
            device = self._devices[session] = LentDevice(f"{name}@{session.hex()[:4]}", self._rng)
        if not device.is_running:
            log.info("device-lent device=%s engine=%s", device.device.name, engine)
            self.joined.publish()
        return await device.next(engine, macs_per_second, wait_ms)

    def owed_bytes(self, session: Hash32, panel: Hash32) -> int:
        """Size of the product that a device owes.  Raises: Policy WORK_PANEL_LATE."""
        return self._lease(session, panel).offer.product_bytes

    def deliver(
        self, session: Hash32, panel: Hash32, product: bytes, tickets: int, winners: int, macs: int
    ) -> None:
        """Take the product of a panel; one of a wrong size counts as a failure.

        Raises:
            Policy: WORK_PANEL_LATE, WORK_PANEL_SIZE.
        """
        lease = self._lease(session, panel)
        order, size_bytes = lease.offer.order, lease.offer.product_bytes
        if len(product) != size_bytes:
            refusal = Policy("WORK_PANEL_SIZE", found=f"{len(product)} bytes", allowed=f"{size_bytes} bytes")
            lease.settle(LocalFault(refusal.code, found=refusal.found, allowed=refusal.allowed))
            raise refusal
        lease.settle(
            PanelDone(
                template=order.template,
                job=order.job,
                step=order.step,
                row_start=order.row_start,
                row_count=order.row_count,
                product=product,
                tickets=tickets,
                winners=winners,
                macs=macs,
            )
        )

    def give_back(self, session: Hash32, panel: Hash32, code: str, text: str) -> None:
        """Take note that a device cannot make a panel.  Raises: Policy WORK_PANEL_LATE."""
        self._lease(session, panel).settle(LocalFault(code, found=text))

    def _lease(self, session: Hash32, panel: Hash32) -> _Lease:
        lease = self._devices[session].owed if session in self._devices else None
        if lease is None or lease.offer.panel != panel:
            raise Policy(
                "WORK_PANEL_LATE",
                found=f"panel {panel.hex()[:16]}",
                allowed="the panel that this device owes",
                hint="It took too long, or the node was started again: ask for another one with work_panel.",
            )
        return lease

    def _make_room(self) -> None:
        """Forget a device that has gone, if there are too many.  Raises: Policy WORK_LENT_FULL."""
        if len(self._devices) < MAX_LENT:
            return
        gone = next((each for each, device in self._devices.items() if not device.is_running), None)
        if gone is None:
            raise Policy("WORK_LENT_FULL", found=f"{MAX_LENT} lent devices", allowed=f"at most {MAX_LENT}")
        if self._devices.pop(gone).is_refused:
            self._refused.add(gone)
