"""The money behind a proposal: collected before a vote, then paid back or burned.  Spec: [GOV-DEPOSIT]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from chain.codec import U63, OneOf, Raw
from chain.doc import Doc
from chain.ints import add
from chain.ledger import AgendaItem, AgendaKind
from chain.types import Address, Grains, Height, ProposalId
from vm.context import Context
from vm.events import Happening
from vm.governance.proposal import (
    Deposit,
    Proposal,
    ProposalStatus,
    load_proposal,
    put_proposal,
)
from vm.governance.work import work_of
from vm.jobs.lifecycle import load_weights


@dataclass(frozen=True, slots=True)
class DepositAdded(Happening):
    """Somebody locked coins for a proposal."""

    proposal: Annotated[ProposalId, Raw(32), Doc("the proposal")]
    depositor: Annotated[Address, Raw(20), Doc("who")]
    amount_grains: Annotated[Grains, U63, Doc("how much")]
    deposited_grains: Annotated[Grains, U63, Doc("what is locked for it now")]


@dataclass(frozen=True, slots=True)
class VotingStarted(Happening):
    """A proposal's deposit is complete: people vote on it."""

    proposal: Annotated[ProposalId, Raw(32), Doc("the proposal")]
    epoch: Annotated[int, U63, Doc("the epoch whose weights count")]
    stake_grains: Annotated[Grains, U63, Doc("all power of the stake house")]
    work_blocks: Annotated[int, U63, Doc("all power of the work house")]
    ends: Annotated[Height, U63, Doc("the block that counts the votes")]


@dataclass(frozen=True, slots=True)
class ProposalClosed(Happening):
    """A proposal ended and nothing comes of it."""

    proposal: Annotated[ProposalId, Raw(32), Doc("the proposal")]
    status: Annotated[ProposalStatus, OneOf(ProposalStatus), Doc("how")]
    returned_grains: Annotated[Grains, U63, Doc("deposits that were paid back")]
    burned_grains: Annotated[Grains, U63, Doc("deposits that were destroyed")]


def add_deposit(
    context: Context, identity: ProposalId, proposal: Proposal, depositor: Address, amount: int
) -> None:
    """Lock coins for a proposal; voting starts if they complete its deposit."""
    context.debit(depositor, amount)
    context.lock(amount)
    given = {each.depositor: each.amount_grains for each in proposal.deposits}
    given[depositor] = Grains(add(given.get(depositor, 0), amount))
    proposal = proposal.but(deposits=tuple(Deposit(who, grains) for who, grains in given.items()))
    deposited = Grains(proposal.deposited_grains)
    context.emit(DepositAdded(identity, depositor, Grains(amount), deposited))
    if deposited >= proposal.needed_grains:
        proposal = _start_voting(context, identity, proposal)
    put_proposal(context.state, identity, proposal)


def _start_voting(context: Context, identity: ProposalId, proposal: Proposal) -> Proposal:
    """Freeze whose power counts: weights of this epoch, work of the one before it [GOV-POWER]."""
    epoch = context.height // context.spec.pace.epoch_blocks
    stake = sum(weight.stake_grains for weight in load_weights(context, epoch).weights)
    blocks = work_of(context.state, epoch - 1).blocks
    ends = Height(context.height + context.spec.governance.voting_blocks)
    context.schedule(ends, AgendaKind.VOTING_ENDS, identity)
    context.emit(VotingStarted(identity, epoch, Grains(stake), blocks, ends))
    return proposal.but(
        status=ProposalStatus.VOTING,
        voting_height=Height(context.height),
        epoch=epoch,
        stake_grains=Grains(stake),
        work_blocks=blocks,
    )


def give_back(context: Context, proposal: Proposal) -> Proposal:
    """Pay every deposit back."""
    context.unlock(proposal.deposited_grains)
    for each in proposal.deposits:
        context.credit(each.depositor, each.amount_grains)
    return proposal.but(deposits=())


def close(context: Context, identity: ProposalId, proposal: Proposal, status: ProposalStatus) -> None:
    """End a proposal of which nothing comes; a veto burns its deposits."""
    deposited = proposal.deposited_grains
    burned = deposited if status is ProposalStatus.VETOED else 0
    if burned:
        context.unlock(burned)
        context.burn(burned)
        proposal = proposal.but(deposits=())
    else:
        proposal = give_back(context, proposal)
    put_proposal(context.state, identity, proposal.but(status=status, closed_height=Height(context.height)))
    context.emit(ProposalClosed(identity, status, Grains(deposited - burned), Grains(burned)))


def end_deposits(context: Context, item: AgendaItem) -> None:
    """The time for deposits is over: without enough of them the proposal ends."""
    identity = ProposalId(item.subject)
    proposal = load_proposal(context.state, identity)
    if proposal.status is ProposalStatus.DEPOSITING:
        close(context, identity, proposal, ProposalStatus.EXPIRED)


STEPS = {AgendaKind.DEPOSITS_END: end_deposits}
