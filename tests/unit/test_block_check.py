"""Blocks checked from their bytes alone: whatever is changed, one check names it.  Spec: [BLK-*], [JOB-FRAUD]."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chain.blocks import Block, certificate_hash
from chain.hashing import Tag
from chain.merkle import list_root
from chain.tensors import DType, TensorInfo, row_path
from chain.types import Grains, JobId
from compute.spec.certificate import Certificate
from node.block_check import Finding, Mark, check, passed
from tests.unit.rpc_node import ALICE, BOB, OPERATOR, MemoryNode
from vm.jobs.challenge import Fault, FraudProof, Opening, element_proof
from vm.jobs.record import load_job
from vm.kinds.accounts import Transfer
from vm.kinds.audits import ChallengeProve
from vm.tensor.program import gemm_program
from vm.tensor.trace import trace_key

A = np.arange(-12, 12, dtype=np.int8).reshape(4, 6)
B = np.arange(-15, 15, dtype=np.int8).reshape(6, 5)


@pytest.fixture
def node(tmp_path: Path) -> MemoryNode:
    return MemoryNode(tmp_path)


@pytest.fixture
def block(node: MemoryNode) -> Block:
    """A block with two transfers."""
    node.send(ALICE, "transfer", Transfer(BOB.address, Grains(5_000), b"one"))
    node.send(BOB, "transfer", Transfer(ALICE.address, Grains(5_000), b"two"))
    node.mine()
    return head(node)


def head(node: MemoryNode) -> Block:
    block = node.chain.block(node.chain.head.id)
    assert block is not None
    return block


def failures(findings: list[Finding]) -> list[str]:
    return [finding.what for finding in findings if finding.mark is Mark.FAILED]


def test_an_honest_block_passes_with_and_without_its_genesis(node: MemoryNode, block: Block) -> None:
    for spec in (None, node.chain.spec):
        findings = check(block.to_bytes(), spec)
        assert passed(findings)
        assert [f.what for f in findings if f.what.startswith("transaction ")] == [
            "transaction root",
            "transaction 0",
            "transaction 1",
        ]


def test_genesis_passes(node: MemoryNode) -> None:
    assert passed(check(head(node).to_bytes(), node.chain.spec))


@pytest.mark.parametrize("data", [b"", b"\x94", b"\xc1", bytes(5_000_000)])
def test_bytes_that_are_no_block(data: bytes) -> None:
    assert failures(check(data)) == ["encoding"]


def test_bytes_behind_a_block(block: Block) -> None:
    assert failures(check(block.to_bytes() + b"\0")) == ["encoding"]


def test_another_network(node: MemoryNode, block: Block) -> None:
    spec = replace(node.chain.spec, chain_id=b"elsewhere", profile_id=2)
    assert failures(check(block.to_bytes(), spec)) == ["network", "work"]


def test_transactions_left_out_or_reordered(block: Block) -> None:
    first, second = block.transactions
    for changed in ((first,), (second, first), (first, second, first), ()):
        assert failures(check(replace(block, transactions=changed).to_bytes())) == ["transaction root"]


def test_votes_slipped_in(block: Block) -> None:
    assert failures(check(replace(block, votes=(b"vote",)).to_bytes())) == ["votes root"]


def resealed(block: Block, **changes: object) -> Block:
    """The block with another certificate that its header commits to."""
    certificate = replace(Certificate.from_bytes(block.certificate), **changes).to_bytes()  # type: ignore[arg-type]
    header = replace(block.header, certificate_hash=certificate_hash(certificate))
    return replace(block, header=header, certificate=certificate)


def test_another_certificate(block: Block) -> None:
    certificate = Certificate.from_bytes(block.certificate)
    other = bytes([certificate.block_a[0] ^ 1]) + certificate.block_a[1:]
    changed = replace(block, certificate=replace(certificate, block_a=other).to_bytes())
    assert failures(check(changed.to_bytes())) == ["certificate hash", "work"]
    assert failures(check(resealed(block, block_a=other).to_bytes())) == ["work"]
    assert failures(check(resealed(block, segment=9).to_bytes())) == ["work"]
    assert failures(check(replace(block, certificate=b"").to_bytes())) == ["certificate hash", "work"]


@pytest.mark.parametrize("field", ["time_ms", "height", "extra_nonce", "target"])
def test_a_header_nobody_worked_for(block: Block, field: str) -> None:
    header = replace(
        block.header, **{field: getattr(block.header, field) - (field == "target") + (field != "target")}
    )
    assert failures(check(replace(block, header=header).to_bytes())) == ["work"]


def test_a_stolen_block(block: Block) -> None:
    """The miner's address is part of what the work was done over."""
    assert failures(check(replace(block, header=replace(block.header, miner=BOB.address)).to_bytes())) == [
        "work"
    ]


