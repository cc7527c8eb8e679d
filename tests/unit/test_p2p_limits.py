"""Token buckets, penalties, bans and the gate that combines them; time is passed in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.gate import MAX_BUCKETS, Admission, Gate
from p2p.interface import PeerId
from p2p.limits import TokenBucket, paced
from p2p.penalties import MAX_REMEMBERED_PEERS, PenaltyLedger
from p2p.wire import (
    BAN_MS,
    BAN_POINTS,
    FORGIVE_MS,
    RATE_WINDOW_MS,
    REQUESTS,
    TOPICS,
    Fault,
    Rate,
    RequestKind,
    Topic,
)

ANNA, BERT = PeerId("anna"), PeerId("bert")


def test_a_bucket_starts_full_and_refills_evenly() -> None:
    bucket = TokenBucket(Rate(per_window=10, burst=3), now_ms=5_000)
    assert [bucket.take(5_000) for _ in range(4)] == [True, True, True, False]
    assert bucket.wait_ms(5_000) == 1_000
    assert not bucket.take(5_999)
    assert bucket.take(6_000)
    assert not bucket.is_full(8_999)
    assert bucket.is_full(9_000)


def test_a_clock_set_back_neither_adds_nor_takes() -> None:
    bucket = TokenBucket(Rate(per_window=10, burst=1), now_ms=10_000)
    assert bucket.take(10_000)
    assert not bucket.take(0)
    assert bucket.take(1_000)


@given(
    rate=st.builds(Rate, per_window=st.integers(1, 500), burst=st.integers(1, 500)),
    steps_ms=st.lists(st.integers(0, 3_000), max_size=200),
)
def test_a_bucket_never_gives_more_than_its_rate(rate: Rate, steps_ms: list[int]) -> None:
    bucket = TokenBucket(rate, now_ms=0)
    now_ms = given_tokens = 0
    for step_ms in steps_ms:
        now_ms += step_ms
        given_tokens += bucket.take(now_ms)
        assert given_tokens <= rate.burst + now_ms * rate.per_window // RATE_WINDOW_MS
        if (wait_ms := bucket.wait_ms(now_ms)) > 0:
            assert not TokenBucket.take(bucket, now_ms + wait_ms - 1)
            assert bucket.wait_ms(now_ms + wait_ms) == 0
            now_ms += wait_ms


@pytest.mark.parametrize("kind", RequestKind)
def test_an_asker_at_its_own_pace_stays_below_the_servers_rate(kind: RequestKind) -> None:
    asker, server = Gate(), Gate()
    now_ms = arrival_ms = 0
    for number in range(300):
        while (wait_ms := asker.pace_ms(ANNA, kind, now_ms)) > 0:
            now_ms += wait_ms
        arrival_ms = max(arrival_ms, now_ms + (number % 3) * 200)  # late by up to 0.4 s, in order
        assert server.admit_request(BERT, kind, arrival_ms) is Admission.PASS


def test_penalties_add_up_to_a_ban_and_are_forgiven() -> None:
    ledger = PenaltyLedger()
    assert not ledger.penalise(ANNA, BAN_POINTS - 1, now_ms=0)
    assert ledger.score(ANNA, 0) == -(BAN_POINTS - 1)
    assert ledger.score(ANNA, 9 * FORGIVE_MS) == -(BAN_POINTS - 10)
    assert ledger.score(BERT, 0) == 0
    assert ledger.penalise(ANNA, 1, now_ms=FORGIVE_MS // 2)
    assert not ledger.penalise(ANNA, 50, now_ms=FORGIVE_MS), "a ban is reported once"
    assert ledger.is_banned(ANNA, FORGIVE_MS // 2 + BAN_MS - 1)
    assert not ledger.is_banned(ANNA, FORGIVE_MS // 2 + BAN_MS)
    assert not ledger.is_banned(BERT, 0)


def test_a_crowd_of_faulty_peers_does_not_fill_memory() -> None:
    ledger = PenaltyLedger()
    for number in range(MAX_REMEMBERED_PEERS + 10):
        ledger.penalise(PeerId(str(number)), 1 + number % 7, now_ms=0)
    assert len(ledger._clean_at_ms) == MAX_REMEMBERED_PEERS
    gate = Gate()
    for number in range(MAX_BUCKETS + 10):
        gate.admit_gossip(PeerId(str(number)), Topic.TXS, 1, now_ms=number * RATE_WINDOW_MS)
    assert len(gate._incoming) <= MAX_BUCKETS


def test_the_gate_checks_size_before_rate() -> None:
    gate = Gate()
    row = TOPICS[Topic.BLOCKS]
    assert gate.admit_gossip(ANNA, Topic.BLOCKS, row.max_bytes, 0) is Admission.PASS
    assert gate.admit_gossip(ANNA, Topic.BLOCKS, row.max_bytes + 1, 0) is Admission.DROP
    assert gate.score(ANNA, 0) == -Fault.OVERSIZE.value
    for _ in range(row.rate.burst - 1):
        assert gate.admit_gossip(ANNA, Topic.BLOCKS, 1, 0) is Admission.PASS
    assert gate.admit_gossip(ANNA, Topic.BLOCKS, 1, 0) is Admission.DROP
    assert gate.admit_gossip(ANNA, Topic.TXS, 1, 0) is Admission.PASS, "each topic has its own budget"
    assert gate.admit_gossip(BERT, Topic.BLOCKS, 1, 0) is Admission.PASS, "each peer has its own budget"
    assert gate.score(ANNA, 0) == -Fault.OVERSIZE.value - Fault.GOSSIP_RATE.value


def test_a_peer_that_does_not_stop_asking_is_banned() -> None:
    gate = Gate()
    admissions = [gate.admit_request(ANNA, RequestKind.TXPOOL, 0) for _ in range(200)]
    burst = REQUESTS[RequestKind.TXPOOL].rate.burst
    assert admissions[:burst] == [Admission.PASS] * burst
    assert admissions.count(Admission.BAN) == 1
    assert gate.is_banned(ANNA, 0)


def test_pace_is_never_zero() -> None:
    assert paced(Rate(per_window=1, burst=1)) == Rate(per_window=1, burst=1)
