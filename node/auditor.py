"""The auditor: a validator's committee duties, and fraud proofs whenever it meets a wrong result.

A drawn member fetches inputs and result by root, runs Freivalds' check with vectors from beacon and member, commits to
its verdict, and reveals it later. Everything is derived from chain and key, so a restart between the two phases loses
nothing. Where a draw is likely, tensors are fetched as soon as a result is committed; the check itself waits for the
beacon.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import trio

from chain.codec import pack
from chain.errors import Missing, TileworkError
from chain.hashing import Tag, h256
from chain.keys import SigningKey
from chain.tensors import DType, TensorInfo, row_path, row_root
from chain.types import ZERO_HASH, Grains, Hash32, JobId
from compute.spec.freivalds import evidence_vector, find_wrong_row
from node.blobs import BlobStore
from node.chain import Chain
from node.duties import Duties
from node.importer import Importer
from node.job_watch import JobWatch
from node.mempool import Mempool
from node.ports import Cpu
from node.tensors import TensorExchange, as_matrix, first_malformed_row
from vm.jobs.challenge import FraudProof, Opening, element_proof, malformed_proof, proof_digest
from vm.jobs.committee import attest_commitment, eligible
from vm.jobs.lifecycle import load_weights
from vm.jobs.record import Attestation, Job, Status, Verdict, load_job
from vm.kinds.audits import ChallengeProve, JobAttest, Phase
from vm.tensor.program import resolve
from vm.tensor.trace import trace_key

log = logging.getLogger("tilework.auditor")


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check brought: a verdict, what the member commits to with it, and the proof of a fault."""

    verdict: Verdict
    evidence: Hash32
    proof: FraudProof | None


UNSEEN = Finding(Verdict.UNAVAILABLE, Hash32(ZERO_HASH), None)
"""The finding on a result that nobody served until the last block in which one can commit."""


