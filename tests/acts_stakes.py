"""Acts with stake: of one's own, of others, and what it earns."""

from __future__ import annotations

from tests.acts_base import EVERYBODY, TILE, U63_MAX, Act, Signing, person
from tests.twins import PEOPLE

STAKES = ("delegate", "delegate", "undelegate", "collect", "collect", "collect")


class StakeActs(Signing):
    MAKERS = ("register", "undelegate", "delegate", "collect")

    def register(self, act: Act) -> bytes:
        minimum = self.twins.ledger.spec.money.minimum_stake_grains
        stake = (0, 1, minimum - 1, minimum, 2 * minimum, U63_MAX)[act.choice % 6]
        return self.signed(EVERYBODY[act.who], "stake.register", [stake], act.choice)

    def undelegate(self, act: Act) -> bytes:
        """A part, all, or more than there is of what somebody staked."""
        staker = EVERYBODY[act.who]
        operator = PEOPLE[act.job].address if act.choice % 4 == 0 else staker.address
        state = self.twins.model.state
        own = state.validators.get(operator, {"stake": 0})["stake"]
        mine = [place for place in state.delegations if place[1] == staker.address]
        if mine and act.choice % 2:
            operator = mine[act.job % len(mine)][0]
            own = state.delegations[operator, staker.address]["shares"]
        minimum = self.twins.ledger.spec.money.minimum_stake_grains
        shares = (1, own // 9, 0, own // 5, own + 1, own - minimum + 1, own, U63_MAX)[act.amount % 8]
        return self.signed(staker, "stake.undelegate", [operator, max(0, shares)], act.choice)

    def delegate(self, act: Act) -> bytes:
        """Somebody's trust in somebody, within the cap or beyond it."""
        amounts = (TILE, 3 * TILE + 1, 999, 0, 8_000 * TILE, 1_000, 40_000 * TILE, U63_MAX)
        operator = EVERYBODY[act.choice % 6].address
        return self.signed(
            EVERYBODY[act.who], "stake.delegate", [operator, amounts[act.amount % 8]], act.choice
        )

    def collect(self, act: Act) -> bytes:
        """What stake has earned, if there is such a thing."""
        state = self.twins.model.state
        due = [(operator, operator) for operator, pool in state.pools.items() if pool["operator"]]
        due += [place for place in state.delegations if state.pools[place[0]]["owed"]]
        if due and act.choice % 4:
            operator, staker = due[act.amount % len(due)]
            return self.signed(person(staker), "stake.claim", [operator])
        return self.signed(EVERYBODY[act.who], "stake.claim", [PEOPLE[act.job].address])
