"""Integer tensor programs: a closed list of steps over given tensors, with work that follows from shapes alone.

First light knows one operator, the matrix product. A job is always a program, so a `gemm` job and a model run share one
code path, one trace and one meter. Spec: [JOB-PROGRAM].
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from chain.codec import Nested, OneOf, Record, Seq, Uint
from chain.doc import Doc
from chain.errors import Invalid
from chain.tensors import DType, TensorInfo
from vm.rules import Rule

MAX_INPUTS = 16
MAX_STEPS = 64
MAX_DEPTH = 16_384
"""Bound on k and n of a step: one opened row must fit into a fraud proof [JOB-BOUNDS]."""
MAX_ROWS = 65_536
MAX_OUTPUT_ENTRIES = 1 << 26
QUANTISED_MAX = 63
"""Entries of given tensors lie in [-63, 63]; the rest of int8 is room for the noise of the work proof."""


class Op(IntEnum):
    """Operators, each total: defined for every input in range."""

    GEMM = 1


@dataclass(frozen=True, slots=True)
class Step(Record):
    """One operator. Operand i < len(inputs) is a given tensor, later numbers are outputs of earlier steps.

    GEMM takes A int8[m, k] and B transposed int8[n, k] and makes int32[m, n].
    """

    op: Annotated[Op, OneOf(Op), Doc("the operator")]
    operands: Annotated[
        tuple[int, ...],
        Seq(Uint(MAX_INPUTS + MAX_STEPS), 4),
        Doc("numbers of its tensors: inputs, then earlier steps"),
    ]


@dataclass(frozen=True, slots=True)
class Program(Record):
    """Given tensors and steps; the output of the last step is the result."""

    inputs: Annotated[
        tuple[TensorInfo, ...], Seq(Nested(TensorInfo), MAX_INPUTS, 1), Doc("shapes of the given tensors")
    ]
    steps: Annotated[tuple[Step, ...], Seq(Nested(Step), MAX_STEPS, 1), Doc("operators, in order")]


@dataclass(frozen=True, slots=True)
class Gemm:
    """A matrix step with its shape resolved: C[m, n] = A[m, k] times the transpose of B[n, k]."""

    m: int
    n: int
    k: int

    @property
    def macs(self) -> int:
        return self.m * self.n * self.k

    @property
    def entries(self) -> int:
        """Matrix entries a checker has to touch: A, B and C."""
        return self.m * self.k + self.k * self.n + self.m * self.n

    @property
    def output(self) -> TensorInfo:
        return TensorInfo(self.m, self.n, DType.INT32)


def gemm_program(m: int, n: int, k: int) -> Program:
    """The one-step program of a matrix product."""
    inputs = (TensorInfo(m, k, DType.INT8), TensorInfo(n, k, DType.INT8))
    return Program(inputs, (Step(Op.GEMM, (0, 1)),))


PROGRAM_RULES = (
    Rule("PROGRAM_STEPS", "the program has one step"),
    Rule("PROGRAM_WIRING", "the step multiplies the first of two inputs by the second"),
    Rule("PROGRAM_DTYPE", "inputs are int8"),
    Rule("PROGRAM_SHAPE", "the shapes fit together and nothing is empty"),
    Rule("PROGRAM_SIZE", "m ≤ 65,536, k and n ≤ 16,384, and at most 2^26 entries in the result"),
)
"""What `resolve` refuses, in its order."""


def resolve(program: Program) -> Gemm:
    """Check the wiring and shapes of a program and return its one matrix step.

    Raises: Invalid PROGRAM_STEPS, PROGRAM_WIRING, PROGRAM_DTYPE, PROGRAM_SHAPE, PROGRAM_SIZE.
    """
    if len(program.steps) != 1:
        raise Invalid("PROGRAM_STEPS", found=len(program.steps), allowed="one step")
    (step,) = program.steps
    if len(program.inputs) != 2 or step.operands != (0, 1):
        raise Invalid("PROGRAM_WIRING", found=step.operands, allowed="operands 0 and 1 of two inputs")
    left, right = program.inputs
    for given in program.inputs:
        if given.dtype != DType.INT8:
            raise Invalid("PROGRAM_DTYPE", found=given.dtype, allowed="int8")
    if left.columns != right.columns or min(left.rows, left.columns, right.rows) < 1:
        raise Invalid(
            "PROGRAM_SHAPE",
            found=f"A {left.rows}x{left.columns}, B {right.columns}x{right.rows}",
            allowed="A m x k and B k x n with one k, nothing empty",
        )
    step_shape = Gemm(left.rows, right.rows, left.columns)
    if left.rows > MAX_ROWS or left.columns > MAX_DEPTH or right.rows > MAX_DEPTH:
        raise Invalid(
            "PROGRAM_SIZE", found=f"{left.rows}x{left.columns}x{right.rows}", allowed="m<=65536, k,n<=16384"
        )
    if left.rows * right.rows > MAX_OUTPUT_ENTRIES:
        raise Invalid(
            "PROGRAM_SIZE", found=left.rows * right.rows, allowed=f"{MAX_OUTPUT_ENTRIES} output entries"
        )
    return step_shape
