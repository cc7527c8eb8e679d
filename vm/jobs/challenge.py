"""Fraud proofs: a wrong result shown from the proof's own bytes.  Spec: [JOB-FRAUD].

`judge` needs nothing but the proof, so every node, and anybody holding the block, reaches the same answer. The chain
adds one thing: the facts a proof speaks of must be those of the job it names (vm/kinds/audits.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, ClassVar

import numpy as np

from chain.codec import Blob, Nested, OneOf, Raw, Record, Seq, Uint
from chain.doc import Doc
from chain.errors import Invalid
from chain.hashing import Tag, h256
from chain.tensors import MAX_ROWS, DType, TensorInfo, opens_leaf, verify_row
from chain.types import Address, Hash32, JobId, TensorRoot
from compute.spec.freivalds import exact_element
from vm.rules import Rule
from vm.tensor.program import MAX_DEPTH, MAX_INPUTS, QUANTISED_MAX, Gemm, Program, resolve
from vm.tensor.trace import trace_key

MAX_PROOF_BYTES = 256 * 1024


class Fault(IntEnum):
    """What a proof shows."""

    ELEMENT = 1
    """One output element differs from the product of its row and column."""
    MALFORMED = 2
    """A leaf opens, but has the wrong length or an entry outside the range of its tensor."""


@dataclass(frozen=True, slots=True)
class Opening(Record):
    """One row of a tensor with its Merkle path."""

    MAX_BYTES: ClassVar[int] = MAX_PROOF_BYTES

    row: Annotated[int, Uint(MAX_ROWS), Doc("its number")]
    leaf: Annotated[bytes, Blob(MAX_DEPTH * 4), Doc("the row, entries little-endian")]
    path: Annotated[tuple[bytes, ...], Seq(Raw(32), 24), Doc("siblings from the leaf to the root")]


@dataclass(frozen=True, slots=True)
class FraudProof(Record):
    """Everything needed to decide: the job's facts, what is wrong, and the rows that show it.

    ELEMENT opens row i of A, row j of B transposed and row i of the result, in this order; `column` is j.
    MALFORMED opens one row; `tensor` is an input number, or the number of inputs for the result.
    """

    MAX_BYTES: ClassVar[int] = MAX_PROOF_BYTES

    job: Annotated[JobId, Raw(32), Doc("the job")]
    program: Annotated[Program, Doc("the job's program")]
    input_roots: Annotated[
        tuple[TensorRoot, ...], Seq(Raw(32), MAX_INPUTS), Doc("row roots of its given tensors")
    ]
    provider: Annotated[Address, Raw(20), Doc("who committed to the result")]
    result_root: Annotated[TensorRoot, Raw(32), Doc("row root of the result")]
    fault: Annotated[Fault, OneOf(Fault), Doc("a wrong element or a malformed row")]
    tensor: Annotated[int, Uint(MAX_INPUTS), Doc("an input, or the number of inputs for the result")]
    column: Annotated[int, Uint(MAX_DEPTH), Doc("column of the wrong element; 0 for a malformed row")]
    openings: Annotated[tuple[Opening, ...], Seq(Nested(Opening), 3, 1), Doc("the rows that show it")]


def proof_digest(proof: FraudProof) -> Hash32:
    """What a member that found the fault commits to before anybody sees the proof [JOB-FRAUD-REWARD]."""
    return h256(Tag.FRAUD_PROOF, proof.to_bytes())


JUDGE_RULES = (
    Rule("CHALLENGE_FORM", "the openings are those of the fault that is claimed"),
    Rule("PATH", "every opened row lies under its root"),
    Rule("NOT_WRONG", "what is shown is a fault"),
)
"""What `judge` refuses about the proof of a program that is a job's."""


def judge(proof: FraudProof) -> None:
    """Return if the proof shows a fault; cheapest checks first, the recomputation last.

    Raises: Invalid PROGRAM_*, CHALLENGE_FORM, PATH (an opening does not open), NOT_WRONG (everything is as it should).
    """
    shape = resolve(proof.program)
    if len(proof.input_roots) != len(proof.program.inputs):
        raise Invalid(
            "CHALLENGE_FORM", found=len(proof.input_roots), allowed=f"{len(proof.program.inputs)} input roots"
        )
    if proof.fault is Fault.ELEMENT:
        _judge_element(proof, shape)
    else:
        _judge_malformed(proof, shape)


