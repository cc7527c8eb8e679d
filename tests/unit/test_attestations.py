"""The committee: who is drawn, when it may speak, who pays for it.  Spec: [JOB-AUDIT], [JOB-DRAW]."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chain.keys import SigningKey
from chain.types import Grains, Hash32, JobId
from tests.builders import ZERO, Ledger, funded_spec, key, refused
from tests.cases import Case
from vm.jobs.record import Status, Verdict

RULES = funded_spec().jobs
OK, WRONG = Verdict.OK, Verdict.WRONG
BIG_PRICE = 10**15


def drawn() -> Case:
    return Case().open().claim().commit().draw()


def outsider(case: Case) -> SigningKey:
    """A validator without a seat."""
    return next(key(i) for i in range(5) if key(i).address not in [s.member for s in case.now.seats])


def test_payer_and_provider_are_never_drawn() -> None:
    for payer, provider in ((0, 1), (2, 3), (4, 0)):
        case = Case(payer=key(payer), provider=key(provider)).open().claim().commit().draw()
        assert len(case.now.seats) == 3
        assert not {key(payer).address, key(provider).address} & {s.member for s in case.now.seats}


def test_the_draw_follows_the_beacon_tickets_only() -> None:
    def seats(changed: int) -> tuple[bytes, tuple[Any, ...]]:
        case = Case().open().claim().commit()
        for offset in range(1, 5):
            ticket = Hash32(bytes([offset] * 32)) if offset != changed else Hash32(b"\xee" * 32)
            case.ledger.mine(ticket=ticket)
        return case.now.beacon, case.now.seats

    plain = seats(0)
    assert seats(1) == plain == seats(4)
    assert seats(2)[0] != plain[0] != seats(3)[0]


def test_weights_are_those_of_the_claim() -> None:
    """Stake registered after the boundary before the claim judges nothing, even if another boundary passes."""
    case = Case(deadline_blocks=30).open().claim()
    assert case.now.weights_epoch == 0
    case.ledger.mine_to(9)
    case.commit().draw()
    assert case.ledger.height > case.ledger.spec.pace.epoch_blocks
    assert {s.member for s in case.now.seats} <= {key(i).address for i in range(5)}


def test_the_windows_open_and_close() -> None:
    case = Case().open().claim().commit()
    committed, ledger = case.now.committed_height, case.ledger
    ledger.mine_to(committed + 2)
    refused("CONFLICT", ledger, ledger.sign(key(0), case.attest_commit(key(0))))
    ledger.mine()  # the next block draws: its transactions may attest already
    transition = ledger.begin()
    assert transition.context.height == committed + 4
    case.draw()
    first, second, third = case.members
    refused("WINDOW", ledger, ledger.sign(first, case.attest_reveal()))
    ledger.mine(ledger.sign(first, case.attest_commit(first)))
    ledger.mine_to(committed + 6)
    refused("WINDOW", ledger, ledger.sign(first, case.attest_reveal()))
    ledger.mine(ledger.sign(second, case.attest_commit(second)))
    assert ledger.height == committed + 7
    refused("WINDOW", ledger, ledger.sign(third, case.attest_commit(third)))
    ledger.mine(ledger.sign(first, case.attest_reveal()))
    assert ledger.height == committed + 8
    ledger.mine_to(committed + 10)
    ledger.mine(ledger.sign(second, case.attest_reveal()))
    assert ledger.height == committed + 11
    refused("WINDOW", ledger, ledger.sign(second, case.attest_reveal()))
    refused("WINDOW", ledger, ledger.sign(third, case.attest_commit(third)))
    case.finish()
    assert case.status is Status.SETTLED
    refused("BAD_STATE", ledger, ledger.sign(second, case.attest_reveal()))


def test_a_member_can_attest_in_the_block_that_draws_it() -> None:
    case = Case().open().claim().commit()
    case.ledger.mine_to(case.now.committed_height + 3)
    probe = Case(ledger=Ledger(), job_id=case.job_id).open().claim().commit().draw()
    assert probe.job_id == case.job_id
    member = probe.members[0]
    case.ledger.mine(case.ledger.sign(member, case.attest_commit(member)))
    assert case.now.seats[0].commitment != ZERO


def test_only_drawn_members_once_per_phase() -> None:
    case = drawn()
    ledger, member = case.ledger, case.members[0]
    stranger = outsider(case)
    refused("CONFLICT", ledger, ledger.sign(stranger, case.attest_commit(stranger)))
    refused("CONFLICT", ledger, ledger.sign(case.payer, case.attest_commit(case.payer)))
    refused("CONFLICT", ledger, ledger.sign(case.provider, case.attest_commit(case.provider)))
    refused(
        "BAD_STATE", ledger, ledger.sign(member, replace(case.attest_commit(member), commitment=Hash32(ZERO)))
    )
    ledger.mine(ledger.sign(member, case.attest_commit(member)))
    refused("BAD_STATE", ledger, ledger.sign(member, case.attest_commit(member, WRONG)))
    ledger.mine_to(case.now.committed_height + 7)
    ledger.mine(ledger.sign(member, case.attest_reveal()))
    refused("FORM", ledger, ledger.sign(member, case.attest_reveal()))
    refused("NOT_FOUND", ledger, ledger.sign(member, replace(case.attest_reveal(), job=JobId(ZERO))))


def test_a_commitment_carries_nothing_else() -> None:
    case = drawn()
    member, body = case.members[0], case.attest_commit(case.members[0])
    for changed in (
        replace(body, verdict=OK),
        replace(body, salt=b"\1" * 32),
        replace(body, evidence_root=Hash32(b"\1" * 32)),
    ):
        refused("FORM", case.ledger, case.ledger.sign(member, changed))


def test_a_reveal_must_match() -> None:
    case = drawn()
    ledger, (first, second, third) = case.ledger, case.members
    salt = b"\5" * 32
    commit = case.attest_commit(first, OK, salt)
    ledger.mine(ledger.sign(first, commit), ledger.sign(second, commit))  # the second copies the first
    ledger.mine_to(case.now.committed_height + 7)
    for reveal in (
        case.attest_reveal(WRONG, salt),
        case.attest_reveal(OK),
        replace(case.attest_reveal(OK, salt), evidence_root=Hash32(b"\1" * 32)),
    ):
        refused("MISMATCH", ledger, ledger.sign(first, reveal))
    refused("FORM", ledger, ledger.sign(first, case.attest_reveal(Verdict.NONE, salt)))
    refused(
        "FORM",
        ledger,
        ledger.sign(first, replace(case.attest_reveal(OK, salt), commitment=commit.commitment)),
    )
    refused("MISMATCH", ledger, ledger.sign(second, case.attest_reveal(OK, salt)))
    refused("MISMATCH", ledger, ledger.sign(third, case.attest_reveal(OK)))
    ledger.mine(ledger.sign(first, case.attest_reveal(OK, salt)))
    case.finish()
    assert case.status is Status.VOID
    ledger.audit()


def test_the_audit_escrow_pays_and_never_more_than_its_allowance() -> None:
    """At a base fee of 16 times the first, two attestations use the allowance of six up, and the third is free."""
    spec = funded_spec()
    dear = replace(spec, money=replace(spec.money, base_fee_grains=Grains(40_000)))
    case = Case(ledger=Ledger(dear), price_per_gmac=BIG_PRICE).open().claim().commit().draw()
    allowance = 6 * RULES.attest_allowance_grains
    burned_before = case.ledger.chain.burned_grains
    receipts = case.ledger.mine(*(case.ledger.sign(m, case.attest_commit(m)) for m in case.members))
    assert case.now.attest_fees_grains == sum(r.burned_grains for r in receipts) == allowance
    assert [r.burned_grains < r.weight * 40_000 for r in receipts] == [True] * 3
    assert case.ledger.chain.burned_grains - burned_before == allowance
    case.ledger.audit()
    case.ledger.mine_to(case.now.committed_height + 7)
    (receipt,) = case.ledger.mine(case.ledger.sign(case.members[0], case.attest_reveal()))
    assert receipt.burned_grains == 0
    case.finish()
    case.ledger.audit()
