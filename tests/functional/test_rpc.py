"""The RPC of whole nodes: what a person reads about a job is what happened on the network."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
from trio.testing import MockClock

from chain.bech32m import encode_address
from chain.types import BlockHash
from node.block_check import check, passed
from node.rpc.server import RpcApp
from node.rpc.table import METHODS
from tests.node_world import four_nodes, world
from vm.jobs.record import Status

A = np.random.default_rng(3).integers(-63, 64, (20, 70))
B = np.random.default_rng(4).integers(-63, 64, (70, 30))


async def test_a_settled_job_as_its_payer_sees_it(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with world(tmp_path) as net:
        await four_nodes(net)
        own = net.nodes["node-3"]
        identity = await net.open_job(own, A, B)
        job = await net.until_status(own, identity, Status.SETTLED, Status.VOID, Status.SLASHED)
        rpc = RpcApp(own, frozenset())

        form = await rpc.call("job_get", {"id": identity.hex()})
        assert form["status"] == "SETTLED"
        assert form["provider"] == encode_address(net.spec.address_prefix, job.provider)
        happened = [entry["event"] for entry in form["timeline"]]
        assert happened[:4] == ["JobOpened", "JobClaimed", "JobCommitted", "CommitteeDrawn"]
        assert happened.count("Attested") == 6
        assert happened[-1] == "JobSettled"
        paid = form["ending"]
        assert paid["paid_grains"] + paid["committee_grains"] + paid["refund_grains"] < form["escrow_grains"]

        answer = await rpc.call(
            "blob_get", [job.result_root.hex()]
        )  # this node is neither provider nor sure to hold it
        product = np.frombuffer(base64.b64decode(answer["data"]), "<i4").reshape(20, 30)
        assert np.array_equal(product, A @ B)

        provider = next(node for node in net.nodes.values() if node.address == job.provider)
        there = await RpcApp(provider, frozenset()).call("job_get", {"id": identity.hex()})
        assert there["tickets_drawn"] == provider.tickets_drawn(identity) > 0


async def test_every_block_of_a_network_passes_on_its_bytes_alone(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with world(tmp_path) as net:
        await four_nodes(net)
        node = net.nodes["node-0"]
        await net.until(lambda: node.chain.head.height >= 3)
        rpc = RpcApp(node, frozenset())
        status = await rpc.call("chain_status", {})
        assert (status["peers"], status["syncing"]) == (3, False)
        for height in range(4):
            raw = await rpc.call("chain_block", {"id": str(height), "raw": True})
            findings = check(bytes.fromhex(raw["raw"]), net.spec)
            assert passed(findings), findings
            assert BlockHash(bytes.fromhex(raw["id"])) == node.chain.block_hash_at(height)
        for name, declared in METHODS.items():
            if not any(parameter.required for parameter in declared.parameters):
                assert await rpc.call(name, {}), name
