"""Jobs whose facts do not fit the tensors they name: nobody who serves honestly may suffer for them."""

from __future__ import annotations

import numpy as np

from chain.tensors import DType, TensorInfo
from chain.types import NO_ADDRESS, NO_PERMIT, Grains
from tests.builders import key
from tests.node_world import PAYER, World, four_nodes, world
from vm.jobs.inputs import NO_SLOT
from vm.jobs.record import Status, Verdict, job_id
from vm.kinds.jobs import JobClaim, JobCommit, JobOpen
from vm.tensor.program import Op, gemm_program
from vm.tensor.trace import TraceRecord, result_path, trace_key, trace_root

A = np.random.default_rng(1).integers(-63, 64, (40, 70))
B = np.random.default_rng(2).integers(-63, 64, (70, 33))


def check_nobody_is_banned(net: World) -> None:
    assert {
        name: (len(node.net.peers()), {peer.score for peer in node.net.peers()})
        for name, node in net.nodes.items()
    } == {name: (3, {0}) for name in net.nodes}


async def test_a_job_with_another_shape_than_its_roots_costs_no_peer_anything(tmp_path, autojump_clock):
    async with world(tmp_path) as net:
        await four_nodes(net)
        payer_node = net.nodes["node-3"]
        honest = await net.open_job(payer_node, A, B)
        job = await net.until_status(payer_node, honest, Status.SETTLED)
        lying = job_id(key(PAYER).address, payer_node.mempool.next_nonce(key(PAYER).address))
        program = gemm_program(
            4_000_000 // 1000, 33, 1000
        )  # rows so long that one chunk of them is more than is served
        body = JobOpen(
            program, job.input_roots, Grains(10**9), Grains(10**12), 30, NO_ADDRESS, NO_PERMIT, NO_SLOT
        )
        await net.submit(payer_node, key(PAYER), body)
        ended = await net.until_status(payer_node, lying, Status.EXPIRED, Status.CLAIMED)
        assert ended.status is Status.EXPIRED
        check_nobody_is_banned(net)


async def test_a_result_that_opens_under_another_jobs_key_is_no_result(tmp_path, autojump_clock):
    """The right numbers under a foreign root: the payer could open nothing of them, so members must not say ok."""
    async with world(tmp_path) as net:
        await four_nodes(net)
        payer_node, copier = net.nodes["node-3"], key(5)
        first = await net.until_status(payer_node, await net.open_job(payer_node, A, B), Status.SETTLED)
        identity = await net.open_job(payer_node, A, B, provider=copier.address)
        await net.until_status(payer_node, identity, Status.OPEN)
        await net.submit(payer_node, copier, JobClaim(identity, Grains(1)))
        await net.until_status(payer_node, identity, Status.CLAIMED)
        trace = trace_key(identity, copier.address)
        records = [TraceRecord(0, Op.GEMM, TensorInfo(40, 33, DType.INT32), first.result_root)]
        body = JobCommit(identity, trace_root(trace, records), first.result_root, result_path(trace, records))
        await net.submit(payer_node, copier, body)
        job = await net.until_status(payer_node, identity, Status.SETTLED, Status.VOID, Status.SLASHED)
        assert Verdict.OK not in {seat.verdict for seat in job.seats}
        assert job.status is Status.VOID
        check_nobody_is_banned(net)
