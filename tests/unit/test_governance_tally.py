"""Sums of votes and what they decide, house by house [GOV-TALLY]."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.governance_cases import ABSTAIN, NO, VETO, YES, quick
from vm.governance.tally import NO_BALLOT, NO_VOTES, Ballot, Decision, House, Majority, Tally, decide

RULES = replace(quick().governance, quorum_bp=2_000, pass_bp=5_000, veto_bp=3_340)
BALLOTS = [
    Ballot(*parts) for parts in (YES, NO, ABSTAIN, VETO, (2_500, 2_500, 2_500, 2_500), (9_999, 1, 0, 0))
]


def house(yes: int = 0, no: int = 0, abstain: int = 0, veto: int = 0, total: int = 1_000) -> House:
    """Votes in whole units of power."""
    return House(Tally(yes * 10_000, no * 10_000, abstain * 10_000, veto * 10_000), total)


@given(st.lists(st.tuples(st.integers(0, 1 << 63), st.sampled_from(BALLOTS)), max_size=8))
def test_taking_votes_back_leaves_what_was_there(votes: list[tuple[int, Ballot]]) -> None:
    tally = NO_VOTES
    for power, ballot in votes:
        tally = tally.plus(power, ballot)
    assert tally.cast == sum(power for power, _ in votes) * 10_000, "nothing is rounded"
    for power, ballot in votes:
        tally = tally.plus(-power, ballot)
    assert tally == NO_VOTES


def test_the_largest_sum_can_be_stored() -> None:
    full = NO_VOTES.plus((1 << 63) - 1, Ballot(*YES))
    assert Tally.from_bytes(full.to_bytes()) == full
    assert NO_BALLOT.whole_bp == 0


@pytest.mark.parametrize(
    ("stake", "decision"),
    [
        (house(), Decision.REJECTED),
        (house(yes=199), Decision.REJECTED),
        (house(yes=200), Decision.PASSED),
        (house(yes=1, abstain=199), Decision.PASSED),
        (house(abstain=1_000), Decision.REJECTED),
        (house(yes=500, no=500), Decision.REJECTED),
        (house(yes=501, no=499), Decision.PASSED),
        (house(yes=667, veto=333), Decision.PASSED),
        (house(yes=666, veto=334), Decision.VETOED),
        (house(yes=500, no=166, veto=334), Decision.VETOED),
        (house(abstain=666, veto=334), Decision.VETOED),
        (house(abstain=667, veto=333), Decision.REJECTED),
        (house(veto=199), Decision.REJECTED),
        (house(veto=200), Decision.VETOED),
        (house(total=0), Decision.REJECTED),
    ],
)
def test_the_stake_house_alone(stake: House, decision: Decision) -> None:
    assert decide(stake, house(no=1_000), Majority.STAKE, RULES) is decision, "the work house is not asked"


@pytest.mark.parametrize(
    ("work", "decision"),
    [
        (house(yes=200), Decision.PASSED),
        (house(yes=199), Decision.REJECTED),
        (house(yes=300, no=300), Decision.REJECTED),
        (house(yes=301, no=300), Decision.PASSED),
        (house(yes=501, veto=499), Decision.PASSED),
        (house(total=0), Decision.REJECTED),
    ],
)
def test_both_houses(work: House, decision: Decision) -> None:
    """Nobody vetoes in the work house: veto counts against, there."""
    assert decide(house(yes=600), work, Majority.BOTH, RULES) is decision
    assert decide(house(no=600), work, Majority.BOTH, RULES) is Decision.REJECTED


@pytest.mark.parametrize(
    ("yes", "no", "decision"), [(666, 333, Decision.PASSED), (665, 334, Decision.REJECTED)]
)
def test_two_thirds(yes: int, no: int, decision: Decision) -> None:
    enough = house(yes=700, no=300)
    majority = Majority.TWO_THIRDS_OF_BOTH
    assert decide(house(yes=yes, no=no), enough, majority, RULES) is decision
    assert decide(enough, house(yes=yes, no=no), majority, RULES) is decision


def test_two_thirds_are_no_way_around_a_higher_threshold() -> None:
    strict = replace(RULES, pass_bp=7_000)
    assert (
        decide(house(yes=69, no=31), house(yes=80), Majority.TWO_THIRDS_OF_BOTH, strict) is Decision.REJECTED
    )
    seven = house(yes=701, no=299)
    assert decide(seven, seven, Majority.TWO_THIRDS_OF_BOTH, strict) is Decision.PASSED
