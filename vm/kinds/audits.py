"""Checking results: the committee's commit and reveal, and the fraud proof anybody may bring.  Spec: [JOB-AUDIT]."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Annotated, ClassVar

from chain.codec import OneOf, Raw, Record, Uint
from chain.errors import Invalid
from chain.types import ZERO_HASH, Address, Grains, Hash32, JobId
from vm.context import Context
from vm.envelope import Transaction
from vm.jobs.challenge import MAX_PROOF_BYTES, FraudProof, judge, proof_digest
from vm.jobs.committee import attest_commitment
from vm.jobs.lifecycle import slash
from vm.jobs.record import Job, Status, Verdict, load_job, require_status, store_job
from vm.kind import Kind


class Phase(IntEnum):
    COMMIT = 1
    REVEAL = 2


@dataclass(frozen=True, slots=True)
class JobAttest(Record):
    """A drawn member's word on a result: first its commitment, later verdict, salt and evidence.

    In a COMMIT verdict, salt and evidence are zero; in a REVEAL the commitment is. `deposit_grains` bonds a dissent in
    the second round and must be zero until that round exists.
    """

    job: Annotated[JobId, Raw(32)]
    round: Annotated[int, Uint(1, 1)]
    phase: Annotated[Phase, OneOf(Phase)]
    commitment: Annotated[Hash32, Raw(32)]
    verdict: Annotated[Verdict, OneOf(Verdict)]
    salt: Annotated[bytes, Raw(32)]
    evidence_root: Annotated[Hash32, Raw(32)]
    deposit_grains: Annotated[Grains, Uint(0)]


def sponsor_attest(context: Context, transaction: Transaction, body: JobAttest, fee_grains: int) -> int:
    """Only a drawn member, in its window, once per phase, may attest; the audit escrow pays the fee [JOB-AUDIT-1].

    It pays at most the allowance in it, whatever the base fee is by then: a judge is never priced out of its seat.

    Raises: Invalid NOT_FOUND, BAD_STATE, CONFLICT, WINDOW, FORM, MISMATCH.
    """
    job = load_job(context, body.job)
    require_status(job, Status.COMMITTED)
    seat = job.seats[job.seat(transaction.sender)]
    _check_window(context, job, body.phase)
    if body.phase is Phase.COMMIT:
        if body.verdict is not Verdict.NONE or body.salt != ZERO_HASH or body.evidence_root != ZERO_HASH:
            raise Invalid("FORM", found="a verdict", allowed="only a commitment until the reveal window")
        if seat.commitment != ZERO_HASH or body.commitment == ZERO_HASH:
            raise Invalid("BAD_STATE", found="a second or empty commitment", allowed="one commitment")
    else:
        if body.commitment != ZERO_HASH or body.verdict is Verdict.NONE or seat.verdict != Verdict.NONE:
            raise Invalid("FORM", found="a second or empty verdict", allowed="one verdict")
        opened = attest_commitment(body.job, transaction.sender, body.verdict, body.salt, body.evidence_root)
        if opened != seat.commitment:
            raise Invalid("MISMATCH", found=opened, allowed=seat.commitment)
    allowance = 2 * context.spec.jobs.attest_allowance_grains * len(job.seats)
    paid = min(fee_grains, allowance - job.attest_fees_grains)
    context.unlock(paid)
    context.burn(paid)
    store_job(context, body.job, replace(job, attest_fees_grains=Grains(job.attest_fees_grains + paid)))
    return paid


def apply_attest(context: Context, transaction: Transaction, body: JobAttest) -> None:
    """Everything that can fail was checked by the sponsor; take the seat's commitment or verdict."""
    job = load_job(context, body.job)
    index = job.seat(transaction.sender)
    seat = job.seats[index]
    if body.phase is Phase.COMMIT:
        seat = replace(seat, commitment=body.commitment)
    else:
        seat = replace(seat, verdict=body.verdict, evidence_root=body.evidence_root)
    store_job(context, body.job, job.with_seat(index, seat))
    context.emit("Attested", job=body.job, member=transaction.sender, phase=body.phase, verdict=seat.verdict)


def _check_window(context: Context, job: Job, phase: Phase) -> None:
    rules = context.spec.jobs
    first = job.committed_height + (rules.draw_offset if phase is Phase.COMMIT else rules.reveal_offset)
    last = (
        job.committed_height + (rules.reveal_offset if phase is Phase.COMMIT else rules.reveal_end_offset) - 1
    )
    if not first <= context.height <= last:
        raise Invalid("WINDOW", found=f"height {context.height}", allowed=f"{first}..{last} for {phase.name}")


@dataclass(frozen=True, slots=True)
class ChallengeProve(Record):
    """Show that a committed result is wrong; decided inside this transaction."""

    MAX_BYTES: ClassVar[int] = MAX_PROOF_BYTES

    proof: FraudProof


def apply_challenge(context: Context, transaction: Transaction, body: ChallengeProve) -> None:
    """Raises: Invalid NOT_FOUND, BAD_STATE, CHALLENGE_FACTS and the codes of `judge`."""
    proof = body.proof
    job = load_job(context, proof.job)
    require_status(job, Status.COMMITTED)
    facts = (job.program, job.input_roots, job.provider, job.result_root)
    if (proof.program, proof.input_roots, proof.provider, proof.result_root) != facts:
        raise Invalid(
            "CHALLENGE_FACTS", found="facts of another run", allowed="the job's own roots and provider"
        )
    judge(proof)
    provers = _provers(job, proof) or (transaction.sender,)
    reward = slash(context, proof.job, job, provers)
    for prover in provers:
        context.emit("ChallengeUpheld", job=proof.job, prover=prover, reward_grains=reward)


def _provers(job: Job, proof: FraudProof) -> tuple[Address, ...]:
    """Members whose revealed `wrong` committed to exactly this proof: they knew it before it could be copied.

    So whoever sees a proof on its way to a block and sends it again pays a fee and earns nothing [JOB-FRAUD-REWARD].
    """
    digest = proof_digest(proof)
    return tuple(
        seat.member for seat in job.seats if seat.verdict is Verdict.WRONG and seat.evidence_root == digest
    )


KINDS = (
    Kind("job.attest", JobAttest, weight=3, max_bytes=1024, apply=apply_attest, sponsor=sponsor_attest),
    Kind(
        "challenge.prove", ChallengeProve, weight=30, max_bytes=MAX_PROOF_BYTES + 1024, apply=apply_challenge
    ),
)
