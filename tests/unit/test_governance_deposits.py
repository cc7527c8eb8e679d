"""Deposits of proposals: collected, paid back, burned; and the place that a proposal takes [GOV-DEPOSIT]."""

from __future__ import annotations

from chain.types import Grains, ProposalId
from tests.builders import TILE, Ledger, key
from tests.governance_cases import (
    BACKER,
    DEPOSIT,
    PROPOSER,
    VETO,
    YES,
    Forum,
    parameters,
    proposed,
    quick,
)
from vm.governance.proposal import ProposalStatus, index_of
from vm.kinds.governance import GovCancel, GovDeposit

PART = DEPOSIT // 16


def locked(forum: Forum) -> int:
    return forum.ledger.chain.locked_grains


def active(forum: Forum) -> tuple[ProposalId, ...]:
    return index_of(forum.state).active


def test_voting_starts_with_the_last_grain_and_not_before() -> None:
    forum = Forum()
    before = locked(forum)
    identity = forum.propose(proposed(deposit_grains=Grains(DEPOSIT - PART - 1)))
    assert forum.send(BACKER, GovDeposit(identity, Grains(PART))) == ""
    proposal = forum.proposal(identity)
    assert proposal.status is ProposalStatus.DEPOSITING
    assert proposal.deposited_grains == DEPOSIT - 1 == locked(forum) - before
    assert forum.send(BACKER, GovDeposit(identity, Grains(PART))) == ""
    proposal = forum.proposal(identity)
    assert proposal.status is ProposalStatus.VOTING
    assert proposal.voting_height == forum.ledger.height
    assert [(each.depositor, each.amount_grains) for each in proposal.deposits] == [
        (PROPOSER.address, DEPOSIT - PART - 1),
        (BACKER.address, 2 * PART),
    ], "one line for each account"
    assert forum.send(BACKER, GovDeposit(identity, Grains(PART))) == "PHASE"
    forum.ledger.audit()


def test_sixteen_accounts_always_suffice() -> None:
    """The least that each of them must add completes the deposit, rounded up where sixteen do not divide it."""
    odd = DEPOSIT + 1
    forum = Forum(Ledger(quick(deposit_grains=Grains(odd), deposit_blocks=40)))
    people = [key(number) for number in range(100, 116)]
    for person in people:
        forum.ledger.people.add(person.address)
        forum.ledger.mine(forum.ledger.transfer(PROPOSER, person.address, 2 * PART))
    identity = forum.propose(proposed(deposit_grains=Grains(PART + 1)), people[0])
    assert forum.send(people[1], GovDeposit(identity, Grains(PART))) == "DEPOSIT"
    for person in people[1:]:
        assert forum.proposal(identity).status is ProposalStatus.DEPOSITING
        assert forum.send(person, GovDeposit(identity, Grains(PART + 1))) == ""
    proposal = forum.proposal(identity)
    assert proposal.status is ProposalStatus.VOTING
    assert len(proposal.deposits) == 16
    forum.ledger.audit()


def test_without_enough_in_time_it_expires_and_everybody_is_paid_back() -> None:
    forum = Forum()
    before = [forum.ledger.balance(who) for who in (PROPOSER, BACKER)], locked(forum)
    fees = 0
    identity = forum.opened()
    opened = forum.ledger.height
    forum.send(BACKER, GovDeposit(identity, Grains(PART)))
    for outcome in forum.ledger.outcomes:
        fees += sum(receipt.burned_grains for receipt in outcome.receipts)
    forum.ledger_to(opened + 7)
    assert forum.proposal(identity).status is ProposalStatus.DEPOSITING
    forum.blocks(1)
    proposal = forum.proposal(identity)
    assert proposal.status is ProposalStatus.EXPIRED
    assert proposal.closed_height == opened + 8
    assert (
        "ProposalClosed",
        (identity, ProposalStatus.EXPIRED, DEPOSIT // 2 + PART, 0),
    ) in forum.ledger.events()
    assert locked(forum) == before[1]
    assert sum(forum.ledger.balance(who) for who in (PROPOSER, BACKER)) == sum(before[0]) - fees
    assert active(forum) == ()
    forum.ledger.audit()


def test_the_end_of_deposits_does_nothing_to_one_under_vote() -> None:
    forum = Forum()
    identity = forum.opened()
    forum.blocks(6)
    assert forum.send(BACKER, GovDeposit(identity, Grains(DEPOSIT))) == ""
    forum.blocks(1)
    assert forum.proposal(identity).status is ProposalStatus.VOTING


def test_the_proposer_takes_it_back() -> None:
    forum = Forum()
    identity = forum.opened()
    forum.send(BACKER, GovDeposit(identity, Grains(PART)))
    before = forum.ledger.balance(BACKER)
    assert forum.send(PROPOSER, GovCancel(identity)) == ""
    assert forum.proposal(identity).status is ProposalStatus.CANCELLED
    assert forum.ledger.balance(BACKER) == before + PART
    assert forum.send(PROPOSER, GovCancel(identity)) == "PHASE", "once"
    assert forum.send(BACKER, GovDeposit(identity, Grains(PART))) == "PHASE"
    forum.blocks(9)
    assert forum.proposal(identity).status is ProposalStatus.CANCELLED, "its other end finds it ended"
    forum.ledger.audit()


def test_a_vote_pays_back_and_a_veto_burns() -> None:
    for ballot, status, burned in ((YES, ProposalStatus.PASSED, 0), (VETO, ProposalStatus.VETOED, DEPOSIT)):
        forum = Forum()
        before = locked(forum)
        identity = forum.under_vote()
        forum.everybody(identity, ballot)
        balance, destroyed = forum.ledger.balance(PROPOSER), forum.ledger.chain.burned_grains
        assert forum.decide(identity) is status
        assert forum.ledger.balance(PROPOSER) - balance == DEPOSIT - burned
        assert forum.ledger.chain.burned_grains - destroyed == burned
        assert locked(forum) == before
        forum.ledger.audit()


def test_what_is_needed_is_what_was_needed_when_it_was_opened() -> None:
    """Somebody raises the deposit while another proposal is collecting its own."""
    forum = Forum()
    forum.ledger_to(forum.ledger.spec.pace.epoch_blocks + 1)
    first = forum.propose(parameters(governance__deposit_grains=1_000 * TILE))
    forum.everybody(first)
    assert forum.decide(first) is ProposalStatus.PASSED
    second = forum.opened()
    forum.blocks(4)
    assert forum.spec.governance.deposit_grains == 1_000 * TILE
    assert forum.send(BACKER, GovDeposit(second, Grains(DEPOSIT // 2))) == ""
    assert forum.proposal(second).status is ProposalStatus.VOTING
    assert forum.send(PROPOSER, proposed(deposit_grains=Grains(DEPOSIT))) == "DEPOSIT"


def test_sixteen_at_a_time_and_the_place_of_one_that_ended_is_free() -> None:
    forum = Forum(Ledger(quick(deposit_blocks=20)))
    opened = [forum.propose(proposed(deposit_grains=Grains(PART))) for _ in range(6)]
    forum.sends(*[(PROPOSER, proposed(deposit_grains=Grains(PART)))] * 10)
    assert len(active(forum)) == 16
    assert forum.send(BACKER, proposed()) == "BUSY"
    assert forum.send(PROPOSER, GovCancel(opened[4])) == ""
    assert opened[4] not in active(forum)
    assert forum.send(BACKER, proposed()) == ""
    assert forum.send(BACKER, proposed()) == "BUSY", "those under vote count too"
    assert [forum.proposal(each).number for each in opened] == list(range(6))
    forum.ledger.audit()
