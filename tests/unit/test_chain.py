"""The stored chain: founding, extending, moving between branches, and what a damaged or foreign store says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain.errors import Invalid, LocalFault, Missing
from chain.kv import MemoryKV, Sync
from chain.types import Address, Hash32
from node.chain import Chain
from node.checks import Checked, check_block
from node.tables import META_HEAD
from tests.mining import SPEC, Node, solved, transfer


class PowerCut(Exception):
    pass


class Failing(MemoryKV):
    """Writes `left` more batches, then loses power."""

    left = 1 << 30

    def write(self, batch, *, sync):
        if not self.left:
            raise PowerCut
        self.left -= 1
        super().write(batch, sync=sync)


def test_a_chain_reopens_at_its_head_with_everything_in_it():
    node = Node(SPEC)
    identity = node.mempool.add(transfer(1, 0, 5_000))
    node.mine(3)
    again = Chain.open(node.kv, SPEC)
    assert again.head == node.chain.head
    block, height, index, data, receipt = again.transaction(identity)  # type: ignore[misc]
    assert (height, index, receipt.code) == (1, 0, "")
    assert data == transfer(1, 0, 5_000)
    assert again.block_hash_at(1) == block


def test_another_chains_data_is_refused_with_what_to_do():
    node = Node(SPEC)
    with pytest.raises(LocalFault, match=r"DB_OTHER_CHAIN.*--data"):
        Chain.open(node.kv, replace(SPEC, genesis_time_ms=SPEC.genesis_time_ms + 1))


def test_a_store_whose_state_does_not_match_its_head_is_refused():
    node = Node(SPEC)
    first, _ = node.mine(2)
    node.kv.write([(META_HEAD, first.id)], sync=Sync.DURABLE)
    with pytest.raises(LocalFault, match="DB_CORRUPT"):
        Chain.open(node.kv, SPEC)


def test_the_heavier_branch_wins_and_its_transactions_replace_the_others():
    mine, other = Node(SPEC, miner=0), Node(SPEC, miner=1)
    mine.mempool.add(transfer(1, 0, 5_000))
    mine.mempool.add(transfer(2, 0, 6_000))
    mine.mine(2)
    other.mempool.add(transfer(1, 0, 7_000))
    branch = other.mine(3)
    changes = [mine.take(block) for block in branch]
    assert changes[:2] == [None, None]  # equal work keeps the first seen
    assert changes[2] is not None
    assert [len(changes[2].left), len(changes[2].joined)] == [2, 3]
    assert mine.chain.head == other.chain.head
    assert mine.chain.state.root == other.chain.state.root  # type: ignore[attr-defined]
    assert transfer(2, 0, 6_000) in [data for data, _ in mine.mempool.candidates()]  # taken back
    assert len(mine.mempool) == 1


def undo_records(node: Node) -> int:
    return sum(1 for _ in node.kv.iterate(b"u"))


def test_undo_records_are_kept_for_the_last_blocks_and_no_others(monkeypatch):
    """[STATE-UNDO]"""
    monkeypatch.setattr("node.chain.UNDO_BLOCKS", 3)
    mine, other = Node(SPEC, miner=0), Node(SPEC, miner=1)
    for block in mine.mine(2):
        other.take(block)
    assert undo_records(mine) == 2
    mine.mine(3)
    assert undo_records(mine) == 3
    branch = other.mine(4)
    for block in branch:
        mine.take(block)
    assert mine.chain.head == other.chain.head, "three blocks can be left"
    assert undo_records(mine) == 3


def test_a_branch_that_leaves_more_blocks_than_can_be_undone_is_refused(monkeypatch):
    """[STATE-UNDO] Whatever its work; where it was refused, nothing has moved."""
    monkeypatch.setattr("node.chain.UNDO_BLOCKS", 3)
    mine, other = Node(SPEC, miner=0), Node(SPEC, miner=1)
    head = mine.mine(4)[-1]
    branch = other.mine(5)
    for block in branch[:-1]:
        assert mine.take(block) is None
    with pytest.raises(Invalid, match=r"REORG_DEPTH.*leaves 4 blocks.*at most 3"):
        mine.take(branch[-1])
    assert mine.chain.head == head.header
    again = Chain.open(mine.kv, SPEC)
    assert again.head == head.header
    mine.mine()
    assert mine.chain.head.parent == head.id


def test_an_invalid_block_on_a_heavier_branch_leads_back_to_where_we_were():
    mine, other = Node(SPEC, miner=0), Node(SPEC, miner=1)
    mine.mempool.add(transfer(1, 0, 5_000))
    mine.mine(2)
    before = mine.chain.head
    good = other.mine(2)
    template = other.template()
    bad_header = replace(template.header, state_root=Hash32(b"\7" * 32))
    bad = solved(replace(template, header=bad_header), SPEC.profile_id)
    for block in good:
        assert mine.take(block) is None
    with pytest.raises(Invalid, match="ROOT_STATE"):
        mine.take(bad)
    assert mine.chain.head == before
    assert dict(mine.kv.iterate(b"p")) == dict(Chain.open(mine.kv, SPEC)._kv.iterate(b"p"))
    with pytest.raises(Invalid, match="BLOCK_KNOWN_INVALID"):
        mine.take(bad)


@pytest.mark.parametrize("field", ["state_root", "receipt_root", "transaction_root", "votes_root"])
def test_a_header_must_commit_to_what_the_block_does(field):
    node = Node(SPEC)
    template = node.template()
    header = replace(template.header, **{field: Hash32(b"\1" * 32)})
    with pytest.raises(Invalid, match="ROOT_"):
        node.take(solved(replace(template, header=header), SPEC.profile_id))
    assert node.chain.head.height == 0
    node.mine()


def test_a_block_without_its_parent_is_missing_something():
    node, other = Node(SPEC), Node(SPEC, miner=1)
    _, second = other.mine(2)
    checked = check_block(
        second,
        other.chain.header_at(1),
        other.chain.genesis,
        SPEC,  # type: ignore[arg-type]
    )
    with pytest.raises(Missing, match="BLOCK_PARENT"):
        node.chain.add(checked)


def test_a_block_may_not_be_taken_for_another_miner():
    """Ticket theft: the miner's address is in what the work was done over."""
    node = Node(SPEC)
    block = node.next_block()
    stolen = replace(block, header=replace(block.header, miner=Address(b"\x09" * 20)))
    with pytest.raises(Invalid, match="WORK_"):
        node.take(stolen)


