"""Checking results: the committee's commit and reveal, and the fraud proof anybody may bring.  Spec: [JOB-AUDIT]."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property
from typing import Annotated, ClassVar

from chain.codec import U63, OneOf, Raw, Record, Uint
from chain.doc import Doc
from chain.ints import ceil_div
from chain.types import ZERO_HASH, Address, Grains, Hash32, JobId
from vm.events import Happening
from vm.jobs.act import EXISTS, OnJob, in_status
from vm.jobs.challenge import JUDGE_RULES, MAX_PROOF_BYTES, FraudProof, judge, proof_digest
from vm.jobs.committee import attest_commitment
from vm.jobs.lifecycle import JobSlashed, slash
from vm.jobs.record import Attestation, Job, Status, Verdict, store_job
from vm.kind import Family, Kind
from vm.kinds.jobs import JOBS
from vm.rules import Refusal, check, guarded

CHALLENGES = Family("challenge", "Challenges: show that a committed result is wrong.")


class Phase(IntEnum):
    COMMIT = 1
    REVEAL = 2


@dataclass(frozen=True, slots=True)
class JobAttest(Record):
    """A drawn member's word on a result: first its commitment, later verdict, salt and evidence.

    In a COMMIT verdict, salt and evidence are zero; in a REVEAL the commitment is. `deposit_grains` bonds a dissent in
    the second round and must be zero until that round exists.
    """

    job: Annotated[JobId, Raw(32), Doc("the job")]
    round: Annotated[int, Uint(1, 1), Doc("the round of checking; there is one for now")]
    phase: Annotated[Phase, OneOf(Phase), Doc("whether this seals or opens the verdict")]
    commitment: Annotated[Hash32, Raw(32), Doc("digest of what will be revealed; zeros in a REVEAL")]
    verdict: Annotated[Verdict, OneOf(Verdict), Doc("what the member found; NONE in a COMMIT")]
    salt: Annotated[bytes, Raw(32), Doc("what hides the verdict until then; zeros in a COMMIT")]
    evidence_root: Annotated[
        Hash32, Raw(32), Doc("digest of the fraud proof of a member that found one, else zeros")
    ]
    deposit_grains: Annotated[Grains, Uint(0), Doc("zero for now")]


@dataclass(frozen=True, slots=True)
class Attested(Happening):
    """A member sealed or opened its verdict."""

    job: Annotated[JobId, Raw(32), Doc("the job")]
    member: Annotated[Address, Raw(20), Doc("who")]
    phase: Annotated[Phase, OneOf(Phase), Doc("sealed or opened")]
    verdict: Annotated[Verdict, OneOf(Verdict), Doc("NONE while it is sealed")]


class Word(OnJob):
    """The sender's seat, once `CONFLICT` is out of the question."""

    @cached_property
    def index(self) -> int:
        return self.job.seat(self.call.sender)

    @property
    def seat(self) -> Attestation:
        return self.job.seats[self.index]

    @property
    def sealing(self) -> bool:
        return self.body.phase is Phase.COMMIT


def _drawn(act: Word) -> Refusal | None:
    sender = act.call.sender
    return Refusal(sender, "a drawn committee member") if sender not in act.job.members else None


def _in_window(act: Word) -> Refusal | None:
    rules, committed = act.context.spec.jobs, act.job.committed_height
    first = committed + (rules.draw_offset if act.sealing else rules.reveal_offset)
    last = committed + (rules.reveal_offset if act.sealing else rules.reveal_end_offset) - 1
    height = act.context.height
    if not first <= height <= last:
        return Refusal(f"height {height}", f"{first}..{last} for {act.body.phase.name}")
    return None


def _of_its_phase(act: Word) -> Refusal | None:
    body = act.body
    if act.sealing:
        if body.verdict is not Verdict.NONE or body.salt != ZERO_HASH or body.evidence_root != ZERO_HASH:
            return Refusal("a verdict", "only a commitment until the reveal window")
    elif body.commitment != ZERO_HASH or body.verdict is Verdict.NONE or act.seat.verdict != Verdict.NONE:
        return Refusal("a second or empty verdict", "one verdict")
    return None


def _sealed_once(act: Word) -> Refusal | None:
    if act.sealing and (act.seat.commitment != ZERO_HASH or act.body.commitment == ZERO_HASH):
        return Refusal("a second or empty commitment", "one commitment")
    return None


def _opens_the_seal(act: Word) -> Refusal | None:
    if act.sealing:
        return None
    body, member = act.body, act.call.sender
    opened = attest_commitment(act.job_id, member, body.verdict, body.salt, body.evidence_root)
    return Refusal(opened, act.seat.commitment) if opened != act.seat.commitment else None


