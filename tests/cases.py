"""One job on a chain in memory, and the product it is about, for tests of the job rules."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from chain.codec import Record
from chain.keys import SigningKey
from chain.tensors import DType, TensorInfo, row_path, row_root
from chain.types import NO_ADDRESS, NO_PERMIT, Address, Grains, Hash32, JobId, TensorRoot
from tests.builders import TILE, ZERO, Ledger, key
from vm.jobs.challenge import FraudProof, Opening, element_proof, malformed_proof
from vm.jobs.committee import attest_commitment
from vm.jobs.inputs import NO_SLOT
from vm.jobs.record import Job, Status, Verdict, job_id
from vm.kinds.audits import ChallengeProve, JobAttest, Phase
from vm.kinds.jobs import JobCancel, JobClaim, JobCommit, JobOpen
from vm.tensor.program import Op, Program, gemm_program
from vm.tensor.trace import TraceRecord, result_path, trace_key, trace_root


@dataclass(frozen=True)
class Product:
    """C = A times B with A int8[m, k] and B transposed int8[n, k]."""

    a: np.ndarray[Any, Any]
    b_t: np.ndarray[Any, Any]

    @staticmethod
    def random(m: int = 5, n: int = 3, k: int = 4, seed: int = 1) -> Product:
        source = np.random.default_rng(seed)
        return Product(
            source.integers(-63, 64, (m, k), dtype=np.int8), source.integers(-63, 64, (n, k), dtype=np.int8)
        )

    @property
    def program(self) -> Program:
        return gemm_program(self.a.shape[0], self.b_t.shape[0], self.a.shape[1])

    @property
    def input_roots(self) -> tuple[TensorRoot, ...]:
        tensors = zip(self.program.inputs, (self.a, self.b_t), strict=True)
        return tuple(row_root(info, matrix.tobytes()) for info, matrix in tensors)

    @property
    def output(self) -> TensorInfo:
        return TensorInfo(self.a.shape[0], self.b_t.shape[0], DType.INT32)

    @property
    def result(self) -> np.ndarray[Any, Any]:
        return self.a.astype(np.int32) @ self.b_t.astype(np.int32).T

    def wrong_result(self, row: int = 2, column: int = 1, by: int = 1) -> np.ndarray[Any, Any]:
        wrong = self.result.copy()
        wrong[row, column] += by
        return wrong


def opening(info: TensorInfo, data: bytes, row: int, row_key: bytes | None = None) -> Opening:
    """One honest opening."""
    leaf = data[row * info.row_bytes : (row + 1) * info.row_bytes]
    return Opening(row, leaf, row_path(info, data, row, row_key))


@dataclass
class Case:
    """One job on one ledger with its people: 5 pays, 6 provides, 7 watches; validators judge."""

    ledger: Ledger = field(default_factory=Ledger)
    product: Product = field(default_factory=Product.random)
    payer: SigningKey = field(default_factory=lambda: key(5))
    provider: SigningKey = field(default_factory=lambda: key(6))
    watcher: SigningKey = field(default_factory=lambda: key(7))
    price_per_gmac: int = 10**13
    deadline_blocks: int = 30
    job_id: JobId = field(default=JobId(ZERO))

    # -- transactions -----------------------------------------------------------------------------------------------

    def open_body(self, **changes: Any) -> JobOpen:
        body = JobOpen(
            program=self.product.program,
            input_roots=self.product.input_roots,
            price_per_gmac_grains=Grains(self.price_per_gmac),
            max_price_grains=Grains(100_000 * TILE),
            deadline_blocks=self.deadline_blocks,
            provider=NO_ADDRESS,
            permit=NO_PERMIT,
            slot=NO_SLOT,
        )
        return replace(body, **changes)

    def claim_body(self, bid: int | None = None) -> JobClaim:
        return JobClaim(self.job_id, Grains(self.price_per_gmac if bid is None else bid))

    def commit_body(
        self, result: np.ndarray[Any, Any] | None = None, owner: Address | None = None
    ) -> JobCommit:
        """The commitment of `owner` (the provider) to `result` (the right one)."""
        produced = self.product.result if result is None else result
        secret = trace_key(self.job_id, owner or self.provider.address)
        root = row_root(self.product.output, produced.astype("<i4").tobytes(), secret)
        return self.commit_root(root, secret)

    def commit_root(self, root: TensorRoot, secret: Hash32) -> JobCommit:
        records = [TraceRecord(0, Op.GEMM, self.product.output, root)]
        return JobCommit(self.job_id, trace_root(secret, records), root, result_path(secret, records))

    def attest_commit(
        self,
        member: SigningKey,
        verdict: Verdict = Verdict.OK,
        salt: bytes = ZERO,
        evidence: bytes = ZERO,
    ) -> JobAttest:
        commitment = attest_commitment(self.job_id, member.address, verdict, salt, evidence)
        return JobAttest(
            self.job_id, 1, Phase.COMMIT, commitment, Verdict.NONE, ZERO, Hash32(ZERO), Grains(0)
        )

    def attest_reveal(
        self, verdict: Verdict = Verdict.OK, salt: bytes = ZERO, evidence: bytes = ZERO
    ) -> JobAttest:
        return JobAttest(
            self.job_id, 1, Phase.REVEAL, Hash32(ZERO), verdict, salt, Hash32(evidence), Grains(0)
        )

    def element_proof(self, result: np.ndarray[Any, Any], row: int = 2, column: int = 1) -> FraudProof:
        """What a watcher that holds the published tensors writes about one element."""
        info_a, info_b = self.product.program.inputs
        secret = trace_key(self.job_id, self.provider.address)
        rows = (
            opening(info_a, self.product.a.tobytes(), row),
            opening(info_b, self.product.b_t.tobytes(), column),
            opening(self.product.output, result.astype("<i4").tobytes(), row, secret),
        )
        return element_proof(
            self.job_id,
            self.product.program,
            self.product.input_roots,
            self.provider.address,
            self.ledger.job(self.job_id).result_root,
            column=column,
            rows=rows,
        )

    def malformed_proof(self, tensor: int, shown: Opening) -> FraudProof:
        return malformed_proof(
            self.job_id,
            self.product.program,
            self.product.input_roots,
            self.provider.address,
            self.ledger.job(self.job_id).result_root,
            tensor=tensor,
            opening=shown,
        )

    # -- steps ------------------------------------------------------------------------------------------------------

    def do(self, signer: SigningKey, body: Record) -> str:
        """Mine a block with this one transaction; returns its code, empty for success."""
        (receipt,) = self.ledger.mine(self.ledger.sign(signer, body))
        return receipt.code

    def open(self, **changes: Any) -> Case:
        self.job_id = job_id(self.payer.address, self.ledger.account(self.payer.address).nonce)
        assert self.do(self.payer, self.open_body(**changes)) == ""
        self.ledger.jobs.append(self.job_id)
        return self

    def claim(self, bid: int | None = None) -> Case:
        assert self.do(self.provider, self.claim_body(bid)) == ""
        return self

    def commit(self, result: np.ndarray[Any, Any] | None = None) -> Case:
        assert self.do(self.provider, self.commit_body(result)) == ""
        return self

    def draw(self) -> Case:
        """Wait for the block that draws the committee."""
        self.ledger.mine_to(self.now.committed_height + self.ledger.spec.jobs.draw_offset)
        return self

    def attest(self, *verdicts: Verdict) -> Case:
        """Members in order of their seats commit and reveal these verdicts."""
        members = self.members[: len(verdicts)]
        pairs = list(zip(members, verdicts, strict=True))
        self.ledger.mine(*(self.ledger.sign(m, self.attest_commit(m, v)) for m, v in pairs))
        self.ledger.mine_to(self.now.committed_height + self.ledger.spec.jobs.reveal_offset - 1)
        self.ledger.mine(*(self.ledger.sign(m, self.attest_reveal(v)) for m, v in pairs))
        return self

    def finish(self) -> Case:
        """Wait for the block that settles."""
        self.ledger.mine_to(self.now.committed_height + self.ledger.spec.jobs.settle_offset)
        return self

    def challenge(self, proof: FraudProof, by: SigningKey | None = None) -> str:
        return self.do(by or self.watcher, ChallengeProve(proof))

    def cancel(self) -> str:
        return self.do(self.payer, JobCancel(self.job_id))

    @property
    def now(self) -> Job:
        return self.ledger.job(self.job_id)

    @property
    def status(self) -> Status:
        return self.now.status

    @property
    def members(self) -> list[SigningKey]:
        """Keys of the drawn committee in order of their seats."""
        people = {key(i).address: key(i) for i in range(16)}
        return [people[seat.member] for seat in self.now.seats]
