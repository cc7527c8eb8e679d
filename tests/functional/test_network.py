"""Four whole nodes over an in-memory network: agreement, jobs, cheating, late joiners, restarts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from chain.errors import LocalFault
from chain.kv import MemoryKV
from chain.tensors import DType, TensorInfo
from chain.types import NO_JOB, Grains
from compute.spec.certificate import Certificate
from node.chain import Chain
from node.checks import check_block
from node.tables import META_GOAL
from tests.builders import key
from tests.node_world import PAYER, canonical_blocks, four_nodes, network_spec, world
from vm.jobs.record import Status, Verdict
from vm.kinds.accounts import Transfer
from vm.kinds.jobs import JobClaim, JobCommit
from vm.tensor.program import Op
from vm.tensor.trace import TraceRecord, result_path, trace_key, trace_root

A = np.random.default_rng(1).integers(-63, 64, (40, 70))
B = np.random.default_rng(2).integers(-63, 64, (70, 33))


async def test_four_nodes_agree_and_a_payment_arrives(tmp_path, autojump_clock):
    async with world(tmp_path) as net:
        await four_nodes(net)
        before = net.nodes["node-3"].chain.context().account(key(6).address).balance_grains
        await net.submit(net.nodes["node-3"], key(PAYER), Transfer(key(6).address, Grains(12_345), b"hello"))
        await net.until(lambda: all(node.chain.head.height >= 6 for node in net.nodes.values()))
        await net.agreed()
        for node in net.nodes.values():
            assert node.chain.context().account(key(6).address).balance_grains == before + 12_345
            assert node.chain.head.state_root == node.chain.state.root


async def test_a_job_settles_and_its_result_is_the_exact_product(tmp_path, autojump_clock):
    async with world(tmp_path) as net:
        await four_nodes(net)
        payer_node = net.nodes["node-3"]
        identity = await net.open_job(payer_node, A, B)
        job = await net.until_status(payer_node, identity, Status.SETTLED, Status.VOID, Status.SLASHED)
        assert Status(job.status) is Status.SETTLED
        assert job.closed_height == job.committed_height + net.spec.jobs.settle_offset
        assert [seat.verdict for seat in job.seats] == [Verdict.OK] * 3
        provider = next(node for node in net.nodes.values() if node.address == job.provider)
        product = np.frombuffer(provider.blobs.data(job.result_root), "<i4").reshape(40, 33)
        assert np.array_equal(product, A @ B)
        assert provider.tickets_drawn(identity) > 0


async def test_a_wrong_product_is_shown_up_and_costs_the_bond(tmp_path, autojump_clock):
    async with world(tmp_path) as net:
        await four_nodes(net)
        cheat = await net.start(5, mine=False, provide=True, validate=False, fault="corrupt-result")
        payer_node = net.nodes["node-3"]
        paid_before = payer_node.chain.context().account(key(PAYER).address).balance_grains
        identity = await net.open_job(payer_node, A, B, provider=cheat.address)
        job = await net.until_status(payer_node, identity, Status.SETTLED, Status.VOID, Status.SLASHED)
        assert Status(job.status) is Status.SLASHED
        assert [seat.verdict for seat in job.seats] == [Verdict.WRONG] * 3
        assert (
            len({seat.evidence_root for seat in job.seats}) == 1
        )  # all found the same proof, and share its reward
        context = payer_node.chain.context()
        lost = 1_000_000 * 10**9 - context.account(cheat.address).balance_grains
        assert lost >= job.bond_grains  # and the fees of claim and commit
        gained = context.account(key(PAYER).address).balance_grains - paid_before
        assert (
            job.bond_grains // 4 - 10**6 < gained <= job.bond_grains // 4
        )  # escrow whole, a quarter of the bond, less fees


@pytest.mark.parametrize("asleep_from", ["its commitment", "the draw"])
async def test_a_member_that_slept_through_its_window_still_brings_the_proof(
    tmp_path, autojump_clock, asleep_from
):
    spec = network_spec()
    # As many validators as seats: node 3 is drawn, whatever the beacon says.
    async with world(tmp_path, replace(spec, validators=spec.validators[1:])) as net:
        for number in range(4):
            await net.start(number, mine=number < 2, provide=False, validate=number == 3)
        cheat = await net.start(5, mine=False, provide=True, validate=False, fault="corrupt-result")
        witness = net.nodes["node-2"]
        identity = await net.open_job(witness, A, B, provider=cheat.address)
        job = await net.until_status(witness, identity, Status.COMMITTED)

        def asleep_now() -> bool:
            seats = net.job(witness, identity).seats
            committed = any(seat.member == key(3).address and any(seat.commitment) for seat in seats)
            return committed if asleep_from == "its commitment" else bool(seats)

        await net.until(asleep_now)
        store = net.stores["node-3"]
        await net.stop(3)
        rules = net.spec.jobs
        await net.until(lambda: witness.chain.head.height >= job.committed_height + rules.reveal_end_offset)
        await net.start(3, kv=store, mine=False, provide=False)
        job = await net.until_status(witness, identity, Status.SETTLED, Status.VOID, Status.SLASHED)
        assert Status(job.status) is Status.SLASHED


async def test_claiming_inputs_out_of_range_is_shown_up_too(tmp_path, autojump_clock):
    """A claim asserts range-checked inputs: a planted bad entry finds only a careless taker, who pays for it."""
    async with world(tmp_path) as net:
        await four_nodes(net)
        payer_node, careless = net.nodes["node-3"], key(5)
        planted = A.copy()
        planted[7, 3] = 64
        identity = await net.open_job(payer_node, planted, B, provider=careless.address)
        job = await net.until_status(payer_node, identity, Status.OPEN)
        await net.submit(payer_node, careless, JobClaim(identity, Grains(1)))
        await net.until_status(payer_node, identity, Status.CLAIMED)
        trace = trace_key(identity, careless.address)
        product = (planted @ B).astype("<i4").tobytes()
        root = payer_node.blobs.put(TensorInfo(40, 33, DType.INT32), product, trace)
        records = [TraceRecord(0, Op.GEMM, TensorInfo(40, 33, DType.INT32), root)]
        commit = JobCommit(identity, trace_root(trace, records), root, result_path(trace, records))
        await net.submit(payer_node, careless, commit)
        job = await net.until_status(payer_node, identity, Status.SETTLED, Status.VOID, Status.SLASHED)
        assert Status(job.status) is Status.SLASHED


async def test_a_block_is_won_by_a_jobs_own_product_and_bound_to_it(tmp_path, autojump_clock):
    spec = network_spec()
    # Nobody mines idly and almost every panel wins: only the job's own product can make the block it is bound to.
    async with world(tmp_path, spec) as net:
        await four_nodes(net)
        payer_node = net.nodes["node-3"]
        big_a = np.random.default_rng(3).integers(-63, 64, (512, 256))
        big_b = np.random.default_rng(4).integers(-63, 64, (256, 256))
        identity = await net.open_job(payer_node, big_a, big_b)
        job = await net.until_status(payer_node, identity, Status.SETTLED)
        bound = [
            block
            for block in canonical_blocks(payer_node)
            if Certificate.from_bytes(block.certificate).mu.binding.job == identity
        ]
        assert bound
        assert job.bound_blocks == len(bound)
        assert {block.header.miner for block in bound} == {job.provider}
        others = [Certificate.from_bytes(b.certificate).mu.binding.job for b in canonical_blocks(payer_node)]
        assert NO_JOB in others


async def test_a_late_joiner_catches_up_and_agrees_on_the_state_root(tmp_path, autojump_clock):
    async with world(tmp_path) as net:
        await four_nodes(net)
        await net.until(lambda: net.nodes["node-0"].chain.head.height >= 8)
        late = await net.start(5, mine=False, provide=False, validate=False)
        await net.until(lambda: late.chain.head.height >= 8)
        await net.agreed()
        assert late.chain.head.state_root == net.nodes["node-0"].chain.head.state_root
        assert not late.syncing


async def test_a_committee_member_that_starts_with_nothing_still_finishes_its_check(tmp_path, autojump_clock):
    async with world(tmp_path) as net:
        await four_nodes(net)
        payer_node = net.nodes["node-3"]
        identity = await net.open_job(payer_node, A, B)
        await net.until_status(payer_node, identity, Status.COMMITTED)
        await net.stop(2)
        fresh = await net.start(2, data="empty", mine=False, provide=False)
        assert fresh.chain.head.height == 0
        assert not list((tmp_path / "empty" / "tensors").iterdir())
        job = await net.until_status(payer_node, identity, Status.SETTLED, Status.VOID)
        verdicts = {seat.member: seat.verdict for seat in job.seats}
        assert verdicts[fresh.address] == Verdict.OK
        assert Status(job.status) is Status.SETTLED


async def test_without_a_quorum_the_job_is_void_and_the_payer_refunded(tmp_path, autojump_clock):
    async with world(tmp_path) as net:
        for number in range(4):
            await net.start(number, mine=number < 2, provide=number < 2, validate=number == 3)
        payer_node = net.nodes["node-3"]
        paid_before = payer_node.chain.context().account(key(PAYER).address).balance_grains
        identity = await net.open_job(payer_node, A, B)
        job = await net.until_status(payer_node, identity, Status.SETTLED, Status.VOID)
        assert Status(job.status) is Status.VOID
        gained = payer_node.chain.context().account(key(PAYER).address).balance_grains - paid_before
        assert gained > 0  # escrow back and half of the penalty, less one transaction fee


async def test_a_partition_heals_into_one_chain(tmp_path, autojump_clock):
    async with world(tmp_path) as net:
        await four_nodes(net)
        await net.until(lambda: net.nodes["node-0"].chain.head.height >= 2)
        net.hub.partition(("node-0", "node-2"), ("node-1", "node-3"))
        start = net.nodes["node-0"].chain.head.height
        await net.until(lambda: all(node.chain.head.height >= start + 4 for node in net.nodes.values()))
        assert net.nodes["node-0"].chain.head.id != net.nodes["node-1"].chain.head.id
        net.hub.heal()
        await net.hub.connect_all()
        await net.agreed()
        roots = {node.chain.head.state_root for node in net.nodes.values()}
        assert len(roots) == 1


async def test_a_reorganised_node_equals_a_freshly_synced_one(tmp_path, autojump_clock):
    """Every stored byte that depends on the chain is the same, whichever way a node came to it."""
    async with world(tmp_path) as net:
        await four_nodes(net)
        await net.submit(net.nodes["node-0"], key(PAYER), Transfer(key(6).address, Grains(5_000), b""))
        await net.until(lambda: net.nodes["node-0"].chain.head.height >= 2)
        net.hub.partition(("node-0", "node-2"), ("node-1", "node-3"))
        await net.submit(net.nodes["node-0"], key(PAYER), Transfer(key(6).address, Grains(6_000), b""))
        await net.submit(net.nodes["node-1"], key(5), Transfer(key(6).address, Grains(7_000), b""))
        start = net.nodes["node-0"].chain.head.height
        await net.until(lambda: all(node.chain.head.height >= start + 3 for node in net.nodes.values()))
        net.hub.heal()
        await net.hub.connect_all()
        await net.agreed()
        blocks = canonical_blocks(net.nodes["node-0"])
        fresh_store = MemoryKV()
        fresh = Chain.open(fresh_store, net.spec)
        for block in blocks:
            parent = fresh.header(block.header.parent)
            assert parent is not None
            fresh.add(check_block(block, parent, fresh.genesis, net.spec))
        expected = dict(fresh_store.iterate(b""))
        for name, store in net.stores.items():
            held = dict(store.iterate(b""))
            side_branch = {k for k in held if k[:1] in (b"b", b"h", b"m", b"x") or k == META_GOAL} - set(
                expected
            )
            assert {k: v for k, v in held.items() if k not in side_branch} == expected, name


async def test_a_killed_node_restarts_where_it_was_and_catches_up(tmp_path, autojump_clock):
    async with world(tmp_path) as net:
        await four_nodes(net)
        await net.until(lambda: net.nodes["node-1"].chain.head.height >= 5)
        store, head = net.stores["node-1"], net.nodes["node-1"].chain.head
        await net.stop(1)
        await net.until(lambda: net.nodes["node-0"].chain.head.height >= head.height + 3)
        again = await net.start(1, kv=store, mine=True, provide=True)
        assert again.chain.head.height >= head.height
        await net.until(lambda: again.chain.head.height >= head.height + 3)
        await net.agreed()


async def test_a_provider_killed_between_claim_and_commit_still_delivers(tmp_path, autojump_clock):
    async with world(tmp_path) as net:
        await four_nodes(net)
        payer_node = net.nodes["node-3"]
        identity = await net.open_job(payer_node, A, B)
        job = await net.until_status(payer_node, identity, Status.CLAIMED)
        number = 0 if job.provider == key(0).address else 1
        store = net.stores[f"node-{number}"]
        await net.stop(number)
        await net.start(number, kv=store, mine=True, provide=True)
        job = await net.until_status(payer_node, identity, Status.SETTLED, Status.LATE, Status.VOID)
        assert Status(job.status) is Status.SETTLED


class FullDisk(MemoryKV):
    """A store whose disk fills up."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def write(self, batch, *, sync):
        if not self.room:
            raise LocalFault("DB_IO", found="No space left on device", allowed="a disk with room")
        self.room -= 1
        super().write(batch, sync=sync)


