"""Jobs: open, cancel, claim, commit.  Spec: [JOB-LIFE].  What happens by itself is in vm/jobs/lifecycle.py."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, ClassVar

from chain.codec import U63, Raw, Record, Seq, Uint
from chain.doc import Doc
from chain.ledger import AgendaKind, Weight
from chain.types import (
    NO_ADDRESS,
    NO_PERMIT,
    Address,
    AssetId,
    Grains,
    Hash32,
    Height,
    JobId,
    PermitId,
    TensorRoot,
)
from vm.act import Act, affords
from vm.assets.permits import Permit, find_permit, permit_key
from vm.events import Happening
from vm.jobs import money
from vm.jobs.act import EXISTS, OnJob, in_status
from vm.jobs.committee import eligible
from vm.jobs.inputs import NO_SLOT, guarded_datasets, refused_order, refused_run
from vm.jobs.lifecycle import JobRefunded, load_weights, refund
from vm.jobs.record import Status, job_id, new_job, store_job
from vm.kind import Family, Kind
from vm.providers.record import count_claim
from vm.rules import Refusal, Rule, check, guarded
from vm.tensor.program import MAX_INPUTS, PROGRAM_RULES, Gemm, Program, resolve
from vm.tensor.trace import TraceRecord, trace_key, verify_result

JOBS = Family("job", "Jobs: paid products, from the order to the checked result.")


@dataclass(frozen=True, slots=True)
class JobOpen(Record):
    """Ask for a program to be run, and lock what it costs at most."""

    MAX_BYTES: ClassVar[int] = 1 << 14

    program: Annotated[Program, Doc("given tensors and steps")]
    input_roots: Annotated[
        tuple[TensorRoot, ...], Seq(Raw(32), MAX_INPUTS), Doc("row roots of the given tensors")
    ]
    price_per_gmac_grains: Annotated[
        Grains, Uint(minimum=1), Doc("the highest price for 10⁹ multiply-accumulates")
    ]
    max_price_grains: Annotated[Grains, U63, Doc("bound on the whole escrow, fees of the job included")]
    deadline_blocks: Annotated[int, U63, Doc("blocks from claim to commitment")]
    provider: Annotated[Address, Raw(20), Doc("who alone may claim it; zeros mean anybody")]
    permit: Annotated[PermitId, Raw(32), Doc("a permit on a guarded dataset that it is given; zeros: none")]
    slot: Annotated[
        int,
        Uint(NO_SLOT),
        Doc(f"slot of the payer's grants on guarded datasets that it is given; {NO_SLOT}: none"),
    ]


@dataclass(frozen=True, slots=True)
class JobOpened(Happening):
    """A job is open."""

    job: Annotated[JobId, Raw(32), Doc("its id")]
    payer: Annotated[Address, Raw(20), Doc("who asked for it")]
    macs: Annotated[int, U63, Doc("metered work in multiply-accumulates")]
    escrow_grains: Annotated[Grains, U63, Doc("what was locked for it")]


class Order(Act[JobOpen]):
    """The one step of the program and the parts of the escrow."""

    @cached_property
    def shape(self) -> Gemm:
        return resolve(self.body.program)

    @cached_property
    def escrow(self) -> tuple[int, int, int]:
        """(price, protocol fee, audit fee) in grains.  Raises: Invalid RANGE."""
        return money.escrow(self.context.spec.jobs, self.shape, self.body.price_per_gmac_grains)

    @cached_property
    def guarded(self) -> list[AssetId]:
        """Datasets among the inputs that only a permit makes available."""
        body = self.body
        return list(guarded_datasets(self.context, self.call.sender, body.slot, body.input_roots))

    @cached_property
    def permit(self) -> Permit | None:
        """The permit that is named, if it has not expired."""
        return find_permit(self.context, self.body.permit)


def _runs(act: Order) -> None:
    assert act.shape.macs


def _inputs_given(act: Order) -> Refusal | None:
    given, needed = len(act.body.input_roots), len(act.body.program.inputs)
    return Refusal(given, needed) if given != needed else None


def _deadline_in_range(act: Order) -> Refusal | None:
    rules = act.context.spec.jobs
    if rules.deadline_minimum_blocks <= act.body.deadline_blocks <= rules.deadline_maximum_blocks:
        return None
    allowed = f"{rules.deadline_minimum_blocks}..{rules.deadline_maximum_blocks} blocks"
    return Refusal(act.body.deadline_blocks, allowed)


def _for_another(act: Order) -> Refusal | None:
    if act.body.provider == act.call.sender:
        return Refusal("yourself as provider", "another account, or any")
    return None


def _escrow_countable(act: Order) -> None:
    assert act.escrow


def _within_the_offer(act: Order) -> Refusal | None:
    needed = sum(act.escrow)
    if needed > act.body.max_price_grains:
        return Refusal(needed, f"at most the {act.body.max_price_grains} grains offered")
    return None


def _permitted(act: Order) -> Refusal | None:
    body, permit = act.body, act.permit
    if body.permit == NO_PERMIT:
        return None
    named = None if body.provider == NO_ADDRESS else body.provider
    bond = money.bond(act.context.spec.jobs, sum(act.escrow))
    refusal = refused_run(act.context, permit, named, bond)
    if refusal is not None or permit is None:
        return refusal
    if permit.asset not in act.guarded:
        return Refusal(permit.asset, "a permit on a dataset that needs one")
    return refused_order(act.context, permit, act.call.sender, body.program)


def _data_available(act: Order) -> Refusal | None:
    for dataset in act.guarded:
        if act.permit is None or act.permit.asset != dataset:
            return Refusal(
                dataset, "datasets of one's own, or with a good grant from `slot`, or with a permit"
            )
    return None


def _open(act: Order) -> None:
    context, body, call = act.context, act.body, act.call
    context.debit(call.sender, sum(act.escrow))
    context.lock(sum(act.escrow))
    identity = job_id(call.sender, call.nonce, call.place)
    job = new_job(
        call.sender,
        body.program,
        body.input_roots,
        macs=act.shape.macs,
        price_per_gmac_grains=body.price_per_gmac_grains,
        deadline_blocks=body.deadline_blocks,
        chosen_provider=body.provider,
        permit=body.permit,
        height=context.height,
        escrow=act.escrow,
    )
    store_job(context, identity, job)
    expiry = context.height + context.spec.jobs.open_expiry_blocks
    context.schedule(expiry, AgendaKind.JOB_EXPIRES, identity)
    context.emit(JobOpened(identity, job.payer, job.macs, Grains(job.escrow_grains)))


OPEN = Kind(
    "job.open",
    JOBS,
    JobOpen,
    who="anyone: the payer",
    weight=3,
    weigh=lambda body: 3 + (len(body.input_roots) + 1) // 2 + int(body.permit != NO_PERMIT),
    max_bytes=1 << 14,
    act=Order,
    checks=(
        guarded(PROGRAM_RULES, _runs),
        check("PROGRAM_INPUTS", "every input of the program has a root", _inputs_given),
        check("DEADLINE", "the deadline lies in the network's range", _deadline_in_range),
        check("SELF", "the chosen provider is not the payer", _for_another),
        guarded((Rule("RANGE", "the escrow stays below 2^63 grains"),), _escrow_countable),
        check("ESCROW", "the escrow is at most `max_price_grains`", _within_the_offer),
        check(
            "PERMIT",
            "a permit that is named is on a guarded dataset among the inputs, has a run left, and allows payer, "
            "program, bond and chosen provider",
            _permitted,
        ),
        check(
            "NO_GRANT",
            "every guarded dataset among the inputs is the payer's, or has a good grant from `slot`, or the permit",
            _data_available,
        ),
        affords(lambda act: sum(act.escrow), "the payer has the escrow besides the fee"),
    ),
    effect=_open,
    events=(JobOpened,),
    pausable=True,
)


@dataclass(frozen=True, slots=True)
class JobCancel(Record):
    """Take an open job back once it has been open for the minimum time."""

    job: Annotated[JobId, Raw(32), Doc("the job")]


def _own(act: OnJob) -> Refusal | None:
    return Refusal(act.call.sender, act.job.payer) if act.job.payer != act.call.sender else None


def _open_long_enough(act: OnJob) -> Refusal | None:
    earliest = act.job.opened_height + act.context.spec.jobs.minimum_open_blocks
    if act.context.height < earliest:
        return Refusal(f"height {act.context.height}", f"from height {earliest} on")
    return None


def _cancel(act: OnJob) -> None:
    refund(act.context, act.job_id, act.job, Status.CANCELLED)


CANCEL = Kind(
    "job.cancel",
    JOBS,
    JobCancel,
    who="the payer",
    weight=1,
    max_bytes=1024,
    act=OnJob,
    checks=(
        EXISTS,
        check("NOT_OWNER", "the sender is the payer", _own),
        in_status(Status.OPEN),
        check("BAD_STATE", "the job has been open for `minimum_open_blocks`", _open_long_enough),
    ),
    effect=_cancel,
    events=(JobRefunded,),
)


@dataclass(frozen=True, slots=True)
class JobClaim(Record):
    """Take a job at a price, and thereby assert that its inputs are held and range-checked; locks the bond."""

    job: Annotated[JobId, Raw(32), Doc("the job")]
    bid_per_gmac_grains: Annotated[
        Grains, Uint(minimum=1), Doc("the price for 10⁹ multiply-accumulates, at most the payer's")
    ]


@dataclass(frozen=True, slots=True)
class JobClaimed(Happening):
    """A provider took a job."""

    job: Annotated[JobId, Raw(32), Doc("the job")]
    provider: Annotated[Address, Raw(20), Doc("who runs it")]
    bond_grains: Annotated[Grains, U63, Doc("what it locked")]


@dataclass(frozen=True, slots=True)
class PermitUsed(Happening):
    """A run on a dataset was taken under a permit."""

    permit: Annotated[PermitId, Raw(32), Doc("its id")]
    job: Annotated[JobId, Raw(32), Doc("the job")]
    runs_left: Annotated[int, U63, Doc("how many are left")]


class Claim(OnJob):
    """The epoch whose weights are frozen, and who of them may judge."""

    @cached_property
    def epoch(self) -> int:
        return self.context.height // self.context.spec.pace.epoch_blocks

    @cached_property
    def judges(self) -> list[Weight]:
        return eligible(load_weights(self.context, self.epoch), self.job.payer, self.call.sender)

    @property
    def bond_grains(self) -> int:
        return money.bond(self.context.spec.jobs, self.job.escrow_grains)

    @cached_property
    def permit(self) -> Permit | None:
        """That of the job, if it has not expired."""
        return find_permit(self.context, self.job.permit)


def _not_the_payer(act: Claim) -> Refusal | None:
    return Refusal("the payer", "another account") if act.job.payer == act.call.sender else None


def _chosen(act: Claim) -> Refusal | None:
    chosen = act.job.chosen_provider
    return Refusal(act.call.sender, chosen) if chosen not in (NO_ADDRESS, act.call.sender) else None


def _cheap_enough(act: Claim) -> Refusal | None:
    bid, limit = act.body.bid_per_gmac_grains, act.job.price_per_gmac_grains
    return Refusal(bid, f"at most {limit}") if bid > limit else None


def _run_permitted(act: Claim) -> Refusal | None:
    if act.job.permit == NO_PERMIT:
        return None
    return refused_run(act.context, act.permit, act.call.sender, act.bond_grains)


def _enough_judges(act: Claim) -> Refusal | None:
    seats = act.context.spec.jobs.committee_size
    if len(act.judges) < seats:
        return Refusal(len(act.judges), f"at least {seats} other validators")
    return None


def _agenda_has_room(act: Claim) -> None:
    act.context.require_agenda_room(act.context.height + act.job.deadline_blocks + 1)


def _claim(act: Claim) -> None:
    context, sender = act.context, act.call.sender
    context.debit(sender, act.bond_grains)
    context.lock(act.bond_grains)
    claimed = replace(
        act.job,
        status=Status.CLAIMED,
        provider=sender,
        bid_per_gmac_grains=act.body.bid_per_gmac_grains,
        bond_grains=Grains(act.bond_grains),
        claimed_height=Height(context.height),
        weights_epoch=act.epoch,
    )
    store_job(context, act.job_id, claimed)
    count_claim(context, sender)
    context.schedule(claimed.commit_deadline + 1, AgendaKind.JOB_LATE, act.job_id)
    context.emit(JobClaimed(act.job_id, sender, Grains(act.bond_grains)))
    if act.permit is not None:
        used = act.permit.but(runs=act.permit.runs + 1)
        context.state.store(permit_key(act.job.permit), used)
        context.emit(PermitUsed(act.job.permit, act.job_id, used.max_runs - used.runs))


CLAIM = Kind(
    "job.claim",
    JOBS,
    JobClaim,
    who="anyone but the payer, or the chosen provider",
    weight=3,
    max_bytes=1024,
    act=Claim,
    checks=(
        EXISTS,
        in_status(Status.OPEN),
        check("SELF", "the sender is not the payer", _not_the_payer),
        check("NOT_CHOSEN", "the sender is the chosen provider, if there is one", _chosen),
        check("BID", "the bid is at most the payer's price", _cheap_enough),
        check(
            "PERMIT",
            "the permit that the job needs has a run left, and allows provider and bond",
            _run_permitted,
        ),
        check("NO_COMMITTEE", "`committee_size` validators are neither payer nor provider", _enough_judges),
        guarded(
            (Rule("AGENDA_FULL", "the height after the deadline has room for a step"),), _agenda_has_room
        ),
        affords(lambda act: act.bond_grains, "the provider has the bond besides the fee"),
    ),
    effect=_claim,
    events=(JobClaimed, PermitUsed),
    pausable=True,
)


@dataclass(frozen=True, slots=True)
class JobCommit(Record):
    """Commit to trace and result; the path proves the result's record to be the last of the trace."""

    job: Annotated[JobId, Raw(32), Doc("the job")]
    trace_root: Annotated[Hash32, Raw(32), Doc("root of the trace, keyed by job and provider")]
    result_root: Annotated[TensorRoot, Raw(32), Doc("row root of the result, keyed likewise")]
    path: Annotated[tuple[Hash32, ...], Seq(Raw(32), 8), Doc("siblings of the result's record")]


