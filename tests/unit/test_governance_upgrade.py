"""Upgrades: a release stops before one that it does not know, blames nobody, and says so [GOV-UPGRADE]."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest
import trio

from chain.errors import LocalFault
from chain.keys import SigningKey
from chain.ledger import NOTHING_GOVERNED
from chain.types import Height
from consensus import upgrades
from consensus.upgrades import require_known
from node.chain import Chain
from node.cli.status import condition, upgrade_lines
from node.importer import Importer
from node.mining.desk import LocalSource, WorkDesk
from node.rpc.table import method_named
from tests.builders import key
from tests.governance_cases import VALIDATORS, YES, proposal_id, quick, upgrade
from tests.mining import Node
from tests.node_world import InlineCpu, VirtualClock, world
from tests.unit.rpc_node import MemoryNode
from vm.envelope import Transaction
from vm.governance.proposal import ProposalStatus, load_proposal
from vm.kinds.governance import GovVote

NAME = "new-rules"
PROPOSER = key(5)
SPEC = quick(voting_blocks=3, timelock_blocks=2, timelock_minimum_blocks=1)


def sent(node: Any, who: SigningKey, body: Any, kind: str) -> None:
    """Put a transaction into a node's pool."""
    fields = {
        "version": 1,
        "chain_id": node.chain.spec.chain_id,
        "kind": kind,
        "sender": who.address,
        "nonce": node.mempool.next_nonce(who.address),
        "max_fee_grains": 10**9,
        "tip_grains": 0,
        "valid_until": Height(10_000),
        "body": body.to_bytes(),
        "authorisations": (),
    }
    node.mempool.add(Transaction(**fields).signed(who).to_bytes())


def agree(node: Node, height: int) -> None:
    """Everybody votes for an upgrade from this height on; the last block is the one that writes it."""
    node.mine(SPEC.pace.epoch_blocks)
    sent(node, PROPOSER, upgrade(NAME, height), "gov.propose")
    node.mine()
    identity = proposal_id(PROPOSER, 0)
    for who in VALIDATORS:
        sent(node, who, GovVote(identity, who.address, *YES), "gov.vote")
    node.mine(5)
    assert load_proposal(node.chain.context().state, identity).status is ProposalStatus.EXECUTED


@pytest.fixture
def stopped() -> Node:
    """A node one block before an upgrade that its release does not know."""
    node = Node(SPEC)
    agree(node, 13)
    node.mine(2)
    assert node.chain.head.height == 12
    return node


def test_a_known_upgrade_a_later_one_and_none_stop_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    written = replace(NOTHING_GOVERNED, upgrade=NAME, upgrade_height=Height(10))
    require_known(NOTHING_GOVERNED, 10)
    require_known(written, 9)
    for height in (10, 11, 1_000):
        with pytest.raises(LocalFault, match=r"UPGRADE_UNKNOWN.*new-rules.*Install the release"):
            require_known(written, height)
    monkeypatch.setattr(upgrades, "KNOWN_UPGRADES", frozenset({NAME}))
    require_known(written, 11)


