"""Whose vote counts how much.  Spec: [GOV-POWER], [GOV-VOTE].

Power is what was frozen before voting started. In the stake house a validator votes with its whole weight, and takes
back from that what those who stake with it vote themselves; in the work house a miner votes with the blocks it won.
Every grain and every block is counted at most once, however often somebody votes and whatever moves meanwhile.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Annotated

from chain.codec import U63, Nested, Raw, Record
from chain.doc import Doc
from chain.ledger import Namespace, state_key
from chain.state.overlay import Overlay
from chain.types import Address, Grains, ProposalId, StateKey
from vm.context import Context
from vm.events import Happening
from vm.governance.proposal import Proposal, put_proposal
from vm.governance.tally import NO_BALLOT, Ballot
from vm.governance.work import work_of
from vm.jobs.lifecycle import load_weights
from vm.staking.past import grains_at
from vm.staking.pools import delegation_of, pool_of, worth


@dataclass(frozen=True, slots=True)
class Vote(Record):
    """What one account votes with what it had in one position; `position` is the account itself or a validator.

    A validator has one as soon as somebody who stakes with it votes: `overridden_grains` is what those vote with.
    """

    ballot: Annotated[Ballot, Nested(Ballot)]
    stake_grains: Annotated[Grains, U63]
    """Counted for it in the stake house."""
    blocks: Annotated[int, U63]
    """Counted for it in the work house."""
    overridden_grains: Annotated[Grains, U63]


NO_VOTE = Vote(NO_BALLOT, Grains(0), 0, Grains(0))


@dataclass(frozen=True, slots=True)
class Voted(Happening):
    """Somebody voted, or voted otherwise."""

    proposal: Annotated[ProposalId, Raw(32), Doc("the proposal")]
    voter: Annotated[Address, Raw(20), Doc("who")]
    position: Annotated[Address, Raw(20), Doc("with whose weight, or with stake at which validator")]
    stake_grains: Annotated[Grains, U63, Doc("its power in the stake house")]
    blocks: Annotated[int, U63, Doc("its power in the work house")]


@dataclass(frozen=True, slots=True)
class Power:
    """What a vote counts in either house."""

    stake_grains: int
    blocks: int


def vote_key(proposal: ProposalId, position: Address, voter: Address) -> StateKey:
    return state_key(Namespace.VOTE, proposal + position + voter)


def find_vote(state: Overlay, proposal: ProposalId, position: Address, voter: Address) -> Vote | None:
    """What somebody votes with a position, or what others have taken from it."""
    return state.load(vote_key(proposal, position, voter), Vote)


def power_of(
    context: Context, identity: ProposalId, proposal: Proposal, position: Address, voter: Address
) -> Power:
    """What a vote with this position counts, while voting lasts."""
    own = find_vote(context.state, identity, position, position) or NO_VOTE
    free = _weight(context, proposal.epoch, position) - own.overridden_grains
    if position == voter:
        return Power(free, work_of(context.state, proposal.epoch - 1).won_by(voter))
    before = find_vote(context.state, identity, position, voter)
    if before is not None:
        return Power(before.stake_grains, 0)
    delegation = delegation_of(context, position, voter)
    if delegation is None:
        return Power(0, 0)
    now = worth(pool_of(context, position), delegation.shares)
    return Power(min(grains_at(delegation, proposal.epoch, now), free), 0)


def cast(
    context: Context,
    identity: ProposalId,
    proposal: Proposal,
    position: Address,
    voter: Address,
    ballot: Ballot,
) -> None:
    """Count a vote, instead of an earlier one of the same voter with the same position."""
    power = power_of(context, identity, proposal, position, voter)
    before = find_vote(context.state, identity, position, voter)
    if before is None and position != voter:
        proposal = _override(context, identity, proposal, position, power.stake_grains)
    old = before or NO_VOTE
    stake = proposal.stake_votes.plus(-old.stake_grains, old.ballot).plus(power.stake_grains, ballot)
    work = proposal.work_votes.plus(-old.blocks, old.ballot).plus(power.blocks, ballot)
    put_proposal(context.state, identity, proposal.but(stake_votes=stake, work_votes=work))
    vote = Vote(ballot, Grains(power.stake_grains), power.blocks, old.overridden_grains)
    context.state.store(vote_key(identity, position, voter), vote)
    context.emit(Voted(identity, voter, position, vote.stake_grains, vote.blocks))


def _override(
    context: Context, identity: ProposalId, proposal: Proposal, operator: Address, amount: int
) -> Proposal:
    """Take what somebody votes itself out of what its validator has voted, or will."""
    own = find_vote(context.state, identity, operator, operator) or NO_VOTE
    voted = own.ballot != NO_BALLOT
    left = own.but(
        stake_grains=Grains(own.stake_grains - amount) if voted else own.stake_grains,
        overridden_grains=Grains(own.overridden_grains + amount),
    )
    context.state.store(vote_key(identity, operator, operator), left)
    return proposal.but(stake_votes=proposal.stake_votes.plus(-amount, own.ballot))


def _weight(context: Context, epoch: int, address: Address) -> int:
    """A validator's weight in an epoch; 0 for anybody else."""
    weights = load_weights(context, epoch).weights
    place = bisect_left(weights, address, key=lambda weight: weight.address)
    if place < len(weights) and weights[place].address == address:
        return weights[place].stake_grains
    return 0
