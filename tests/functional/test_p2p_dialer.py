"""The dialer keeps configured peers connected, whatever happens to them."""

from __future__ import annotations

import pytest
import trio

from chain.errors import LocalFault, Policy
from p2p.dialer import BackOff, Dialer
from p2p.interface import FailureCode, RequestFailed
from p2p.memory import MemoryHub
from p2p.wire import RequestKind, Topic
from tests.functional.p2p_nodes import World, until, world

QUICK = BackOff(first_s=0.1, longest_s=0.2)


async def test_back_off_doubles_up_to_its_limit() -> None:
    back_off = BackOff(first_s=0.5, longest_s=15)
    assert [back_off.after(failures) for failures in (1, 2, 3, 6, 99)] == [0.5, 1.0, 2.0, 15, 15]


async def test_a_malformed_address_is_refused_at_start() -> None:
    with pytest.raises(Policy):
        Dialer(MemoryHub().join("anna"), ["127.0.0.1:4001"])


@pytest.mark.parametrize("kind", ["memory", "libp2p"])
async def test_a_lost_connection_comes_back(kind: str) -> None:
    async with world(kind) as w, trio.open_nursery() as nursery:
        left, right = w.make(), await w.node()
        dialer = Dialer(left.network, [right.address], QUICK)
        await w.start(left)
        await nursery.start(dialer.run)
        for _ in range(2):
            await until(lambda: len(left.network.peers()) == len(right.network.peers()) == 1)
            await right.network.disconnect(left.peer_id)
            await until(lambda: left.network.peers() == [] or right.network.peers() == [])
        await until(lambda: len(left.network.peers()) == len(right.network.peers()) == 1)
        nursery.cancel_scope.cancel()


async def test_a_peer_that_dies_and_returns_is_found_again_within_seconds() -> None:
    async with world("libp2p") as w, trio.open_nursery() as nursery:
        left, right = w.make(), await w.node()
        port = int(right.address.split("/")[4])
        dialer = Dialer(left.network, [right.address], QUICK)
        await w.start(left)
        await nursery.start(dialer.run)
        await until(lambda: len(left.network.peers()) == 1)
        right.stop.cancel()
        await right.stopped.wait()
        await until(lambda: left.network.peers() == [])
        with pytest.raises(RequestFailed) as failed:
            await left.network.dial(f"/ip4/127.0.0.1/tcp/{port}/p2p/{right.peer_id}")
        assert failed.value.failure is FailureCode.GONE
        with trio.fail_after(8):
            again = await _same_node(w, number=1, port=port)
            assert again.peer_id == right.peer_id
            await until(lambda: len(left.network.peers()) == 1)
            ask = left.network.request
            assert await ask(again.peer_id, RequestKind.STATUS, b"back", timeout_s=5) == b"back"
            await again.network.broadcast(Topic.VOTES, b"and gossiping")
            await until(lambda: left.payloads(Topic.VOTES) == [b"and gossiping"])
        nursery.cancel_scope.cancel()


async def test_a_port_in_use_is_one_clear_error() -> None:
    async with world("libp2p") as w:
        node = await w.node()
        other = w.make(port=int(node.address.split("/")[4]))
        with pytest.raises(LocalFault) as fault:
            await other.network.run()
        assert fault.value.code == "NET_PORT_IN_USE"


async def test_somebody_elses_identity_at_an_address_is_refused() -> None:
    async with world("libp2p") as w:
        left, right, third = await w.node(), await w.node(), await w.node()
        wrong = right.address.replace(right.peer_id, third.peer_id)
        with pytest.raises(RequestFailed) as failed:
            await left.network.dial(wrong)
        assert failed.value.failure is FailureCode.GONE
        assert left.network.peers() == []


async def test_networks_with_other_ids_share_nothing() -> None:
    from p2p.addresses import ListenOn
    from p2p.host import Libp2pNetwork
    from p2p.keys import NodeSeed
    from tests.functional.p2p_nodes import Node

    async with world("libp2p") as w:
        ours = await w.node()
        stranger = Node(Libp2pNetwork(NodeSeed(b"s" * 32), "0ther", ListenOn("127.0.0.1", 0)))
        stranger.attach()
        await w.start(stranger)
        await stranger.network.dial(ours.address)
        with pytest.raises(RequestFailed) as failed:
            await stranger.network.request(ours.peer_id, RequestKind.STATUS, b"", timeout_s=5)
        assert failed.value.failure is FailureCode.REFUSED
        await stranger.network.broadcast(Topic.TXS, b"foreign")
        friend = await w.node()
        await friend.network.dial(ours.address)
        await friend.network.broadcast(Topic.TXS, b"ours")
        await until(lambda: ours.payloads(Topic.TXS) == [b"ours"])


async def _same_node(w: World, number: int, port: int):
    return await w.start(w.make(number=number, port=port))
