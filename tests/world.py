"""Random people on a chain in memory: moves, what they become, and what must hold after every block.

A move is drawn blindly; what it becomes depends on the state, so that random sequences reach every state of a job and
also try what is not allowed there.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from hypothesis import strategies as st

from chain.blocks import Receipt
from chain.codec import Record
from chain.errors import Invalid
from chain.keys import SigningKey
from chain.ledger import Account, ChainState
from chain.types import Grains, JobId
from compute.spec.claim import NO_BINDING, Binding
from consensus.transition import Transition
from tests.builders import STAKE_GRAINS, TILE, ZERO, Ledger, funded_spec, key, registration, require_declared
from tests.cases import Case, Product
from vm.jobs.record import Job, Status, Verdict
from vm.kinds.accounts import Transfer
from vm.kinds.audits import ChallengeProve, JobAttest
from vm.kinds.jobs import JobCancel, JobOpen

PEOPLE = [key(number) for number in range(8)]
STRANGERS = [key(number) for number in range(8, 12)]
"""Have nothing at first, so that payments to them create accounts."""
MINER = key(12)
PRODUCT = Product.random()
SPEC = replace(funded_spec(accounts=len(PEOPLE)), jobs=replace(funded_spec().jobs, open_expiry_blocks=12))
EDGES = {
    Status.OPEN: {Status.CLAIMED, Status.CANCELLED, Status.EXPIRED},
    Status.CLAIMED: {Status.COMMITTED, Status.LATE},
    Status.COMMITTED: {Status.SETTLED, Status.VOID, Status.SLASHED},
}
"""The life cycle; everything not named here must not happen."""


@dataclass(frozen=True)
class Move:
    """One attempt: what is tried, by whom, on which job; `amount` and `choice` fill in the rest."""

    act: str
    who: int
    job: int
    amount: int
    choice: int


@dataclass(frozen=True)
class Round:
    """A block with some moves and whether a provider wins it with its job's product, then some empty blocks."""

    moves: list[Move]
    bound: bool
    empty: int


def rounds(*acts: str) -> st.SearchStrategy[Round]:
    """Rounds of these acts; naming an act twice makes it twice as likely."""
    moves = st.builds(
        Move,
        act=st.sampled_from(acts),
        who=st.integers(0, len(PEOPLE) - 1),
        job=st.integers(0, 3),
        amount=st.sampled_from([0, 1, 999, 1_000, TILE, 900_000 * TILE, (1 << 63) - 1])
        | st.integers(0, 1 << 52),
        choice=st.integers(0, 11),
    )
    return st.builds(Round, st.lists(moves, max_size=4), st.booleans(), st.integers(0, 2))