async def test_a_node_whose_disk_fills_up_stops_and_says_so(tmp_path, autojump_clock):
    store = FullDisk(room=5)
    with pytest.RaisesGroup(pytest.RaisesExc(LocalFault, match="DB_IO.*No space"), flatten_subgroups=True):
        async with world(tmp_path) as net:
            await net.start(0)
            await net.start(1, kv=store, mine=False, provide=False)
            await net.until(lambda: net.nodes["node-0"].chain.head.height >= 20)
    again = Chain.open(store, network_spec())
    assert again.head.height == 4  # everything up to the last whole batch; the first batch founded the chain


async def test_a_broken_worker_costs_seconds_not_the_node(tmp_path, autojump_clock):
    async with world(tmp_path) as net:
        node = await net.start(0)
        await net.until(lambda: node.chain.head.height >= 2)
        net.workers["node-0"][-1].break_down()
        await net.until(lambda: len(net.workers["node-0"]) == 2)
        height = node.chain.head.height
        await net.until(lambda: node.chain.head.height >= height + 2)


async def test_a_payment_accepted_just_before_a_kill_is_made_after_the_restart(tmp_path, autojump_clock):
    async with world(tmp_path) as net:
        await four_nodes(net)
        node = net.nodes["node-3"]
        net.hub.partition(("node-3",), ("node-0", "node-1", "node-2"))  # it cannot even tell its peers
        await net.submit(node, key(PAYER), Transfer(key(6).address, Grains(12_345), b""))
        await net.stop(3)
        net.hub.heal()
        again = await net.start(3, kv=net.stores["node-3"], mine=False, provide=False)
        sender = key(PAYER).address
        await net.until(lambda: again.chain.context().account(sender).nonce == 1)
        assert not list(net.stores["node-3"].iterate(b"x"))


@pytest.mark.parametrize("fault", ["corrupt-result"])
async def test_faults_are_refused_where_the_spec_forbids_them(tmp_path, autojump_clock, fault):
    from chain.errors import Policy

    spec = replace(network_spec(), fault_injection=0)
    async with world(tmp_path, spec) as net:
        with pytest.raises(Policy, match="FAULT_FORBIDDEN"):
            await net.start(0, fault=fault)