def _sponsor(act: Word, fee_grains: int) -> int:
    """The audit escrow pays [JOB-AUDIT-1].

    It pays at most the allowance in it, whatever the base fee is by then: a judge is never priced out of its seat.
    """
    job = act.job
    allowance = 2 * act.context.spec.jobs.attest_allowance_grains * len(job.seats)
    paid = min(fee_grains, allowance - job.attest_fees_grains)
    act.context.unlock(paid)
    act.context.burn(paid)
    charged = replace(job, attest_fees_grains=Grains(job.attest_fees_grains + paid))
    store_job(act.context, act.job_id, charged)
    return paid


def _attest(act: Word) -> None:
    body = act.body
    if act.sealing:
        seat = replace(act.seat, commitment=body.commitment)
    else:
        seat = replace(act.seat, verdict=body.verdict, evidence_root=body.evidence_root)
    store_job(act.context, act.job_id, act.job.with_seat(act.index, seat))
    act.context.emit(Attested(act.job_id, act.call.sender, body.phase, seat.verdict))


ATTEST = Kind(
    "job.attest",
    JOBS,
    JobAttest,
    who="a drawn member of the job's committee",
    weight=3,
    max_bytes=1024,
    act=Word,
    checks=(
        EXISTS,
        in_status(Status.COMMITTED),
        check("CONFLICT", "the sender was drawn", _drawn),
        check("WINDOW", "the phase has begun and is not over", _in_window),
        check("FORM", "a COMMIT says nothing of the verdict, a REVEAL gives one, once", _of_its_phase),
        check("BAD_STATE", "a member commits once, and to something", _sealed_once),
        check("MISMATCH", "a REVEAL opens the member's commitment", _opens_the_seal),
    ),
    effect=_attest,
    events=(Attested,),
    sponsor=_sponsor,
)


@dataclass(frozen=True, slots=True)
class ChallengeProve(Record):
    """Show that a committed result is wrong; decided inside this transaction."""

    MAX_BYTES: ClassVar[int] = MAX_PROOF_BYTES

    proof: Annotated[FraudProof, Doc("the job's facts, the fault, and the rows that show it")]


@dataclass(frozen=True, slots=True)
class ChallengeUpheld(Happening):
    """A fraud proof held; one for each prover."""

    job: Annotated[JobId, Raw(32), Doc("the job")]
    prover: Annotated[Address, Raw(20), Doc("who is rewarded")]
    reward_grains: Annotated[Grains, U63, Doc("its part of the bond")]


class Challenge(OnJob):
    """An attempt about the job that the proof names."""

    @property
    def job_id(self) -> JobId:
        proof: FraudProof = self.body.proof
        return proof.job


def _facts_of_the_job(act: Challenge) -> Refusal | None:
    job, proof = act.job, act.body.proof
    facts = (job.program, job.input_roots, job.provider, job.result_root)
    if (proof.program, proof.input_roots, proof.provider, proof.result_root) != facts:
        return Refusal("facts of another run", "the job's own roots and provider")
    return None


def _judge(act: Challenge) -> None:
    judge(act.body.proof)


def _slash(act: Challenge) -> None:
    provers = _provers(act.job, act.body.proof) or (act.call.sender,)
    reward = slash(act.context, act.job_id, act.job, provers)
    for prover in provers:
        act.context.emit(ChallengeUpheld(act.job_id, prover, Grains(reward)))


def _provers(job: Job, proof: FraudProof) -> tuple[Address, ...]:
    """Members whose revealed `wrong` committed to exactly this proof: they knew it before it could be copied.

    So whoever sees a proof on its way to a block and sends it again pays a fee and earns nothing [JOB-FRAUD-REWARD].
    """
    digest = proof_digest(proof)
    return tuple(
        seat.member for seat in job.seats if seat.verdict is Verdict.WRONG and seat.evidence_root == digest
    )


BYTES_PER_WEIGHT = 16 * 1024
"""Of opened rows: they are carried, hashed and multiplied."""


def _weight(body: ChallengeProve) -> int:
    opened_bytes = sum(len(opening.leaf) for opening in body.proof.openings)
    return 2 + ceil_div(opened_bytes, BYTES_PER_WEIGHT)


PROVE = Kind(
    "challenge.prove",
    CHALLENGES,
    ChallengeProve,
    who="anyone",
    weight=2,
    weigh=_weight,
    max_bytes=MAX_PROOF_BYTES + 1024,
    act=Challenge,
    checks=(
        EXISTS,
        in_status(Status.COMMITTED),
        check(
            "CHALLENGE_FACTS",
            "the proof speaks of the job's own program, roots and provider",
            _facts_of_the_job,
        ),
        guarded(JUDGE_RULES, _judge),
    ),
    effect=_slash,
    events=(JobSlashed, ChallengeUpheld),
    alone=True,
)
