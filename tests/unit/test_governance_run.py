"""What passed proposals do, from the next block on, and what stops them [GOV-RUN], [GOV-FORCE], [GOV-PAUSE]."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from chain.ledger import ChainState, Namespace, ParameterValue, state_key
from chain.types import Grains, ProposalId
from tests.builders import TILE, Ledger, key, refused
from tests.cases import Case
from tests.governance_cases import (
    ALICE,
    BACKER,
    BOB,
    CAROL,
    NO,
    PROPOSER,
    RUN_FAILURES,
    STAKER,
    YES,
    Forum,
    parameters,
    pause,
    payment,
    proposal_id,
    proposed,
    quick,
    upgrade,
)
from vm.governance.proposal import ProposalSort, ProposalStatus
from vm.jobs.record import Status, Verdict
from vm.kinds.accounts import Transfer
from vm.kinds.batch import Batch, Operation
from vm.kinds.governance import GovDeposit, GovPropose
from vm.kinds.staking import StakeDelegate, StakeUndelegate
from vm.registry import KINDS


def rich(forum: Forum, grains: int = 100 * TILE) -> Forum:
    """Move coins from nowhere into the treasury, and count them as minted."""
    place = state_key(Namespace.CHAIN, b"")
    data = forum.ledger.tree.get(place)
    assert data is not None
    chain = ChainState.from_bytes(data)
    changed = chain.but(treasury_grains=grains, minted_grains=chain.minted_grains + grains)
    forum.ledger.put({place: changed.to_bytes()})
    return forum


def to_decision(forum: Forum, body: GovPropose) -> ProposalId:
    identity = forum.under_vote(body)
    forum.everybody(identity)
    assert forum.decide(identity) is ProposalStatus.PASSED
    return identity


def test_it_happens_after_the_timelock_and_holds_from_the_block_after_that() -> None:
    forum = Forum()
    identity = to_decision(forum, parameters(money__byte_fee_grains=77))
    decided = forum.ledger.height
    forum.blocks(2)
    assert forum.proposal(identity).status is ProposalStatus.PASSED
    assert forum.spec.money.byte_fee_grains == 1
    before = forum.ledger.balance(BACKER)
    (receipt,) = forum.ledger.mine(forum.ledger.transfer(BACKER, PROPOSER.address, TILE))
    assert forum.ledger.height == decided + 3
    assert ("ProposalExecuted", (identity, ProposalSort.PARAM)) in forum.ledger.events()
    assert forum.proposal(identity).status is ProposalStatus.EXECUTED
    first = before - TILE - forum.ledger.balance(BACKER)
    assert first == receipt.burned_grains, "the block that executes it goes by the old constants"
    signed = forum.ledger.transfer(BACKER, PROPOSER.address, TILE)
    base_fee = forum.ledger.chain.base_fee_grains
    (receipt,) = forum.ledger.mine(signed)
    assert receipt.burned_grains == base_fee + 77 * len(signed.to_bytes())
    assert forum.governed.values == (ParameterValue("money.byte_fee_grains", 77),)
    forum.ledger.audit()


def test_values_are_listed_once_by_name() -> None:
    forum = Forum()
    changes = {"money__dust_grains": 5, "jobs__protocol_fee_bp": 0, "accounts__session_deposit_grains": 7}
    assert forum.enact(parameters(**changes)) is ProposalStatus.EXECUTED
    assert (
        forum.enact(parameters(money__dust_grains=6, money__block_target_bp=2_500)) is ProposalStatus.EXECUTED
    )
    assert [(each.name, each.value) for each in forum.governed.values] == [
        ("accounts.session_deposit_grains", 7),
        ("jobs.protocol_fee_bp", 0),
        ("money.block_target_bp", 2_500),
        ("money.dust_grains", 6),
    ]
    founding = forum.ledger.spec.money.dust_grains
    assert forum.enact(parameters(money__dust_grains=founding)) is ProposalStatus.EXECUTED
    assert ParameterValue("money.dust_grains", founding) in forum.governed.values, (
        "a founding value is listed too"
    )


# -- parameters, group by group -------------------------------------------------------------------------------------


def test_money_governed() -> None:
    forum = Forum()
    assert forum.enact(parameters(money__dust_grains=5_000)) is ProposalStatus.EXECUTED
    assert forum.send(BACKER, Transfer(key(50).address, Grains(4_999), b"")) == "DUST"
    forum.enact(parameters(money__base_fee_floor_grains=950, money__base_fee_step_divisor=4))
    for _ in range(5):
        forum.blocks(1)
        assert forum.ledger.chain.base_fee_grains >= 950
    assert forum.ledger.chain.base_fee_grains == 950


def test_the_governed_target_moves_the_base_fee() -> None:
    forum = Forum()
    assert forum.enact(parameters(money__block_target_bp=2_500, money__base_fee_step_divisor=4)) is (
        ProposalStatus.EXECUTED
    )
    before = forum.ledger.chain.base_fee_grains
    forum.blocks(1)
    assert forum.ledger.chain.base_fee_grains == before - before // 4, "an empty block, in steps of a quarter"


def test_jobs_governed() -> None:
    """A job that is open when the fee rises pays what was locked; the next one locks the new fee."""
    case = Case(Ledger(quick()), price_per_gmac=10**16)
    forum = Forum(case.ledger)
    identity = to_decision(
        forum, parameters(jobs__protocol_fee_bp=1_000, jobs__treasury_bp=3_000, jobs__stakers_bp=0)
    )
    case.open()
    old = case.now.escrow_protocol_grains
    assert old == case.now.escrow_price_grains * 500 // 10_000
    forum.blocks(4)
    assert forum.proposal(identity).status is ProposalStatus.EXECUTED
    treasury = case.ledger.chain.treasury_grains
    case.claim().commit().draw().attest(Verdict.OK, Verdict.OK).finish()
    assert case.now.status is Status.SETTLED
    assert case.ledger.chain.treasury_grains - treasury == old * 3_000 // 10_000, "shares are those in force"
    case.ledger.audit()
    second = replace(case)
    second.open()
    assert second.now.escrow_protocol_grains == second.now.escrow_price_grains * 1_000 // 10_000


def test_the_audit_price_governed() -> None:
    case = Case(Ledger(quick()))
    forum = Forum(case.ledger)
    case.open()
    before = case.now.escrow_audit_grains
    assert forum.enact(parameters(jobs__audit_price_millis=500_000)) is ProposalStatus.EXECUTED
    later = replace(case)
    later.open()
    assert later.now.escrow_audit_grains > before


def test_the_bonus_is_a_matter_of_both_houses() -> None:
    forum = Forum(miner=key(30).address)
    identity = forum.under_vote(parameters(jobs__bonus_bp=9_500))
    forum.everybody(identity)
    assert forum.decide(identity) is ProposalStatus.REJECTED, "no miner agreed"
    forum.miner = ALICE.address
    forum.blocks(8)
    assert forum.enact(parameters(jobs__bonus_bp=9_500)) is ProposalStatus.EXECUTED
    assert forum.spec.jobs.bonus_bp == 9_500


def test_staking_governed() -> None:
    forum = Forum()
    longer = 2_000
    assert forum.enact(parameters(staking__unbonding_blocks=longer)) is ProposalStatus.EXECUTED
    (receipt,) = forum.ledger.mine(forum.ledger.sign(ALICE, StakeUndelegate(ALICE.address, TILE)))
    (started,) = receipt.events
    assert started.values[3] == forum.ledger.height + longer


def test_governance_governed() -> None:
    forum = Forum()
    rules = parameters(
        governance__quorum_bp=6_000, governance__timelock_blocks=9, governance__deposit_grains=TILE
    )
    assert forum.enact(rules) is ProposalStatus.EXECUTED
    identity = forum.propose(proposed(deposit_grains=Grains(TILE)))
    for who in (ALICE, BOB):
        assert forum.vote(identity, who) == ""
    assert forum.decide(identity) is ProposalStatus.REJECTED, "two of five are no 60 %"
    identity = forum.propose(proposed(deposit_grains=Grains(TILE)))
    for who in (ALICE, BOB, CAROL):
        assert forum.vote(identity, who) == ""
    assert forum.decide(identity) is ProposalStatus.PASSED
    forum.blocks(8)
    assert forum.proposal(identity).status is ProposalStatus.PASSED
    forum.blocks(1)
    assert forum.proposal(identity).status is ProposalStatus.EXECUTED


def test_pass_and_veto_governed() -> None:
    forum = Forum()
    assert forum.enact(parameters(governance__pass_bp=8_000, governance__veto_bp=5_000)) is (
        ProposalStatus.EXECUTED
    )
    identity = forum.under_vote()
    forum.everybody(identity)
    assert forum.vote(identity, ALICE, NO) == ""
    assert forum.decide(identity) is ProposalStatus.REJECTED, "four fifths are not more than 80 %"


# -- bounds hold at the end, too --------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", RUN_FAILURES)
def test_what_cannot_be_done_is_recorded_and_leaves_nothing(code: str) -> None:
    forum = Forum()
    assert RUN_FAILURES[code](forum) == code
    if code == "PARAM_BOUNDS":
        assert [each.name for each in forum.governed.values] == ["jobs.treasury_bp"]
    else:
        assert forum.governed.values == ()
        assert forum.governed.upgrade_height == 0
    forum.ledger.audit()


def test_two_of_one_block_count_together() -> None:
    """They pass and run in the same block; the second finds what the first has written."""
    forum = Forum()
    forum.ledger_to(5)
    bodies = [parameters(jobs__treasury_bp=4_000), parameters(jobs__stakers_bp=4_000)]
    nonce = forum.ledger.account(PROPOSER.address).nonce
    assert forum.sends(*[(PROPOSER, body) for body in bodies]) == ["", ""]
    one, other = (proposal_id(PROPOSER, nonce + place) for place in range(2))
    forum.everybody(one)
    forum.everybody(other)
    forum.decide(one)
    forum.blocks(3)
    executed = forum.ledger.events()
    assert ("ProposalExecuted", (one, ProposalSort.PARAM)) in executed
    assert ("ProposalFailed", (other, ProposalSort.PARAM)) in executed
    assert forum.proposal(other).failure == "PARAM_BOUNDS"
    assert forum.spec.jobs.treasury_bp + forum.spec.jobs.stakers_bp == 6_000


# -- the treasury -----------------------------------------------------------------------------------------------------


def test_the_treasury_pays_once() -> None:
    forum = rich(Forum())
    before = forum.ledger.balance(STAKER)
    assert forum.enact(payment(STAKER, 60 * TILE)) is ProposalStatus.EXECUTED
    assert ("TreasuryPaid", (STAKER.address, 60 * TILE)) in forum.ledger.events()
    assert forum.ledger.balance(STAKER) == before + 60 * TILE
    assert forum.ledger.chain.treasury_grains == 40 * TILE
    forum.ledger.audit()
    assert forum.enact(payment(STAKER, 40 * TILE + 1)) is ProposalStatus.FAILED
    assert forum.ledger.chain.treasury_grains == 40 * TILE
    assert forum.enact(payment(STAKER, 40 * TILE)) is ProposalStatus.EXECUTED
    forum.ledger.audit()


def test_the_treasury_makes_no_account_out_of_dust() -> None:
    forum = rich(Forum())
    poor = key(51)
    forum.ledger.people.add(poor.address)
    assert forum.enact(payment(poor, 999)) is ProposalStatus.FAILED
    assert forum.ledger.chain.treasury_grains == 100 * TILE, "nothing of it was done"
    forum.ledger.audit()
    assert forum.enact(payment(poor, 1_000)) is ProposalStatus.EXECUTED
    assert forum.enact(payment(poor, 1)) is ProposalStatus.EXECUTED, "it is not new any more"
    forum.ledger.audit()


def test_a_text_is_agreed_on_and_changes_nothing() -> None:
    forum = Forum()
    assert forum.enact(proposed()) is ProposalStatus.EXECUTED
    assert forum.governed.values == ()


# -- pauses -----------------------------------------------------------------------------------------------------------


def test_a_pause_keeps_kinds_out_of_blocks_and_ends() -> None:
    forum = Forum()
    assert forum.enact(pause("stake.delegate", "job.open", blocks=3)) is ProposalStatus.EXECUTED
    assert forum.governed.paused == ("job.open", "stake.delegate")
    delegate = StakeDelegate(ALICE.address, Grains(TILE))
    for _ in range(3):
        ledger = forum.ledger
        refused("PAUSED", ledger, ledger.sign(STAKER, delegate))
        refused("PAUSED", ledger, ledger.sign(STAKER, Batch((Operation("stake.delegate", delegate),))))
        assert forum.send(STAKER, Transfer(ALICE.address, Grains(1), b"")) == ""
    assert forum.send(STAKER, delegate) == ""
    assert forum.send(STAKER, StakeUndelegate(ALICE.address, TILE)) == ""


def test_only_what_begins_something_can_be_paused() -> None:
    """The list in the specification, and nothing that ends something or that people need to get out."""
    page = (Path(__file__).resolve().parents[2] / "docs/spec/governance.md").read_text()
    rule = page.partition("## [GOV-PAUSE]")[2].partition("## [")[0]
    pausable = {kind.name for kind in KINDS.values() if kind.pausable}
    assert set(re.findall(r"`([a-z]+[.][a-z_]+)`", rule)) == pausable
    endings = ("cancel", "commit", "attest", "prove", "undelegate", "claim", "retire", "revoke", "transfer")
    assert {name for name in pausable if name.endswith(endings)} == {"job.claim"}
    assert not {name for name in pausable if name.startswith(("gov.", "account.", "batch"))}


@pytest.mark.parametrize(
    "body",
    [
        pause("transfer"),
        pause("gov.vote"),
        pause("stake.undelegate"),
        pause("nothing"),
        pause("job.open", "job.open"),
        pause("job.open", blocks=6),
        upgrade("later", 5),
        upgrade("\u202e", 0),
    ],
)
def test_what_may_not_be_asked_for(body: GovPropose) -> None:
    assert Forum().send(PROPOSER, body) == "PARAM_BOUNDS"


def test_bounds_of_what_may_be_asked_for() -> None:
    forum = Forum()
    rules = forum.ledger.spec.governance
    soonest = 1 + rules.voting_blocks + rules.timelock_blocks + 1
    assert forum.send(PROPOSER, upgrade("soon", soonest)) == ""
    assert forum.send(PROPOSER, upgrade("too soon", soonest)) == "PARAM_BOUNDS", "one block later"
    assert forum.send(PROPOSER, pause("job.open", blocks=5)) == ""


@pytest.mark.parametrize(
    "body",
    [
        proposed(changes=(ParameterValue("jobs.bonus_bp", 1),)),
        proposed(ProposalSort.PARAM),
        proposed(ProposalSort.UPGRADE),
        proposed(ProposalSort.UPGRADE, upgrade_height=5),
        proposed(ProposalSort.TREASURY, amount_grains=Grains(1)),
        proposed(ProposalSort.TREASURY, to=ALICE.address),
        proposed(ProposalSort.PAUSE, paused=("job.open",)),
        proposed(ProposalSort.PAUSE, pause_blocks=1),
        proposed(ProposalSort.TEXT, to=ALICE.address),
        proposed(ProposalSort.PAUSE, paused=("job.open",), pause_blocks=1, upgrade="too"),
    ],
)
def test_fields_of_the_sort_and_no_others(body: GovPropose) -> None:
    assert Forum().send(PROPOSER, body) == "FORM"


def test_a_pause_needs_two_thirds_of_both_houses() -> None:
    forum = Forum()
    identity = forum.under_vote(pause("job.open"))
    for who, ballot in ((ALICE, YES), (BOB, YES), (CAROL, NO)):
        assert forum.vote(identity, who, ballot) == ""
    assert forum.decide(identity) is ProposalStatus.PASSED
    forum = Forum()
    identity = forum.under_vote(pause("job.open"))
    for who, ballot in ((ALICE, YES), (BOB, (9_999, 1, 0, 0)), (CAROL, NO)):
        assert forum.vote(identity, who, ballot) == ""
    assert forum.decide(identity) is ProposalStatus.REJECTED


def test_a_later_pause_replaces_an_earlier_one() -> None:
    forum = Forum()
    forum.ledger_to(5)
    one, other = forum.propose(pause("job.open", blocks=5)), forum.propose(pause("job.claim", blocks=2))
    forum.everybody(one)
    forum.everybody(other)
    forum.decide(other)
    forum.blocks(3)
    assert forum.governed.paused == ("job.claim",)
    assert forum.governed.paused_until == forum.ledger.height + 2


# -- upgrades: what is written; what a release does then is in test_governance_upgrade.py ---------------------------


def test_an_upgrade_is_written_replaced_and_taken_back() -> None:
    forum = Forum()
    assert forum.enact(upgrade("one", 1_000)) is ProposalStatus.EXECUTED
    assert (forum.governed.upgrade, forum.governed.upgrade_height) == ("one", 1_000)
    assert forum.enact(upgrade("two", 2_000)) is ProposalStatus.EXECUTED
    assert (forum.governed.upgrade, forum.governed.upgrade_height) == ("two", 2_000)
    assert forum.enact(upgrade("one", 0)) is ProposalStatus.FAILED, "it does not wait any more"
    assert forum.governed.upgrade == "two"
    assert forum.enact(upgrade("two", 0)) is ProposalStatus.EXECUTED
    assert (forum.governed.upgrade, forum.governed.upgrade_height) == ("", 0)


def test_an_upgrade_needs_both_houses() -> None:
    forum = Forum(miner=key(30).address)
    identity = forum.under_vote(upgrade("one", 1_000))
    forum.everybody(identity)
    assert forum.decide(identity) is ProposalStatus.REJECTED


def test_an_upgrade_that_waited_too_long_for_its_deposit_fails() -> None:
    forum = Forum()
    forum.ledger_to(5)
    rules = forum.ledger.spec.governance
    soonest = 6 + rules.voting_blocks + rules.timelock_blocks + 1
    body = replace(upgrade("late", soonest), deposit_grains=Grains(8 * TILE))
    identity = forum.propose(body)
    forum.blocks(2)
    assert forum.send(BACKER, GovDeposit(identity, Grains(8 * TILE))) == ""
    forum.everybody(identity)
    assert forum.decide(identity) is ProposalStatus.PASSED
    forum.blocks(3)
    assert forum.proposal(identity).failure == "UPGRADE"
