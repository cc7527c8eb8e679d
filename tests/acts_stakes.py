"""Acts with stake: of one's own, of others, what it earns, what validators take, and what happens to bad ones."""

from __future__ import annotations

from typing import Any

from chain.codec import pack
from tests.acts_base import EVERYBODY, TILE, U63_MAX, ZERO, Act, Signing, person, spread
from tests.twins import DEED, PEOPLE

STAKES = (
    *("delegate", "delegate", "undelegate", "collect", "collect", "collect"),
    *("redelegate", "update"),
)
TROUBLE = ("punish", "unjail")
"""For stories in which validators are slashed and jailed; too much of it, and nobody is left to stake with."""


class StakeActs(Signing):
    MAKERS = (
        *("register", "undelegate", "delegate", "collect"),
        *("redelegate", "update", "unjail", "punish"),
    )

    def register(self, act: Act) -> bytes:
        minimum = self.twins.ledger.spec.money.minimum_stake_grains
        stake = (0, 1, minimum - 1, minimum, 2 * minimum, U63_MAX)[act.choice % 6]
        terms: list[Any] = [
            [1_000, 100, ZERO],
            [5_000, 7, bytes(31) + b"\1"],
            [5_001, 0, ZERO],
            [0, 101, ZERO],
        ]
        return self.signed(
            EVERYBODY[act.who], "stake.register", [stake, *terms[spread(act, 12) % 4]], act.choice
        )

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

    def redelegate(self, act: Act) -> bytes:
        """Trust that moves, all of it or a part, and now and then from or to where it cannot."""
        target, held = EVERYBODY[act.choice % 7].address, list(self.twins.model.state.delegations)
        if not held or act.amount % 9 == 0:
            body = [PEOPLE[act.job].address, target, 1]
            return self.signed(EVERYBODY[act.who], "stake.redelegate", body)
        source, staker = held[spread(act, len(held))]
        shares = self.twins.model.state.delegations[source, staker]["shares"]
        moved = (shares, shares // 2, shares // 7, 999, shares + 1, 1_000, 0, shares)[act.amount % 8]
        return self.signed(person(staker), "stake.redelegate", [source, target, moved])

    def collect(self, act: Act) -> bytes:
        """What stake has earned, if there is such a thing."""
        state = self.twins.model.state
        due = [(operator, operator) for operator, pool in state.pools.items() if pool["operator"]]
        due += [place for place in state.delegations if state.pools[place[0]]["owed"]]
        if due and act.choice % 4:
            operator, staker = due[act.amount % len(due)]
            return self.signed(person(staker), "stake.claim", [operator])
        return self.signed(EVERYBODY[act.who], "stake.claim", [PEOPLE[act.job].address])

    def update(self, act: Act) -> bytes:
        """Other terms, too much at once, or nothing new."""
        who = EVERYBODY[act.who % 7]
        now = self.twins.model.state.validators.get(who.address, {"commission": 1_000, "max_change": 100})
        most = now["commission"] + now["max_change"]
        commission = (now["commission"], most, most + 1, now["commission"] // 2, 5_001, 17)[act.choice % 6]
        max_change = (now["max_change"], 100, 101, 3)[act.job]
        return self.signed(who, "stake.update", [commission, max_change, bytes(31) + bytes([act.amount % 3])])

    def unjail(self, act: Act) -> bytes:
        """Those in jail more often than others."""
        state = self.twins.model.state
        held = [each for each, record in state.validators.items() if record["jailed_until"]]
        who = person(held[act.job % len(held)]) if held and act.choice % 5 else EVERYBODY[act.who]
        return self.signed(who, "stake.unjail", [])

    def punish(self, act: Act) -> bytes:
        """A slash or a sentence; now and then for ever, or everything."""
        operator, height = PEOPLE[act.who % 6].address, self.twins.model.height
        if act.choice % 3:
            n, d = ((1, 7), (1, 2), (2, 3), (0, 1), (1, 16), (999, 1_000), (1, 3), (1, 1))[act.amount % 8]
            return DEED + pack(["slash", operator, n, d, max(0, height - spread(act, 30))])
        forever = int(act.choice == 9 and act.amount % 3 == 0)
        return DEED + pack(["jail", operator, height + act.amount % 9, forever])
