"""An in-memory network: any number of nodes in one trio run, with links a test can cut, and no sockets.

Same interface, limits and penalties as libp2p.  Gossip floods along links: each node forwards a message
once, after its handler said ACCEPT.  Delivery is first in, first out per link, with no randomness and
trio's clock only, so a test that uses an autojump clock runs without waiting.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import trio

from chain.errors import LocalFault, Policy
from p2p.base import NetworkBase
from p2p.frames import Answer, Reply
from p2p.interface import (
    Direction,
    FailureCode,
    PeerChange,
    PeerId,
    PeerInfo,
    RequestFailed,
    StartSignal,
    Verdict,
)
from p2p.wire import SEEN_MS, RequestKind, Topic, topic_name

LINK_CAPACITY = 256
"""Gossip messages waiting on one link; more are lost, as on a real network under load."""
ADDRESS_PREFIX = "/memory/"

DropRule = Callable[[PeerId, PeerId, Topic, bytes], bool]
"""(from, to, topic, data): whether to lose this gossip message."""


@dataclass(slots=True, eq=False)
class _Exchange:
    """A request under way: who waits for it, and its answer once there is one (None: the link went)."""

    done: trio.Event = field(default_factory=trio.Event)
    answer: Answer | None = None

    def finish(self, answer: Answer | None) -> None:
        if not self.done.is_set():
            self.answer = answer
            self.done.set()


@dataclass(slots=True, eq=False)
class _Link:
    """One side's view of a connection."""

    peer: PeerId
    direction: Direction
    since_ms: int
    inbox_in: trio.MemorySendChannel[tuple[Topic, bytes]]
    inbox_out: trio.MemoryReceiveChannel[tuple[Topic, bytes]]
    exchanges: set[_Exchange] = field(default_factory=set)


class MemoryHub:
    """The world the nodes live in: who can reach whom."""

    def __init__(self, network_id: str = "test") -> None:
        self.network_id = network_id
        self.drop: DropRule | None = None
        self.lost = 0
        """Gossip messages lost to full links and to `drop`."""
        self._nodes: dict[PeerId, MemoryNetwork] = {}
        self._cuts: set[frozenset[PeerId]] = set()

    def join(self, name: str) -> MemoryNetwork:
        """A node called `name`; joining again replaces a node that has stopped.

        Raises:
            LocalFault: NET_NAME_IN_USE.
        """
        peer_id = PeerId(name)
        old = self._nodes.get(peer_id)
        if old is not None and old.is_running():
            raise LocalFault("NET_NAME_IN_USE", found=name, allowed="a name no running node has")
        node = self._nodes[peer_id] = MemoryNetwork(self, peer_id)
        return node

    def node(self, peer: PeerId) -> MemoryNetwork | None:
        """The running node of that id, if any."""
        node = self._nodes.get(peer)
        return node if node is not None and node.is_running() else None

    async def connect_all(self) -> None:
        """Dial every pair that may talk."""
        names = sorted(peer for peer in self._nodes if self.node(peer))
        for index, caller in enumerate(names):
            for callee in names[index + 1 :]:
                if not self.is_cut(caller, callee):
                    await self._nodes[caller].dial(ADDRESS_PREFIX + callee)

    def is_cut(self, one: str, other: str) -> bool:
        """Whether the two cannot reach each other."""
        return frozenset((PeerId(one), PeerId(other))) in self._cuts

    def cut(self, one: str, other: str) -> None:
        """Break the link between two nodes and keep it broken."""
        self._cuts.add(frozenset((PeerId(one), PeerId(other))))
        self.unlink(PeerId(one), PeerId(other))

    def mend(self, one: str, other: str) -> None:
        """Allow the two to connect again; somebody still has to dial."""
        self._cuts.discard(frozenset((PeerId(one), PeerId(other))))

    def partition(self, *groups: Iterable[str]) -> None:
        """Cut every link between different groups."""
        sides = [sorted(group) for group in groups]
        for index, side in enumerate(sides):
            for other_side in sides[index + 1 :]:
                for one in side:
                    for other in other_side:
                        self.cut(one, other)

    def heal(self) -> None:
        """Mend every cut."""
        self._cuts.clear()

    def unlink(self, one: PeerId, other: PeerId) -> None:
        """End the connection between two nodes, on both sides."""
        for here, there in ((one, other), (other, one)):
            node = self._nodes.get(here)
            if node is not None:
                node.drop_link(there)

    def loses(self, sender: PeerId, receiver: PeerId, topic: Topic, data: bytes) -> bool:
        """Whether the test's drop rule takes this message."""
        return self.drop is not None and self.drop(sender, receiver, topic, data)


