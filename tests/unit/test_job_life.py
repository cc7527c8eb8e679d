"""The life of a job on the `test` preset: every state, every window, every grain.  Spec: [JOB-LIFE]."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chain.ints import U63_MAX
from chain.keys import SigningKey
from chain.tensors import DType, TensorInfo
from chain.types import Grains, Hash32, JobId, TensorRoot
from tests.builders import TILE, ZERO, Ledger, funded_spec, key
from tests.cases import Case, Product
from vm.context import CHAIN_KEY
from vm.jobs import money
from vm.jobs.challenge import proof_digest
from vm.jobs.record import Status, Verdict
from vm.kinds.audits import ChallengeProve
from vm.kinds.jobs import JobCancel
from vm.tensor.program import resolve
from vm.tensor.trace import trace_key

RULES = funded_spec().jobs
OK, WRONG, UNAVAILABLE = Verdict.OK, Verdict.WRONG, Verdict.UNAVAILABLE
BIG_PRICE = 10**15
"""Per GMAC; 60 MACs of it cost 60,000,000 grains, so that every share is visible."""


def balances(case: Case) -> dict[str, int]:
    people = {"payer": case.payer, "provider": case.provider, "watcher": case.watcher}
    return {name: case.ledger.balance(person) for name, person in people.items()}


class Spending:
    """What each person's balance changed by, transaction fees left out."""

    def __init__(self, case: Case) -> None:
        self.case, self.start = case, balances(case)
        self.fees = {case.payer.address: 0, case.provider.address: 0, case.watcher.address: 0}

    def pay(self, signer: SigningKey, body: Any) -> str:
        (receipt,) = self.case.ledger.mine(self.case.ledger.sign(signer, body))
        self.fees[signer.address] += receipt.burned_grains
        return receipt.code

    def opened(self) -> None:
        """The payer has opened the job: what left its account beyond the escrow is its fee."""
        spent = self.start["payer"] - self.case.ledger.balance(self.case.payer)
        self.fees[self.case.payer.address] = spent - self.case.now.escrow_grains

    def change(self, who: str) -> int:
        person: SigningKey = getattr(self.case, who)
        return balances(self.case)[who] - self.start[who] + self.fees[person.address]


def started(price: int = BIG_PRICE, bid: int | None = None) -> tuple[Case, Spending]:
    """A committed job with the accounts of what it cost."""
    case = Case(price_per_gmac=price)
    spending = Spending(case)
    case.open()
    spending.opened()
    assert spending.pay(case.provider, case.claim_body(bid)) == ""
    assert spending.pay(case.provider, case.commit_body()) == ""
    return case, spending


# -- the good end ---------------------------------------------------------------------------------------------------


