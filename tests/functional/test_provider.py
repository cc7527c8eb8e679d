"""What a provider promises, and that it and the committee keep their promises whatever else goes on."""

from __future__ import annotations

import numpy as np

import node.provider
from chain.types import NO_PERMIT, Grains
from node.job_watch import JobWatch
from tests.builders import key
from tests.node_world import PAYER, World, four_nodes, world
from vm.jobs.inputs import NO_SLOT
from vm.jobs.record import Status, job_id
from vm.kinds.jobs import JobOpen

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
