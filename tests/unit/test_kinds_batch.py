"""Batches: all or nothing, one nonce, one fee, and only what may stand in one.  Spec: [TX-BATCH]."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain.blocks import Receipt
from chain.codec import Record, pack
from chain.errors import Invalid
from chain.types import Grains
from tests.builders import STAKE_GRAINS, TILE, ZERO, Ledger, key, refused, registration
from tests.cases import Case
from vm.jobs.record import Status, job_id
from vm.kinds.accounts import Transfer
from vm.kinds.audits import ChallengeProve
from vm.kinds.batch import MAX_OPERATIONS, Batch, Operation
from vm.kinds.jobs import JobCancel
from vm.kinds.staking import StakeDelegate
from vm.registry import KINDS
from vm.tensor.program import Op, Step

SENDER, FIRST, SECOND = key(5), key(6), key(7)


def pay(to: int, amount_grains: int) -> Operation:
    return Operation("transfer", Transfer(key(to).address, Grains(amount_grains), b""))


def batch(*operations: Operation) -> Batch:
    return Batch(operations)


def mined(ledger: Ledger, body: Record) -> Receipt:
    (receipt,) = ledger.mine(ledger.sign(SENDER, body))
    ledger.audit()
    return receipt


def test_operations_run_in_order_and_are_told() -> None:
    ledger = Ledger()
    before = [ledger.balance(who) for who in (SENDER, FIRST, SECOND)]
    receipt = mined(ledger, batch(pay(6, TILE), pay(7, 2 * TILE), pay(6, 3 * TILE)))
    after = [ledger.balance(who) for who in (SENDER, FIRST, SECOND)]
    gained = [now - then for now, then in zip(after, before, strict=True)]
    assert gained == [-6 * TILE - receipt.burned_grains, 4 * TILE, 2 * TILE]
    assert [event.name for event in receipt.events] == [*["Transferred"] * 3, "BatchDone"]
    assert receipt.events[-1].values == (SENDER.address, 3)


def test_a_failure_leaves_no_trace_but_the_fee() -> None:
    """Neither those before it nor its own first steps: the state is that of a batch whose first operation fails."""

    def outcome(*operations: Operation) -> tuple[Receipt, object]:
        ledger = Ledger()
        receipt = mined(ledger, batch(*operations))
        return receipt, (
            ledger.account(SENDER.address).nonce,
            ledger.balance(FIRST),
            ledger.stake(SENDER.address),
        )

    good = [pay(6, TILE), Operation("stake.register", registration(STAKE_GRAINS))]
    receipt, left = outcome(*good, pay(7, 1 << 62))
    assert (receipt.code, receipt.events) == ("BATCH(2,BALANCE)", ())
    assert left == (1, Ledger().balance(FIRST), 0)
    ledger = Ledger()
    before = ledger.balance(SENDER)
    receipt = mined(ledger, batch(*good, pay(7, 1 << 62)))
    assert ledger.balance(SENDER) == before - receipt.burned_grains


def test_later_operations_see_what_earlier_ones_did() -> None:
    """The dust rule forbids the second payment alone; the account is there by then."""
    ledger = Ledger()
    ledger.people.add(key(42).address)
    dust = ledger.spec.money.dust_grains
    assert mined(ledger, batch(pay(42, 1), pay(42, dust))).code == "BATCH(0,DUST)"
    assert mined(ledger, batch(pay(42, dust), pay(42, 1))).code == ""
    assert ledger.balance(key(42)) == dust + 1


def test_the_balance_is_spent_once() -> None:
    ledger = Ledger()
    most = ledger.balance(SENDER) - TILE
    assert mined(ledger, batch(pay(6, most), pay(7, most))).code == "BATCH(1,BALANCE)"


def test_the_nonce_moves_once_and_every_two_operations_save_one_unit() -> None:
    ledger = Ledger()
    operations = (pay(6, 1), Operation("stake.register", registration(STAKE_GRAINS)), pay(7, 1))
    signed = ledger.sign(SENDER, batch(*operations))
    (receipt,) = ledger.mine(signed)
    assert ledger.account(SENDER.address).nonce == 1
    assert receipt.weight == sum(KINDS[each.kind].weight for each in operations) - 1 == 3
    money = ledger.spec.money
    assert receipt.burned_grains == 1_000 * 3 + money.byte_fee_grains * len(signed.to_bytes())


def test_a_batch_counts_in_the_block_with_its_whole_weight() -> None:
    spec = replace(Ledger().spec, money=replace(Ledger().spec.money, block_weight_limit=30))
    ledger = Ledger(spec)
    delegations = [Operation("stake.delegate", StakeDelegate(key(0).address, Grains(TILE)))] * 13
    refused("BLOCK_FULL", ledger, ledger.sign(SENDER, batch(*delegations)))
    assert mined(ledger, batch(*delegations[:12])).code == ""


def test_two_jobs_of_one_batch_are_two_jobs() -> None:
    case = Case()
    order = Operation("job.open", case.open_body())
    ids = [job_id(SENDER.address, 0, place) for place in (0, 1)]
    case.ledger.jobs.extend(ids)
    assert mined(case.ledger, batch(order, order)).code == ""
    assert {case.ledger.job(identity).status for identity in ids} == {Status.OPEN}
    assert job_id(SENDER.address, 0) not in ids


def test_operations_are_in_the_name_of_the_sender() -> None:
    case = Case().open()
    case.ledger.mine_to(10)
    cancel = Operation("job.cancel", JobCancel(case.job_id))
    (receipt,) = case.ledger.mine(case.ledger.sign(case.watcher, batch(cancel)))
    assert receipt.code == "BATCH(0,NOT_OWNER)"
    assert mined(case.ledger, batch(cancel)).code == ""
    assert case.status is Status.CANCELLED


def forbidden() -> list[Operation]:
    case = Case().open().claim().commit(Case().product.wrong_result()).draw()
    proof = case.element_proof(case.product.wrong_result())
    return [
        Operation("batch", batch(pay(6, 1))),
        Operation("challenge.prove", ChallengeProve(proof)),
        Operation("job.attest", case.attest_commit(key(0))),
    ]


def test_what_may_not_stand_in_a_batch() -> None:
    for operation in forbidden():
        with pytest.raises(Invalid, match="BATCH_KIND"):
            batch(operation).to_bytes()
        with pytest.raises(Invalid, match="BATCH_KIND"):
            Batch.from_bytes(pack([[[operation.kind, operation.body.to_wire()]]]))
    assert {kind.name for kind in KINDS.values() if not kind.in_batch} == {each.kind for each in forbidden()}


@pytest.mark.parametrize(
    ("code", "wire"),
    [
        ("KIND", ["nothing", []]),
        ("ENC_TEXT", [1, []]),
        ("ENC_RECORD", ["transfer"]),
        ("ENC_RECORD", ["transfer", [ZERO[:20], 1]]),
        ("ENC_INT", ["transfer", [ZERO[:20], -1, b""]]),
        ("ENC_RECORD", b"transfer"),
    ],
)
def test_malformed_operations_are_refused_before_anything_is_paid(code: str, wire: object) -> None:
    with pytest.raises(Invalid) as caught:
        Batch.from_bytes(pack([[wire]]))
    assert caught.value.code == code


def test_a_body_must_be_that_of_its_kind() -> None:
    with pytest.raises(Invalid, match="ENC_RECORD"):
        batch(Operation("transfer", registration(1))).to_bytes()
    with pytest.raises(Invalid, match="ENC_RECORD"):
        Batch((Transfer(key(6).address, Grains(1), b""),)).to_bytes()  # type: ignore[arg-type]


def test_between_one_and_sixteen_operations() -> None:
    for count in (0, MAX_OPERATIONS + 1):
        with pytest.raises(Invalid, match="ENC_LIST"):
            batch(*[pay(6, 1)] * count).to_bytes()
    ledger = Ledger()
    assert mined(ledger, batch(*[pay(6, 1)] * MAX_OPERATIONS)).code == ""


def test_a_batch_has_a_size() -> None:
    ledger = Ledger()
    kind = KINDS["batch"]
    order = Case().open_body()
    inputs = order.program.inputs * 8
    program = replace(order.program, inputs=inputs, steps=(Step(Op.GEMM, (0, 1, 0, 1)),) * 64)
    large = Operation("job.open", replace(order, program=program, input_roots=order.input_roots * 8))
    data = ledger.sign(SENDER, batch(*[large] * MAX_OPERATIONS)).to_bytes()
    assert len(data) > kind.max_bytes
    with pytest.raises(Invalid, match="SIZE"):
        ledger.parse(data)


def test_the_longest_code_fits_into_a_receipt() -> None:
    longest = max(len(rule.code) for kind in KINDS.values() for rule in kind.rules)
    assert len(f"BATCH({MAX_OPERATIONS - 1},{'X' * longest})") <= 32
