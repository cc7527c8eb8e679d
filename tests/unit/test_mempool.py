"""The pool: what it takes, in which order it offers, and what it forgets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain.errors import Invalid, Policy
from node.messages import TransactionBatch
from tests.builders import key
from tests.mining import SPEC, Node, transfer


def test_queues_keep_nonce_order_and_the_best_tip_comes_first():
    node = Node(SPEC)
    for data in (
        transfer(1, 1, 5_000, tip=900),
        transfer(2, 0, 5_000, tip=50),
        transfer(1, 0, 5_000, tip=10),
    ):
        node.mempool.add(data)
    offered = [parsed.transaction for _, parsed in node.mempool.candidates()]
    assert [(t.sender == offered[0].sender, t.nonce, t.tip_grains) for t in offered] == [
        (True, 0, 50),
        (False, 0, 10),
        (False, 1, 900),
    ]


def test_a_gap_waits_and_is_not_offered():
    node = Node(SPEC)
    node.mempool.add(transfer(1, 1, 5_000))
    assert list(node.mempool.candidates()) == []
    node.mempool.add(transfer(1, 0, 5_000))
    assert len(list(node.mempool.candidates())) == 2
    assert node.mempool.next_nonce(node.mempool._by_id[next(iter(node.mempool._by_id))][0]) == 2


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