@dataclass
class World:
    """The chain, the jobs on it, and the invariants."""

    ledger: Ledger = field(default_factory=lambda: Ledger(SPEC))
    cases: list[Case] = field(default_factory=list)
    fresh: list[Case] = field(default_factory=list)
    """Opened by the block under construction."""
    statuses: dict[JobId, Status] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)
    """How often each outcome came up, for the test that the drawing is worth something."""

    def __post_init__(self) -> None:
        self.ledger.people |= {person.address for person in (*PEOPLE, *STRANGERS, MINER)}

    def play(self, this: Round) -> None:
        transition = self.ledger.begin()
        for move in this.moves:
            self._attempt(transition, move)
        claimed = [case for case in self.cases if case.status is Status.CLAIMED] if this.bound else []
        if claimed:
            provider = claimed[0].now.provider
            self.ledger.finish(transition, miner=provider, binding=Binding(claimed[0].job_id, 0))
        else:
            self.ledger.finish(transition, miner=MINER.address, binding=NO_BINDING)
        for case in self.fresh:
            self.cases.append(case)
            self.ledger.jobs.append(case.job_id)
            self.statuses[case.job_id] = Status.OPEN
        self.fresh.clear()
        self.check()
        for _ in range(this.empty):
            self.wait()

    def wait(self) -> None:
        self.ledger.mine(miner=MINER.address)
        self.check()

    def check(self) -> None:
        """No coin lost or made; every job moves along its edges; nobody honest is slashed."""
        self.ledger.audit()
        for case in self.cases:
            job, before = case.now, self.statuses[case.job_id]
            if job.status is not before:
                path = (before, Status.CLAIMED, Status.COMMITTED)
                assert any(job.status in EDGES.get(step, ()) for step in path), (
                    f"{before.name} to {job.status.name}"
                )
                assert not before.terminal, "a job ends once"
                self.statuses[case.job_id] = job.status
                self.seen[job.status.name] += 1
            assert (job.closed_height > 0) == job.status.terminal
            if job.status is Status.SLASHED:
                assert self.is_wrong(case), "no proof holds against an honest provider"

    def is_wrong(self, case: Case) -> bool:
        """Whether the committed result of a job is not the product."""
        provider = replace(case, provider=_person(case.now.provider))
        return case.now.result_root != provider.commit_body().result_root

    # -- one transaction --------------------------------------------------------------------------------------------

    def _attempt(self, transition: Transition, move: Move) -> None:
        signer, body = self._meant(move)
        before = transition.context.account(signer.address)
        tip = 0 if isinstance(body, JobAttest) else move.choice
        signed = self.ledger.sign(signer, body, nonce=before.nonce, tip_grains=Grains(tip))
        state, chain = dict(transition.context.state.changes()), transition.context.chain
        try:
            receipt = transition.add(signed.to_bytes(), self.ledger.parse(signed.to_bytes()))
        except Invalid as error:
            assert dict(transition.context.state.changes()) == state, "a refused transaction leaves nothing"
            self.seen[f"refused {error.code}"] += 1
            return
        require_declared(signed, receipt)
        self.seen[receipt.code or signed.kind] += 1
        if receipt.code:
            _check_failure(
                receipt, before, transition.context.account(signer.address), chain, transition.context.chain
            )
        for event in receipt.events:
            if event.name == "JobOpened":
                assert isinstance(body, JobOpen)
                price = body.price_per_gmac_grains
                case = Case(
                    self.ledger, PRODUCT, signer, price_per_gmac=price, job_id=JobId(bytes(event.values[0]))
                )
                self.fresh.append(case)

    def _meant(self, move: Move) -> tuple[SigningKey, Record]:
        """Who sends what."""
        who = PEOPLE[move.who]
        case = self._case(move)
        if move.act == "transfer" or case is None:
            to = (*PEOPLE, *STRANGERS)[move.choice].address
            return who, Transfer(to, Grains(move.amount), b"")
        if move.act == "stake":
            return who, registration(move.amount % (2 * STAKE_GRAINS))
        if move.act == "open":
            return who, self._opened(move, who)
        if move.act == "cancel":
            return case.payer if move.choice % 2 else who, JobCancel(case.job_id)
        if move.act == "claim":
            return who, case.claim_body(1 + move.amount % case.price_per_gmac)
        if move.act == "commit":
            return who, self._commitment(case, who, move)
        if move.act == "attest":
            return who, case.attest_commit(who, Verdict(move.choice % 3 + 1))
        if move.act == "challenge":
            return who, self._proof(case, move)
        return self._pushed(case, move)

    def _case(self, move: Move) -> Case | None:
        """The job a move is about: one of the latest; opening needs none and the first move has none."""
        if move.act == "open":
            return Case(ledger=self.ledger, job_id=JobId(ZERO))
        live = [case for case in self.cases if self._waits(case.now)]
        latest = live if live and move.act == "push" else self.cases[-4:]
        return latest[move.job % len(latest)] if latest else None

    def _waits(self, job: Job) -> bool:
        """Whether somebody's transaction can move this job on now."""
        if job.status is not Status.COMMITTED:
            return not job.status.terminal
        return any(seat.commitment == ZERO or (self._reveals(job) and not seat.verdict) for seat in job.seats)

    def _reveals(self, job: Job) -> bool:
        return self.ledger.height + 1 >= job.committed_height + SPEC.jobs.reveal_offset

    def _opened(self, move: Move, who: SigningKey) -> JobOpen:
        price = (1, 10**13, 10**15, 10**17)[move.choice % 4]
        case = Case(self.ledger, PRODUCT, who, price_per_gmac=price, deadline_blocks=5 + move.choice % 3)
        return case.open_body(max_price_grains=Grains(move.amount if move.amount > TILE else 1000 * TILE))

    def _commitment(self, case: Case, who: SigningKey, move: Move) -> Record:
        return case.commit_body(PRODUCT.wrong_result() if move.choice % 3 == 0 else None, owner=who.address)

    def _proof(self, case: Case, move: Move) -> Record:
        """About the element that cheats falsify, or another one; senseless as long as there is no result."""
        job = case.now
        if job.status in (Status.OPEN, Status.CLAIMED, Status.CANCELLED, Status.EXPIRED, Status.LATE):
            return JobCancel(case.job_id)
        case = replace(case, provider=_person(job.provider))
        result = PRODUCT.wrong_result() if self.is_wrong(case) else PRODUCT.result
        return ChallengeProve(case.element_proof(result, column=0 if move.choice == 0 else 1))

    def _pushed(self, case: Case, move: Move) -> tuple[SigningKey, Record]:
        """What moves this job on, from somebody who may do it."""
        job, who = case.now, PEOPLE[move.who]
        if job.status is Status.OPEN:
            return who, case.claim_body()
        if job.status is Status.CLAIMED:
            provider = _person(job.provider)
            return provider, self._commitment(case, provider, move)
        if job.status is Status.COMMITTED and move.choice == 0:
            return who, self._proof(case, replace(move, choice=1))
        if job.status is Status.COMMITTED and job.seats:
            revealing = self._reveals(job)
            waiting = [
                s for s in job.seats if (s.verdict is Verdict.NONE if revealing else s.commitment == ZERO)
            ]
            member = _person((waiting or job.seats)[move.choice % len(waiting or job.seats)].member)
            verdict = Verdict.OK if member != PEOPLE[0] else Verdict.WRONG
            return member, case.attest_reveal(verdict) if revealing else case.attest_commit(member, verdict)
        return who, self._opened(move, who)


def _person(address: bytes) -> SigningKey:
    return next(person for person in PEOPLE if person.address == address)


def _check_failure(
    receipt: Receipt, before: Account, after: Account, chain_before: ChainState, chain_after: ChainState
) -> None:
    """A failing transaction leaves its fee and its nonce [TX-EXEC]."""
    assert receipt.events == ()
    cost = receipt.burned_grains + receipt.tip_grains
    assert after == before.but(nonce=before.nonce + 1, balance_grains=before.balance_grains - cost)
    paid = replace(
        chain_before,
        burned_grains=Grains(chain_before.burned_grains + receipt.burned_grains),
        pending_tips_grains=Grains(chain_before.pending_tips_grains + receipt.tip_grains),
    )
    assert chain_after == paid
