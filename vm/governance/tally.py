"""Votes of one house as running sums, and what they decide.  Spec: [GOV-TALLY].

A ballot gives parts of a power to four answers. Sums are powers times hundredths of a per cent, so nothing is rounded,
and taking a vote back leaves exactly what was there before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from chain.codec import BigUint, Record
from genesis.spec import BASIS_POINTS, GovernanceRules

WHOLE_BP = 10_000


@dataclass(frozen=True, slots=True)
class Ballot(Record):
    """How one voter divides its power."""

    yes_bp: Annotated[int, BASIS_POINTS]
    no_bp: Annotated[int, BASIS_POINTS]
    abstain_bp: Annotated[int, BASIS_POINTS]
    veto_bp: Annotated[int, BASIS_POINTS]

    @property
    def whole_bp(self) -> int:
        """All parts together: the whole, or 0 where nobody voted."""
        return self.yes_bp + self.no_bp + self.abstain_bp + self.veto_bp


NO_BALLOT = Ballot(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Tally(Record):
    """Sums of one house, each a power times basis points."""

    yes: Annotated[int, BigUint(16)]
    no: Annotated[int, BigUint(16)]
    abstain: Annotated[int, BigUint(16)]
    veto: Annotated[int, BigUint(16)]

    @property
    def cast(self) -> int:
        """All that was voted."""
        return self.yes + self.no + self.abstain + self.veto

    @property
    def decided(self) -> int:
        """All but what abstained."""
        return self.yes + self.no + self.veto

    def plus(self, power: int, ballot: Ballot) -> Tally:
        """With one more vote; one of negative power is taken back."""
        return Tally(
            self.yes + power * ballot.yes_bp,
            self.no + power * ballot.no_bp,
            self.abstain + power * ballot.abstain_bp,
            self.veto + power * ballot.veto_bp,
        )


NO_VOTES = Tally(0, 0, 0, 0)


class Majority(IntEnum):
    """Whose yes a proposal needs."""

    STAKE = 1
    BOTH = 2
    TWO_THIRDS_OF_BOTH = 3


class Decision(IntEnum):
    """How a vote ends."""

    PASSED = 1
    REJECTED = 2
    VETOED = 3


@dataclass(frozen=True, slots=True)
class House:
    """What one house has voted, of how much it could."""

    tally: Tally
    total: int

    def quorate(self, rules: GovernanceRules) -> bool:
        """Whether enough of it voted."""
        return self.tally.cast >= rules.quorum_bp * self.total

    def vetoed(self, rules: GovernanceRules) -> bool:
        """Whether too much of what it voted is veto."""
        return self.tally.veto > 0 and self.tally.veto * WHOLE_BP >= rules.veto_bp * self.tally.cast

    def agrees(self, rules: GovernanceRules, majority: Majority) -> bool:
        """Whether enough of it voted, and enough of that yes."""
        yes, decided = self.tally.yes, self.tally.decided
        passed = yes * WHOLE_BP > rules.pass_bp * decided
        strong = majority is not Majority.TWO_THIRDS_OF_BOTH or 3 * yes >= 2 * decided
        return self.quorate(rules) and passed and strong


def decide(stake: House, work: House, majority: Majority, rules: GovernanceRules) -> Decision:
    """The end of a vote; a veto counts only where enough of the stake voted."""
    if stake.quorate(rules) and stake.vetoed(rules):
        return Decision.VETOED
    houses = (stake,) if majority is Majority.STAKE else (stake, work)
    return Decision.PASSED if all(house.agrees(rules, majority) for house in houses) else Decision.REJECTED
