"""Acts of governance: proposing, paying deposits, voting, taking back; and whatever brings a proposal further."""

from __future__ import annotations

import random
from typing import Any

from chain.hashing import Tag, h256
from chain.keys import SigningKey
from tests.acts_base import EVERYBODY, TILE, U63_MAX, ZERO, Act, Signing, person
from tests.model.governance import (
    BOUNDS,
    DEPOSITING,
    NOBODY,
    PARAM,
    PAUSABLE,
    PAUSE,
    PROTECTED,
    TEXT,
    TREASURY,
    UPGRADE,
    VOTING,
    Governance,
    books_of,
    bounds,
)
from tests.twins import PEOPLE

GOVERN = (
    *("propose", "propose", "mispropose", "add_deposit", "take_proposal_back", "vote"),
    *["carry"] * 14,
)
NOTHING = h256(Tag.PROPOSAL_ID, b"nothing")
YES, NO, VETO = [10_000, 0, 0, 0], [0, 10_000, 0, 0], [0, 0, 0, 10_000]
BALLOTS = (NO, VETO, [0, 0, 10_000, 0], [7_001, 1_999, 999, 1], [10_000, 1, 0, 0], [9_999, 0, 0, 0])
NAMES = (
    *BOUNDS,
    "governance.timelock_blocks",
    "staking.unbonding_blocks",
    "jobs.treasury_bp",
    "jobs.stakers_bp",
)
ENOUGH_PROPOSALS = 5
"""At one time; with more of them none would be voted on by enough people."""


