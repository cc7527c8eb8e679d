"""The pool: what it takes, in which order it offers, and what it forgets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain.errors import Invalid, Policy
from chain.types import Grains
from genesis.spec import Allocation
from node import mempool as pool_module
from node.journal import Journal
from node.messages import TransactionBatch
from tests.builders import key
from tests.mining import SPEC, Node, transfer
from vm.envelope import Transaction
from vm.jobs.record import Verdict
from vm.kinds.audits import JobAttest, Phase


def test_queues_keep_nonce_order_and_the_best_tip_comes_first():
    node = Node(SPEC)
    for data in (
        transfer(1, 0, 5_000, tip=10),
        transfer(1, 1, 5_000, tip=900),
        transfer(2, 0, 5_000, tip=50),
    ):
        node.mempool.add(data)
    offered = [parsed.transaction for _, parsed in node.mempool.candidates()]
    assert [(t.sender == offered[0].sender, t.nonce, t.tip_grains) for t in offered] == [
        (True, 0, 50),
        (False, 0, 10),
        (False, 1, 900),
    ]


def test_a_gap_is_refused_with_what_to_send_first():
    """What nobody can ever include costs its sender nothing: it must not take room."""
    node = Node(SPEC)
    with pytest.raises(Policy, match="NONCE_GAP: found 1, allowed 0"):
        node.mempool.add(transfer(1, 1, 5_000))
    node.mempool.add(transfer(1, 0, 5_000))
    node.mempool.add(transfer(1, 1, 5_000))
    assert node.mempool.next_nonce(key(1).address) == 2


def test_every_transaction_of_a_queue_must_be_payable_after_those_before_it():
    node = Node(replace(SPEC, allocations=(Allocation(key(1).address, Grains(5_000)),)))
    one_fee = node.chain.spec.money.base_fee_grains + len(transfer(1, 0, 1_000))
    payable = 5_000 // one_fee
    for nonce in range(payable):
        node.mempool.add(transfer(1, nonce, 1_000))
    with pytest.raises(Policy, match="BALANCE"):
        node.mempool.add(transfer(1, payable, 1_000))


def test_a_free_kind_is_checked_by_its_sponsor_at_any_place_of_a_queue():
    """Attestations pay nothing, so who was not drawn may not even queue one behind a payment."""
    node = Node(SPEC)
    node.mempool.add(transfer(1, 0, 5_000))
    nothing = bytes(32)
    body = JobAttest(nothing, 1, Phase.COMMIT, b"\1" * 32, Verdict.NONE, nothing, nothing, Grains(0))
    unsigned = replace(
        Transaction.from_bytes(transfer(1, 1, 5_000)),
        kind="job.attest",
        max_fee_grains=Grains(0),
        body=body.to_bytes(),
    )
    with pytest.raises(Policy, match="NOT_FOUND"):
        node.mempool.add(unsigned.signed(key(1)).to_bytes())


def test_a_full_pool_gives_way_to_who_pays_more_and_only_then(monkeypatch):
    monkeypatch.setattr(pool_module, "MAX_TRANSACTIONS", 4)
    pool = Node(SPEC).mempool
    for sender, nonce, tip in ((1, 0, 0), (1, 1, 7), (2, 0, 5), (2, 1, 0)):
        pool.add(transfer(sender, nonce, 5_000, tip=tip))
    for free in (transfer(3, 0, 5_000), transfer(2, 2, 5_000)):
        with pytest.raises(Policy, match="POOL_FULL"):
            pool.add(free)
    pool.add(transfer(3, 0, 5_000, tip=6))  # in place of the last of account 2
    assert [data for data, _ in pool.candidates()] == [
        transfer(3, 0, 5_000, tip=6),
        transfer(2, 0, 5_000, tip=5),
        transfer(1, 0, 5_000),
        transfer(1, 1, 5_000, tip=7),
    ]
    with pytest.raises(Policy, match="POOL_FULL"):
        pool.add(transfer(4, 0, 5_000, tip=5))
    assert len(pool) == 4


def test_blocks_that_leave_the_chain_give_their_transactions_back_in_order():
    mine, other = Node(SPEC, miner=0), Node(SPEC, miner=1)
    for nonce in range(2):
        mine.mempool.add(transfer(1, nonce, 5_000))
        mine.mine()
    mine.mempool.add(transfer(1, 2, 5_000))
    for block in other.mine(3):
        mine.take(block)
    assert mine.chain.head == other.chain.head
    assert [data for data, _ in mine.mempool.candidates()] == [
        transfer(1, nonce, 5_000) for nonce in range(3)
    ]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (transfer(1, 300, 5_000), "NONCE_FAR"),
        (transfer(1, 0, 5_000, tip=10**9), "FEE_TOO_LOW"),
        (transfer(9, 0, 5_000), "BALANCE"),
    ],
)
def test_what_cannot_be_included_is_refused_without_blame(data, code):
    node = Node(SPEC)
    with pytest.raises(Policy, match=code):
        node.mempool.add(data)
    assert len(node.mempool) == 0


def test_a_forged_signature_is_invalid():
    node = Node(SPEC)
    data = bytearray(transfer(1, 0, 5_000))
    data[-1] ^= 1
    with pytest.raises(Invalid, match="BAD_AUTH"):
        node.mempool.add(bytes(data))


def test_a_replacement_must_tip_a_tenth_more():
    node = Node(SPEC)
    node.mempool.add(transfer(1, 0, 5_000, tip=100))
    with pytest.raises(Policy, match="REPLACEMENT"):
        node.mempool.add(transfer(1, 0, 6_000, tip=110))
    node.mempool.add(transfer(1, 0, 6_000, tip=111))
    assert [data for data, _ in node.mempool.candidates()] == [transfer(1, 0, 6_000, tip=111)]


def test_mined_and_stale_transactions_leave_the_pool():
    node = Node(SPEC)
    node.mempool.add(transfer(1, 0, 5_000))
    node.mempool.add(transfer(1, 1, 5_000))
    node.mine()
    assert len(node.mempool) == 0
    with pytest.raises(Policy, match="NONCE_USED"):
        node.mempool.add(transfer(1, 1, 6_000))


def test_adding_twice_changes_nothing():
    node = Node(SPEC)
    first = node.mempool.add(transfer(1, 0, 5_000))
    assert node.mempool.add(transfer(1, 0, 5_000)) == first
    assert len(node.mempool) == 1


def test_an_answer_about_waiting_transactions_keeps_its_bound_as_it_travels():
    """The encoding of a batch adds a length to each transaction; an answer over the limit would not be sent."""
    node = Node(SPEC)
    for nonce in range(20):
        node.mempool.add(transfer(1, nonce, 5_000))
    one = len(node.mempool.waiting(10**6)[0])
    for limit_bytes in range(one, 21 * one):
        batch = TransactionBatch(tuple(node.mempool.waiting(limit_bytes)))
        assert len(batch.to_bytes()) <= limit_bytes + 5


def test_the_order_is_that_of_the_plain_definition():
    """Again and again the best tip per weight among the next of all accounts, the highest address first."""
    node = Node(SPEC)
    tips = {sender: [(7 * sender + 3 * nonce) % 5 for nonce in range(6)] for sender in range(1, 5)}
    for sender, of_nonce in tips.items():
        for nonce, tip in enumerate(of_nonce):
            node.mempool.add(transfer(sender, nonce, 5_000, tip=tip))
    following = dict.fromkeys(tips, 0)
    expected = []
    while following:
        sender = max(following, key=lambda each: (tips[each][following[each]], key(each).address))
        expected.append((key(sender).address, following[sender]))
        following[sender] += 1
        if following[sender] == len(tips[sender]):
            del following[sender]
    offered = [
        (parsed.transaction.sender, parsed.transaction.nonce) for _, parsed in node.mempool.candidates()
    ]
    assert offered == expected


def test_a_full_block_ends_the_search_for_more():
    """Only a few more are tried for the last room: a full pool must not hold the node up."""
    money = replace(SPEC.money, block_weight_limit=30)
    node = Node(replace(SPEC, money=money))
    for nonce in range(200):
        node.mempool.add(transfer(1, nonce, 5_000))
    offered = 0
    plain = node.mempool.candidates

    def counted():
        nonlocal offered
        for candidate in plain():
            offered += 1
            yield candidate

    node.mempool.candidates = counted
    assert len(node.template().transactions) == 30
    assert offered == 30 + 65


def test_what_was_handed_to_a_node_returns_after_a_restart_whole():
    """The pool refuses gaps, so neither a journal nor a peer may offer an account's transactions in another order."""
    before = Node(SPEC)
    journal = Journal(before.kv)
    for nonce in range(12):
        data = transfer(1, nonce, 5_000)
        journal.record(before.mempool.add(data), data)
    before.mempool.add(transfer(1, 3, 6_000, tip=50))  # a replacement stands last in memory
    after = Node(SPEC, before.kv)
    assert len(Journal(before.kv).restore(after.mempool)) == 12
    peer = Node(SPEC)
    for data in before.mempool.waiting(10**6):
        peer.mempool.add(data)
    assert len(peer.mempool) == 12
