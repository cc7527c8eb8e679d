"""Whose vote counts how much: two houses, frozen power, delegators that vote themselves [GOV-POWER], [GOV-VOTE]."""

from __future__ import annotations

from dataclasses import replace

from chain.keys import SigningKey
from chain.types import Grains
from tests.builders import STAKE_GRAINS, TILE, key, registration
from tests.governance_cases import (
    ABSTAIN,
    ALICE,
    BACKER,
    BOB,
    CAROL,
    NO,
    PROPOSER,
    STAKER,
    VETO,
    YES,
    Forum,
    Ledger,
    proposed,
    quick,
)
from vm.governance.proposal import ProposalSort, ProposalStatus
from vm.governance.tally import Tally
from vm.kinds.governance import GovVote
from vm.kinds.staking import StakeDelegate, StakeUndelegate
from vm.staking.slash import slash

PART = 100 * TILE
MINERS = key(30)


def tally(yes: int = 0, no: int = 0, abstain: int = 0, veto: int = 0) -> Tally:
    return Tally(yes * 10_000, no * 10_000, abstain * 10_000, veto * 10_000)


def delegated(forum: Forum, who: SigningKey = STAKER, amount: int = PART, to: SigningKey = ALICE) -> None:
    assert forum.send(who, StakeDelegate(to.address, Grains(amount))) == ""


def to_epoch(forum: Forum, epoch: int) -> None:
    """The next block is the second of this epoch."""
    forum.ledger_to(epoch * forum.ledger.spec.pace.epoch_blocks)


def with_stakers() -> Forum:
    """Staker and backer stake with Alice, and it counts."""
    forum = Forum()
    delegated(forum)
    delegated(forum, BACKER, 2 * PART)
    to_epoch(forum, 2)
    return forum


def test_a_validator_votes_with_its_weight_and_a_miner_with_its_blocks() -> None:
    forum = Forum()
    identity = forum.under_vote()
    proposal = forum.proposal(identity)
    assert proposal.stake_grains == 5 * STAKE_GRAINS
    assert proposal.epoch == 1
    assert proposal.work_blocks == 3, "epoch 0 has three blocks with a miner"
    assert forum.vote(identity, ALICE, (7_000, 2_000, 500, 500)) == ""
    assert forum.vote(identity, BOB, NO) == ""
    proposal = forum.proposal(identity)
    unit = STAKE_GRAINS
    assert proposal.stake_votes == Tally(7_000 * unit, 2_000 * unit + 10_000 * unit, 500 * unit, 500 * unit)
    assert proposal.work_votes == Tally(21_000, 6_000, 1_500, 1_500), "Alice won all three"
    forum.ledger.audit()


def test_a_miner_without_stake_has_a_vote_in_one_house_only() -> None:
    forum = Forum(miner=MINERS.address)
    forum.ledger.people.add(MINERS.address)
    forum.ledger.mine(forum.ledger.transfer(PROPOSER, MINERS.address, TILE), miner=MINERS.address)
    identity = forum.under_vote()
    assert forum.vote(identity, MINERS) == ""
    proposal = forum.proposal(identity)
    assert proposal.stake_votes == tally()
    assert proposal.work_votes == tally(yes=3)
    assert forum.vote(identity, ALICE) == ""
    assert forum.proposal(identity).work_votes == tally(yes=3), "stake buys nothing there"


def test_one_vote_may_be_replaced_until_the_end() -> None:
    forum = Forum()
    identity = forum.under_vote()
    for ballot, expected in (
        (YES, tally(yes=STAKE_GRAINS)),
        (VETO, tally(veto=STAKE_GRAINS)),
        (ABSTAIN, tally(abstain=STAKE_GRAINS)),
    ):
        assert forum.vote(identity, ALICE, ballot) == ""
        assert forum.proposal(identity).stake_votes == expected
    assert forum.proposal(identity).work_votes == tally(abstain=3)


