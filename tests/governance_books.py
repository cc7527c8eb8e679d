"""Counts what the state holds of governance, for the audit of a test chain."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from chain.ledger import GOVERNED_KEY
from chain.state.reader import StateReader
from chain.types import Address, StateKey
from vm.governance.houses import vote_key
from vm.governance.proposal import (
    PROPOSALS_KEY,
    Proposal,
    ProposalIndex,
    ProposalNumber,
    number_key,
    proposal_key,
)


@dataclass
class GovernanceBooks:
    """Places that belong to governance, and the coins locked in them, in grains."""

    keys: set[StateKey] = field(default_factory=lambda: {GOVERNED_KEY})
    locked_grains: int = 0


def count_governance(state: StateReader, people: Iterable[Address]) -> GovernanceBooks:
    """Every place that governance may have, for people of whom the test knows."""
    books, people = GovernanceBooks(), list(people)
    data = state.get(PROPOSALS_KEY)
    if data is None:
        return books
    books.keys.add(PROPOSALS_KEY)
    for number in range(ProposalIndex.from_bytes(data).proposals):
        found = state.get(number_key(number))
        assert found is not None
        identity = ProposalNumber.from_bytes(found).proposal
        record = state.get(proposal_key(identity))
        assert record is not None
        proposal = Proposal.from_bytes(record)
        assert not (proposal.status.terminal and proposal.deposits), "deposits end with their proposal"
        books.locked_grains += proposal.deposited_grains
        books.keys |= {number_key(number), proposal_key(identity)}
        books.keys |= {vote_key(identity, position, voter) for position in people for voter in people}
    return books