class MemoryNetwork(NetworkBase):
    """One node's `Network` on a hub."""

    def __init__(self, hub: MemoryHub, peer_id: PeerId) -> None:
        super().__init__(peer_id, lambda: int(trio.current_time() * 1000))
        self._hub = hub
        self._links: dict[PeerId, _Link] = {}
        self._seen_ms: OrderedDict[bytes, int] = OrderedDict()  # longest ago first

    async def run(self, *, task_status: StartSignal = trio.TASK_STATUS_IGNORED) -> None:
        """See `Network.run`."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                self._nursery = None
                for peer in list(self._links):
                    self._hub.unlink(self._peer_id, peer)

    async def dial(self, address: str) -> PeerId:
        """See `Network.dial`; the address is `/memory/<name>`."""
        if not address.startswith(ADDRESS_PREFIX):
            raise Policy("NET_ADDRESS", found=address, allowed=ADDRESS_PREFIX + "NAME")
        self._running_nursery()
        peer = PeerId(address.removeprefix(ADDRESS_PREFIX))
        await trio.lowlevel.checkpoint()
        if peer in self._links:
            return peer
        if peer == self._peer_id:
            raise Policy("NET_SELF_DIAL", found=address, allowed="another node")
        if self._gate.is_banned(peer, self._now_ms()):
            raise Policy("NET_BANNED", found=peer, allowed="a peer that is not banned")
        other = self._hub.node(peer)
        if other is None or self._hub.is_cut(self._peer_id, peer) or other.refuses(self._peer_id):
            raise RequestFailed(FailureCode.GONE, peer, found=f"nobody at {address}")
        self.add_link(peer, Direction.OUTBOUND)
        other.add_link(self._peer_id, Direction.INBOUND)
        return peer

    def peers(self) -> list[PeerInfo]:
        """See `Network.peers`."""
        now_ms = self._now_ms()
        rows = sorted(self._links.items())
        return [
            PeerInfo(peer, ADDRESS_PREFIX + peer, row.direction, row.since_ms, self._gate.score(peer, now_ms))
            for peer, row in rows
        ]

    def listen_addresses(self) -> list[str]:
        """See `Network.listen_addresses`."""
        return [ADDRESS_PREFIX + self._peer_id] if self.is_running() else []

    async def disconnect(self, peer: PeerId) -> None:
        """See `Network.disconnect`."""
        self._hub.unlink(self._peer_id, peer)
        await trio.lowlevel.checkpoint()

    def is_running(self) -> bool:
        """Whether the node can be reached."""
        return self._nursery is not None

    def refuses(self, peer: PeerId) -> bool:
        """Whether this node has banned `peer`."""
        return self._gate.is_banned(peer, self._now_ms())

    def add_link(self, peer: PeerId, direction: Direction) -> None:
        """Start our side of a connection."""
        inbox_in, inbox_out = trio.open_memory_channel[tuple[Topic, bytes]](LINK_CAPACITY)
        link = self._links[peer] = _Link(peer, direction, self._now_ms(), inbox_in, inbox_out)
        self._running_nursery().start_soon(self._receive, link)
        self._peer_changed(peer, PeerChange.CONNECTED)

    def drop_link(self, peer: PeerId) -> None:
        """End our side of a connection: nothing more is delivered, and whoever waits for an answer learns
        it.
        """
        link = self._links.pop(peer, None)
        if link is None:
            return
        link.inbox_in.close()
        for exchange in list(link.exchanges):
            exchange.finish(None)
        self._peer_changed(peer, PeerChange.DISCONNECTED)

    def offer(self, sender: PeerId, topic: Topic, data: bytes) -> bool:
        """Put a gossip message on the link from `sender`; False when it is lost."""
        link = self._links.get(sender)
        if link is None or self._hub.loses(sender, self._peer_id, topic, data):
            return False
        try:
            link.inbox_in.send_nowait((topic, data))
        except trio.WouldBlock:
            return False
        return True

    def _is_connected(self, peer: PeerId) -> bool:
        return peer in self._links

    async def _publish(self, topic: Topic, data: bytes) -> None:
        if self._is_new(topic, data):
            self._forward(topic, data, source=self._peer_id)
        await trio.lowlevel.checkpoint()

    async def _receive(self, link: _Link) -> None:
        async for topic, data in link.inbox_out:
            if self._links.get(link.peer) is not link:
                return
            if not self._admit_gossip(link.peer, topic, len(data)) or not self._is_new(topic, data):
                continue
            if await self._judge_gossip(link.peer, topic, data) is Verdict.ACCEPT:
                self._forward(topic, data, source=link.peer)

    def _forward(self, topic: Topic, data: bytes, source: PeerId) -> None:
        for peer in sorted(self._links):
            node = self._hub.node(peer)
            if peer != source and node is not None and not node.offer(self._peer_id, topic, data):
                self._hub.lost += 1

    def _is_new(self, topic: Topic, data: bytes) -> bool:
        """Whether the message was not seen lately; it is now."""
        now_ms = self._now_ms()
        while self._seen_ms and next(iter(self._seen_ms.values())) <= now_ms - SEEN_MS:
            self._seen_ms.popitem(last=False)
        message_id = hashlib.sha256(topic_name(topic, self._hub.network_id).encode() + data).digest()
        is_new = message_id not in self._seen_ms
        self._seen_ms[message_id] = now_ms
        self._seen_ms.move_to_end(message_id)
        return is_new

    async def _exchange(self, peer: PeerId, kind: RequestKind, data: bytes) -> Answer:
        link = self._links.get(peer)
        node = self._hub.node(peer)
        if link is None or node is None:
            raise RequestFailed(FailureCode.GONE, peer, found="no connection")
        exchange = _Exchange()
        link.exchanges.add(exchange)
        try:
            node._running_nursery().start_soon(node._serve_exchange, self._peer_id, kind, data, exchange)
            await exchange.done.wait()
        finally:
            link.exchanges.discard(exchange)
        if exchange.answer is None:
            raise RequestFailed(FailureCode.GONE, peer, found="a connection that ended before the answer")
        return exchange.answer

    async def _serve_exchange(
        self, peer: PeerId, kind: RequestKind, data: bytes, exchange: _Exchange
    ) -> None:
        if not self._admit_request(peer, kind):
            exchange.finish(Answer(Reply.BUSY, b""))
            return
        exchange.finish(await self._serve(peer, kind, data))