def test_the_last_block_for_votes() -> None:
    forum = Forum()
    identity = forum.under_vote()
    ends = forum.proposal(identity).voting_height + forum.ledger.spec.governance.voting_blocks
    forum.ledger_to(ends - 2)
    assert forum.vote(identity, ALICE) == ""
    assert forum.proposal(identity).status is ProposalStatus.VOTING
    assert forum.vote(identity, BOB) == "PHASE", "votes are counted before the transactions of that block"
    assert forum.proposal(identity).decided_height == ends


def test_stake_that_comes_later_does_not_count() -> None:
    forum = Forum()
    identity = forum.under_vote()
    more = registration(50_000 * TILE)
    joining = StakeDelegate(BOB.address, Grains(PART))
    assert forum.sends((ALICE, more), (PROPOSER, more), (STAKER, joining)) == [""] * 3
    assert forum.vote(identity, PROPOSER) == "NO_POWER"
    assert forum.vote(identity, STAKER, position=BOB) == "NO_POWER"
    assert forum.vote(identity, ALICE) == ""
    assert forum.proposal(identity).stake_votes == tally(yes=STAKE_GRAINS)


def test_stake_that_leaves_later_still_counts() -> None:
    forum = with_stakers()
    identity = forum.propose(proposed())
    assert forum.send(STAKER, StakeUndelegate(ALICE.address, PART - 1)) == ""
    assert forum.send(BOB, StakeUndelegate(BOB.address, STAKE_GRAINS)) == ""
    assert forum.vote(identity, BOB) == ""
    assert forum.vote(identity, STAKER, NO, position=ALICE) == ""
    assert forum.proposal(identity).stake_votes == tally(yes=STAKE_GRAINS, no=PART)


def test_whoever_left_wholly_is_forgotten_and_its_validator_votes_for_it() -> None:
    forum = with_stakers()
    identity = forum.propose(proposed())
    assert forum.send(STAKER, StakeUndelegate(ALICE.address, PART)) == ""
    assert forum.vote(identity, STAKER, NO, position=ALICE) == "NO_POWER"
    delegated(forum)
    assert forum.vote(identity, STAKER, NO, position=ALICE) == "NO_POWER", "nor by coming back"
    assert forum.vote(identity, ALICE) == ""
    assert forum.proposal(identity).stake_votes == tally(yes=STAKE_GRAINS + 3 * PART)


def test_a_delegator_takes_its_part_before_its_validator_votes() -> None:
    forum = with_stakers()
    identity = forum.propose(proposed())
    assert forum.vote(identity, STAKER, NO, position=ALICE) == ""
    assert forum.proposal(identity).stake_votes == tally(no=PART)
    assert forum.ballot(identity, ALICE).overridden_grains == PART
    assert forum.vote(identity, ALICE) == ""
    assert forum.proposal(identity).stake_votes == tally(yes=STAKE_GRAINS + 2 * PART, no=PART)


def test_a_delegator_takes_its_part_after_its_validator_has_voted() -> None:
    forum = with_stakers()
    identity = forum.propose(proposed())
    assert forum.vote(identity, ALICE) == ""
    assert forum.proposal(identity).stake_votes == tally(yes=STAKE_GRAINS + 3 * PART)
    assert forum.vote(identity, STAKER, NO, position=ALICE) == ""
    assert forum.vote(identity, BACKER, VETO, position=ALICE) == ""
    expected = tally(yes=STAKE_GRAINS, no=PART, veto=2 * PART)
    assert forum.proposal(identity).stake_votes == expected
    assert forum.vote(identity, ALICE, ABSTAIN) == "", "and again without them"
    assert forum.proposal(identity).stake_votes == tally(abstain=STAKE_GRAINS, no=PART, veto=2 * PART)
    assert forum.vote(identity, STAKER, YES, position=ALICE) == "", "overriding takes away once"
    assert forum.proposal(identity).stake_votes == tally(abstain=STAKE_GRAINS, yes=PART, veto=2 * PART)
    work = forum.proposal(identity).work_votes
    assert work.cast == work.abstain > 0, "nobody else has a part in Alice's blocks"
    forum.ledger.audit()