def _judge_element(proof: FraudProof, shape: Gemm) -> None:
    if len(proof.openings) != 3 or proof.tensor != len(proof.input_roots) or proof.column >= shape.n:
        raise Invalid(
            "CHALLENGE_FORM", found=f"{len(proof.openings)} openings", allowed="rows of A, B and the result"
        )
    left, right, result = proof.openings
    if left.row != result.row or right.row != proof.column:
        raise Invalid(
            "CHALLENGE_FORM", found=f"rows {left.row}, {right.row}, {result.row}", allowed="rows i, j and i"
        )
    key = trace_key(proof.job, proof.provider)
    info_a, info_b = proof.program.inputs
    _require(verify_row(proof.input_roots[0], info_a, left.row, left.leaf, left.path))
    _require(verify_row(proof.input_roots[1], info_b, right.row, right.leaf, right.path))
    _require(verify_row(proof.result_root, shape.output, result.row, result.leaf, result.path, key))
    claimed = int.from_bytes(result.leaf[4 * proof.column : 4 * proof.column + 4], "little", signed=True)
    exact = exact_element(np.frombuffer(left.leaf, np.int8), np.frombuffer(right.leaf, np.int8))
    if claimed == exact:
        raise Invalid(
            "NOT_WRONG", found=f"element ({left.row}, {proof.column}) is {claimed}", allowed="a wrong element"
        )


def _judge_malformed(proof: FraudProof, shape: Gemm) -> None:
    inputs = len(proof.input_roots)
    if len(proof.openings) != 1 or proof.tensor > inputs or proof.column:
        raise Invalid(
            "CHALLENGE_FORM", found=f"tensor {proof.tensor}", allowed=f"one opening of tensor 0..{inputs}"
        )
    (opening,) = proof.openings
    info: TensorInfo
    if proof.tensor == inputs:
        info, root, key = shape.output, proof.result_root, trace_key(proof.job, proof.provider)
    else:
        info, root, key = proof.program.inputs[proof.tensor], proof.input_roots[proof.tensor], None
    _require(opens_leaf(root, info, opening.row, opening.leaf, opening.path, key))
    if is_well_formed(info, opening.leaf):
        raise Invalid("NOT_WRONG", found=f"a well-formed row {opening.row}", allowed="a malformed row")


def is_well_formed(info: TensorInfo, leaf: bytes) -> bool:
    """Whether a row has its length and, for int8, only entries in [-63, 63]."""
    if len(leaf) != info.row_bytes:
        return False
    if info.dtype is not DType.INT8:
        return True
    return not leaf.translate(None, _IN_RANGE)


_IN_RANGE = bytes((*range(QUANTISED_MAX + 1), *range(256 - QUANTISED_MAX, 256)))
"""Every int8 entry in [-63, 63]."""


def _require(opens: bool) -> None:
    if not opens:
        raise Invalid("PATH", found="a row that does not open", allowed="rows under the committed roots")


def element_proof(
    job: JobId,
    program: Program,
    input_roots: Sequence[TensorRoot],
    provider: Address,
    result_root: TensorRoot,
    *,
    column: int,
    rows: tuple[Opening, Opening, Opening],
) -> FraudProof:
    """The proof that one element is wrong; `rows` open A, B transposed and the result."""
    return FraudProof(
        job, program, tuple(input_roots), provider, result_root, Fault.ELEMENT, len(input_roots), column, rows
    )


def malformed_proof(
    job: JobId,
    program: Program,
    input_roots: Sequence[TensorRoot],
    provider: Address,
    result_root: TensorRoot,
    *,
    tensor: int,
    opening: Opening,
) -> FraudProof:
    """The proof that a row of tensor number `tensor` is malformed."""
    return FraudProof(
        job, program, tuple(input_roots), provider, result_root, Fault.MALFORMED, tensor, 0, (opening,)
    )