class GovernanceActs(Signing):
    MAKERS = ("propose", "mispropose", "add_deposit", "take_proposal_back", "vote", "carry")

    @property
    def politics(self) -> Governance:
        return books_of(self.twins.model)

    def propose(self, act: Act) -> bytes:
        """Something that can pass, unless enough of that is under way."""
        if len(self.politics.active) >= ENOUGH_PROPOSALS and act.choice:
            return self.carry(act)
        draw = _drawn(act)
        needed = self.twins.model.spec.governance.deposit_grains
        deposit = draw.choice((needed, needed, needed, -(-needed // 16), needed - 1))
        return self.signed(PEOPLE[act.who % 6], "gov.propose", [*self.request(draw), deposit], act.choice)

    def request(self, draw: random.Random) -> list[Any]:
        paying = [TREASURY] * (10 if self.twins.model.state.treasury else 1)
        sort = draw.choice((PARAM, PARAM, PARAM, UPGRADE, TEXT, PAUSE, *paying))
        books, rules, height = self.politics, self.twins.model.spec.governance, self.twins.model.height
        body = [sort, draw.choice(("a title", "ein schöner Titel", "题")), ZERO, [], "", 0, NOBODY, 0, [], 0]
        if sort == PARAM:
            names = draw.sample(NAMES, draw.randint(1, 3))
            if draw.random() < 0.2:
                names = [PROTECTED]
            body[3] = [[name, self.value(draw, name)] for name in dict.fromkeys(names)]
        elif sort == UPGRADE:
            late = height + rules.voting_blocks + rules.timelock_blocks + 1
            body[4] = draw.choice(("one", "two", books.upgrade or "three"))
            body[5] = draw.choice((0, late + 2_000, U63_MAX))  # far off: this release knows none
        elif sort == TREASURY:
            nobody = h256(Tag.ADDRESS, draw.randbytes(4))[:20]
            dust = self.twins.model.spec.money.dust_grains
            treasury = self.twins.model.state.treasury
            body[6] = draw.choice((draw.choice(EVERYBODY).address, nobody))
            body[7] = max(1, draw.choice((1, dust, dust - 1, treasury, treasury + 1_000, treasury // 3)))
        elif sort == PAUSE:
            body[8] = draw.sample(PAUSABLE, draw.randint(1, 3))
            body[9] = draw.randint(1, rules.pause_maximum_blocks)
        return body

    def value(self, draw: random.Random, name: str) -> int:
        """Mostly such that life goes on, sometimes the ends of what is allowed."""
        least, largest = bounds(self.twins.model.spec, name)
        if name == "governance.deposit_grains":
            return draw.choice((least, 5 * TILE + 1, 7 * TILE + 3))
        if name in ("governance.quorum_bp", "governance.pass_bp", "governance.timelock_blocks"):
            return draw.choice((least, least, least + 1))
        return draw.choice((least, least, draw.randint(least, min(largest, least + 6_000)), largest))

    def mispropose(self, act: Act) -> bytes:
        """One of the ways in which a proposal is refused."""
        draw = _drawn(act)
        rules, height = self.twins.model.spec.governance, self.twins.model.height
        name = draw.choice(NAMES)
        least, largest = bounds(self.twins.model.spec, name)
        wrong: list[dict[int, Any]] = [
            {1: ""},
            {1: "a\u2028title"},
            {0: PARAM},
            {0: PARAM, 3: [["money.cap_grains", 1]]},
            {0: PARAM, 3: [[name, largest + 1]]},
            {0: PARAM, 3: [[name, max(0, least - 1)], [name, largest]]},
            {0: PARAM, 3: [["jobs.treasury_bp", 3_001], ["jobs.stakers_bp", 3_000]]},
            {3: [[name, largest]]},
            {0: UPGRADE},
            {0: UPGRADE, 4: "soon", 5: height},
            {0: UPGRADE, 4: "\u200b", 5: U63_MAX},
            {0: TREASURY, 6: PEOPLE[0].address},
            {0: TREASURY, 7: 1},
            {0: PAUSE, 8: ["transfer"], 9: 1},
            {0: PAUSE, 8: ["job.open"] * 2, 9: 1},
            {0: PAUSE, 8: ["job.open"], 9: rules.pause_maximum_blocks + 1},
            {0: PAUSE, 8: ["job.open"]},
            {0: 6},
            {10: rules.deposit_grains // 16},
            {10: U63_MAX},
        ]
        body = [TEXT, "a title", ZERO, [], "", 0, NOBODY, 0, [], 0, rules.deposit_grains]
        for place, value in draw.choice(wrong).items():
            body[place] = value
        return self.signed(PEOPLE[act.who % 6], "gov.propose", body)

    def add_deposit(self, act: Act) -> bytes:
        draw = _drawn(act)
        name = self.some_proposal(draw, DEPOSITING)
        needed = self.politics.proposals[name]["needed"] if name != NOTHING else TILE
        amounts = (-(-needed // 16), -(-needed // 16), needed // 16, needed, 0, U63_MAX)
        return self.signed(EVERYBODY[act.who], "gov.deposit", [name, draw.choice(amounts)], act.choice)

    def take_proposal_back(self, act: Act) -> bytes:
        draw = _drawn(act)
        name = self.some_proposal(draw, DEPOSITING)
        known = self.politics.proposals.get(name)
        owner = person(known["proposer"]) if known and draw.random() < 0.8 else EVERYBODY[act.who]
        return self.signed(owner, "gov.cancel", [name])

    def vote(self, act: Act) -> bytes:
        """Anybody with anything."""
        draw = _drawn(act)
        name = self.some_proposal(draw, VOTING)
        position = draw.choice(EVERYBODY).address
        return self.signed(EVERYBODY[act.who], "gov.vote", [name, position, *draw.choice((YES, *BALLOTS))])

    def carry(self, act: Act) -> bytes:
        """What brings a live proposal on: the rest of its deposit, or the vote of somebody who has one.

        Every third one is left to its depositors.
        """
        draw = _drawn(act)
        live = {name: self.politics.proposals[name] for name in self.politics.active}
        waiting = [name for name, each in live.items() if each["status"] == DEPOSITING and name[2] % 3]
        voting = [name for name, each in live.items() if each["status"] == VOTING]
        if waiting and (not voting or draw.random() < 0.2):
            name = draw.choice(waiting)
            signer = PEOPLE[act.who % 6]
            return self.signed(signer, "gov.deposit", [name, live[name]["needed"]])
        if not voting:
            return self.propose(Act(act.what, act.who, act.job, 0, act.amount))
        name = draw.choice(voting)
        signer, position = self.elector(draw, name)
        kind = int.from_bytes(name[:2], "big") % 6  # people lean one way about one proposal
        ballot = VETO if kind == 0 else NO if kind == 1 else YES
        if draw.random() < 0.15:
            ballot = draw.choice(BALLOTS)
        return self.signed(signer, "gov.vote", [name, position, *ballot])

    def elector(self, draw: random.Random, name: bytes) -> tuple[SigningKey, bytes]:
        """Somebody with power, and a position that has it."""
        proposal, state = self.politics.proposals[name], self.twins.model.state
        own = [(address, address) for address in (*proposal["weights"], *proposal["work"])]
        staked = [(staker, operator) for operator, staker in state.delegations]
        known = {each.address for each in EVERYBODY}
        fit = [place for place in own + staked if place[0] in known]
        voter, position = draw.choice(fit or [(PEOPLE[0].address,) * 2])
        return person(voter), position

    def some_proposal(self, draw: random.Random, status: int) -> bytes:
        """A proposal in this state, mostly."""
        proposals = self.politics.proposals
        fit = [name for name, each in proposals.items() if each["status"] == status]
        if fit and draw.random() < 0.8:
            return draw.choice(fit)
        return draw.choice([*list(proposals)[-6:], NOTHING])


def _drawn(act: Act) -> random.Random:
    """What an act leaves open, drawn from all of it."""
    return random.Random(repr(act))
