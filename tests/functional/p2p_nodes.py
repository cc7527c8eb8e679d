"""Nodes for network tests: the same tests run on the in-memory network and on libp2p over loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import trio

from p2p.addresses import ListenOn
from p2p.interface import Network, PeerId, Verdict
from p2p.keys import NodeSeed
from p2p.memory import MemoryHub
from p2p.wire import RequestKind, Topic

NETWORK_ID = "c0ffee"
LIMIT_S = 20.0
"""Every network test ends by then, one way or the other."""


@dataclass
class Node:
    """A network, what it received, and what it says about it."""

    network: Network
    received: list[tuple[PeerId, Topic, bytes]] = field(default_factory=list)
    verdict: Callable[[Topic, bytes], Verdict] = lambda _topic, _data: Verdict.ACCEPT
    stop: trio.CancelScope = field(default_factory=trio.CancelScope)
    stopped: trio.Event = field(default_factory=trio.Event)

    @property
    def peer_id(self) -> PeerId:
        return self.network.peer_id

    @property
    def address(self) -> str:
        return self.network.listen_addresses()[0]

    def payloads(self, topic: Topic) -> list[bytes]:
        return [data for _, its_topic, data in self.received if its_topic is topic]

    async def echo(self, _peer: PeerId, data: bytes) -> bytes:
        return data

    def attach(self) -> None:
        for topic in Topic:
            self.network.on_gossip(topic, self._handler(topic))
        self.network.on_request(RequestKind.STATUS, self.echo)

    def _handler(self, topic: Topic):
        async def handle(peer: PeerId, data: bytes) -> Verdict:
            await trio.lowlevel.checkpoint()
            self.received.append((peer, topic, data))
            return self.verdict(topic, data)

        return handle


class World:
    """Makes nodes of one kind and runs them."""

    def __init__(self, kind: str, nursery: trio.Nursery) -> None:
        self.kind = kind
        self._nursery = nursery
        self._hub = MemoryHub(NETWORK_ID)
        self._made = 0

    def make(self, *, port: int = 0, number: int | None = None, **options: object) -> Node:
        """A node that does not run yet; the same `number` gives the same identity."""
        if number is None:
            number = self._made
            self._made += 1
        if self.kind == "memory":
            network: Network = self._hub.join(f"node{number}")
        else:
            from p2p.host import Libp2pNetwork

            seed = NodeSeed(bytes([number + 1]) * 32)
            network = Libp2pNetwork(seed, NETWORK_ID, ListenOn("127.0.0.1", port), **options)  # type: ignore[arg-type]
        node = Node(network)
        node.attach()
        return node

    async def start(self, node: Node) -> Node:
        await self._nursery.start(self._run, node)
        return node

    async def node(self, **options: object) -> Node:
        return await self.start(self.make(**options))  # type: ignore[arg-type]

    async def line(self, count: int) -> list[Node]:
        """Nodes connected one to the next, and no further."""
        nodes = [await self.node() for _ in range(count)]
        for left, right in pairwise(nodes):
            await left.network.dial(right.address)
        return nodes

    async def mesh(self, count: int) -> list[Node]:
        """Nodes of which each is connected to every other."""
        nodes = [await self.node() for _ in range(count)]
        for index, left in enumerate(nodes):
            for right in nodes[index + 1 :]:
                await left.network.dial(right.address)
        return nodes

    async def _run(self, node: Node, *, task_status) -> None:
        with node.stop:
            await self.network_run(node, task_status)
        node.stopped.set()

    async def network_run(self, node: Node, task_status) -> None:
        await node.network.run(task_status=task_status)


@asynccontextmanager
async def world(kind: str) -> AsyncIterator[World]:
    """A place for nodes of one kind; everything stops at the end."""
    with trio.fail_after(LIMIT_S):
        async with trio.open_nursery() as nursery:
            yield World(kind, nursery)
            nursery.cancel_scope.cancel()


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something observable has happened; the test's time limit ends a wait in vain."""
    while not condition():
        await trio.sleep(0.01)
