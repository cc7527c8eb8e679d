"""What only the in-memory network has: cuts, partitions, lossy links, names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from chain.errors import LocalFault
from p2p.interface import FailureCode, PeerId, RequestFailed, Verdict
from p2p.memory import LINK_CAPACITY, MemoryHub, MemoryNetwork
from p2p.wire import SEEN_MS, RequestKind, Topic

NAMES = ("anna", "bert", "cora", "dora")


class Fleet:
    """Four connected nodes and what each heard."""

    def __init__(self) -> None:
        self.hub = MemoryHub()
        self.heard: dict[str, list[bytes]] = {name: [] for name in NAMES}
        self.nodes = {name: self.make(name) for name in NAMES}

    def make(self, name: str) -> MemoryNetwork:
        node = self.hub.join(name)

        async def hear(_peer: PeerId, data: bytes) -> Verdict:
            self.heard[name].append(data)
            return Verdict.ACCEPT

        async def echo(_peer: PeerId, data: bytes) -> bytes:
            return data

        node.on_gossip(Topic.TXS, hear)
        node.on_request(RequestKind.STATUS, echo)
        return node

    async def say(self, name: str, data: bytes) -> list[str]:
        """Broadcast, and who heard it once everything has come to rest."""
        for heard in self.heard.values():
            heard.clear()
        await self.nodes[name].broadcast(Topic.TXS, data)
        await wait_all_tasks_blocked()
        return [hearer for hearer in NAMES if data in self.heard[hearer]]


@asynccontextmanager
async def fleet() -> AsyncIterator[Fleet]:
    made = Fleet()
    async with trio.open_nursery() as nursery:
        for node in made.nodes.values():
            await nursery.start(node.run)
        await made.hub.connect_all()
        yield made
        nursery.cancel_scope.cancel()


async def test_a_partition_splits_gossip_and_requests_and_heals() -> None:
    async with fleet() as four:
        four.hub.partition({"anna", "bert"}, {"cora", "dora"})
        assert await four.say("anna", b"left") == ["bert"]
        assert await four.say("dora", b"right") == ["cora"]
        with pytest.raises(RequestFailed) as failed:
            await four.nodes["anna"].request(PeerId("cora"), RequestKind.STATUS, b"", timeout_s=1)
        assert failed.value.failure is FailureCode.GONE
        with pytest.raises(RequestFailed):
            await four.nodes["anna"].dial("/memory/cora")
        four.hub.heal()
        await four.nodes["anna"].dial("/memory/cora")
        assert await four.say("anna", b"all") == ["bert", "cora", "dora"]


async def test_a_cut_link_fails_requests_under_way() -> None:
    async with fleet() as four:

        async def cut(_peer: PeerId, _data: bytes) -> bytes:
            four.hub.cut("anna", "bert")
            return b"too late"

        four.nodes["bert"].on_request(RequestKind.HEADERS, cut)
        with pytest.raises(RequestFailed) as failed:
            await four.nodes["anna"].request(PeerId("bert"), RequestKind.HEADERS, b"", timeout_s=5)
        assert failed.value.failure is FailureCode.GONE
        assert [info.peer_id for info in four.nodes["anna"].peers()] == ["cora", "dora"]
        four.hub.mend("anna", "bert")
        await four.nodes["anna"].dial("/memory/bert")


async def test_dropped_gossip_reaches_a_node_by_another_way() -> None:
    async with fleet() as four:
        four.hub.drop = lambda sender, receiver, _topic, _data: (sender, receiver) == ("anna", "bert")
        assert await four.say("anna", b"detour") == ["bert", "cora", "dora"]
        four.hub.drop = lambda _sender, receiver, _topic, _data: receiver == "bert"
        assert await four.say("anna", b"lost") == ["cora", "dora"]
        assert four.hub.lost >= 4


async def test_the_same_bytes_go_nowhere_until_they_are_forgotten(autojump_clock: object) -> None:
    async with fleet() as four:
        assert await four.say("anna", b"again") == ["bert", "cora", "dora"]
        await trio.sleep(SEEN_MS / 1000 - 1)
        assert await four.say("anna", b"again") == []
        await trio.sleep(SEEN_MS / 1000 + 1)
        assert await four.say("anna", b"again") == ["bert", "cora", "dora"]


async def test_a_full_link_loses_gossip_without_blocking_the_speaker() -> None:
    async with fleet() as four:
        release = trio.Event()

        async def wait(_peer: PeerId, _data: bytes) -> Verdict:
            await release.wait()
            return Verdict.IGNORE

        four.nodes["bert"].on_gossip(Topic.VOTES, wait)
        with trio.fail_after(5):
            for number in range(LINK_CAPACITY + 20):
                await four.nodes["anna"].broadcast(Topic.VOTES, number.to_bytes(4, "big"))
        assert four.hub.lost >= 15
        release.set()


async def test_a_stopped_node_can_be_replaced_under_its_name() -> None:
    hub = MemoryHub()
    first = hub.join("anna")
    async with trio.open_nursery() as nursery:
        await nursery.start(first.run)
        with pytest.raises(LocalFault):
            hub.join("anna")
        nursery.cancel_scope.cancel()
    assert first.listen_addresses() == []
    second = hub.join("anna")
    async with trio.open_nursery() as nursery:
        await nursery.start(second.run)
        assert second.listen_addresses() == ["/memory/anna"]
        nursery.cancel_scope.cancel()


async def test_an_autojump_clock_makes_timeouts_free(autojump_clock: object) -> None:
    async with fleet() as four:

        async def never(_peer: PeerId, _data: bytes) -> bytes:
            await trio.sleep_forever()

        four.nodes["bert"].on_request(RequestKind.BODIES, never)
        with pytest.raises(RequestFailed) as failed:
            await four.nodes["anna"].request(PeerId("bert"), RequestKind.BODIES, b"", timeout_s=3600)
        assert failed.value.failure is FailureCode.TIMEOUT
