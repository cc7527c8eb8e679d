"""Jobs: open, cancel, claim, commit.  Spec: [JOB-LIFE].  What happens by itself is in vm/jobs/lifecycle.py."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from chain.codec import U63, Raw, Record, Seq, Uint
from chain.errors import Invalid
from chain.ledger import AgendaKind
from chain.types import NO_ADDRESS, Address, Grains, Hash32, Height, JobId, TensorRoot
from vm.context import Context
from vm.envelope import Transaction
from vm.jobs import money
from vm.jobs.committee import eligible
from vm.jobs.lifecycle import load_weights, refund
from vm.jobs.record import Status, job_id, load_job, new_job, require_status, store_job
from vm.kind import Kind
from vm.tensor.program import MAX_INPUTS, Program, resolve
from vm.tensor.trace import TraceRecord, trace_key, verify_result


@dataclass(frozen=True, slots=True)
class JobOpen(Record):
    """Ask for a program to be run. `max_price_grains` bounds the whole escrow; zeros as provider mean anybody."""

    MAX_BYTES: ClassVar[int] = 1 << 14

    program: Program
    input_roots: Annotated[tuple[TensorRoot, ...], Seq(Raw(32), MAX_INPUTS)]
    price_per_gmac_grains: Annotated[Grains, Uint(minimum=1)]
    max_price_grains: Annotated[Grains, U63]
    deadline_blocks: Annotated[int, U63]
    provider: Annotated[Address, Raw(20)]


def apply_open(context: Context, transaction: Transaction, body: JobOpen) -> None:
    """Raises: Invalid PROGRAM_*, ESCROW, DEADLINE, SELF, BALANCE, RANGE."""
    shape = resolve(body.program)
    rules = context.spec.jobs
    if len(body.input_roots) != len(body.program.inputs):
        raise Invalid("PROGRAM_INPUTS", found=len(body.input_roots), allowed=len(body.program.inputs))
    if not rules.deadline_minimum_blocks <= body.deadline_blocks <= rules.deadline_maximum_blocks:
        raise Invalid(
            "DEADLINE",
            found=body.deadline_blocks,
            allowed=f"{rules.deadline_minimum_blocks}..{rules.deadline_maximum_blocks} blocks",
        )
    if body.provider == transaction.sender:
        raise Invalid("SELF", found="yourself as provider", allowed="another account, or any")
    parts = money.escrow(rules, shape, body.price_per_gmac_grains)
    if sum(parts) > body.max_price_grains:
        raise Invalid(
            "ESCROW", found=sum(parts), allowed=f"at most the {body.max_price_grains} grains offered"
        )
    context.debit(transaction.sender, sum(parts))
    context.lock(sum(parts))
    identity = job_id(transaction.sender, transaction.nonce)
    job = new_job(
        transaction.sender,
        body.program,
        body.input_roots,
        macs=shape.macs,
        price_per_gmac_grains=body.price_per_gmac_grains,
        deadline_blocks=body.deadline_blocks,
        chosen_provider=body.provider,
        height=context.height,
        escrow=parts,
    )
    store_job(context, identity, job)
    context.schedule(context.height + rules.open_expiry_blocks, AgendaKind.JOB_EXPIRES, identity)
    context.emit("JobOpened", job=identity, payer=job.payer, macs=job.macs, escrow_grains=job.escrow_grains)


@dataclass(frozen=True, slots=True)
class JobCancel(Record):
    """Take an open job back once it has been open for the minimum time."""

    job: Annotated[JobId, Raw(32)]


def apply_cancel(context: Context, transaction: Transaction, body: JobCancel) -> None:
    """Raises: Invalid NOT_FOUND, NOT_OWNER, BAD_STATE."""
    job = load_job(context, body.job)
    if job.payer != transaction.sender:
        raise Invalid("NOT_OWNER", found=transaction.sender, allowed=job.payer)
    require_status(job, Status.OPEN)
    earliest = job.opened_height + context.spec.jobs.minimum_open_blocks
    if context.height < earliest:
        raise Invalid("BAD_STATE", found=f"height {context.height}", allowed=f"from height {earliest} on")
    refund(context, body.job, job, Status.CANCELLED)


@dataclass(frozen=True, slots=True)
class JobClaim(Record):
    """Take a job at a price, and thereby assert that its inputs are held and range-checked; locks the bond."""

    job: Annotated[JobId, Raw(32)]
    bid_per_gmac_grains: Annotated[Grains, Uint(minimum=1)]


def apply_claim(context: Context, transaction: Transaction, body: JobClaim) -> None:
    """Raises: Invalid NOT_FOUND, BAD_STATE, SELF, NOT_CHOSEN, BID, NO_COMMITTEE, AGENDA_FULL, BALANCE (bond)."""
    job = load_job(context, body.job)
    require_status(job, Status.OPEN)
    if job.payer == transaction.sender:
        raise Invalid("SELF", found="the payer", allowed="another account")
    if job.chosen_provider not in (NO_ADDRESS, transaction.sender):
        raise Invalid("NOT_CHOSEN", found=transaction.sender, allowed=job.chosen_provider)
    if body.bid_per_gmac_grains > job.price_per_gmac_grains:
        raise Invalid("BID", found=body.bid_per_gmac_grains, allowed=f"at most {job.price_per_gmac_grains}")
    rules = context.spec.jobs
    epoch = context.height // context.spec.pace.epoch_blocks
    judges = eligible(load_weights(context, epoch), job.payer, transaction.sender)
    if len(judges) < rules.committee_size:
        raise Invalid(
            "NO_COMMITTEE", found=len(judges), allowed=f"at least {rules.committee_size} other validators"
        )
    context.require_agenda_room(context.height + job.deadline_blocks + 1)
    bond = money.bond(rules, job.escrow_grains)
    context.debit(transaction.sender, bond)
    context.lock(bond)
    claimed = replace(
        job,
        status=Status.CLAIMED,
        provider=transaction.sender,
        bid_per_gmac_grains=body.bid_per_gmac_grains,
        bond_grains=Grains(bond),
        claimed_height=Height(context.height),
        weights_epoch=epoch,
    )
    store_job(context, body.job, claimed)
    context.schedule(claimed.commit_deadline + 1, AgendaKind.JOB_LATE, body.job)
    context.emit("JobClaimed", job=body.job, provider=transaction.sender, bond_grains=bond)


@dataclass(frozen=True, slots=True)
class JobCommit(Record):
    """Commit to trace and result; `path` proves the result's record to be the last of the trace."""

    job: Annotated[JobId, Raw(32)]
    trace_root: Annotated[Hash32, Raw(32)]
    result_root: Annotated[TensorRoot, Raw(32)]
    path: Annotated[tuple[Hash32, ...], Seq(Raw(32), 8)]


