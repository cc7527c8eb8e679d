"""Whatever a transaction says, the chain answers with a receipt or `Invalid`.  Spec: [TX-EXEC].

Bodies are drawn from the types themselves, so extremes of every field meet every rule; half of them name a real job.
"""

from __future__ import annotations

from dataclasses import fields, replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.codec import Record
from chain.errors import Invalid
from chain.types import Grains
from tests.builders import key
from tests.cases import Case
from tests.strategies import records
from vm.execute import parse
from vm.jobs.record import Status
from vm.kinds.audits import ChallengeProve
from vm.registry import KINDS


@cache
def case_in(status: Status) -> Case:
    """A ledger with one job in this state; only looked at, never mined on."""
    case = Case().open()
    if status is Status.OPEN:
        return case
    case.claim()
    if status is Status.CLAIMED:
        return case
    return case.commit(case.product.wrong_result()).draw()


def naming(body: Record, case: Case, is_real: bool) -> Record:
    if not is_real:
        return body
    if isinstance(body, ChallengeProve):
        proof = (
            case.element_proof(case.product.wrong_result()) if case.status is Status.COMMITTED else body.proof
        )
        drawn = {f.name: getattr(body.proof, f.name) for f in fields(proof)}
        kept = {
            name: value for name, value in drawn.items() if name in ("column", "tensor", "openings", "fault")
        }
        return ChallengeProve(replace(proof, job=case.job_id, **kept))
    if any(field.name == "job" for field in fields(body)):  # type: ignore[arg-type]
        return replace(body, job=case.job_id)  # type: ignore[type-var]
    return body


@pytest.mark.parametrize("name", KINDS)
@given(st.data())
def test_every_body_gets_an_answer_and_costs_no_coin(name: str, data: st.DataObject) -> None:
    case = case_in(data.draw(st.sampled_from([Status.OPEN, Status.CLAIMED, Status.COMMITTED])))
    ledger = case.ledger
    body = naming(data.draw(records(KINDS[name].body)), case, data.draw(st.booleans()))
    signer = data.draw(st.sampled_from([*(key(i) for i in range(8)), key(99)]))
    changes: dict[str, Any] = {"tip_grains": Grains(data.draw(st.sampled_from([0, 1, (1 << 63) - 1])))}
    transaction = ledger.sign(signer, body, nonce=ledger.account(signer.address).nonce, **changes)
    ledger.forget()
    transition = ledger.begin()
    before = transition.context.chain
    try:
        receipt = transition.add(transaction.to_bytes(), ledger.parse(transaction.to_bytes()))
    except Invalid:
        return
    after = transition.context.chain
    assert after.minted_grains == before.minted_grains
    assert after.burned_grains >= before.burned_grains + receipt.burned_grains
    transition.finish()


@given(st.sampled_from(sorted(KINDS)), st.data())
def test_damaged_bytes_are_refused(name: str, data: st.DataObject) -> None:
    """One changed byte anywhere: the signature covers the content, the encoding covers the rest."""
    case = case_in(Status.OPEN)
    wire = bytearray(case.ledger.sign(key(5), data.draw(records(KINDS[name].body))).to_bytes())
    case.ledger.forget()
    at = data.draw(st.integers(0, len(wire) - 1))
    wire[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Invalid):
        parse(bytes(wire), case.ledger.spec.chain_id)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(Invalid):
        parse(data, b"tilework-test")
