"""The automatic steps of a job: expiry, lateness, the draw, settlement, and the ends they lead to.  Spec: [JOB-LIFE].

No transaction settles a job; the agenda does, at the height fixed when the job entered its state. A step finds the job
in the state it was scheduled for, or the job has moved on and nothing happens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated

from chain.codec import U63, OneOf, Raw
from chain.doc import Doc
from chain.ints import add
from chain.ledger import AgendaKind, Namespace, WeightSnapshot, height_key
from chain.types import ZERO_HASH, Address, Grains, Hash32, Height, JobId
from genesis.spec import ChainSpec
from vm.context import Context, Step
from vm.events import Happening
from vm.jobs import money
from vm.jobs.committee import beacon, draw, eligible
from vm.jobs.record import Attestation, Job, Status, Verdict, load_job, store_job
from vm.providers.record import count_end

NO_HASH = Hash32(ZERO_HASH)


@dataclass(frozen=True, slots=True)
class CommitteeDrawn(Happening):
    """The members that check a result are known."""

    job: Annotated[JobId, Raw(32), Doc("the job")]
    beacon: Annotated[Hash32, Raw(32), Doc("what they were drawn with")]


@dataclass(frozen=True, slots=True)
class JobSettled(Happening):
    """A result was approved and paid for."""

    job: Annotated[JobId, Raw(32), Doc("the job")]
    provider: Annotated[Address, Raw(20), Doc("who ran it")]
    paid_grains: Annotated[Grains, U63, Doc("price of the work")]
    committee_grains: Annotated[Grains, U63, Doc("to the members that approved")]
    burned_grains: Annotated[Grains, U63, Doc("destroyed, attestation fees included")]
    treasury_grains: Annotated[Grains, U63, Doc("to the treasury")]
    stakers_grains: Annotated[Grains, U63, Doc("to the pool of the stakers")]
    bonus_grains: Annotated[Grains, U63, Doc("to the provider for a block won with the job")]
    refund_grains: Annotated[Grains, U63, Doc("back to the payer")]


@dataclass(frozen=True, slots=True)
class JobRefunded(Happening):
    """A job ended without a result."""

    job: Annotated[JobId, Raw(32), Doc("the job")]
    status: Annotated[Status, OneOf(Status), Doc("how")]
    payer: Annotated[Address, Raw(20), Doc("who gets the escrow back")]
    refund_grains: Annotated[Grains, U63, Doc("to the payer, its part of the penalty included")]
    penalty_grains: Annotated[Grains, U63, Doc("taken from the provider's bond")]
    burned_grains: Annotated[Grains, U63, Doc("part of the penalty that was destroyed")]


@dataclass(frozen=True, slots=True)
class JobSlashed(Happening):
    """A result was shown to be wrong."""

    job: Annotated[JobId, Raw(32), Doc("the job")]
    provider: Annotated[Address, Raw(20), Doc("who committed to it")]
    bond_grains: Annotated[Grains, U63, Doc("what it loses")]
    burned_grains: Annotated[Grains, U63, Doc("part of the bond that was destroyed")]
    prover_grains: Annotated[Grains, U63, Doc("part of the bond for the provers together")]
    payer_grains: Annotated[Grains, U63, Doc("to the payer: the escrow, and a part of the bond")]


def expire(context: Context, job_id: JobId) -> None:
    """Nobody claimed in time: the escrow goes back."""
    job = load_job(context, job_id)
    if job.status == Status.OPEN:
        refund(context, job_id, job, Status.EXPIRED)


def late(context: Context, job_id: JobId) -> None:
    """Claimed but not committed by the deadline: the escrow goes back, the provider pays the small penalty."""
    job = load_job(context, job_id)
    if job.status == Status.CLAIMED:
        refund(context, job_id, job, Status.LATE)


def draw_committee(context: Context, job_id: JobId) -> None:
    """The beacon blocks are known: fill the seats from the weights frozen at claim."""
    job = load_job(context, job_id)
    if job.status != Status.COMMITTED:
        return
    rules = context.spec.jobs
    seed = beacon(job_id, context.tickets, rules, job.committed_height)
    candidates = eligible(load_weights(context, job.weights_epoch), job.payer, job.provider)
    members = draw(seed, candidates, rules.committee_size)
    empty = tuple(Attestation(member, NO_HASH, Verdict.NONE, NO_HASH, Grains(0)) for member in members)
    store_job(context, job_id, replace(job, beacon=seed, seats=empty, round=1))
    context.emit(CommitteeDrawn(job_id, seed))


def settle(context: Context, job_id: JobId) -> None:
    """The dispute window is over: a quorum of `ok` settles, anything else is VOID [JOB-VOID]."""
    job = load_job(context, job_id)
    if job.status != Status.COMMITTED:
        return
    approving = [seat.member for seat in job.seats if seat.verdict == Verdict.OK]
    if len(approving) < context.spec.jobs.quorum:
        refund(context, job_id, job, Status.VOID)
        return
    rules = context.spec.jobs
    paid_price = money.price(job.macs, job.bid_per_gmac_grains)
    split = money.settle(
        rules,
        escrow_grains=job.escrow_grains,
        protocol_grains=job.escrow_protocol_grains,
        audit_grains=job.escrow_audit_grains,
        attest_fees_grains=job.attest_fees_grains,
        bond_grains=job.bond_grains,
        paid_price_grains=paid_price,
        paid_seats=len(approving),
        bound=job.bound_blocks > 0,
    )
    context.unlock(job.escrow_grains - job.attest_fees_grains + job.bond_grains)
    context.credit(job.provider, split.provider)
    for member in approving:
        context.credit(member, split.member)
    context.credit(job.payer, split.payer)
    context.burn(split.burned)
    chain = context.chain
    context.put_chain(
        replace(
            chain,
            treasury_grains=Grains(add(chain.treasury_grains, split.treasury)),
            staker_pool_grains=Grains(add(chain.staker_pool_grains, split.stakers)),
            settled_macs=chain.settled_macs + job.macs,
        )
    )
    close(context, job_id, job, Status.SETTLED)
    context.emit(
        JobSettled(
            job=job_id,
            provider=job.provider,
            paid_grains=Grains(paid_price),
            committee_grains=Grains(split.member * len(approving)),
            burned_grains=Grains(split.burned + job.attest_fees_grains),
            treasury_grains=Grains(split.treasury),
            stakers_grains=Grains(split.stakers),
            bonus_grains=Grains(split.bonus),
            refund_grains=Grains(split.payer),
        )
    )


def refund(context: Context, job_id: JobId, job: Job, status: Status) -> None:
    """End a job without a result: the payer gets its escrow back, less the attestation fees already burned.

    LATE and VOID cost the provider the small penalty, half to the payer and half burned; the rest of the bond returns.
    """
    penalty = 0
    if status in (Status.LATE, Status.VOID):
        penalty = money.small_penalty(context.spec.jobs, job.escrow_grains, job.bond_grains)
    to_payer = penalty // 2
    back = job.escrow_grains - job.attest_fees_grains
    context.unlock(back + job.bond_grains)
    context.credit(job.payer, back + to_payer)
    context.credit(job.provider, job.bond_grains - penalty)
    context.burn(penalty - to_payer)
    close(context, job_id, job, status)
    context.emit(
        JobRefunded(
            job=job_id,
            status=status,
            payer=job.payer,
            refund_grains=Grains(back + to_payer),
            penalty_grains=Grains(penalty),
            burned_grains=Grains(penalty - to_payer),
        )
    )


def slash(context: Context, job_id: JobId, job: Job, provers: Sequence[Address]) -> int:
    """A fraud proof held: payer whole, bond half burned, a quarter each to payer and provers in equal parts.

    Returns the part of one prover; what division leaves is burned.
    """
    part = job.bond_grains // 4 // len(provers)
    reward = part * len(provers)
    to_payer = job.bond_grains // 4
    back = job.escrow_grains - job.attest_fees_grains
    context.unlock(back + job.bond_grains)
    context.credit(job.payer, back + to_payer)
    for prover in provers:
        context.credit(prover, part)
    context.burn(job.bond_grains - reward - to_payer)
    close(context, job_id, job, Status.SLASHED)
    context.emit(
        JobSlashed(
            job=job_id,
            provider=job.provider,
            bond_grains=job.bond_grains,
            burned_grains=Grains(job.bond_grains - reward - to_payer),
            prover_grains=Grains(reward),
            payer_grains=Grains(back + to_payer),
        )
    )
    return part


def close(context: Context, job_id: JobId, job: Job, status: Status) -> None:
    """Enter a terminal state; there is no way out of one."""
    assert not Status(job.status).terminal
    count_end(context, job.provider, job.macs if status is Status.SETTLED else 0)
    store_job(context, job_id, replace(job, status=status, closed_height=Height(context.height)))


def load_weights(context: Context, epoch: int) -> WeightSnapshot:
    """The weights frozen at an epoch boundary; kept for as long as a job can refer to them."""
    data = context.state.get(height_key(Namespace.WEIGHTS, epoch))
    assert data is not None, "snapshots outlive the jobs that froze them"
    return _decoded(data)


@lru_cache(maxsize=8)
def _decoded(data: bytes) -> WeightSnapshot:
    """A thousand weights take milliseconds to decode, and every claim needs them."""
    return WeightSnapshot.from_bytes(data)


def weights_retention_epochs(spec: ChainSpec) -> int:
    """Epochs for which a snapshot must be kept: the longest a job can take from claim to settlement, or a vote."""
    rules = spec.jobs
    job = rules.deadline_maximum_blocks + rules.settle_offset + rules.second_round_blocks
    return max(job, spec.governance.voting_blocks) // spec.pace.epoch_blocks + 2


def _of_job(step: Callable[[Context, JobId], None]) -> Step:
    return lambda context, item: step(context, JobId(item.subject))


STEPS = {
    AgendaKind.JOB_EXPIRES: _of_job(expire),
    AgendaKind.JOB_LATE: _of_job(late),
    AgendaKind.JOB_DRAW: _of_job(draw_committee),
    AgendaKind.JOB_SETTLES: _of_job(settle),
}