def test_a_delegator_cannot_vote_twice_by_leaving_in_between() -> None:
    forum = with_stakers()
    identity = forum.propose(proposed())
    assert forum.vote(identity, STAKER, NO, position=ALICE) == ""
    assert forum.send(STAKER, StakeUndelegate(ALICE.address, PART)) == ""
    delegated(forum, to=BOB)
    assert forum.vote(identity, STAKER, NO, position=BOB) == "NO_POWER"
    assert forum.vote(identity, STAKER, VETO, position=ALICE) == ""
    assert forum.proposal(identity).stake_votes == tally(veto=PART), "what it had, once"


def test_a_position_at_somebody_who_is_no_validator_has_no_power() -> None:
    forum = with_stakers()
    identity = forum.propose(proposed())
    assert forum.vote(identity, STAKER, position=PROPOSER) == "NO_POWER"
    assert forum.vote(identity, STAKER) == "NO_POWER", "it is no validator itself"
    assert forum.vote(identity, CAROL, position=ALICE) == "NO_POWER"


def test_two_proposals_are_voted_on_apart() -> None:
    forum = with_stakers()
    one, other = forum.propose(proposed()), forum.propose(proposed())
    assert forum.vote(one, STAKER, NO, position=ALICE) == ""
    assert forum.vote(other, ALICE) == ""
    assert forum.proposal(one).stake_votes == tally(no=PART)
    assert forum.proposal(other).stake_votes == tally(yes=STAKE_GRAINS + 3 * PART)


def test_a_session_votes_on_what_it_was_granted() -> None:
    agent = key(61)
    forum = Forum()
    identity = forum.under_vote()
    forum.grant(ALICE, agent, 1 << ProposalSort.TEXT)
    nonce = forum.ledger.account(ALICE.address).nonce
    body = GovVote(identity, ALICE.address, *YES)
    (receipt,) = forum.ledger.mine(forum.ledger.sign(agent, body, sender=ALICE.address, nonce=nonce))
    assert receipt.code == ""
    assert forum.proposal(identity).stake_votes == tally(yes=STAKE_GRAINS)


def test_in_the_first_epoch_there_is_no_work_to_count() -> None:
    forum = Forum()
    identity = forum.propose(proposed())
    assert forum.proposal(identity).work_blocks == 0
    assert forum.vote(identity, ALICE) == ""
    assert forum.proposal(identity).work_votes == tally()


def test_weights_and_work_are_there_until_the_last_vote_whenever_voting_begins() -> None:
    """Whatever is asked for at the worst moment is still kept, with the shortest retention that votes alone give."""
    spec = quick(voting_blocks=30)
    short = {"deadline_minimum_blocks": 1, "deadline_default_blocks": 1, "deadline_maximum_blocks": 1}
    spec = replace(spec, jobs=replace(spec.jobs, settle_window_blocks=1, second_round_blocks=1, **short))
    for offset in range(4):
        forum = Forum(Ledger(spec))
        forum.ledger_to(8 + offset)
        identity = forum.propose(proposed())
        forum.ledger_to(forum.proposal(identity).voting_height + 28)
        assert forum.vote(identity, ALICE) == ""
        assert forum.proposal(identity).work_votes == tally(yes=4)


def test_what_was_slashed_since_counts_no_more() -> None:
    """Two delegators with half of a pool each cannot vote with more than is left of it."""
    forum = Forum()
    delegated(forum)
    delegated(forum, BACKER)
    to_epoch(forum, 2)
    identity = forum.propose(proposed())
    transition = forum.ledger.begin()
    slash(transition.context, ALICE.address, 1, 2, forum.ledger.height)
    forum.ledger.finish(transition, miner=forum.miner)
    for who in (STAKER, BACKER):
        assert forum.vote(identity, who, NO, position=ALICE) == ""
    assert forum.proposal(identity).stake_votes == tally(no=PART)
    assert forum.vote(identity, ALICE) == ""
    assert forum.proposal(identity).stake_votes.cast == (STAKE_GRAINS + 2 * PART) * 10_000, "no grain twice"