def test_a_block_with_a_transaction_that_may_not_be_in_it_is_invalid():
    node = Node(SPEC)
    template = node.template()
    block = solved(template, SPEC.profile_id)
    smuggled = replace(block, transactions=(transfer(1, 0, 5_000),))
    with pytest.raises(Invalid, match="ROOT_TRANSACTIONS"):
        node.take(smuggled)
    trusted = Checked.trusted(smuggled, Hash32(bytes(32)), SPEC)
    with pytest.raises(Invalid, match="ROOT_"):
        node.chain.add(trusted)


def test_a_crash_between_two_batches_of_a_reorganisation_leaves_a_shorter_consistent_chain():
    mine, other = Node(SPEC, miner=0), Node(SPEC, miner=1)
    mine.mine(2)
    branch = other.mine(3)
    for block in branch[:2]:
        mine.take(block)

    for batches in range(6):
        store = Failing()
        store.write(list(mine.kv.iterate(b"")), sync=Sync.DURABLE)
        chain = Chain.open(store, SPEC)
        store.left = batches
        parent = chain.header(branch[2].header.parent)
        assert parent is not None
        checked = check_block(branch[2], parent, chain.genesis, SPEC)
        try:
            chain.add(checked)
        except PowerCut:
            store.left = 1 << 30
        reopened = Chain.open(store, SPEC)
        assert reopened.state.root == reopened.head.state_root  # type: ignore[attr-defined]
        # Either the new branch was never stored, or its reorganisation is finished at the next start.
        assert reopened.head.id == (branch[2].id if batches else mine.chain.head.id)


def test_a_crash_on_the_way_back_from_an_invalid_branch_is_taken_up_again():
    mine, other = Node(SPEC, miner=0), Node(SPEC, miner=1)
    mine.mine(2)
    good = other.mine(2)
    template = other.template()
    bad_header = replace(template.header, state_root=Hash32(b"\7" * 32))
    bad = solved(replace(template, header=bad_header), SPEC.profile_id)
    for block in good:
        mine.take(block)
    for batches in range(14):
        store = Failing()
        store.write(list(mine.kv.iterate(b"")), sync=Sync.DURABLE)
        chain = Chain.open(store, SPEC)
        parent = chain.header(bad.header.parent)
        assert parent is not None
        store.left = batches
        with pytest.raises((PowerCut, Invalid)):
            chain.add(check_block(bad, parent, chain.genesis, SPEC))
        store.left = 1 << 30
        reopened = Chain.open(store, SPEC)
        assert reopened.head.height == 2
        assert reopened.state.root == reopened.head.state_root  # type: ignore[attr-defined]