def apply_commit(context: Context, transaction: Transaction, body: JobCommit) -> None:
    """Raises: Invalid NOT_FOUND, LATE, BAD_STATE, NOT_OWNER, PATH."""
    job = load_job(context, body.job)
    if job.status is Status.LATE:  # this block's agenda, or an earlier one's, ended it
        raise Invalid("LATE", found=context.height, allowed=f"at most height {job.commit_deadline}")
    require_status(job, Status.CLAIMED)
    if job.provider != transaction.sender:
        raise Invalid("NOT_OWNER", found=transaction.sender, allowed=job.provider)
    steps = len(job.program.steps)
    last = TraceRecord(steps - 1, job.program.steps[-1].op, resolve(job.program).output, body.result_root)
    if not verify_result(body.trace_root, trace_key(body.job, job.provider), last, steps, body.path):
        raise Invalid("PATH", found=body.trace_root, allowed="a trace whose last record is the result")
    rules = context.spec.jobs
    committed = replace(
        job,
        status=Status.COMMITTED,
        trace_root=body.trace_root,
        result_root=body.result_root,
        committed_height=Height(context.height),
    )
    store_job(context, body.job, committed)
    context.schedule(context.height + rules.draw_offset, AgendaKind.JOB_DRAW, body.job)
    context.schedule(context.height + rules.settle_offset, AgendaKind.JOB_SETTLES, body.job)
    context.emit("JobCommitted", job=body.job, provider=job.provider, result_root=body.result_root)


KINDS = (
    Kind("job.open", JobOpen, weight=3, max_bytes=1 << 14, apply=apply_open),
    Kind("job.cancel", JobCancel, weight=1, max_bytes=1024, apply=apply_cancel),
    Kind("job.claim", JobClaim, weight=1, max_bytes=1024, apply=apply_claim),
    Kind("job.commit", JobCommit, weight=3, max_bytes=2048, apply=apply_commit),
)
