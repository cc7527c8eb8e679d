"""A proposal: what it asks for, who paid its deposit, what was voted, how it ended.  Spec: [GOV-STATE].

    DEPOSITING -> VOTING -> PASSED -> EXECUTED      also terminal: REJECTED VETOED EXPIRED FAILED CANCELLED

Ended ones stay, each under a number too, so that they can be listed without a search.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from chain.codec import U63, Nested, OneOf, Raw, Record, Seq, Text
from chain.ledger import MAX_PARAMETERS, Namespace, ParameterValue, state_key
from chain.state.overlay import Overlay
from chain.types import Address, Grains, Hash32, Height, ProposalId, StateKey
from vm.governance.parameters import MAX_CHANGES, PARAMETERS
from vm.governance.tally import House, Majority, Tally

MAX_ACTIVE = 16
"""Proposals that have not ended."""
MAX_DEPOSITORS = 16
MAX_TITLE_BYTES = 64
MAX_NAME_BYTES = 32
"""Of an upgrade, and of a kind."""
MAX_PAUSED_KINDS = 16

assert len(PARAMETERS) <= MAX_PARAMETERS


class ProposalSort(IntEnum):
    """What a proposal is about."""

    PARAM = 1
    UPGRADE = 2
    TREASURY = 3
    TEXT = 4
    PAUSE = 5


class ProposalStatus(IntEnum):
    """Where a proposal is."""

    DEPOSITING = 1
    VOTING = 2
    PASSED = 3
    EXECUTED = 4
    REJECTED = 5
    VETOED = 6
    EXPIRED = 7
    FAILED = 8
    CANCELLED = 9

    @property
    def terminal(self) -> bool:
        return self >= ProposalStatus.EXECUTED


@dataclass(frozen=True, slots=True)
class Deposit(Record):
    """What one account has locked for a proposal."""

    depositor: Annotated[Address, Raw(20)]
    amount_grains: Annotated[Grains, U63]


@dataclass(frozen=True, slots=True)
class Proposal(Record):
    """Everything about one; fields of other sorts, and of a status that it has not reached, are zero or empty."""

    number: Annotated[int, U63]
    """Counts proposals from 0."""
    proposer: Annotated[Address, Raw(20)]
    sort: Annotated[ProposalSort, OneOf(ProposalSort)]
    title: Annotated[str, Text(MAX_TITLE_BYTES)]
    doc_root: Annotated[Hash32, Raw(32)]
    changes: Annotated[tuple[ParameterValue, ...], Seq(Nested(ParameterValue), MAX_CHANGES)]
    upgrade: Annotated[str, Text(MAX_NAME_BYTES)]
    upgrade_height: Annotated[Height, U63]
    to: Annotated[Address, Raw(20)]
    amount_grains: Annotated[Grains, U63]
    paused: Annotated[tuple[str, ...], Seq(Text(MAX_NAME_BYTES), MAX_PAUSED_KINDS)]
    pause_blocks: Annotated[int, U63]
    status: Annotated[ProposalStatus, OneOf(ProposalStatus)]
    opened_height: Annotated[Height, U63]
    needed_grains: Annotated[Grains, U63]
    """The deposit with which voting starts, fixed when the proposal was opened."""
    deposits: Annotated[tuple[Deposit, ...], Seq(Nested(Deposit), MAX_DEPOSITORS)]
    """Empty once they are paid back or burned."""
    voting_height: Annotated[Height, U63]
    """When voting started."""
    epoch: Annotated[int, U63]
    """Whose weights count."""
    stake_grains: Annotated[Grains, U63]
    """All power of the stake house."""
    stake_votes: Annotated[Tally, Nested(Tally)]
    work_blocks: Annotated[int, U63]
    """All power of the work house."""
    work_votes: Annotated[Tally, Nested(Tally)]
    decided_height: Annotated[Height, U63]
    """When voting ended."""
    runs_height: Annotated[Height, U63]
    """When what it decided happens."""
    closed_height: Annotated[Height, U63]
    failure: Annotated[str, Text(MAX_NAME_BYTES)]
    """Why what it decided could not be done: a code."""

    @property
    def deposited_grains(self) -> int:
        return sum(each.amount_grains for each in self.deposits)

    @property
    def least_deposit_grains(self) -> int:
        """The least that may be added: with it, sixteen depositors always reach what is needed."""
        return -(-self.needed_grains // MAX_DEPOSITORS)

    @property
    def majority(self) -> Majority:
        """Whose yes it needs."""
        if self.sort is ProposalSort.PAUSE:
            return Majority.TWO_THIRDS_OF_BOTH
        if self.sort is ProposalSort.UPGRADE or any(PARAMETERS[each.name].protected for each in self.changes):
            return Majority.BOTH
        return Majority.STAKE

    @property
    def stake_house(self) -> House:
        return House(self.stake_votes, self.stake_grains)

    @property
    def work_house(self) -> House:
        return House(self.work_votes, self.work_blocks)


@dataclass(frozen=True, slots=True)
class ProposalIndex(Record):
    """How many proposals there are, and those that have not ended, in the order in which they were opened."""

    proposals: Annotated[int, U63]
    active: Annotated[tuple[ProposalId, ...], Seq(Raw(32), MAX_ACTIVE)]


@dataclass(frozen=True, slots=True)
class ProposalNumber(Record):
    """The proposal of a number."""

    proposal: Annotated[ProposalId, Raw(32)]


NO_PROPOSALS = ProposalIndex(0, ())
PROPOSALS_KEY = state_key(Namespace.PROPOSAL_INDEX, b"")


def proposal_key(proposal: ProposalId) -> StateKey:
    return state_key(Namespace.PROPOSAL, proposal)


def number_key(number: int) -> StateKey:
    return state_key(Namespace.PROPOSAL_INDEX, number.to_bytes(8, "big"))


def index_of(state: Overlay) -> ProposalIndex:
    """How many there are, and which are active."""
    return state.load(PROPOSALS_KEY, ProposalIndex) or NO_PROPOSALS


def find_proposal(state: Overlay, proposal: ProposalId) -> Proposal | None:
    """The proposal of this id, if there is one."""
    return state.load(proposal_key(proposal), Proposal)


def load_proposal(state: Overlay, proposal: ProposalId) -> Proposal:
    """A proposal that exists."""
    found = find_proposal(state, proposal)
    assert found is not None, "proposals stay"
    return found


def add_proposal(state: Overlay, identity: ProposalId, proposal: Proposal) -> None:
    """Remember a new one under its id and its number, and that it is active."""
    index = index_of(state)
    state.store(proposal_key(identity), proposal)
    state.store(number_key(proposal.number), ProposalNumber(identity))
    state.store(PROPOSALS_KEY, ProposalIndex(index.proposals + 1, (*index.active, identity)))


def put_proposal(state: Overlay, identity: ProposalId, proposal: Proposal) -> None:
    """Remember a change; one that has ended leaves its place among the active ones."""
    state.store(proposal_key(identity), proposal)
    if proposal.status.terminal:
        index = index_of(state)
        left = tuple(each for each in index.active if each != identity)
        state.store(PROPOSALS_KEY, ProposalIndex(index.proposals, left))
