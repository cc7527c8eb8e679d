"""A chain, twice, and a hand for it: single transactions, and jobs brought to a state."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from chain.ledger import (
    GOVERNED_KEY,
    NOTHING_GOVERNED,
    AgendaItem,
    AgendaKind,
    AgendaLength,
    Namespace,
    agenda_key,
    height_key,
)
from chain.types import NO_ADDRESS, NO_JOB, NO_PERMIT, Grains, Height
from genesis.spec import Allocation, ChainSpec, FoundingValidator
from tests.acts import GOOD, Acts, commitment, seal
from tests.acts_jobs import LARGEST as LARGEST  # tests at the edges need it, too: re-exported
from tests.acts_jobs import NO_SLOT
from tests.builders import TILE, key
from tests.model.governance import books_of
from tests.model.state import WEIGHTS_PRUNED, Item
from tests.twins import Twins, short_lives

U63_MAX = (1 << 63) - 1
PAYER, PROVIDER, WATCHER, STRANGER = key(5), key(4), key(3), key(20)
PLENTY = 10**6 * TILE


def spec_with(balances: dict[Any, int] | None = None, **groups: dict[str, Any]) -> ChainSpec:
    """The spec of short lives with other balances (by person) and constants (by group)."""
    spec = short_lives()
    changes: dict[str, Any] = {name: replace(getattr(spec, name), **new) for name, new in groups.items()}
    given = {a.address: a.balance_grains for a in spec.allocations} | {PAYER.address: PLENTY}
    given |= {person.address: grains for person, grains in (balances or {}).items()}
    changes["allocations"] = tuple(Allocation(address, Grains(grains)) for address, grains in given.items())
    return replace(spec, **changes)


def staking(stake_grains: int) -> list[Any]:
    """What `stake.register` carries, on usual terms."""
    return [stake_grains, 1_000, 100, bytes(32)]


@dataclass
class Edge:
    """A chain, and a hand for it."""

    spec: ChainSpec = field(default_factory=spec_with)

    def __post_init__(self) -> None:
        self.twins = Twins(self.spec)
        self.acts = Acts(self.twins)
        self.twins.begin()

    def send(self, signer: Any, kind: str, body: Any, tip: int = 0, **fields: Any) -> str:
        """Try one transaction; `fields` overrides parts of its envelope."""
        return self.twins.add(self.made(signer, kind, body, tip, **fields))

    def made(self, signer: Any, kind: str, body: Any, tip: int = 0, **fields: Any) -> bytes:
        envelope = self.acts.envelope(signer, kind, body, tip)
        names = ("version", "chain_id", "kind", "sender", "nonce", "max_fee", "tip", "valid_until", "body")
        for name, value in fields.items():
            envelope[names.index(name)] = value
        return seal(signer, envelope)

    def fee(self, data: bytes) -> int:
        """What a transaction burns in this block."""
        weight = self.twins.ledger.parse(data).weight
        return self.twins.model.state.base_fee * weight + self.spec.money.byte_fee_grains * len(data)

    def block(self, job: bytes = NO_JOB) -> None:
        self.twins.end(WATCHER.address, job)
        self.twins.begin()

    def blocks(self, count: int) -> None:
        for _ in range(count):
            self.block()

    def balance(self, person: Any) -> int:
        return self.twins.model.account(person.address)["balance"]

    def transfer(self, amount: int, to: Any = PROVIDER, signer: Any = PAYER, **fields: Any) -> str:
        return self.send(signer, "transfer", [to.address, amount, b""], **fields)

    # -- jobs -------------------------------------------------------------------------------------------------------

    def open(self, **changes: Any) -> bytes:
        """Open a job; returns its id."""
        assert self.send(PAYER, "job.open", order(**changes)) == ""
        return list(self.twins.model.state.jobs)[-1]

    def job(self, job_id: bytes) -> Item:
        return self.twins.model.state.jobs[job_id]

    def committed(self, cheat: int = 0) -> bytes:
        """A job with a result, right or wrong."""
        job_id = self.open()
        assert self.send(PROVIDER, "job.claim", [job_id, 10**13]) == ""
        assert self.send(PROVIDER, "job.commit", commitment(GOOD, job_id, PROVIDER.address, cheat)) == ""
        return job_id

    def judged(self, cheat: int = 0) -> bytes:
        """A job with a committee, in the block that draws it."""
        job_id = self.committed(cheat)
        self.blocks(self.spec.jobs.draw_offset)
        return job_id

    def members(self, job_id: bytes) -> list[Any]:
        people = {key(number).address: key(number) for number in range(12)}
        return [people[seat["member"]] for seat in self.job(job_id)["seats"]]

    def claimed(self) -> bytes:
        """A job that the provider has taken."""
        job_id = self.open()
        assert self.send(PROVIDER, "job.claim", [job_id, 1]) == ""
        return job_id

    def proof(self, job_id: bytes) -> list[Any]:
        """What can be shown of a job's result, or cannot."""
        return self.acts.proof(job_id, self.job(job_id), 1)

    def next_origin(self) -> list[Any]:
        """What names the objects of the payer's next transaction."""
        return [PAYER.address, self.twins.model.account(PAYER.address)["nonce"]]

    def fill_agenda(self, height: int, steps: int) -> None:
        """Start the next block on a state in which this many steps are due at a height that is never reached."""
        self.twins.end(WATCHER.address)
        here = self.twins.model.state.agenda.setdefault(height, [])
        item = AgendaItem(AgendaKind.WEIGHTS_PRUNED, bytes(32), 10**6).to_bytes()
        changes = {agenda_key(height, index): item for index in range(len(here), steps)}
        changes[height_key(Namespace.AGENDA, height)] = AgendaLength(steps).to_bytes()
        self.twins.ledger.put(dict(changes))
        here += [(WEIGHTS_PRUNED, b"", 10**6)] * (steps - len(here))
        self.twins.begin()

    def pause(self, *kinds: str) -> None:
        """Start the next block on a state in which governance has paused these kinds for that block."""
        self.twins.end(WATCHER.address)
        until = self.twins.model.height + 1
        books = books_of(self.twins.model)
        books.touched, books.paused, books.paused_until = True, list(kinds), until
        governed = NOTHING_GOVERNED.but(paused=kinds, paused_until=Height(until))
        self.twins.ledger.put({GOVERNED_KEY: governed.to_bytes()})
        self.twins.begin()


def founded_by(stakes: dict[int, int]) -> ChainSpec:
    """The spec with these validators: number of a test person to stake."""
    founders = tuple(FoundingValidator(key(n).public_key, Grains(stake)) for n, stake in stakes.items())
    return replace(spec_with(), validators=founders)


def order(**changes: Any) -> list[Any]:
    """The body of `job.open`."""
    fields = {
        "program": GOOD.program,
        "roots": GOOD.roots,
        "offer": 10**13,
        "most": U63_MAX,
        "deadline": 5,
        "provider": NO_ADDRESS,
        "permit": NO_PERMIT,
        "slot": NO_SLOT,
    }
    return list((fields | changes).values())
