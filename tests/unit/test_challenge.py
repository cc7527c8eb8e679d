"""Fraud proofs: what they show, and that an honest provider cannot be hit.  Spec: [JOB-FRAUD]."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from chain.errors import Invalid
from chain.tensors import TensorInfo, _bind_shape, _keys, _level_above, path_length, row_root
from chain.types import Address, Hash32, JobId, TensorRoot
from tests.builders import ZERO, key
from tests.cases import Case, Product, opening
from vm.jobs.challenge import MAX_PROOF_BYTES, Fault, FraudProof, Opening, is_well_formed, judge
from vm.jobs.record import Status
from vm.kinds.audits import ChallengeProve
from vm.tensor.program import MAX_DEPTH, gemm_program
from vm.tensor.trace import trace_key


@cache
def cheated() -> Case:
    """A committed job whose element (2, 1) is one too high."""
    case = Case().open().claim()
    return case.commit(case.product.wrong_result())


@cache
def honest() -> Case:
    return Case().open().claim().commit()


def refuse(code: str, proof: FraudProof) -> None:
    with pytest.raises(Invalid) as caught:
        judge(proof)
    assert caught.value.code == code


def good() -> FraudProof:
    return cheated().element_proof(cheated().product.wrong_result())


def test_the_wrong_element_is_shown() -> None:
    judge(good())
    judge(FraudProof.from_bytes(good().to_bytes()))


@pytest.mark.parametrize(("row", "column"), [(2, 0), (2, 2), (0, 1), (4, 2)])
def test_a_right_element_beside_it_is_not(row: int, column: int) -> None:
    refuse("NOT_WRONG", cheated().element_proof(cheated().product.wrong_result(), row, column))


def test_no_element_of_an_honest_result_can_be_shown() -> None:
    case = honest()
    rows, columns = case.product.result.shape
    for row in range(rows):
        for column in range(columns):
            refuse("NOT_WRONG", case.element_proof(case.product.result, row, column))


def altered(at: int, **changes: Any) -> FraudProof:
    openings = list(good().openings)
    openings[at] = replace(openings[at], **changes)
    return replace(good(), openings=tuple(openings))


@pytest.mark.parametrize("at", [0, 1, 2])
def test_every_opening_must_open(at: int) -> None:
    shown = good().openings[at]
    refuse("PATH", altered(at, leaf=bytes([shown.leaf[0] ^ 1]) + shown.leaf[1:]))
    refuse("PATH", altered(at, leaf=shown.leaf + b"\0"))
    refuse("PATH", altered(at, leaf=shown.leaf[:-1]))
    refuse("PATH", altered(at, leaf=b""))
    refuse("PATH", altered(at, path=shown.path[:-1]))
    refuse("PATH", altered(at, path=(*shown.path, Hash32(ZERO))))
    refuse("PATH", altered(at, path=(Hash32(ZERO), *shown.path[1:])))


def test_rows_must_belong_together() -> None:
    refuse("CHALLENGE_FORM", altered(0, row=1))
    refuse("CHALLENGE_FORM", altered(1, row=0))
    refuse("CHALLENGE_FORM", altered(2, row=3))
    both = replace(
        good(), openings=tuple(replace(o, row=99) if at != 1 else o for at, o in enumerate(good().openings))
    )
    refuse("PATH", both)


def test_the_form_of_an_element_proof() -> None:
    refuse("CHALLENGE_FORM", replace(good(), openings=good().openings[:2]))
    refuse("CHALLENGE_FORM", replace(good(), openings=good().openings[:1]))
    refuse("CHALLENGE_FORM", replace(good(), tensor=0))
    refuse("CHALLENGE_FORM", replace(good(), column=3))
    refuse("CHALLENGE_FORM", replace(good(), input_roots=good().input_roots[:1]))
    refuse("PROGRAM_SIZE", replace(good(), program=gemm_program(1, 1, MAX_DEPTH + 1)))


def test_other_facts_do_not_open() -> None:
    refuse("PATH", replace(good(), job=JobId(b"\1" * 32)))
    refuse("PATH", replace(good(), provider=Address(b"\1" * 20)))
    refuse("PATH", replace(good(), result_root=TensorRoot(ZERO)))
    refuse("PATH", replace(good(), input_roots=good().input_roots[::-1]))
    refuse("PATH", replace(good(), program=gemm_program(6, 3, 4)))


@given(st.integers(0, 4), st.integers(0, 2), st.integers(-(1 << 31), (1 << 31) - 1), st.integers(0, 1 << 30))
def test_any_wrong_value_anywhere_is_shown(row: int, column: int, value: int, seed: int) -> None:
    """The proof alone decides; no chain is needed."""
    product = Product.random(seed=seed)
    result = product.result.copy()
    is_wrong = int(result[row, column]) != value
    result[row, column] = value
    job, provider = JobId(b"\1" * 32), Address(b"\2" * 20)
    secret = trace_key(job, provider)
    data = result.astype("<i4").tobytes()
    info_a, info_b = product.program.inputs
    proof = FraudProof(
        job,
        product.program,
        product.input_roots,
        provider,
        row_root(product.output, data, secret),
        Fault.ELEMENT,
        2,
        column,
        (
            opening(info_a, product.a.tobytes(), row),
            opening(info_b, product.b_t.tobytes(), column),
            opening(product.output, data, row, secret),
        ),
    )
    if is_wrong:
        judge(proof)
    else:
        refuse("NOT_WRONG", proof)


# -- malformed rows -------------------------------------------------------------------------------------------------


def short_row(
    info: TensorInfo, data: bytes, row: int, leaf: bytes, secret: bytes | None
) -> tuple[TensorRoot, Opening]:
    """Root and opening of a tensor in which one row was hashed with other bytes than its shape allows."""
    keys = _keys(secret)
    size = info.row_bytes
    leaves = [data[at : at + size] for at in range(0, len(data), size)]
    leaves[row] = leaf
    level = [blake3(each, key=keys.leaf).digest() for each in leaves]
    path, at = [], row
    while len(level) > 1:
        if at ^ 1 < len(level):
            path.append(Hash32(level[at ^ 1]))
        level, at = _level_above(level, keys.node), at >> 1
    assert len(path) == path_length(info.rows, row)
    return _bind_shape(info, level[0], keys.root), Opening(row, leaf, tuple(path))


def malformed(case: Case, tensor: int, shown: Opening, **changes: Any) -> FraudProof:
    return replace(case.malformed_proof(tensor, shown), **changes)


@pytest.mark.parametrize("leaf", [b"", b"\0" * 11, b"\0" * 13, b"\0" * 65_536])
def test_a_result_row_of_the_wrong_length_is_shown(leaf: bytes) -> None:
    case = Case().open().claim()
    secret = trace_key(case.job_id, case.provider.address)
    data = case.product.result.astype("<i4").tobytes()
    root, shown = short_row(case.product.output, data, 1, leaf, secret)
    assert case.do(case.provider, case.commit_root(root, secret)) == ""
    judge(case.malformed_proof(2, shown))
    assert case.challenge(case.malformed_proof(2, shown)) == ""
    assert case.status is Status.SLASHED
    case.ledger.audit()


@pytest.mark.parametrize("entry", [64, -64, 127, -128])
@pytest.mark.parametrize("tensor", [0, 1])
def test_an_input_entry_out_of_range_is_shown(entry: int, tensor: int) -> None:
    """By claiming, a provider asserts that it checked the inputs."""
    product = Product.random()
    matrix = (product.a, product.b_t)[tensor]
    matrix[1, 2] = entry
    case = Case(product=product).open().claim().commit()
    proof = case.malformed_proof(tensor, opening(product.program.inputs[tensor], matrix.tobytes(), 1))
    assert case.challenge(proof) == ""
    assert case.status is Status.SLASHED
    case.ledger.audit()


@pytest.mark.parametrize("tensor", [0, 1, 2])
def test_a_well_formed_row_is_not_malformed(tensor: int) -> None:
    case = honest()
    info = (*case.product.program.inputs, case.product.output)[tensor]
    secret = trace_key(case.job_id, case.provider.address) if tensor == 2 else None
    data = (case.product.a, case.product.b_t, case.product.result.astype("<i4"))[tensor].tobytes()
    proof = case.malformed_proof(tensor, opening(info, data, 1, secret))
    refuse("NOT_WRONG", proof)
    refuse("CHALLENGE_FORM", replace(proof, tensor=3))
    refuse("CHALLENGE_FORM", replace(proof, column=1))
    refuse("CHALLENGE_FORM", replace(proof, openings=proof.openings * 2))
    shown = proof.openings[0]
    refuse("PATH", replace(proof, openings=(replace(shown, row=info.rows),)))
    refuse("PATH", replace(proof, openings=(replace(shown, leaf=shown.leaf + b"\x80"),)))
    refuse("PATH", replace(proof, tensor=(tensor + 1) % 3))


def test_the_quantised_range() -> None:
    info = TensorInfo(1, 1, Product.random().program.inputs[0].dtype)
    fine = [value for value in range(-128, 128) if is_well_formed(info, np.int8(value).tobytes())]
    assert fine == list(range(-63, 64))


# -- on the chain ---------------------------------------------------------------------------------------------------


def test_a_proof_speaks_of_the_job_it_names() -> None:
    """A right proof about another run, provider or result does not touch this job."""
    case = Case().open().claim()
    wrong = case.product.wrong_result()
    case.commit(wrong)
    proof = case.element_proof(wrong)
    for changed in (
        replace(proof, provider=key(1).address),
        replace(proof, result_root=TensorRoot(ZERO)),
        replace(proof, input_roots=proof.input_roots[::-1]),
        replace(proof, program=gemm_program(5, 3, 5)),
    ):
        assert case.challenge(changed) == "CHALLENGE_FACTS"
    assert case.challenge(replace(proof, job=JobId(b"\1" * 32))) == "NOT_FOUND"
    assert case.status is Status.COMMITTED
    assert case.challenge(proof) == ""


def test_a_proof_made_for_another_job_of_the_same_matrices() -> None:
    """Roots of results are keyed by job and provider: what is wrong there proves nothing here."""
    first = Case().open().claim()
    wrong = first.product.wrong_result()
    first.commit(wrong)
    second = Case(ledger=first.ledger, product=first.product).open().claim()
    second.commit(wrong)
    assert first.now.result_root != second.now.result_root
    stolen = replace(first.element_proof(wrong), job=second.job_id)
    assert second.challenge(stolen) == "CHALLENGE_FACTS"
    assert second.challenge(replace(stolen, result_root=second.now.result_root)) == "PATH"
    assert second.status is Status.COMMITTED


def test_a_right_result_costs_the_challenger_only_its_fee() -> None:
    case = Case().open().claim().commit()
    before, job = case.ledger.balance(case.watcher), case.now
    proof = case.element_proof(case.product.result)
    (receipt,) = case.ledger.mine(case.ledger.sign(case.watcher, ChallengeProve(proof)))
    assert (receipt.code, receipt.events) == ("NOT_WRONG", ())
    assert case.ledger.balance(case.watcher) == before - receipt.burned_grains
    assert case.now == job
    case.ledger.audit()


def test_the_largest_proof_fits_and_is_judged() -> None:
    """Depth and width at their bounds: rows of 16 KiB, 16 KiB and 64 KiB."""
    product = Product.random(m=2, n=MAX_DEPTH, k=MAX_DEPTH // 8)
    case = Case(product=product).open().claim()
    wrong = product.wrong_result(1, MAX_DEPTH - 1)
    case.commit(wrong)
    proof = case.element_proof(wrong, 1, MAX_DEPTH - 1)
    assert len(proof.to_bytes()) < MAX_PROOF_BYTES
    assert case.challenge(proof) == ""
    assert case.status is Status.SLASHED
