"""The end of a vote, and what a passed proposal does.  Spec: [GOV-TALLY], [GOV-RUN].

All of it runs from the agenda at a bounded cost: sums of votes are kept as votes come in. What a proposal decided
happens wholly or not at all, and holds from the next block on [GOV-FORCE].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from chain.codec import U63, OneOf, Raw
from chain.doc import Doc
from chain.errors import Invalid
from chain.ints import sub
from chain.ledger import (
    GOVERNED_KEY,
    NOTHING_GOVERNED,
    AgendaItem,
    AgendaKind,
    Governed,
    ParameterValue,
)
from chain.types import Address, Grains, Height, ProposalId
from vm.context import Context, in_force
from vm.events import Happening
from vm.governance.deposits import close, give_back
from vm.governance.parameters import out_of_bounds
from vm.governance.proposal import (
    Proposal,
    ProposalSort,
    ProposalStatus,
    load_proposal,
    put_proposal,
)
from vm.governance.tally import Decision, decide


@dataclass(frozen=True, slots=True)
class ProposalPassed(Happening):
    """A vote ended with yes."""

    proposal: Annotated[ProposalId, Raw(32), Doc("the proposal")]
    returned_grains: Annotated[Grains, U63, Doc("deposits that were paid back")]
    runs: Annotated[Height, U63, Doc("the block in which it happens")]


@dataclass(frozen=True, slots=True)
class ProposalExecuted(Happening):
    """What a proposal decided has happened."""

    proposal: Annotated[ProposalId, Raw(32), Doc("the proposal")]
    sort: Annotated[ProposalSort, OneOf(ProposalSort), Doc("what it was about")]


@dataclass(frozen=True, slots=True)
class ProposalFailed(Happening):
    """What a proposal decided could not be done; nothing of it was."""

    proposal: Annotated[ProposalId, Raw(32), Doc("the proposal")]
    sort: Annotated[ProposalSort, OneOf(ProposalSort), Doc("what it was about")]


@dataclass(frozen=True, slots=True)
class TreasuryPaid(Happening):
    """The treasury paid what a proposal decided."""

    to: Annotated[Address, Raw(20), Doc("whom")]
    amount_grains: Annotated[Grains, U63, Doc("how much")]


def end_voting(context: Context, item: AgendaItem) -> None:
    """Count, by the rules in force now."""
    identity = ProposalId(item.subject)
    proposal = load_proposal(context.state, identity).but(decided_height=Height(context.height))
    rules = context.spec.governance
    decision = decide(proposal.stake_house, proposal.work_house, proposal.majority, rules)
    if decision is not Decision.PASSED:
        close(context, identity, proposal, _ENDS[decision])
        return
    returned = Grains(proposal.deposited_grains)
    runs = Height(context.height + rules.timelock_blocks)
    passed = give_back(context, proposal).but(status=ProposalStatus.PASSED, runs_height=runs)
    put_proposal(context.state, identity, passed)
    context.schedule(runs, AgendaKind.PROPOSAL_RUNS, identity)
    context.emit(ProposalPassed(identity, returned, runs))


_ENDS = {Decision.REJECTED: ProposalStatus.REJECTED, Decision.VETOED: ProposalStatus.VETOED}


def run(context: Context, item: AgendaItem) -> None:
    """The time has come: do what was decided, or record why it cannot be done."""
    identity = ProposalId(item.subject)
    proposal = load_proposal(context.state, identity)
    scope, failure = context.child(), ""
    try:
        _EFFECTS[proposal.sort](scope, proposal)
    except Invalid as error:
        failure = error.code
    else:
        context.merge(scope)
    status = ProposalStatus.FAILED if failure else ProposalStatus.EXECUTED
    height = Height(context.height)
    put_proposal(context.state, identity, proposal.but(status=status, closed_height=height, failure=failure))
    happening = ProposalFailed if failure else ProposalExecuted
    context.emit(happening(identity, proposal.sort))


def governed_now(context: Context) -> Governed:
    """What has been governed by now, this block included."""
    return context.state.load(GOVERNED_KEY, Governed) or NOTHING_GOVERNED


def _set_parameters(context: Context, proposal: Proposal) -> None:
    """Raises: Invalid PARAM_BOUNDS if the changes do not fit what others have changed meanwhile."""
    governed = governed_now(context)
    refusal = out_of_bounds(in_force(context.spec, governed), proposal.changes)
    if refusal is not None:
        raise Invalid("PARAM_BOUNDS", found=refusal.found, allowed=refusal.allowed)
    values = {each.name: each.value for each in (*governed.values, *proposal.changes)}
    listed = tuple(ParameterValue(name, values[name]) for name in sorted(values))
    context.state.store(GOVERNED_KEY, governed.but(values=listed))


def _schedule_upgrade(context: Context, proposal: Proposal) -> None:
    """Raises: Invalid UPGRADE if its height is over, or it takes back another upgrade than the one that waits."""
    governed, name, height = governed_now(context), proposal.upgrade, proposal.upgrade_height
    if height and height <= context.height:
        raise Invalid("UPGRADE", found=f"height {height}", allowed=f"above {context.height}")
    if not height and name != governed.upgrade:
        raise Invalid("UPGRADE", found=name, allowed=governed.upgrade or "nothing: no upgrade waits")
    context.state.store(GOVERNED_KEY, governed.but(upgrade=name if height else "", upgrade_height=height))


def _pay(context: Context, proposal: Proposal) -> None:
    """Raises: Invalid TREASURY if it holds less, DUST for a new account that would get less than one begins with."""
    chain, amount = context.chain, proposal.amount_grains
    if chain.treasury_grains < amount:
        raise Invalid("TREASURY", found=chain.treasury_grains, allowed=f"at least {amount} grains")
    context.put_chain(chain.but(treasury_grains=Grains(sub(chain.treasury_grains, amount))))
    if amount < context.spec.money.dust_grains and context.account(proposal.to).is_new:
        raise Invalid("DUST", found=amount, allowed=f"at least {context.spec.money.dust_grains} grains")
    context.credit(proposal.to, amount)
    context.emit(TreasuryPaid(proposal.to, amount))


def _pause(context: Context, proposal: Proposal) -> None:
    """Stop kinds from the next block on, for so many blocks; a later pause replaces an earlier one."""
    until = Height(context.height + proposal.pause_blocks)
    governed = governed_now(context).but(paused=tuple(sorted(proposal.paused)), paused_until=until)
    context.state.store(GOVERNED_KEY, governed)


def _nothing(context: Context, proposal: Proposal) -> None:
    """People agreed on a text."""


_EFFECTS: dict[ProposalSort, Callable[[Context, Proposal], None]] = {
    ProposalSort.PARAM: _set_parameters,
    ProposalSort.UPGRADE: _schedule_upgrade,
    ProposalSort.TREASURY: _pay,
    ProposalSort.TEXT: _nothing,
    ProposalSort.PAUSE: _pause,
}
STEPS = {AgendaKind.VOTING_ENDS: end_voting, AgendaKind.PROPOSAL_RUNS: run}
