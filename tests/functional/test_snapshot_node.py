"""A whole node that begins with a snapshot: it follows its peers, serves, and keeps to the block it was told."""

from __future__ import annotations

from dataclasses import replace

from chain.types import Grains
from node.messages import Bodies, BodiesRequest, Headers, HeadersRequest
from p2p.wire import RequestKind
from tests.builders import key
from tests.node_world import PAYER, network_spec, world
from tests.snapshot_cases import begun_with
from vm.kinds.accounts import Transfer


async def test_it_follows_the_chain_and_takes_part(tmp_path, autojump_clock):
    async with world(tmp_path) as net:
        await net.start(0)
        old = await net.start(1, mine=False, provide=False)
        await net.until(lambda: old.chain.head.height >= 4)
        await net.stop(1)
        at = old.chain.head
        kv = begun_with(net.stores["node-1"], tmp_path / "files", net.spec, at.id)
        await net.until(lambda: net.nodes["node-0"].chain.head.height >= at.height + 3)
        young = await net.start(5, kv=kv)
        assert (young.chain.anchor, young.chain.head) == (at, at)
        before = young.chain.context().account(key(6).address).balance_grains
        await net.submit(young, key(PAYER), Transfer(key(6).address, Grains(777), b""))
        await net.until(lambda: young.chain.context().account(key(6).address).balance_grains == before + 777)
        await net.agreed()
        head = young.chain.head
        assert head.height > at.height + 3
        assert head.state_root == young.chain.state.root
        assert young.chain.total_work(head.id) == net.nodes["node-0"].chain.total_work(head.id)
        await net.stop(5)
        again = await net.start(6, kv=kv)
        assert (again.chain.anchor, again.chain.head) == (at, head)


async def test_it_serves_all_headers_and_its_own_blocks(tmp_path, autojump_clock):
    async with world(tmp_path) as net:
        old = await net.start(0)
        await net.until(lambda: old.chain.head.height >= 5)
        await net.stop(0)
        at = old.chain.head
        kv = begun_with(net.stores["node-0"], tmp_path / "files", net.spec, at.id)
        young = await net.start(5, kv=kv)
        net.mining_stopped = False
        await net.until(lambda: young.chain.head.height >= at.height + 2)
        asker = net.hub.join("asker")
        await net.nursery.start(asker.run)
        await net.hub.connect_all()
        second = old.chain.block_hash_at(2)
        request = HeadersRequest((second,), 100).to_bytes()
        reply = Headers.from_bytes(await asker.request("node-5", RequestKind.HEADERS, request, timeout_s=5))
        assert len(reply.headers) == young.chain.head.height - 2
        for wanted, count in ((second, 0), (at.id, 1)):
            request = BodiesRequest((wanted,)).to_bytes()
            bodies = await asker.request("node-5", RequestKind.BODIES, request, timeout_s=5)
            assert len(Bodies.from_bytes(bodies).blocks) == count


async def test_a_heavier_chain_that_leaves_before_its_block_is_not_followed(tmp_path, autojump_clock, caplog):
    """The operator's word stands above the work: the node stays, and bans nobody for it."""
    spec = network_spec()
    async with world(tmp_path / "one", spec) as net:
        rival = await net.start(0)
        await net.until(lambda: rival.chain.head.height >= 6)
        stores = dict(net.stores)
    async with world(tmp_path / "two", replace(spec)) as net:
        small = await net.start(1)
        await net.until(lambda: small.chain.head.height >= 2)
        await net.stop(1)
        at = small.chain.head
        kv = begun_with(net.stores["node-1"], tmp_path / "files", spec, at.id)
        young = await net.start(5, kv=kv, mine=False, provide=False)
        strong = await net.start(0, kv=stores["node-0"], mine=False, provide=False)
        await net.until(lambda: len(young.net.peers()) == 1)
        height = strong.chain.head.height
        assert strong.chain.total_work(strong.chain.head.id) > young.chain.total_work(at.id)
        with caplog.at_level("WARNING", logger="tilework.sync"):
            await young.clock.sleep_ms(5 * spec.pace.block_time_ms)
        assert "BLOCK_BEFORE_ANCHOR" in caplog.text, "the operator is told"
        assert young.chain.head == at
        assert strong.chain.head.height == height
        assert [peer.peer_id for peer in young.net.peers()] == ["node-0"]