def test_it_makes_no_block_and_judges_none(stopped: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    head = stopped.chain.head
    with pytest.raises(LocalFault, match="UPGRADE_UNKNOWN"):
        stopped.template()
    with monkeypatch.context() as newer:
        newer.setattr(upgrades, "KNOWN_UPGRADES", frozenset({NAME}))
        other = Node(SPEC, kv=stopped.kv)
        block = other.next_block()
        again = other.next_block()
    with pytest.raises(LocalFault, match="UPGRADE_UNKNOWN"):
        stopped.take(block)
    assert stopped.chain.head == head
    assert stopped.chain.meta(block.id) is None, "not refused for ever"
    monkeypatch.setattr(upgrades, "KNOWN_UPGRADES", frozenset({NAME}))
    assert stopped.take(block) is not None
    assert stopped.chain.head == block.header
    assert again.header.parent == head.id


def test_a_branch_that_leads_beyond_an_unknown_upgrade_is_left_again() -> None:
    """Their upgrade comes before their branch outweighs ours: we stay, where nobody agreed on one."""
    ours, theirs = Node(SPEC), Node(SPEC, miner=1)
    known = pytest.MonkeyPatch()
    ours.mine(14)
    before = ours.chain.head
    agree(theirs, 13)
    known.setattr(upgrades, "KNOWN_UPGRADES", frozenset({NAME}))
    theirs.mine(6)
    known.undo()
    refused = []
    for height in range(1, theirs.chain.head.height + 1):
        block_hash = theirs.chain.block_hash_at(height)
        assert block_hash is not None
        block = theirs.chain.block(block_hash)
        assert block is not None
        try:
            assert ours.take(block) is None
        except LocalFault as fault:
            refused.append(fault.code)
    assert set(refused) == {"UPGRADE_UNKNOWN"}
    assert ours.chain.head == before
    assert Chain.open(ours.kv, SPEC).head == before, "and after a restart, too"


async def test_the_node_stays_up_says_so_and_has_no_work(
    stopped: Node, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, autojump_clock: Any
) -> None:
    clock = VirtualClock(stopped.chain.head.time_ms + 1_000)
    with caplog.at_level(logging.ERROR, "tilework.chain"):
        importer = Importer(stopped.chain, stopped.mempool, InlineCpu(), clock)  # type: ignore[arg-type]
    assert "upgrade-needed" in caplog.text
    assert "Install the release" in caplog.text

    async def announce(block: Any) -> None:
        raise AssertionError("nothing is made")

    desk = WorkDesk(stopped.chain, stopped.mempool, importer, clock, key(0).address, announce)  # type: ignore[arg-type]
    with pytest.raises(LocalFault, match="UPGRADE_UNKNOWN"):
        await desk.poll(key(1).address, 0, 0)
    with trio.move_on_after(60) as waited:
        await LocalSource(desk, key(0).address).newest()
    assert waited.cancelled_caught, "the node's own miner waits"
    with monkeypatch.context() as newer:
        newer.setattr(upgrades, "KNOWN_UPGRADES", frozenset({NAME}))
        block = Node(SPEC, kv=stopped.kv).next_block()
    with pytest.raises(LocalFault, match="UPGRADE_UNKNOWN"):
        await importer.take(block)
    with trio.move_on_after(5) as alive:
        await importer.until_broken()
    assert alive.cancelled_caught, "that is no fault of the disk"


async def test_status_says_why(stopped: Node, tmp_path: Any) -> None:
    node = MemoryNode(tmp_path)
    form = await method_named("chain_status").handler(node)
    assert form["upgrade"] is None
    assert upgrade_lines(form) == []
    node.chain = stopped.chain
    form = await method_named("chain_status").handler(node)
    assert form["upgrade"] == {"name": NAME, "height": 13, "known": False}
    assert condition(form, form["time_ms"]).startswith("stopped before an upgrade")
    assert upgrade_lines(form) == ["upgrade    new-rules from height 13 on, NOT known to this release"]
    form["upgrade"]["known"] = True
    assert condition(form, form["time_ms"]) == "synced"


async def test_two_nodes_vote_stop_before_the_upgrade_and_part_from_nobody(
    tmp_path: Any, autojump_clock: Any
) -> None:
    spec = replace(SPEC, genesis_target=(1 << 256) // (64**3 * 8))
    async with world(tmp_path, spec) as net:
        for number in range(2):
            await net.start(number, mine=True)
        first, second = net.nodes["node-0"], net.nodes["node-1"]
        await net.until(lambda: first.chain.head.height >= 5)
        soonest = first.chain.head.height + 40
        await net.submit(first, PROPOSER, upgrade(NAME, soonest))
        identity = proposal_id(PROPOSER, 0)

        def status() -> ProposalStatus | None:
            state = first.chain.context().state
            known = first.chain.context().account(PROPOSER.address).nonce
            return load_proposal(state, identity).status if known else None

        await net.until(lambda: status() is ProposalStatus.VOTING)
        for who in VALIDATORS:
            await net.submit(first, who, GovVote(identity, who.address, *YES))
        await net.until(lambda: status() not in (None, ProposalStatus.VOTING))
        assert status() is ProposalStatus.PASSED
        await net.until(
            lambda: all(n.chain.head.height == soonest - 1 for n in (first, second)), limit_s=2_000
        )
        with trio.move_on_after(120):
            await net.until(lambda: first.chain.head.height >= soonest)
        assert first.chain.head.height == second.chain.head.height == soonest - 1
        assert len(first.net.peers()) == len(second.net.peers()) == 1, "nobody was punished"
