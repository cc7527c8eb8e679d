"""Whatever people propose and vote: no constant leaves its bounds, no coin is lost or made, everything ends once.

Spec: [GOV-PARAM], [GOV-DEPOSIT], [MONEY-IDENTITY].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chain.codec import Record
from chain.keys import SigningKey
from chain.ledger import ParameterValue
from chain.types import Grains, ProposalId
from tests.builders import TILE, key
from tests.governance_cases import (
    DEPOSIT,
    STAKER,
    U63_MAX,
    VALIDATORS,
    YES,
    Forum,
    pause,
    payment,
    proposed,
    upgrade,
)
from vm.governance.parameters import MAX_SHARED_BP, PARAMETERS
from vm.governance.proposal import (
    PROPOSALS_KEY,
    ProposalIndex,
    ProposalNumber,
    ProposalSort,
    ProposalStatus,
    number_key,
)
from vm.kinds.governance import GovCancel, GovDeposit, GovPropose, GovVote
from vm.kinds.staking import StakeDelegate, StakeUndelegate

PEOPLE = [*VALIDATORS, key(5), key(6), STAKER]
AMOUNTS = (0, 1, 500, 4_000, 6_000, 6_001, 9_500, 10**9, 10**14, (1 << 63) - 1)
BALLOTS = (YES, YES, YES, (0, 10_000, 0, 0), (0, 0, 0, 10_000), (2_500, 2_500, 2_500, 2_500), (1, 0, 0, 0))


@dataclass(frozen=True)
class Move:
    what: str
    who: int
    which: int
    amount: int
    more: int


MOVES = st.builds(
    Move,
    what=st.sampled_from(
        ("param", "param", "other", "deposit", "cancel", "vote", "agree", "agree", "stake", "block")
    ),
    who=st.integers(0, len(PEOPLE) - 1),
    which=st.integers(0, 40),
    amount=st.sampled_from(AMOUNTS) | st.integers(0, 12_000),
    more=st.integers(0, 40),
)


class Parliament:
    """A chain on which these moves are tried."""

    def __init__(self) -> None:
        self.forum = Forum()
        self.forum.ledger_to(5)
        self.ended: dict[ProposalId, ProposalStatus] = {}

    def proposals(self) -> list[ProposalId]:
        data = self.forum.ledger.tree.get(PROPOSALS_KEY)
        count = ProposalIndex.from_bytes(data).proposals if data is not None else 0
        places = [self.forum.ledger.tree.get(number_key(number)) for number in range(count)]
        return [ProposalNumber.from_bytes(place).proposal for place in places if place is not None]

    def do(self, move: Move) -> None:
        who = PEOPLE[move.who]
        known = self.proposals()
        chosen = known[move.which % len(known)] if known else ProposalId(bytes(32))
        if move.what == "agree":
            votes = [(each, GovVote(chosen, each.address, *YES)) for each in VALIDATORS]
            self.forum.sends(*votes)
        elif move.what == "block":
            self.forum.blocks(1 + move.more % 4)
        else:
            self.forum.sends(*self.sent(move, who, chosen))
        self.check()

    def sent(self, move: Move, who: SigningKey, chosen: ProposalId) -> list[tuple[SigningKey, Record]]:
        bodies: dict[str, Any] = {
            "param": lambda: self.changes(move),
            "other": lambda: self.other(move),
            "deposit": lambda: GovDeposit(chosen, Grains(min(move.amount * 10**6, U63_MAX))),
            "cancel": lambda: GovCancel(chosen),
            "vote": lambda: GovVote(
                chosen, PEOPLE[move.which % 8].address, *BALLOTS[move.more % len(BALLOTS)]
            ),
            "stake": lambda: self.stake(move),
        }
        return [(who, bodies[move.what]())]

    def changes(self, move: Move) -> GovPropose:
        names = [*PARAMETERS, "money.cap_grains"]
        values = [
            ParameterValue(names[(move.which + 7 * place) % len(names)], (move.amount + place) % (1 << 63))
            for place in range(1 + move.more % 3)
        ]
        if move.more % 4 == 0:
            values = [
                ParameterValue(f"jobs.{name}_bp", move.amount % 6_500) for name in ("treasury", "stakers")
            ]
        deposit = DEPOSIT if move.more % 3 else DEPOSIT // 4
        return proposed(ProposalSort.PARAM, changes=tuple(values), deposit_grains=Grains(deposit))

    def other(self, move: Move) -> GovPropose:
        height = self.forum.ledger.height
        return (
            proposed(),
            pause("job.open", blocks=1 + move.more % 7),
            payment(PEOPLE[move.who], move.amount),
            upgrade("name", height + 1_000 + move.more),
            upgrade("name", 0),
        )[move.which % 5]

    def stake(self, move: Move) -> Record:
        operator = VALIDATORS[move.which % 5].address
        if move.more % 2:
            return StakeUndelegate(operator, move.amount)
        return StakeDelegate(operator, Grains(min(move.amount * TILE // 100, U63_MAX)))

    def check(self) -> None:
        """Bounds, money, and that an end is an end."""
        self.forum.ledger.audit()
        spec = self.forum.spec
        founding = self.forum.ledger.spec
        for parameter in PARAMETERS.values():
            value = parameter.value(spec)
            inside = parameter.least(founding) <= value <= parameter.largest(founding)
            assert inside or value == parameter.value(founding), parameter.name
        assert spec.jobs.treasury_bp + spec.jobs.stakers_bp <= MAX_SHARED_BP
        for group in ("pace", "allocations", "validators"):
            assert getattr(spec, group) == getattr(founding, group)
        assert spec.money.cap_grains == founding.money.cap_grains
        for identity in self.proposals():
            status = self.forum.proposal(identity).status
            assert self.ended.setdefault(identity, status) is status if identity in self.ended else True
            if status.terminal:
                self.ended[identity] = status


@settings(max_examples=20)
@given(st.lists(MOVES, min_size=10, max_size=40))
def test_no_sequence_of_proposals_breaks_a_bound_or_the_books(moves: list[Move]) -> None:
    parliament = Parliament()
    for move in moves:
        parliament.do(move)
    parliament.forum.blocks(16)
    parliament.check()
    assert all(parliament.ended.get(each) for each in parliament.proposals()), "everything ends"
