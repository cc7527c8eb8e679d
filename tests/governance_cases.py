"""A chain with people who vote: proposals brought to a state; and one case for every code of the kinds of governance.

The codes are read by test_error_codes.py, so that a new one without a case shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from chain.codec import Record, pack
from chain.hashing import Tag, h256
from chain.keys import SigningKey
from chain.ledger import GOVERNED_KEY, NOTHING_GOVERNED, Governed, ParameterValue
from chain.state.overlay import Overlay
from chain.types import NO_ADDRESS, Address, Grains, Hash32, Height, ProposalId
from genesis.spec import ChainSpec
from tests.builders import TILE, Ledger, funded_spec, key
from vm.accounts.session import Session, session_id, session_key
from vm.governance.houses import NO_VOTE, Vote, find_vote
from vm.governance.proposal import Proposal, ProposalSort, ProposalStatus, load_proposal
from vm.kinds.governance import GovCancel, GovDeposit, GovPropose, GovVote

U63_MAX = (1 << 63) - 1
VALIDATORS = [key(number) for number in range(5)]
"""With 10,000 TILE each."""
ALICE, BOB, CAROL, DAVE, ERIN = VALIDATORS
PROPOSER, BACKER, STAKER = key(5), key(6), key(7)
NOTHING = ProposalId(bytes(32))
YES, NO, ABSTAIN, VETO = ((10_000, 0, 0, 0), (0, 10_000, 0, 0), (0, 0, 10_000, 0), (0, 0, 0, 10_000))
DEPOSIT = 16 * TILE


def quick(**changes: Any) -> ChainSpec:
    """Epochs of four blocks, and windows of governance so short that a test passes through all of them."""
    spec = funded_spec()
    rules: dict[str, Any] = {
        "deposit_grains": Grains(DEPOSIT),
        "deposit_blocks": 8,
        "voting_blocks": 6,
        "timelock_blocks": 3,
        "timelock_minimum_blocks": 2,
        "pause_maximum_blocks": 5,
    }
    return replace(
        spec,
        pace=replace(spec.pace, epoch_blocks=4),
        governance=replace(spec.governance, **(rules | changes)),
    )


def proposed(sort: ProposalSort = ProposalSort.TEXT, **changes: Any) -> GovPropose:
    fields: dict[str, Any] = {
        "sort": sort,
        "title": "a proposal",
        "doc_root": Hash32(bytes(32)),
        "changes": (),
        "upgrade": "",
        "upgrade_height": Height(0),
        "to": NO_ADDRESS,
        "amount_grains": Grains(0),
        "paused": (),
        "pause_blocks": 0,
        "deposit_grains": Grains(DEPOSIT),
    }
    return GovPropose(**(fields | changes))


def parameters(**values: int) -> GovPropose:
    """A change of parameters, named `group__field`."""
    changes = tuple(ParameterValue(name.replace("__", "."), value) for name, value in values.items())
    return proposed(ProposalSort.PARAM, changes=changes)


def payment(to: SigningKey, amount: int) -> GovPropose:
    return proposed(ProposalSort.TREASURY, to=to.address, amount_grains=Grains(amount))


def pause(*kinds: str, blocks: int = 3) -> GovPropose:
    return proposed(ProposalSort.PAUSE, paused=kinds, pause_blocks=blocks)


def upgrade(name: str, height: int) -> GovPropose:
    return proposed(ProposalSort.UPGRADE, upgrade=name, upgrade_height=Height(height))


@dataclass
class Forum:
    """A test chain, a block per transaction unless said otherwise; the first validator wins every block."""

    ledger: Ledger = field(default_factory=lambda: Ledger(quick()))
    miner: Address = ALICE.address

    def sends(self, *sent: tuple[SigningKey, Record]) -> list[str]:
        """Mine these in one block; returns their codes."""
        made = [self.ledger.sign(who, body) for who, body in sent]
        return [receipt.code for receipt in self.ledger.mine(*made, miner=self.miner)]

    def send(self, who: SigningKey, body: Record) -> str:
        (code,) = self.sends((who, body))
        return code

    def blocks(self, count: int) -> None:
        for _ in range(count):
            self.ledger.mine(miner=self.miner)

    def propose(self, body: GovPropose, who: SigningKey = PROPOSER) -> ProposalId:
        """Open it; voting starts at once if the whole deposit is in the body."""
        nonce = self.ledger.account(who.address).nonce
        assert self.send(who, body) == ""
        return proposal_id(who, nonce)

    def opened(self) -> ProposalId:
        """One that needs more deposit."""
        return self.propose(proposed(deposit_grains=Grains(DEPOSIT // 2)))

    def under_vote(self, body: GovPropose | None = None) -> ProposalId:
        """One that is voted on, in the first epoch in which there is work to count."""
        while self.ledger.height < self.ledger.spec.pace.epoch_blocks + 1:
            self.blocks(1)
        return self.propose(body or proposed())

    def vote(
        self,
        identity: ProposalId,
        who: SigningKey,
        ballot: tuple[int, int, int, int] = YES,
        position: SigningKey | None = None,
    ) -> str:
        return self.send(who, GovVote(identity, (position or who).address, *ballot))

    def everybody(self, identity: ProposalId, ballot: tuple[int, int, int, int] = YES) -> None:
        """All validators vote, in one block."""
        votes = [(who, GovVote(identity, who.address, *ballot)) for who in VALIDATORS]
        assert self.sends(*votes) == [""] * len(VALIDATORS)

    def decide(self, identity: ProposalId) -> ProposalStatus:
        """Go to the block that counts the votes."""
        started = self.proposal(identity).voting_height
        self.ledger_to(started + self.ledger.spec.governance.voting_blocks)
        return self.proposal(identity).status

    def enact(self, body: GovPropose) -> ProposalStatus:
        """Propose, vote yes with everything, and go to the block in which it happens."""
        identity = self.under_vote(body)
        self.everybody(identity)
        assert self.decide(identity) is ProposalStatus.PASSED
        while not self.proposal(identity).status.terminal:
            self.blocks(1)
        return self.proposal(identity).status

    def ledger_to(self, height: int) -> None:
        while self.ledger.height < height:
            self.blocks(1)

    # -- looking ----------------------------------------------------------------------------------------------------

    @property
    def state(self) -> Overlay:
        """After the last block."""
        return Overlay(self.ledger.tree)

    def proposal(self, identity: ProposalId) -> Proposal:
        return load_proposal(self.state, identity)

    def ballot(self, identity: ProposalId, who: SigningKey, position: SigningKey | None = None) -> Vote:
        """What the state remembers of a vote."""
        return find_vote(self.state, identity, (position or who).address, who.address) or NO_VOTE

    @property
    def governed(self) -> Governed:
        data = self.ledger.tree.get(GOVERNED_KEY)
        return Governed.from_bytes(data) if data is not None else NOTHING_GOVERNED

    @property
    def spec(self) -> ChainSpec:
        """The constants in force in the next block."""
        return self.ledger.begin().context.spec

    def grant(self, owner: SigningKey, agent: SigningKey, vote_scope: int) -> None:
        """A session key that may spend a TILE and vote on proposals of some sorts."""
        session = Session(
            owner=owner.address,
            public_key=agent.public_key,
            kinds=("gov.vote",),
            total_grains=Grains(TILE),
            window_blocks=0,
            per_window_grains=Grains(0),
            counterparties=(),
            objects=(),
            vote_scope=vote_scope,
            agent=1,
            expires=Height(U63_MAX),
            deposit_grains=Grains(0),
            spent_grains=Grains(0),
            window_begins=Height(0),
            window_spent_grains=Grains(0),
        )
        self.ledger.put({session_key(session_id(owner.address, agent.public_key)): session.to_bytes()})


def proposal_id(who: SigningKey, nonce: int) -> ProposalId:
    return ProposalId(h256(Tag.PROPOSAL_ID, pack([who.address, nonce])))


# -- one case per code ------------------------------------------------------------------------------------------------

Case = Callable[[Forum], str]
AGENT = key(60)


def opening(body: GovPropose, who: SigningKey = PROPOSER) -> Case:
    return lambda forum: forum.send(who, body)


def one_too_many(forum: Forum) -> str:
    codes = forum.sends(*[(PROPOSER, proposed(deposit_grains=Grains(TILE)))] * 17)
    assert codes[:16] == [""] * 16
    return codes[16]


def adding(amount: int, who: SigningKey = BACKER) -> Case:
    return lambda forum: forum.send(who, GovDeposit(forum.opened(), Grains(amount)))


def voting(who: SigningKey, ballot: tuple[int, int, int, int] = YES) -> Case:
    return lambda forum: forum.vote(forum.under_vote(), who, ballot)


def beyond_scope(forum: Forum) -> str:
    identity = forum.under_vote()
    forum.grant(ALICE, AGENT, 1 << ProposalSort.PAUSE)
    nonce = forum.ledger.account(ALICE.address).nonce
    body = GovVote(identity, ALICE.address, *YES)
    signed = forum.ledger.sign(AGENT, body, sender=ALICE.address, nonce=nonce)
    (receipt,) = forum.ledger.mine(signed)
    return receipt.code


GOVERNANCE_FAILURES: dict[tuple[str, str], Case] = {
    ("gov.propose", "TEXT"): opening(proposed(title="a\u202eproposal")),
    ("gov.propose", "FORM"): opening(proposed(pause_blocks=1)),
    ("gov.propose", "PARAM_BOUNDS"): opening(parameters(jobs__protocol_fee_bp=1_001)),
    ("gov.propose", "BUSY"): one_too_many,
    ("gov.propose", "DEPOSIT"): opening(proposed(deposit_grains=Grains(TILE - 1))),
    ("gov.propose", "BALANCE"): opening(proposed(deposit_grains=Grains(U63_MAX))),
    ("gov.deposit", "NOT_FOUND"): lambda forum: forum.send(BACKER, GovDeposit(NOTHING, Grains(TILE))),
    ("gov.deposit", "PHASE"): lambda forum: forum.send(BACKER, GovDeposit(forum.under_vote(), Grains(TILE))),
    ("gov.deposit", "DEPOSIT"): adding(TILE - 1),
    ("gov.deposit", "BALANCE"): adding(U63_MAX),
    ("gov.vote", "FORM"): voting(ALICE, (10_000, 1, 0, 0)),
    ("gov.vote", "NOT_FOUND"): lambda forum: forum.vote(NOTHING, ALICE),
    ("gov.vote", "PHASE"): lambda forum: forum.vote(forum.opened(), ALICE),
    ("gov.vote", "SCOPE"): beyond_scope,
    ("gov.vote", "NO_POWER"): voting(PROPOSER),
    ("gov.cancel", "NOT_FOUND"): lambda forum: forum.send(PROPOSER, GovCancel(NOTHING)),
    ("gov.cancel", "NOT_OWNER"): lambda forum: forum.send(BACKER, GovCancel(forum.opened())),
    ("gov.cancel", "PHASE"): lambda forum: forum.send(PROPOSER, GovCancel(forum.under_vote())),
}


def ended(body: GovPropose) -> Case:
    """The code with which a passed proposal fails."""

    def case(forum: Forum) -> str:
        identity = forum.under_vote(body)
        forum.everybody(identity)
        forum.blocks(12)
        return forum.proposal(identity).failure

    return case


def crowded_out(forum: Forum) -> str:
    """Two proposals, each within bounds, that are not together."""
    first, second = parameters(jobs__treasury_bp=4_000), parameters(jobs__stakers_bp=4_000)
    forum.under_vote()
    one, other = forum.propose(first), forum.propose(second)
    forum.everybody(one)
    forum.everybody(other)
    forum.blocks(12)
    assert forum.proposal(one).failure == ""
    return forum.proposal(other).failure


RUN_FAILURES: dict[str, Case] = {
    "PARAM_BOUNDS": crowded_out,
    "UPGRADE": ended(upgrade("never agreed on", 0)),
    "TREASURY": ended(payment(BACKER, 1)),
}
"""Why what was decided cannot be done; DUST needs a treasury, see test_governance_run.py."""