class Auditor:
    """Checks results this node is drawn for."""

    def __init__(
        self,
        chain: Chain,
        importer: Importer,
        mempool: Mempool,
        duties: Duties,
        blobs: BlobStore,
        exchange: TensorExchange,
        key: SigningKey,
        cpu: Cpu,
    ) -> None:
        self._chain = chain
        self._importer = importer
        self._mempool = mempool
        self._duties = duties
        self._blobs = blobs
        self._exchange = exchange
        self._key = key
        self._cpu = cpu
        self._watch = JobWatch(chain)
        self._busy: set[JobId] = set()
        self._fetched: set[JobId] = set()
        self._findings: dict[tuple[JobId, Hash32], Finding] = {}

    async def run(self) -> None:
        """Look at committed jobs whenever the head moves, until cancelled."""
        version = -1
        async with trio.open_nursery() as nursery:
            while True:
                version = await self._importer.heads.after(version)
                context = self._chain.context()
                for identity in self._watch.under_way():
                    job = load_job(context, identity)
                    if job.status == Status.COMMITTED and identity not in self._busy and self._concerned(job):
                        self._busy.add(identity)
                        nursery.start_soon(self._guarded, identity, job)

    async def _guarded(self, identity: JobId, job: Job) -> None:
        """One look at one job; a failure is logged and tried again at the next head."""
        try:
            await self._attend(identity, job)
        except TileworkError as error:
            log.warning("audit-step-failed job=%s why=%s", identity.hex()[:16], error)
        finally:
            self._busy.discard(identity)

    def _concerned(self, job: Job) -> bool:
        """Drawn, or not drawn yet but with even odds or better of being drawn."""
        address = self._key.address
        if job.seats:
            return any(seat.member == address for seat in job.seats)
        urn = eligible(load_weights(self._chain.context(), job.weights_epoch), job.payer, job.provider)
        own = sum(weight.stake_grains for weight in urn if weight.address == address)
        total = sum(weight.stake_grains for weight in urn)
        return 2 * own * self._chain.rules.jobs.committee_size >= total > 0

    async def _attend(self, identity: JobId, job: Job) -> None:
        if not job.seats:
            await self._fetch(identity, job)
            return
        height = self._chain.head.height + 1
        rules = self._chain.rules.jobs
        reveal_height = job.committed_height + rules.reveal_offset
        reveal_end = job.committed_height + rules.reveal_end_offset
        index = job.seat(self._key.address)
        seat = job.seats[index]
        if height < reveal_height:
            if seat.commitment == ZERO_HASH:
                finding = await self._finding_in_time(identity, job, last_chance=height == reveal_height - 1)
                await self._attest(identity, Phase.COMMIT, finding)
        elif seat.commitment != ZERO_HASH and seat.verdict is Verdict.NONE and height < reveal_end:
            await self._attest(identity, Phase.REVEAL, await self._committed(identity, job, seat))
        elif seat.verdict in (Verdict.NONE, Verdict.WRONG) and height > reveal_height + index:
            # Also after a missed window. One block apart by seat, so that few pay for sending the same proof.
            await self._challenge(identity, await self._committed(identity, job, seat))

    async def _finding_in_time(self, identity: JobId, job: Job, *, last_chance: bool) -> Finding:
        """What the check found; what nobody has served by the last block to commit in is UNSEEN.  Raises: Missing."""
        try:
            return await self._finding(identity, job)
        except Missing:
            if last_chance:
                return UNSEEN
            raise

    async def _committed(self, identity: JobId, job: Job, seat: Attestation) -> Finding:
        """What this node committed to, found again from the commitment, also after a restart."""
        unseen = self._commitment(identity, UNSEEN)
        return UNSEEN if seat.commitment == unseen else await self._finding(identity, job)

    def _commitment(self, identity: JobId, finding: Finding) -> Hash32:
        salt = self._salt(identity)
        return attest_commitment(identity, self._key.address, finding.verdict, salt, finding.evidence)

    async def _challenge(self, identity: JobId, finding: Finding) -> None:
        """Bring the proof of a fault, unless one waits for a block: a second one would only cost its fee.

        A member does so after its verdict is revealed: the chain then knows that it was first [JOB-FRAUD-REWARD].
        """
        if finding.proof is not None and not self._challenged(identity):
            await self._duties.perform(
                (identity, "challenge"), "challenge.prove", ChallengeProve(finding.proof)
            )

    async def _attest(self, identity: JobId, phase: Phase, finding: Finding) -> None:
        nothing = Hash32(ZERO_HASH)
        if phase is Phase.COMMIT:
            commitment = self._commitment(identity, finding)
            body = JobAttest(identity, 1, phase, commitment, Verdict.NONE, nothing, nothing, Grains(0))
        else:
            salt = self._salt(identity)
            body = JobAttest(identity, 1, phase, nothing, finding.verdict, salt, finding.evidence, Grains(0))
        await self._duties.perform((identity, f"attest-{phase.name.lower()}"), "job.attest", body)

    def _salt(self, identity: JobId) -> Hash32:
        """Secret until revealed, and the same after a restart: Ed25519 signatures are deterministic."""
        return h256(Tag.AUDIT_SALT, self._key.sign(h256(Tag.AUDIT_SALT, identity)))

    async def _fetch(self, identity: JobId, job: Job) -> None:
        if identity in self._fetched:
            return
        for root, info in zip(job.input_roots, job.program.inputs, strict=True):
            await self._exchange.fetch(root, info)
        key = trace_key(identity, job.provider)
        await self._exchange.fetch(job.result_root, resolve(job.program).output, key)
        self._fetched.add(identity)

    async def _finding(self, identity: JobId, job: Job) -> Finding:
        """Check the result, once per beacon.  Raises: Missing if it is not served."""
        known = self._findings.get((identity, job.beacon))
        if known is None:
            await self._fetch(identity, job)
            seed = h256(Tag.EVIDENCE_SEED, pack([job.beacon, self._key.address]))
            known = await self._cpu.run(self._examine, identity, job, seed)
            log.info("audited job=%s verdict=%s", identity.hex()[:16], known.verdict.name)
            self._findings[identity, job.beacon] = known
        return known

    def _challenged(self, identity: JobId) -> bool:
        """Whether somebody's proof against this job waits for a block already: a second one would only cost its fee."""
        bodies = (parsed.body for _, parsed in self._mempool.candidates())
        return any(isinstance(body, ChallengeProve) and body.proof.job == identity for body in bodies)

    def _examine(self, identity: JobId, job: Job, seed: Hash32) -> Finding:
        """Look for a fault in the inputs first: by claiming the provider asserted that they are in range.

        Evidence of `ok` is the root of the vector C x mod p, evidence of `wrong` the digest of the proof.
        """
        shape = resolve(job.program)
        inputs = [self._blobs.data(root) for root in job.input_roots]
        proof = self._malformed(identity, job, inputs)
        if proof is None:
            a, b_t = (as_matrix(info, data) for info, data in zip(job.program.inputs, inputs, strict=True))
            c = np.frombuffer(self._blobs.data(job.result_root), "<i4").reshape(shape.m, shape.n)
            wrong = find_wrong_row(a, b_t, c, seed)
            if wrong is None:
                vector = evidence_vector(c, seed).astype("<i4").tobytes()
                root = row_root(TensorInfo(shape.m, 1, DType.INT32), vector)
                return Finding(Verdict.OK, Hash32(root), None)
            proof = self._prove(identity, job, wrong)
        return Finding(Verdict.WRONG, proof_digest(proof), proof)

    def _malformed(self, identity: JobId, job: Job, inputs: list[bytes]) -> FraudProof | None:
        """The proof that an input has an entry out of range."""
        for number, (info, data) in enumerate(zip(job.program.inputs, inputs, strict=True)):
            row = first_malformed_row(info, data)
            if row is not None:
                return malformed_proof(
                    identity,
                    job.program,
                    job.input_roots,
                    job.provider,
                    job.result_root,
                    tensor=number,
                    opening=_opening(info, data, row),
                )
        return None

    def _prove(self, identity: JobId, job: Job, row: int) -> FraudProof:
        """The fraud proof for the first wrong element of a wrong row."""
        shape = resolve(job.program)
        info_a, info_b = job.program.inputs
        a, b, c = (self._blobs.data(root) for root in (*job.input_roots, job.result_root))
        exact = as_matrix(info_b, b).astype(np.int64) @ as_matrix(info_a, a)[row].astype(np.int64)
        claimed = np.frombuffer(c, "<i4").reshape(shape.m, shape.n)[row]
        column = int(np.flatnonzero(exact != claimed)[0])
        key = trace_key(identity, job.provider)
        rows = (
            _opening(info_a, a, row),
            _opening(info_b, b, column),
            _opening(shape.output, c, row, key),
        )
        return element_proof(
            identity, job.program, job.input_roots, job.provider, job.result_root, column=column, rows=rows
        )


def _opening(info: TensorInfo, data: bytes, row: int, key: bytes | None = None) -> Opening:
    leaf = data[row * info.row_bytes : (row + 1) * info.row_bytes]
    return Opening(row, leaf, row_path(info, data, row, key))
