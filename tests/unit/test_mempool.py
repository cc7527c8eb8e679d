"""The pool: what it takes, in which order it offers, and what it forgets."""

from __future__ import annotations

import pytest

from chain.errors import Invalid, Policy
from node.messages import TransactionBatch
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
