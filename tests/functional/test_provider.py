"""What a provider promises, and that it and the committee keep their promises whatever else goes on."""

from __future__ import annotations

import numpy as np

import node.provider
from chain.codec import pack
from chain.hashing import Tag, h256
from chain.types import NO_PERMIT, Grains, PermitId
from node.job_watch import JobWatch
from tests.asset_cases import publication
from tests.builders import key
from tests.node_world import PAYER, World, canonical_blocks, four_nodes, world
from tests.provider_cases import permission, registration
from vm.assets.permits import find_permit, program_digest
from vm.assets.record import AssetType, asset_id, asset_key
from vm.envelope import Transaction
from vm.jobs.inputs import NO_SLOT
from vm.jobs.record import Status, job_id
from vm.kinds.jobs import JobOpen
from vm.providers.record import activity_of

A = np.random.default_rng(1).integers(-63, 64, (40, 70))
B = np.random.default_rng(2).integers(-63, 64, (70, 33))


async def reopened(
    net: World, roots: tuple[bytes, ...], program: object, count: int, price_grains: int
) -> list[bytes]:
    """Open more jobs on tensors that are already there."""
    node_3, payer = net.nodes["node-3"], key(PAYER)
    first = node_3.mempool.next_nonce(payer.address)
    for _ in range(count):
        body = JobOpen(
            program, roots, Grains(price_grains), Grains(10**12), 30, bytes(20), NO_PERMIT, NO_SLOT
        )
        await net.submit(node_3, payer, body)
    return [job_id(payer.address, first + number) for number in range(count)]


async def test_a_claimed_job_stays_in_sight_however_many_are_opened(tmp_path, autojump_clock, monkeypatch):
    """Opening jobs is cheap: it must not hide the ones that bonds depend on from provider and committee."""
    monkeypatch.setattr(node.provider, "_LOOK_BACK_JOBS", 1)
    async with world(tmp_path) as net:
        await four_nodes(net)
        payer_node = net.nodes["node-3"]
        identity = await net.open_job(payer_node, A, B)
        job = await net.until_status(payer_node, identity, Status.CLAIMED, Status.COMMITTED)
        await reopened(net, job.input_roots, job.program, 5, price_grains=1)  # below what anybody asks
        job = await net.until_status(payer_node, identity, Status.SETTLED, Status.LATE, Status.VOID)
        assert job.status is Status.SETTLED


async def test_no_more_is_claimed_than_can_be_finished(tmp_path, autojump_clock):
    """A job of 15 million MACs takes 4 s at 4 million per second: three fit into half of 30 blocks, not ten."""
    big_a = np.random.default_rng(3).integers(-63, 64, (240, 256))
    big_b = np.random.default_rng(4).integers(-63, 64, (256, 250))
    async with world(tmp_path) as net:
        await four_nodes(net, miners=(0,))
        payer_node = net.nodes["node-3"]
        first = await net.open_job(payer_node, big_a, big_b)
        job = await net.until_status(payer_node, first, Status.OPEN)
        jobs = [first, *await reopened(net, job.input_roots, job.program, 9, price_grains=10**9)]
        ends = (Status.SETTLED, Status.LATE, Status.VOID, Status.EXPIRED)
        ended = [await net.until_status(payer_node, identity, *ends) for identity in jobs]
        assert {job.status for job in ended} <= {Status.SETTLED, Status.EXPIRED}
        assert sum(job.status is Status.SETTLED for job in ended) >= 3


async def test_a_job_that_takes_longer_than_its_deadline_is_left_alone(tmp_path, autojump_clock):
    async with world(tmp_path) as net:
        await four_nodes(net)
        payer_node = net.nodes["node-3"]
        huge = np.zeros((1024, 512), np.int64)
        identity = await net.open_job(payer_node, huge, huge.T)
        job = await net.until_status(payer_node, identity, Status.EXPIRED, Status.LATE, Status.COMMITTED)
        assert job.status is Status.EXPIRED


async def test_the_watch_survives_a_reorganisation_and_a_late_start(tmp_path, autojump_clock):
    async with world(tmp_path) as net:
        await four_nodes(net)
        payer_node = net.nodes["node-3"]
        early = JobWatch(payer_node.chain)
        assert early.under_way() == []
        identity = await net.open_job(payer_node, A, B)
        await net.until_status(payer_node, identity, Status.COMMITTED)
        assert early.under_way() == [identity]
        assert JobWatch(payer_node.chain).under_way() == [identity]
        early._seen = {
            height: bytes(32) for height in early._seen
        }  # as if every block it read had left the chain
        assert early.under_way() == [identity]
        await net.until_status(payer_node, identity, Status.SETTLED)
        assert early.under_way() == []


async def test_a_provider_on_the_list_sends_its_heartbeats(tmp_path, autojump_clock):
    """Once an epoch and no more, from the node's own account; the one that is not on the list sends none."""
    async with world(tmp_path) as net:
        await four_nodes(net)
        node_0 = net.nodes["node-0"]
        await net.submit(node_0, key(0), registration())
        await net.until(lambda: activity_of(node_0.chain.context(), key(0).address).listed == 1)
        first = activity_of(node_0.chain.context(), key(0).address).heartbeat_epoch
        await net.until(
            lambda: activity_of(node_0.chain.context(), key(0).address).heartbeat_epoch >= first + 3
        )
        senders = [
            (Transaction.from_bytes(data).sender, receipt.code)
            for block in canonical_blocks(node_0)
            for data, receipt in zip(
                block.transactions, node_0.chain.receipts(block.header.id)[1:], strict=True
            )
            if Transaction.from_bytes(data).kind == "provider.heartbeat"
        ]
        assert {sender for sender, _ in senders} == {key(0).address}
        assert len([code for _, code in senders if not code]) >= 3
        assert len(senders) <= node_0.chain.head.height // net.spec.pace.epoch_blocks + 1


async def test_a_run_that_its_permit_forbids_is_not_claimed(tmp_path, autojump_clock):
    """The claim would fail and cost its fee: a node sees that before."""
    async with world(tmp_path) as net:
        await four_nodes(net)
        payer_node, author = net.nodes["node-3"], key(6)
        identity = await net.open_job(payer_node, A, B)
        job = await net.until_status(payer_node, identity, Status.SETTLED)
        await net.submit(
            payer_node, author, publication("", type=AssetType.DATASET, content_root=job.input_roots[0])
        )
        asset = asset_id(author.address, 0)
        await net.until(lambda: payer_node.chain.context().state.get(asset_key(asset)) is not None)
        named = PermitId(
            h256(Tag.PERMIT_ID, pack([author.address, payer_node.mempool.next_nonce(author.address)]))
        )
        code = (program_digest(job.program),)
        await net.submit(payer_node, author, permission(asset, code=code, providers=(key(3).address,)))
        await net.until(lambda: find_permit(payer_node.chain.context(), named) is not None)
        named_job = job_id(key(PAYER).address, payer_node.mempool.next_nonce(key(PAYER).address))
        body = JobOpen(
            job.program, job.input_roots, Grains(10**9), Grains(10**12), 30, bytes(20), named, NO_SLOT
        )
        await net.submit(payer_node, key(PAYER), body)
        await net.until_status(payer_node, named_job, Status.EXPIRED)
        claims = [
            Transaction.from_bytes(data).kind
            for block in canonical_blocks(payer_node)
            for data in block.transactions
            if Transaction.from_bytes(data).kind == "job.claim"
        ]
        assert len(claims) <= 2, "those of the first job"