def test_a_forged_signature(block: Block) -> None:
    first = block.transactions[0]
    transactions = (first[:-1] + bytes([first[-1] ^ 1]), block.transactions[1])
    header = replace(block.header, transaction_root=list_root(Tag.TX_LEAF, transactions))
    changed = replace(block, header=header, transactions=transactions)
    assert failures(check(changed.to_bytes())) == ["work", "transaction 0"]


def fraud(node: MemoryNode, identity: JobId, product: np.ndarray, row: int, column: int) -> FraudProof:
    """The proof that names one element of a committed product."""
    key = trace_key(identity, OPERATOR.address)
    b_t = np.ascontiguousarray(B.T)

    def opened(matrix: np.ndarray, dtype: DType, at: int, key: bytes | None = None) -> Opening:
        info = TensorInfo(*matrix.shape, dtype)
        return Opening(at, matrix[at].tobytes(), row_path(info, matrix.tobytes(), at, key))

    job = load_job(node.chain.context(), identity)
    rows = (
        opened(A, DType.INT8, row),
        opened(b_t, DType.INT8, column),
        opened(product.astype("<i4"), DType.INT32, row, key),
    )
    return element_proof(
        identity,
        gemm_program(4, 5, 6),
        job.input_roots,
        OPERATOR.address,
        job.result_root,
        column=column,
        rows=rows,
    )


def committed(node: MemoryNode, product: np.ndarray) -> JobId:
    identity = node.open_job(A, B)
    node.mine()
    node.claim_and_commit(identity, product)
    return identity


def test_a_fraud_proof_is_judged_again_from_the_block(node: MemoryNode) -> None:
    wrong = A.astype(np.int32) @ B.astype(np.int32)
    exact = int(wrong[2, 3])
    wrong[2, 3] += 7
    identity = committed(node, wrong)
    node.send(BOB, "challenge.prove", ChallengeProve(fraud(node, identity, wrong, 2, 3)))
    node.mine()
    findings = check(head(node).to_bytes(), node.chain.spec)
    assert passed(findings)
    (verdict,) = [finding for finding in findings if finding.what == "fraud proof in 0"]
    assert verdict.mark is Mark.OK
    assert f"element (2, 3) was committed as {exact + 7}; row times column gives {exact}" in verdict.detail


def test_a_fraud_proof_that_shows_nothing_is_called_so(node: MemoryNode) -> None:
    """Such a block is valid: the chain took the fee and did nothing else."""
    right = A.astype(np.int32) @ B.astype(np.int32)
    identity = committed(node, right)
    proof = fraud(node, identity, right, 2, 3)
    assert proof.fault is Fault.ELEMENT
    node.send(BOB, "challenge.prove", ChallengeProve(proof))
    node.mine()
    findings = check(head(node).to_bytes())
    assert passed(findings)
    (verdict,) = [finding for finding in findings if finding.what == "fraud proof in 0"]
    assert verdict.mark is Mark.NOTE
    assert "REJECTED, it shows nothing: NOT_WRONG" in verdict.detail
