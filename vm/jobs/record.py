"""The job record: everything the chain remembers of one paid run.  Spec: [JOB-STATE], [JOB-RECORD].

    OPEN -> CLAIMED -> COMMITTED [-> ESCALATED] -> SETTLED      also terminal: CANCELLED EXPIRED LATE VOID SLASHED

The fields of the second round (escalation) are part of the format; until that round exists, a job without a quorum
goes from COMMITTED straight to VOID [JOB-VOID].
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Annotated, ClassVar

from chain.codec import U63, Nested, OneOf, Raw, Record, Seq, Uint
from chain.errors import Invalid
from chain.hashing import Tag
from chain.ledger import Namespace, state_key
from chain.types import NO_ADDRESS, ZERO_HASH, Address, Grains, Hash32, Height, JobId, PermitId, TensorRoot
from vm.context import Context
from vm.naming import object_id
from vm.tensor.program import MAX_INPUTS, Program


class Status(IntEnum):
    OPEN = 1
    CLAIMED = 2
    COMMITTED = 3
    ESCALATED = 4
    SETTLED = 5
    CANCELLED = 6
    EXPIRED = 7
    LATE = 8
    VOID = 9
    SLASHED = 10

    @property
    def terminal(self) -> bool:
        return self >= Status.SETTLED


class Verdict(IntEnum):
    """What a committee member says; NONE until it reveals."""

    NONE = 0
    OK = 1
    UNAVAILABLE = 2
    WRONG = 3


@dataclass(frozen=True, slots=True)
class Attestation(Record):
    """One member's seat: its commitment first, later what it revealed."""

    member: Annotated[Address, Raw(20)]
    commitment: Annotated[Hash32, Raw(32)]
    verdict: Annotated[Verdict, OneOf(Verdict)]
    evidence_root: Annotated[Hash32, Raw(32)]
    deposit_grains: Annotated[Grains, U63]


@dataclass(frozen=True, slots=True)
class Job(Record):
    """One job; fields that a status has not reached yet are zero."""

    MAX_BYTES: ClassVar[int] = 1 << 16

    payer: Annotated[Address, Raw(20)]
    program: Program
    input_roots: Annotated[tuple[TensorRoot, ...], Seq(Raw(32), MAX_INPUTS)]
    price_per_gmac_grains: Annotated[Grains, U63]
    deadline_blocks: Annotated[int, U63]
    chosen_provider: Annotated[Address, Raw(20)]
    permit: Annotated[PermitId, Raw(32)]
    """Under which it may use somebody's dataset; zeros: it needs none."""
    status: Annotated[Status, OneOf(Status)]
    macs: Annotated[int, U63]
    opened_height: Annotated[Height, U63]
    escrow_price_grains: Annotated[Grains, U63]
    escrow_protocol_grains: Annotated[Grains, U63]
    escrow_audit_grains: Annotated[Grains, U63]
    provider: Annotated[Address, Raw(20)]
    bid_per_gmac_grains: Annotated[Grains, U63]
    bond_grains: Annotated[Grains, U63]
    claimed_height: Annotated[Height, U63]
    weights_epoch: Annotated[int, U63]
    trace_root: Annotated[Hash32, Raw(32)]
    result_root: Annotated[TensorRoot, Raw(32)]
    committed_height: Annotated[Height, U63]
    round: Annotated[int, Uint(2)]
    escalated_height: Annotated[Height, U63]
    beacon: Annotated[Hash32, Raw(32)]
    seats: Annotated[tuple[Attestation, ...], Seq(Nested(Attestation), 64)]
    attest_fees_grains: Annotated[Grains, U63]
    bound_blocks: Annotated[int, U63]
    closed_height: Annotated[Height, U63]

    @property
    def escrow_grains(self) -> int:
        """What the payer locked when it opened the job."""
        return self.escrow_price_grains + self.escrow_protocol_grains + self.escrow_audit_grains

    @property
    def commit_deadline(self) -> int:
        """Last height at which the result may be committed."""
        return self.claimed_height + self.deadline_blocks

    @property
    def members(self) -> tuple[Address, ...]:
        """Who was drawn, in the order of the seats."""
        return tuple(seat.member for seat in self.seats)

    def seat(self, member: Address) -> int:
        """Index of the seat of a member that was drawn."""
        return self.members.index(member)

    def with_seat(self, index: int, seat: Attestation) -> Job:
        return replace(self, seats=(*self.seats[:index], seat, *self.seats[index + 1 :]))


def new_job(
    payer: Address,
    program: Program,
    input_roots: tuple[TensorRoot, ...],
    *,
    macs: int,
    price_per_gmac_grains: int,
    deadline_blocks: int,
    chosen_provider: Address,
    permit: PermitId,
    height: int,
    escrow: tuple[int, int, int],
) -> Job:
    """A freshly opened job; `escrow` is (price, protocol fee, audit fee) in grains."""
    price, protocol, audit = escrow
    return Job(
        payer=payer,
        program=program,
        input_roots=input_roots,
        price_per_gmac_grains=Grains(price_per_gmac_grains),
        deadline_blocks=deadline_blocks,
        chosen_provider=chosen_provider,
        permit=permit,
        status=Status.OPEN,
        macs=macs,
        opened_height=Height(height),
        escrow_price_grains=Grains(price),
        escrow_protocol_grains=Grains(protocol),
        escrow_audit_grains=Grains(audit),
        provider=NO_ADDRESS,
        bid_per_gmac_grains=Grains(0),
        bond_grains=Grains(0),
        claimed_height=Height(0),
        weights_epoch=0,
        trace_root=Hash32(ZERO_HASH),
        result_root=TensorRoot(ZERO_HASH),
        committed_height=Height(0),
        round=0,
        escalated_height=Height(0),
        beacon=Hash32(ZERO_HASH),
        seats=(),
        attest_fees_grains=Grains(0),
        bound_blocks=0,
        closed_height=Height(0),
    )


def job_id(payer: Address, nonce: int, place: int | None = None) -> JobId:
    """A job is named by its opening transaction's sender and nonce, which occur once, and its place in a batch."""
    return JobId(object_id(Tag.JOB_ID, payer, nonce, place))


def find_job(context: Context, job: JobId) -> Job | None:
    """The job of this id, if there is one."""
    data = context.state.get(state_key(Namespace.JOB, job))
    return Job.from_bytes(data) if data is not None else None


def load_job(context: Context, job: JobId) -> Job:
    """Raises: Invalid NOT_FOUND."""
    found = find_job(context, job)
    if found is None:
        raise Invalid("NOT_FOUND", found=job, allowed="the id of a job on this chain")
    return found


def store_job(context: Context, job_id_: JobId, job: Job) -> None:
    context.state.put(state_key(Namespace.JOB, job_id_), job.to_bytes())
