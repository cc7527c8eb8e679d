"""Programs and traces.  Spec: [JOB-PROGRAM], [JOB-TRACE]."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain.errors import Invalid
from chain.tensors import DType, TensorInfo
from chain.types import Address, Hash32, JobId, TensorRoot
from vm.tensor.program import MAX_DEPTH, MAX_ROWS, Op, Program, Step, gemm_program, resolve
from vm.tensor.trace import TraceRecord, result_path, trace_key, trace_root, verify_result

GOOD = gemm_program(5, 3, 4)


def test_work_and_shape_come_from_the_program() -> None:
    shape = resolve(GOOD)
    assert (shape.m, shape.n, shape.k) == (5, 3, 4)
    assert shape.macs == 60
    assert shape.entries == 20 + 12 + 15
    assert shape.output == TensorInfo(5, 3, DType.INT32)
    assert Program.from_bytes(GOOD.to_bytes()) == GOOD


@pytest.mark.parametrize(("m", "n", "k"), [(1, 1, 1), (MAX_ROWS, 1, MAX_DEPTH), (4096, MAX_DEPTH, 1)])
def test_the_extremes_are_allowed(m: int, n: int, k: int) -> None:
    assert resolve(gemm_program(m, n, k)).macs == m * n * k


INT8 = DType.INT8


@pytest.mark.parametrize(
    ("code", "program"),
    [
        ("PROGRAM_STEPS", replace(GOOD, steps=GOOD.steps * 2)),
        ("PROGRAM_STEPS", replace(GOOD, steps=())),
        ("PROGRAM_WIRING", replace(GOOD, steps=(Step(Op.GEMM, (1, 0)),))),
        ("PROGRAM_WIRING", replace(GOOD, steps=(Step(Op.GEMM, (0, 0)),))),
        ("PROGRAM_WIRING", replace(GOOD, steps=(Step(Op.GEMM, (0,)),))),
        ("PROGRAM_WIRING", replace(GOOD, steps=(Step(Op.GEMM, (0, 2)),))),
        ("PROGRAM_WIRING", replace(GOOD, inputs=GOOD.inputs[:1])),
        ("PROGRAM_WIRING", replace(GOOD, inputs=(*GOOD.inputs, GOOD.inputs[0]))),
        ("PROGRAM_DTYPE", replace(GOOD, inputs=(GOOD.inputs[0], replace(GOOD.inputs[1], dtype=DType.INT32)))),
        ("PROGRAM_DTYPE", replace(GOOD, inputs=(replace(GOOD.inputs[0], dtype=DType.INT32), GOOD.inputs[1]))),
        ("PROGRAM_SHAPE", replace(GOOD, inputs=(TensorInfo(5, 4, INT8), TensorInfo(3, 5, INT8)))),
        ("PROGRAM_SIZE", gemm_program(MAX_ROWS + 1, 1, 1)),
        ("PROGRAM_SIZE", gemm_program(1, MAX_DEPTH + 1, 1)),
        ("PROGRAM_SIZE", gemm_program(1, 1, MAX_DEPTH + 1)),
        ("PROGRAM_SIZE", gemm_program(4097, MAX_DEPTH, 1)),
    ],
)
def test_each_rule_refuses(code: str, program: Program) -> None:
    with pytest.raises(Invalid) as caught:
        resolve(program)
    assert caught.value.code == code


def test_an_unknown_operator_does_not_decode() -> None:
    wire = GOOD.to_bytes().replace(Step(Op.GEMM, (0, 1)).to_bytes(), b"\x92\x07\x92\x00\x01")
    with pytest.raises(Invalid, match="ENC_ENUM"):
        Program.from_bytes(wire)


JOB, PROVIDER = JobId(b"\1" * 32), Address(b"\2" * 20)


def records(count: int) -> list[TraceRecord]:
    return [TraceRecord(i, Op.GEMM, resolve(GOOD).output, TensorRoot(bytes([i]) * 32)) for i in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
def test_the_last_record_opens(count: int) -> None:
    secret, trace = trace_key(JOB, PROVIDER), records(count)
    root, path = trace_root(secret, trace), result_path(secret, trace)
    assert verify_result(root, secret, trace[-1], count, path)
    assert not verify_result(root, secret, trace[-1], count + 1, path)
    assert not verify_result(root, secret, trace[0] if count > 1 else replace(trace[0], step=1), count, path)
    assert not verify_result(root, secret, trace[-1], count, (*path, Hash32(bytes(32))))


def test_a_copied_trace_opens_nothing() -> None:
    """The same records under the key of another job or provider have another root."""
    trace = records(3)
    mine = trace_key(JOB, PROVIDER)
    others = [trace_key(JobId(b"\3" * 32), PROVIDER), trace_key(JOB, Address(b"\3" * 20))]
    root = trace_root(mine, trace)
    for other in others:
        assert not verify_result(root, other, trace[-1], 3, result_path(mine, trace))
        assert trace_root(other, trace) != root
