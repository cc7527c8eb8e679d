"""Keep connected to configured addresses: redial with back-off, for as long as the node runs.

libp2p's own reconnection is off (it took a minute, and dials whoever it has heard of).  `Network.dial`
clears the library's negative cache, so a peer that comes back is reached at the next attempt.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import trio

from chain.errors import TileworkError
from p2p.addresses import DialAddress
from p2p.interface import Network, PeerChange, PeerId, StartSignal

log = logging.getLogger("tilework.p2p")


@dataclass(frozen=True, slots=True)
class BackOff:
    """Delay before the next attempt: starts at `first_s`, doubles up to `longest_s`."""

    first_s: float = 0.5
    longest_s: float = 15.0

    def after(self, failures: int) -> float:
        """Delay after this many failures in a row (at least one)."""
        return float(min(self.longest_s, self.first_s * 2 ** min(failures - 1, 16)))


class Dialer:
    """Keeps a set of peers connected.  Create it before `network.run`, run it beside it."""

    def __init__(self, network: Network, addresses: Sequence[str], back_off: BackOff = BackOff()) -> None:
        self._network = network
        self._back_off = back_off
        self._addresses = [(_peer_of(address), address) for address in addresses]
        self._lost: dict[PeerId, trio.Event] = {}
        network.on_peer(self._peer_changed)

    async def run(self, *, task_status: StartSignal = trio.TASK_STATUS_IGNORED) -> None:
        """Dial every address and redial whenever it is lost; until cancelled."""
        async with trio.open_nursery() as nursery:
            for peer, address in self._addresses:
                if peer != self._network.peer_id:
                    nursery.start_soon(self._keep, peer, address)
            task_status.started()

    async def _keep(self, peer: PeerId, address: str) -> None:
        failures = 0
        while True:
            lost = self._lost[peer] = trio.Event()
            try:
                await self._network.dial(address)
            except TileworkError as error:
                failures += 1
                if failures == 1:
                    log.info("event=dial_failed address=%s code=%s", address, error.code)
                await trio.sleep(self._back_off.after(failures))
                continue
            if failures:
                log.info("event=dial_succeeded address=%s failures=%d", address, failures)
            failures = 0
            await lost.wait()
            await trio.sleep(self._back_off.first_s)

    async def _peer_changed(self, peer: PeerId, change: PeerChange) -> None:
        if change is PeerChange.DISCONNECTED and peer in self._lost:
            self._lost[peer].set()


def _peer_of(address: str) -> PeerId:
    """Peer of a dial address; refuses a malformed one at start rather than redialling it for ever."""
    if address.startswith("/memory/"):
        return PeerId(address.removeprefix("/memory/"))
    return DialAddress.parse(address).peer_id