@dataclass(frozen=True, slots=True)
class JobCommitted(Happening):
    """A provider committed to a result."""

    job: Annotated[JobId, Raw(32), Doc("the job")]
    provider: Annotated[Address, Raw(20), Doc("who ran it")]
    result_root: Annotated[TensorRoot, Raw(32), Doc("row root of the result")]


def _in_time(act: OnJob) -> Refusal | None:
    """Whether this block's agenda, or an earlier one's, has ended it."""
    if act.job.status is Status.LATE:
        return Refusal(act.context.height, f"at most height {act.job.commit_deadline}")
    return None


def _claimed_by_sender(act: OnJob) -> Refusal | None:
    return Refusal(act.call.sender, act.job.provider) if act.job.provider != act.call.sender else None


def _ends_in_the_result(act: OnJob) -> Refusal | None:
    job, body = act.job, act.body
    steps = len(job.program.steps)
    last = TraceRecord(steps - 1, job.program.steps[-1].op, resolve(job.program).output, body.result_root)
    key = trace_key(act.job_id, job.provider)
    if not verify_result(body.trace_root, key, last, steps, body.path):
        return Refusal(body.trace_root, "a trace whose last record is the result")
    return None


def _commit(act: OnJob) -> None:
    context, rules = act.context, act.context.spec.jobs
    committed = replace(
        act.job,
        status=Status.COMMITTED,
        trace_root=act.body.trace_root,
        result_root=act.body.result_root,
        committed_height=Height(context.height),
    )
    store_job(context, act.job_id, committed)
    context.schedule(context.height + rules.draw_offset, AgendaKind.JOB_DRAW, act.job_id)
    context.schedule(context.height + rules.settle_offset, AgendaKind.JOB_SETTLES, act.job_id)
    context.emit(JobCommitted(act.job_id, act.job.provider, act.body.result_root))


COMMIT = Kind(
    "job.commit",
    JOBS,
    JobCommit,
    who="the provider",
    weight=4,
    max_bytes=2048,
    act=OnJob,
    checks=(
        EXISTS,
        check("LATE", "the deadline has not passed", _in_time),
        in_status(Status.CLAIMED),
        check("NOT_OWNER", "the sender claimed the job", _claimed_by_sender),
        check("PATH", "the last record of the trace is the result", _ends_in_the_result),
    ),
    effect=_commit,
    events=(JobCommitted,),
)
