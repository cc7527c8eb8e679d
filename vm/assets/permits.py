"""Permits: who may run which code on somebody's data, with whom, how often, until when.  Spec: [ASSET-PERMIT].

A permit is in the state until it expires, used up and revoked ones too: so long the deposit is locked, and so long the
dataset is guarded. Its end is one step of the agenda, and nothing opens a dataset before.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from chain.codec import U63, OneOf, Raw, Record, Seq, Uint
from chain.doc import Doc
from chain.hashing import Tag, h256
from chain.ledger import AgendaItem, AgendaKind, Namespace, state_key
from chain.tensors import DType
from chain.types import NO_ADDRESS, NO_PERMIT, Address, AssetId, Grains, Hash32, Height, PermitId, StateKey
from vm.assets.limits import MAX_CODE, MAX_PERMITTED
from vm.assets.record import ContentUse, content_key, holding_key, holding_of
from vm.context import Context
from vm.events import Happening
from vm.providers.record import find_provider
from vm.tensor.program import Program

ANY_DTYPE = 0
DTYPE_RULE = Uint(max(DType))


class Output(IntEnum):
    """What may leave the provider: a digest, figures, or a change to a model; the chain tells it and checks nothing."""

    HASH = 1
    METRICS = 2
    DELTA = 3


@dataclass(frozen=True, slots=True)
class Permit(Record):
    """What is allowed on a dataset, and how often it was used."""

    asset: Annotated[AssetId, Raw(32)]
    grantor: Annotated[Address, Raw(20)]
    """Who set it, and gets the deposit back."""
    grantee: Annotated[Address, Raw(20)]
    """Zeros: anyone."""
    code: Annotated[tuple[Hash32, ...], Seq(Raw(32), MAX_CODE, 1)]
    """Digests of programs, or ids of assets that published one."""
    providers: Annotated[tuple[Address, ...], Seq(Raw(20), MAX_PERMITTED)]
    """Empty: any."""
    min_bond_grains: Annotated[Grains, U63]
    dtype: Annotated[int, DTYPE_RULE]
    """Of a class that the provider has declared; 0: it need not be on the list."""
    max_runs: Annotated[int, U63]
    runs: Annotated[int, U63]
    """How often a job under it was claimed."""
    output: Annotated[Output, OneOf(Output)]
    expiry: Annotated[Height, U63]
    """Last height at which it holds."""
    revoked: Annotated[int, Uint(1)]
    deposit_grains: Annotated[Grains, U63]

    @property
    def usable(self) -> bool:
        """Whether it was not revoked and a run is left."""
        return not self.revoked and self.runs < self.max_runs


@dataclass(frozen=True, slots=True)
class PermitEnded(Happening):
    """A permit has expired, and its deposit was paid back."""

    permit: Annotated[PermitId, Raw(32), Doc("its id")]
    grantor: Annotated[Address, Raw(20), Doc("who gets the deposit")]
    deposit_grains: Annotated[Grains, U63, Doc("how much")]


def permit_key(permit: PermitId) -> StateKey:
    return state_key(Namespace.PERMIT, permit)


def find_permit(context: Context, permit: PermitId) -> Permit | None:
    """The permit of this id, if there is one that has not expired."""
    return context.state.load(permit_key(permit), Permit) if permit != NO_PERMIT else None


def program_digest(program: Program) -> Hash32:
    """Names a program in permits."""
    return h256(Tag.PROGRAM, program.to_bytes())


def allows_program(context: Context, permit: Permit, program: Program) -> bool:
    """Whether the permit names the program, or the asset that published its digest as content."""
    digest = program_digest(program)
    if digest in permit.code:
        return True
    published = context.state.load(content_key(digest), ContentUse)
    return published is not None and Hash32(published.asset) in permit.code


def allows_provider(context: Context, permit: Permit, provider: Address) -> bool:
    """Whether this provider may run it: it is among those named, and has declared a class of the right sort."""
    if permit.providers and provider not in permit.providers:
        return False
    if permit.dtype == ANY_DTYPE:
        return True
    entry = find_provider(context, provider)
    return entry is not None and any(each.dtype == permit.dtype for each in entry.declared.classes)


def allows_payer(permit: Permit, payer: Address) -> bool:
    return permit.grantee in (NO_ADDRESS, payer)


def end(context: Context, item: AgendaItem) -> None:
    """A permit has expired: its deposit goes back, and it guards the dataset no more."""
    identity = PermitId(item.subject)
    permit = find_permit(context, identity)
    assert permit is not None, "only this step removes a permit"
    context.state.delete(permit_key(identity))
    holding = holding_of(context, permit.asset)
    context.state.store(holding_key(permit.asset), holding.but(permits=holding.permits - 1))
    context.unlock(permit.deposit_grains)
    context.credit(permit.grantor, permit.deposit_grains)
    context.emit(PermitEnded(identity, permit.grantor, permit.deposit_grains))


STEPS = {AgendaKind.PERMIT_ENDS: end}