def test_settled_seventeen_blocks_after_the_commit_to_the_grain() -> None:
    case, spending = started(bid=BIG_PRICE // 2)
    committed = case.ledger.height
    assert case.now.committed_height == committed
    burned_before = case.ledger.chain.burned_grains
    case.draw()
    assert case.ledger.height == committed + 4
    assert len(case.now.seats) == RULES.committee_size == 3
    members = case.members
    before = [case.ledger.balance(member) for member in members]
    case.attest(OK, OK, OK)
    case.ledger.mine_to(committed + 16)
    assert case.status is Status.COMMITTED
    case.ledger.mine()
    assert case.status is Status.SETTLED
    assert case.now.closed_height == committed + 17

    price = money.price(60, BIG_PRICE // 2)
    assert price == 30_000_000
    fee = price // 20
    audit, fees = case.now.escrow_audit_grains, case.now.attest_fees_grains
    member = (audit - fees) // 3
    assert spending.change("provider") == price
    assert spending.change("payer") == -(price + fee + fees + 3 * member)
    assert [case.ledger.balance(m) - b for m, b in zip(members, before, strict=True)] == [member] * 3
    assert case.ledger.chain.treasury_grains == fee // 5
    assert case.ledger.chain.staker_pool_grains == fee // 5
    assert case.ledger.chain.burned_grains - burned_before == fee - 2 * (fee // 5) + fees
    assert case.ledger.chain.settled_macs == 60
    case.ledger.audit()


def test_settled_work_outgrows_63_bits() -> None:
    """A step that runs by itself must not fail, or no block could follow."""
    case, _ = started()
    ledger = case.ledger
    ledger.put({CHAIN_KEY: replace(ledger.chain, settled_macs=U63_MAX).to_bytes()})
    case.draw().attest(OK, OK).finish()
    assert case.status is Status.SETTLED
    assert ledger.chain.settled_macs == U63_MAX + 60


def test_two_of_three_are_a_quorum_and_the_absent_share_goes_back() -> None:
    case, spending = started()
    case.draw().attest(OK, OK).finish()
    assert case.status is Status.SETTLED
    member = (case.now.escrow_audit_grains - case.now.attest_fees_grains) // 3
    price = case.now.escrow_price_grains
    assert spending.change("payer") == -(price + price // 20 + case.now.attest_fees_grains + 2 * member)
    case.ledger.audit()


def test_a_dissenter_without_a_proof_is_not_paid_and_stops_nothing() -> None:
    case, _ = started()
    case.draw()
    dissenter = case.members[2]
    before = case.ledger.balance(dissenter)
    case.attest(OK, OK, WRONG).finish()
    assert case.status is Status.SETTLED
    assert case.ledger.balance(dissenter) == before


# -- the other ends -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdicts", [(), (OK,), (OK, WRONG, UNAVAILABLE), (WRONG, WRONG, WRONG)])
def test_void_without_a_quorum(verdicts: tuple[Verdict, ...]) -> None:
    case, spending = started()
    case.draw()
    if verdicts:
        case.attest(*verdicts)
    case.finish()
    assert case.status is Status.VOID
    assert case.now.closed_height == case.now.committed_height + 17
    penalty = max(case.now.escrow_grains // 10, RULES.penalty_floor_grains)
    assert penalty == TILE // 10
    assert spending.change("provider") == -penalty
    assert spending.change("payer") == penalty // 2 - case.now.attest_fees_grains
    case.ledger.audit()


def test_a_commitment_without_a_reveal_is_no_verdict() -> None:
    case, _ = started()
    case.draw()
    case.ledger.mine(*(case.ledger.sign(m, case.attest_commit(m)) for m in case.members))
    case.finish()
    assert case.status is Status.VOID


def test_cancelled_after_the_minimum_time() -> None:
    case = Case()
    before = case.ledger.balance(case.payer)
    case.open()
    opened = case.now.opened_height
    assert case.cancel() == "BAD_STATE", "one block is too early"
    assert case.ledger.height == opened + 1
    assert case.do(case.watcher, JobCancel(case.job_id)) == "NOT_OWNER"
    assert case.ledger.height == opened + 2
    assert case.cancel() == ""
    assert case.status is Status.CANCELLED
    fees = sum(r.burned_grains for o in case.ledger.outcomes for r in o.receipts)
    watcher_fee = case.ledger.outcomes[2].receipts[1].burned_grains
    assert case.ledger.balance(case.payer) == before - fees + watcher_fee
    assert case.cancel() == "BAD_STATE"
    assert case.do(case.provider, case.claim_body()) == "BAD_STATE"
    case.ledger.mine_to(opened + RULES.open_expiry_blocks + 1)
    assert case.status is Status.CANCELLED, "the agenda finds it gone and does nothing"
    case.ledger.audit()


def test_expired_when_nobody_claims() -> None:
    case = Case()
    before = case.ledger.balance(case.payer)
    case.open()
    fee = case.ledger.outcomes[-1].receipts[1].burned_grains
    case.ledger.mine_to(case.now.opened_height + RULES.open_expiry_blocks - 1)
    assert case.status is Status.OPEN
    case.ledger.mine()
    assert case.status is Status.EXPIRED
    assert case.ledger.balance(case.payer) == before - fee
    assert case.do(case.provider, case.claim_body()) == "BAD_STATE"
    case.ledger.audit()


def test_a_claim_just_before_expiry_keeps_the_job() -> None:
    case = Case().open()
    case.ledger.mine_to(case.now.opened_height + RULES.open_expiry_blocks - 2)
    case.claim()
    case.ledger.mine()
    case.ledger.mine()
    assert case.status is Status.CLAIMED


def test_late_after_the_deadline() -> None:
    case = Case(deadline_blocks=5, price_per_gmac=BIG_PRICE * 1000)
    spending = Spending(case)
    case.open()
    spending.opened()
    assert spending.pay(case.provider, case.claim_body()) == ""
    case.ledger.mine_to(case.now.claimed_height + 5)
    assert case.status is Status.CLAIMED
    assert spending.pay(case.provider, case.commit_body()) == "LATE", "this block's agenda ended it first"
    assert case.status is Status.LATE
    penalty = case.now.escrow_grains // 10
    assert penalty > RULES.penalty_floor_grains
    assert spending.change("provider") == -penalty
    assert spending.change("payer") == penalty // 2
    case.ledger.audit()


def test_the_last_block_of_the_deadline_is_in_time() -> None:
    case = Case(deadline_blocks=5).open().claim()
    case.ledger.mine_to(case.now.claimed_height + 4)
    case.commit()
    assert case.ledger.height == case.now.commit_deadline
    case.ledger.mine_to(case.ledger.height + 3)
    assert case.status is Status.COMMITTED


@pytest.mark.parametrize("when", ["at once", "after the draw", "while revealing", "in the last block"])
def test_slashed_by_a_proof_at_any_time_before_the_end(when: str) -> None:
    case = Case(price_per_gmac=BIG_PRICE * 1000)
    spending = Spending(case)
    case.open()
    spending.opened()
    wrong = case.product.wrong_result()
    assert spending.pay(case.provider, case.claim_body()) == ""
    assert spending.pay(case.provider, case.commit_body(wrong)) == ""
    if when != "at once":
        case.draw()
    if when in ("while revealing", "in the last block"):
        case.attest(OK, OK, OK)
    if when == "in the last block":
        case.ledger.mine_to(case.now.committed_height + 15)
    burned_before = case.ledger.chain.burned_grains
    (receipt,) = case.ledger.mine(case.ledger.sign(case.watcher, ChallengeProve(case.element_proof(wrong))))
    assert receipt.code == ""
    assert [event.name for event in receipt.events] == ["JobSlashed", "ChallengeUpheld"]
    spending.fees[case.watcher.address] += receipt.burned_grains
    assert case.status is Status.SLASHED
    bond = case.now.bond_grains
    assert bond == case.now.escrow_grains // 4 > TILE
    assert spending.change("provider") == -bond
    assert spending.change("watcher") == bond // 4
    assert spending.change("payer") == bond // 4 - case.now.attest_fees_grains
    burned = case.ledger.chain.burned_grains - burned_before - receipt.burned_grains
    assert burned == bond - 2 * (bond // 4)
    case.ledger.mine_to(case.now.committed_height + 20)
    assert case.status is Status.SLASHED
    case.ledger.audit()


def test_members_that_committed_to_the_proof_share_the_reward_and_a_copier_gets_nothing() -> None:
    """Two members found the fault and said so under seal; a watcher copies their proof and brings it first."""
    case = Case(price_per_gmac=BIG_PRICE * 1000).open().claim()
    wrong = case.product.wrong_result()
    case.commit(wrong).draw()
    proof = case.element_proof(wrong)
    known, other = proof_digest(proof), proof_digest(case.element_proof(wrong, row=1))
    says = [(WRONG, known), (WRONG, known), (WRONG, other)]
    ledger = case.ledger
    pairs = list(zip(case.members, says, strict=True))
    ledger.mine(*(ledger.sign(m, case.attest_commit(m, v, evidence=e)) for m, (v, e) in pairs))
    ledger.mine_to(case.now.committed_height + ledger.spec.jobs.reveal_offset - 1)
    ledger.mine(*(ledger.sign(m, case.attest_reveal(v, evidence=e)) for m, (v, e) in pairs))
    before = [ledger.account(m.address).balance_grains for m in case.members]
    watcher_before = ledger.account(case.watcher.address).balance_grains
    (receipt,) = ledger.mine(ledger.sign(case.watcher, ChallengeProve(proof)))
    assert receipt.code == ""
    assert [event.name for event in receipt.events] == ["JobSlashed", "ChallengeUpheld", "ChallengeUpheld"]
    part = case.now.bond_grains // 4 // 2
    gained = [ledger.account(m.address).balance_grains - b for m, b in zip(case.members, before, strict=True)]
    assert gained == [part, part, 0]
    assert watcher_before - ledger.account(case.watcher.address).balance_grains == receipt.burned_grains
    ledger.audit()


def test_too_late_for_a_proof() -> None:
    case = Case().open().claim()
    wrong = case.product.wrong_result()
    case.commit(wrong).draw().attest(OK, OK, OK)
    proof = case.element_proof(wrong)
    case.ledger.mine_to(case.now.committed_height + 16)
    assert case.challenge(proof) == "BAD_STATE", "the settling block's agenda runs first"
    assert case.status is Status.SETTLED


def test_one_proof_slashes_once() -> None:
    case = Case().open().claim()
    wrong = case.product.wrong_result()
    case.commit(wrong)
    proof = case.element_proof(wrong)
    ledger = case.ledger
    body = ChallengeProve(case.element_proof(wrong))
    first, second = ledger.mine(ledger.sign(key(0), body), ledger.sign(key(1), body))
    assert (first.code, second.code) == ("", "BAD_STATE")
    assert case.challenge(proof) == "BAD_STATE"
    ledger.audit()


# -- opening --------------------------------------------------------------------------------------------------------


def test_the_escrow_must_fit_the_offer_exactly() -> None:
    case = Case(price_per_gmac=BIG_PRICE)
    whole = sum(money.escrow(RULES, resolve(case.product.program), BIG_PRICE))
    assert case.do(case.payer, case.open_body(max_price_grains=Grains(whole - 1))) == "ESCROW"
    assert case.do(case.payer, case.open_body(max_price_grains=Grains(0))) == "ESCROW"
    case.open(max_price_grains=Grains(whole))
    assert case.now.escrow_grains == whole


def test_an_escrow_beyond_the_balance() -> None:
    """0.000216 GMAC at the highest price a transaction can carry: two million TILE, twice what the payer has."""
    case = Case(product=Product.random(m=60, n=60, k=60))
    body = case.open_body(price_per_gmac_grains=Grains(U63_MAX), max_price_grains=Grains(U63_MAX))
    assert case.do(case.payer, body) == "BALANCE"
    case.ledger.audit()


def test_an_overflowing_price_is_refused() -> None:
    case = Case()
    inputs = (TensorInfo(4096, 16_384, DType.INT8), TensorInfo(16_384, 16_384, DType.INT8))
    program = replace(case.product.program, inputs=inputs)
    body = case.open_body(
        program=program, price_per_gmac_grains=Grains(U63_MAX), max_price_grains=Grains(U63_MAX)
    )
    assert case.do(case.payer, body) == "RANGE"
    case.ledger.audit()


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("DEADLINE", {"deadline_blocks": 4}),
        ("DEADLINE", {"deadline_blocks": 601}),
        ("SELF", {"provider": key(5).address}),
        ("PROGRAM_INPUTS", {"input_roots": (TensorRoot(ZERO),)}),
        ("PROGRAM_INPUTS", {"input_roots": (TensorRoot(ZERO),) * 3}),
    ],
)
def test_each_rule_of_opening_refuses(code: str, changes: dict[str, Any]) -> None:
    case = Case()
    locked = case.ledger.chain.locked_grains
    assert case.do(case.payer, case.open_body(**changes)) == code
    assert case.ledger.chain.locked_grains == locked
    case.ledger.audit()


@pytest.mark.parametrize("deadline", [5, 600])
def test_the_ends_of_the_deadline_range(deadline: int) -> None:
    assert Case(deadline_blocks=deadline).open().now.deadline_blocks == deadline


def test_two_jobs_of_one_payer_have_different_names() -> None:
    case = Case().open()
    other = Case(ledger=case.ledger).open()
    assert case.job_id != other.job_id
    case.ledger.audit()


# -- claiming -------------------------------------------------------------------------------------------------------


def test_who_may_claim() -> None:
    case = Case(provider=key(6)).open(provider=key(6).address)
    assert case.do(case.payer, case.claim_body()) == "SELF"
    assert case.do(case.watcher, case.claim_body()) == "NOT_CHOSEN"
    assert case.do(case.provider, case.claim_body(case.price_per_gmac + 1)) == "BID"
    case.claim()
    assert case.do(case.watcher, case.claim_body()) == "BAD_STATE"
    case.ledger.audit()


def test_a_claim_needs_its_bond() -> None:
    case = Case(provider=key(9)).open()
    case.ledger.people.add(key(9).address)
    case.ledger.mine(case.ledger.transfer(case.watcher, key(9).address, TILE // 2))
    assert case.do(case.provider, case.claim_body()) == "BALANCE"
    assert case.status is Status.OPEN
    case.ledger.audit()


def test_no_committee_no_claim() -> None:
    """Three seats, and neither payer nor provider may hold one."""
    few = funded_spec(validators=(0, 1, 2))
    assert Case(ledger=Ledger(few)).open().claim().status is Status.CLAIMED
    provider = Case(ledger=Ledger(few), provider=key(2)).open()
    assert provider.do(key(2), provider.claim_body()) == "NO_COMMITTEE"
    payer = Case(ledger=Ledger(few), payer=key(1)).open()
    assert payer.do(payer.provider, payer.claim_body()) == "NO_COMMITTEE"
    assert payer.status is Status.OPEN


def test_an_unknown_job() -> None:
    case = Case(job_id=JobId(b"\1" * 32))
    for signer, body in (
        (case.provider, case.claim_body()),
        (case.provider, case.commit_body()),
        (case.payer, JobCancel(case.job_id)),
    ):
        assert case.do(signer, body) == "NOT_FOUND"


def test_nobody_can_fill_up_a_height(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the sender chooses the height of an automatic step, the number at one height is bounded [STF-AGENDA]."""
    monkeypatch.setattr("vm.context.AGENDA_ROOM", 2)
    ledger = Ledger()
    cases = [Case(ledger=ledger).open() for _ in range(3)]
    receipts = ledger.mine(*(ledger.sign(c.provider, c.claim_body()) for c in cases))
    assert [r.code for r in receipts] == ["", "", "AGENDA_FULL"]
    assert [c.status for c in cases] == [Status.CLAIMED, Status.CLAIMED, Status.OPEN]
    cases[2].claim()
    ledger.audit()


# -- committing -----------------------------------------------------------------------------------------------------


def test_only_the_provider_commits_once() -> None:
    case = Case().open()
    assert case.do(case.provider, case.commit_body()) == "BAD_STATE"
    case.claim()
    assert case.do(case.watcher, case.commit_body(owner=case.watcher.address)) == "NOT_OWNER"
    case.commit()
    assert case.do(case.provider, case.commit_body()) == "BAD_STATE"


def test_a_copied_trace_is_refused() -> None:
    """The trace of a provider of the same job, replayed by another one, does not open under the new key."""
    case = Case().open().claim()
    copied = case.commit_body(owner=case.watcher.address)
    assert case.do(case.provider, copied) == "PATH"
    assert case.do(case.provider, replace(case.commit_body(), result_root=TensorRoot(ZERO))) == "PATH"
    assert case.do(case.provider, replace(case.commit_body(), trace_root=Hash32(ZERO))) == "PATH"
    assert case.do(case.provider, replace(case.commit_body(), path=(Hash32(ZERO),))) == "PATH"
    other = trace_key(JobId(b"\1" * 32), case.provider.address)
    assert case.do(case.provider, case.commit_root(case.commit_body().result_root, other)) == "PATH"
    case.commit()
