"""Governance on the naive state: votes are counted again from all ballots.  Spec: docs/spec/governance.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from chain.hashing import Tag, h256
from genesis.spec import ChainSpec
from tests.model import accounts, staking
from tests.model.assets import readable
from tests.model.books import Books, Entry, Item
from tests.model.forms import Refused, pack, require

if TYPE_CHECKING:
    from tests.model.ledger import Model

GOVERNED, PROPOSAL, PROPOSALS, VOTE = 11, 15, 16, 17
"""Namespaces."""
DEPOSITS_END, VOTING_ENDS, PROPOSAL_RUNS = 10, 11, 12
"""Automatic steps."""
PARAM, UPGRADE, TREASURY, TEXT, PAUSE = range(1, 6)
DEPOSITING, VOTING, PASSED, EXECUTED, REJECTED, VETOED, EXPIRED, FAILED, CANCELLED = range(1, 10)
NOBODY = bytes(20)
MANY = 16
"""Proposals at a time, and depositors of one."""
PAUSABLE = (
    *("job.open", "job.claim", "asset.publish", "asset.version", "asset.offer", "asset.acquire"),
    *("stake.register", "stake.delegate", "stake.redelegate"),
    *("session.grant", "asset.permit", "provider.register"),
)
PROTECTED = "jobs.bonus_bp"
BOUNDS = {
    "money.block_target_bp": (2_500, 7_500),
    "money.base_fee_step_divisor": (4, 64),
    "money.base_fee_floor_grains": (1, 1_000_000),
    "money.byte_fee_grains": (0, 10_000),
    "money.dust_grains": (0, 10_000_000),
    "jobs.protocol_fee_bp": (0, 1_000),
    "jobs.treasury_bp": (0, 6_000),
    "jobs.stakers_bp": (0, 6_000),
    "jobs.audit_price_millis": (1, 1_000_000),
    "jobs.bonus_bp": (0, 9_500),
    "staking.share_cap_bp": (500, 3_300),
    "staking.commission_cap_bp": (500, 10_000),
    "staking.commission_change_bp": (1, 500),
    "governance.quorum_bp": (1_000, 6_000),
    "governance.pass_bp": (5_000, 8_000),
    "governance.veto_bp": (2_500, 5_000),
    "governance.deposit_grains": (10**9, 10**14),
    "accounts.session_deposit_grains": (0, 10**11),
    "providers.deposit_grains": (0, 10**13),
}
"""Two more depend on the network, see `bounds`."""


@dataclass
class Governance(Books):
    """[GOV-STATE]"""

    touched: bool = False
    """Whether anything was ever governed."""
    values: dict[str, int] = field(default_factory=dict)
    paused: list[str] = field(default_factory=list)
    paused_until: int = 0
    upgrade: str = ""
    upgrade_height: int = 0
    proposals: dict[bytes, Item] = field(default_factory=dict)
    """Id to fields in the order of the record; before the sums of a house stands what each voter can count there."""
    votes: dict[tuple[bytes, bytes, bytes], Item] = field(default_factory=dict)
    """Proposal, position and voter to `ballot`, and to the `grains` that a delegator took."""

    @property
    def locked(self) -> int:
        return sum(grains for proposal in self.proposals.values() for _, grains in proposal["deposits"])

    @property
    def active(self) -> list[bytes]:
        return [name for name, proposal in self.proposals.items() if proposal["status"] < EXECUTED]

    def taken(self, name: bytes, operator: bytes) -> int:
        """What delegators of a validator vote themselves."""
        return sum(
            vote["grains"]
            for (proposal, position, voter), vote in self.votes.items()
            if proposal == name and position == operator != voter
        )

    def counted(self, name: bytes, position: bytes, voter: bytes) -> tuple[int, int]:
        """Grains and blocks of a vote."""
        proposal, vote = self.proposals[name], self.votes[name, position, voter]
        if position != voter:
            return vote["grains"], 0
        return proposal["weights"].get(voter, 0) - self.taken(name, voter), proposal["work"].get(voter, 0)

    def sums(self, name: bytes, house: int) -> list[int]:
        """Yes, no, abstain and veto in the stake house (0) or the work house (1)."""
        found = [0, 0, 0, 0]
        for (proposal, position, voter), vote in self.votes.items():
            if proposal == name:
                power = self.counted(name, position, voter)[house]
                found = [have + power * part for have, part in zip(found, vote["ballot"], strict=True)]
        return found

    def entries(self) -> Iterator[Entry]:
        if self.touched:
            values = [[name, self.values[name]] for name in sorted(self.values)]
            pauses = [sorted(self.paused), self.paused_until]
            yield "governed", GOVERNED, b"", [values, *pauses, self.upgrade, self.upgrade_height]
        for number, (name, proposal) in enumerate(self.proposals.items()):
            yield f"proposal {number}", PROPOSAL, name, self.record(name, proposal)
            yield f"number {number} of proposals", PROPOSALS, number.to_bytes(8, "big"), [name]
        if self.proposals:
            yield "proposals", PROPOSALS, b"", [len(self.proposals), self.active]
        for name, position, voter in self.voters():
            what = f"vote of {voter.hex()} with {position.hex()}"
            yield what, VOTE, name + position + voter, self.vote(name, position, voter)

    def voters(self) -> set[tuple[bytes, bytes, bytes]]:
        """Whoever has voted, and validators whose power others took."""
        return {
            place
            for name, position, voter in self.votes
            for place in ((name, position, voter), (name, position, position))
        }

    def vote(self, name: bytes, position: bytes, voter: bytes) -> list[Any]:
        taken = self.taken(name, voter) if position == voter else 0
        if (name, position, voter) not in self.votes:
            return [[0, 0, 0, 0], 0, 0, taken]
        ballot = self.votes[name, position, voter]["ballot"]
        return [list(ballot), *self.counted(name, position, voter), taken]

    def record(self, name: bytes, proposal: Item) -> list[Any]:
        houses = {"weights": 0, "work": 1}
        fields: list[Any] = []
        for key, value in proposal.items():
            if key in houses:
                fields += [
                    sum(value.values()),
                    [each.to_bytes(16, "big") for each in self.sums(name, houses[key])],
                ]
            else:
                fields.append(value)
        return fields


def books_of(model: Model) -> Governance:
    found = model.state.books["governance"]
    assert isinstance(found, Governance)
    return found


# -- what is in force -------------------------------------------------------------------------------------------------


def in_force(founding: ChainSpec, values: dict[str, int]) -> ChainSpec:
    """[GOV-FORCE]"""
    for name, value in values.items():
        group, constant = name.split(".")
        founding = replace(founding, **{group: replace(getattr(founding, group), **{constant: value})})
    return founding


def paused_now(model: Model) -> list[str]:
    """Kinds that may not be in the block under construction; asked for before anything runs in it."""
    books = books_of(model)
    return list(books.paused) if model.height <= books.paused_until else []


def bounds(spec: ChainSpec, name: str) -> tuple[int, int]:
    """[GOV-PARAM]"""
    if name == "staking.unbonding_blocks":
        kept = staking.kept_epochs(spec) * spec.pace.epoch_blocks
        return kept, max(kept, 4_194_304)
    if name == "governance.timelock_blocks":
        return spec.governance.timelock_minimum_blocks, 30 * spec.governance.timelock_minimum_blocks
    return BOUNDS.get(name, (1, 0))


def allowed(spec: ChainSpec, changes: Iterable[Any]) -> bool:
    """[GOV-PARAM]"""
    wanted: dict[str, int] = dict(changes)
    if not wanted or len(wanted) < len(list(changes)):
        return False
    for name, value in wanted.items():
        least, largest = bounds(spec, name)
        if not least <= value <= largest:
            return False
    old, new = spec.jobs, in_force(spec, wanted).jobs
    return new.treasury_bp + new.stakers_bp <= max(6_000, old.treasury_bp + old.stakers_bp)


# -- transactions -----------------------------------------------------------------------------------------------------


def propose(model: Model, sender: bytes, origin: list[Any], body: Any) -> None:
    """[GOV-PROPOSE]"""
    sort, title, about, changes, upgrade, upgrade_height, to, amount, paused, pause_blocks, deposit = body
    books, rules = books_of(model), model.spec.governance
    require(readable(title), "TEXT")
    filled = {
        PARAM: bool(changes),
        UPGRADE: bool(upgrade),
        TREASURY: to != NOBODY and amount > 0,
        TEXT: True,
        PAUSE: bool(paused) and pause_blocks > 0,
    }
    foreign = {
        PARAM: bool(changes),
        UPGRADE: bool(upgrade) or upgrade_height > 0,
        TREASURY: to != NOBODY or amount > 0,
        PAUSE: bool(paused) or pause_blocks > 0,
    }
    require(filled[sort] and not any(there for other, there in foreign.items() if other != sort), "FORM")
    if sort == PARAM:
        require(allowed(model.spec, changes), "PARAM_BOUNDS")
    if sort == UPGRADE:
        soonest = model.height + rules.voting_blocks + rules.timelock_blocks + 1
        require(readable(upgrade) and (upgrade_height == 0 or upgrade_height >= soonest), "PARAM_BOUNDS")
    if sort == PAUSE:
        require(all(kind in PAUSABLE for kind in paused) and len(set(paused)) == len(paused), "PARAM_BOUNDS")
        require(pause_blocks <= rules.pause_maximum_blocks, "PARAM_BOUNDS")
    require(len(books.active) < MANY, "BUSY")
    name = h256(Tag.PROPOSAL_ID, pack(origin))
    books.proposals[name] = {
        "number": len(books.proposals),
        "proposer": sender,
        "sort": sort,
        "title": title,
        "about": about,
        "changes": changes,
        "upgrade": upgrade,
        "upgrade_height": upgrade_height,
        "to": to,
        "amount": amount,
        "paused": paused,
        "pause_blocks": pause_blocks,
        "status": DEPOSITING,
        "opened": model.height,
        "needed": rules.deposit_grains,
        "deposits": [],
        "voting": 0,
        "epoch": 0,
        "weights": {},
        "work": {},
        "decided": 0,
        "runs": 0,
        "closed": 0,
        "failure": "",
    }
    model.schedule(model.height + rules.deposit_blocks, DEPOSITS_END, name)
    add_deposit(model, name, sender, deposit)


def add_deposit(model: Model, name: bytes, sender: bytes, amount: int) -> None:
    """[GOV-DEPOSIT]"""
    proposal = books_of(model).proposals[name]
    require(amount * MANY >= proposal["needed"], "DEPOSIT")
    model.debit(sender, amount)
    mine = [each for each in proposal["deposits"] if each[0] == sender]
    if mine:
        mine[0][1] += amount
    else:
        proposal["deposits"].append([sender, amount])
    if sum(grains for _, grains in proposal["deposits"]) >= proposal["needed"]:
        epoch = model.height // model.spec.pace.epoch_blocks
        proposal |= {"status": VOTING, "voting": model.height, "epoch": epoch}
        proposal["weights"] = dict(model.state.weights[epoch])
        proposal["work"] = dict(model.state.work.get(epoch - 1, {}))
        model.schedule(model.height + model.spec.governance.voting_blocks, VOTING_ENDS, name)


def deposit(model: Model, sender: bytes, origin: list[Any], body: Any) -> None:
    name, amount = body
    add_deposit(model, in_phase(model, name, DEPOSITING), sender, amount)


def cancel(model: Model, sender: bytes, origin: list[Any], body: Any) -> None:
    (name,) = body
    require(name in books_of(model).proposals, "NOT_FOUND")
    require(books_of(model).proposals[name]["proposer"] == sender, "NOT_OWNER")
    close(model, in_phase(model, name, DEPOSITING), CANCELLED)


def in_phase(model: Model, name: bytes, status: int) -> bytes:
    """The name of a proposal in this state."""
    proposals = books_of(model).proposals
    require(name in proposals, "NOT_FOUND")
    require(proposals[name]["status"] == status, "PHASE")
    return name


def vote(model: Model, sender: bytes, origin: list[Any], body: Any) -> None:
    """[GOV-VOTE]"""
    name, position, *ballot = body
    books = books_of(model)
    require(sum(ballot) == 10_000, "FORM")
    proposal = books.proposals[in_phase(model, name, VOTING)]
    if model.acting is not None:
        granted = accounts.books_of(model).sessions[model.acting]["votes"]
        require(granted & 2 ** proposal["sort"] > 0, "SCOPE")
    known = books.votes.get((name, position, sender))
    if position == sender:
        grains = proposal["weights"].get(sender, 0) - books.taken(name, sender)
        require(grains > 0 or proposal["work"].get(sender, 0) > 0, "NO_POWER")
        books.votes[name, sender, sender] = {"ballot": ballot, "grains": 0}
    elif known is not None:
        known["ballot"] = ballot
    else:
        had = staking.grains_when(model, position, sender, proposal["epoch"])
        grains = min(had, proposal["weights"].get(position, 0) - books.taken(name, position))
        require(grains > 0, "NO_POWER")
        books.votes[name, position, sender] = {"ballot": ballot, "grains": grains}


# -- automatic steps --------------------------------------------------------------------------------------------------


def close(model: Model, name: bytes, status: int) -> None:
    """[GOV-DEPOSIT]: paid back, or burned after a veto."""
    proposal = books_of(model).proposals[name]
    proposal |= {"status": status, "closed": model.height}
    settle(model, proposal, burn=status == VETOED)


def settle(model: Model, proposal: Item, burn: bool = False) -> None:
    for depositor, grains in proposal["deposits"]:
        if burn:
            model.state.burned += grains
        else:
            model.credit(depositor, grains)
    proposal["deposits"] = []


def end_deposits(model: Model, name: bytes) -> None:
    if books_of(model).proposals[name]["status"] == DEPOSITING:
        close(model, name, EXPIRED)


def end_voting(model: Model, name: bytes) -> None:
    """[GOV-TALLY]"""
    books, rules = books_of(model), model.spec.governance
    proposal = books.proposals[name]
    proposal["decided"] = model.height
    houses = [
        (books.sums(name, 0), sum(proposal["weights"].values())),
        (books.sums(name, 1), sum(proposal["work"].values())),
    ]
    (yes, no, abstain, veto), power = houses[0]
    cast = yes + no + abstain + veto
    if cast >= rules.quorum_bp * power and veto and veto * 10_000 >= rules.veto_bp * cast:
        close(model, name, VETOED)
        return
    pausing = proposal["sort"] == PAUSE
    protected = any(changed == PROTECTED for changed, _ in proposal["changes"])
    if not (pausing or protected or proposal["sort"] == UPGRADE):
        houses = houses[:1]
    for (yes, no, abstain, veto), power in houses:
        against = no + veto
        agreed = (
            yes * 10_000 > rules.pass_bp * (yes + against)
            and yes + against + abstain >= rules.quorum_bp * power
        )
        if not agreed or (pausing and yes < 2 * against):
            close(model, name, REJECTED)
            return
    proposal |= {"status": PASSED, "runs": model.height + rules.timelock_blocks}
    settle(model, proposal)
    model.schedule(proposal["runs"], PROPOSAL_RUNS, name)


def run(model: Model, name: bytes) -> None:
    """[GOV-RUN]"""
    proposal = books_of(model).proposals[name]
    proposal["closed"] = model.height
    try:
        carry_out(model, proposal)
    except Refused as failure:
        proposal |= {"status": FAILED, "failure": failure.code}
    else:
        proposal["status"] = EXECUTED


def carry_out(model: Model, proposal: Item) -> None:
    """Raises: Refused before anything has changed."""
    books, sort = books_of(model), proposal["sort"]
    if sort == PARAM:
        require(allowed(in_force(model.spec, books.values), proposal["changes"]), "PARAM_BOUNDS")
        books.values |= dict(proposal["changes"])
    elif sort == UPGRADE:
        height, known = proposal["upgrade_height"], proposal["upgrade"] == books.upgrade
        require(height > model.height or (height == 0 and known), "UPGRADE")
        books.upgrade, books.upgrade_height = (proposal["upgrade"], height) if height else ("", 0)
    elif sort == TREASURY:
        to, amount = proposal["to"], proposal["amount"]
        require(model.state.treasury >= amount, "TREASURY")
        new = model.account(to)["balance"] == model.account(to)["nonce"] == 0
        require(not new or amount >= model.spec.money.dust_grains, "DUST")
        model.state.treasury -= amount
        model.credit(to, amount)
    elif sort == PAUSE:
        books.paused, books.paused_until = proposal["paused"], model.height + proposal["pause_blocks"]
    books.touched |= sort in (PARAM, UPGRADE, PAUSE)


EFFECTS = {"gov.propose": propose, "gov.deposit": deposit, "gov.vote": vote, "gov.cancel": cancel}
AGENDA_STEPS = {DEPOSITS_END: end_deposits, VOTING_ENDS: end_voting, PROPOSAL_RUNS: run}
