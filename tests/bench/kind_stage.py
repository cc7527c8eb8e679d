"""A chain in memory on which blocks of one kind are made, and the time of what they make others do.

A form of a kind is a generator: it brings the chain to where the kind can be sent, yields one block of it, and then
lets time pass with `Stage.wait`, so that what the block has asked the agenda for is measured too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from statistics import median

from chain.blocks import MAX_BLOCK_TRANSACTIONS
from chain.codec import Record
from chain.keys import SigningKey
from chain.ledger import AgendaItem, AgendaKind, AgendaLength, Namespace, agenda_key, height_key
from chain.state.overlay import Overlay
from chain.state.reader import StateReader, state_key
from chain.types import Grains
from consensus.transition import Transition
from genesis.spec import Allocation, ChainSpec, FoundingValidator
from tests.builders import STAKE_GRAINS, TILE, Ledger, funded_spec, key
from vm.envelope import Transaction
from vm.kinds.accounts import Transfer

ROUNDS = 15
COUNT = 24
"""Transactions in a block, where one state allows so many."""
FIRST, PEOPLE = 5, 512
"""Number of the first person who sends, and how many have coins; those before validate."""
SPARE = 2_000
"""Number of the first validator that does nothing but stand on the list."""
EVERYBODY = 1_000
"""Validators on a list that is nearly full."""
_OF_THE_CHAIN = (AgendaKind.WEIGHTS_PRUNED, AgendaKind.COINBASE_MATURES)
"""Steps that no transaction asks for."""


def stage_spec(validators: int = 5, **groups: dict[str, int]) -> ChainSpec:
    """The test network with many rich people, blocks without a bound, and jobs that are over soon."""
    spec = funded_spec(accounts=PEOPLE)
    more = (key(SPARE + number) for number in range(validators - FIRST))
    founders = (*spec.validators, *(FoundingValidator(k.public_key, Grains(STAKE_GRAINS)) for k in more))
    rich = (*spec.allocations, *(Allocation(key(SPARE + n).address, Grains(TILE)) for n in range(COUNT)))
    changed = {
        "money": {"block_weight_limit": MAX_BLOCK_TRANSACTIONS},
        "jobs": {"open_expiry_blocks": 30, "deadline_maximum_blocks": 20},
        **groups,
    }
    rules = {name: replace(getattr(spec, name), **values) for name, values in changed.items()}
    return replace(spec, validators=founders, allocations=rich, **rules)


@dataclass
class Stage:
    """One chain, and how long its blocks took."""

    ledger: Ledger = field(default_factory=lambda: Ledger(stage_spec()))
    later_us: float = 0.0
    """What the agenda did by itself since the measured block, in microseconds."""
    later_transfers: float = 0.0
    """The same, in transfers measured beside it."""

    def people(self, count: int = COUNT, after: int = 0) -> list[SigningKey]:
        """Persons with coins who do nothing else."""
        return [key(FIRST + after + number) for number in range(count)]

    def sent(self, *pairs: tuple[SigningKey, Record]) -> list[Transaction]:
        """A block of these, not mined yet."""
        return [self.ledger.sign(who, body) for who, body in pairs]

    def did(self, *pairs: tuple[SigningKey, Record]) -> None:
        """Mine what must succeed."""
        codes = {receipt.code for receipt in self.ledger.mine(*self.sent(*pairs))}
        assert codes <= {""}, codes

    def nonce(self, who: SigningKey) -> int:
        return self.ledger.account(who.address).nonce

    def to_epoch(self, block: int = 0) -> None:
        """Mine until the next block is this one of the next epoch."""
        length = self.ledger.spec.pace.epoch_blocks
        self.ledger.mine_to((self.ledger.height // length + 1) * length + block - 1)

    def wait(self, blocks: int) -> None:
        """Let time pass, and measure what the agenda does in it that transactions have asked for."""
        for _ in range(blocks):
            if self._steps_due():
                self._measure_steps()
            self.ledger.mine()

    # -- measuring ----------------------------------------------------------------------------------------------------

    def measure(self, block: list[Transaction]) -> tuple[float, float]:
        """(microseconds of one transaction, the same in transfers) of a block that is then mined."""
        data = [transaction.to_bytes() for transaction in block]
        found = self._beside_transfers(lambda: self._cpu_us(data), self._cpu_us)
        failed = {receipt.code for receipt in self.ledger.mine(*block)} - {""}
        assert not failed, f"{block[0].kind}: {failed}"
        return found[0] / len(block), found[1] / len(block)

    def _steps_due(self) -> bool:
        height = self.ledger.height + 1
        length = self.ledger.tree.get(height_key(Namespace.AGENDA, height))
        steps = AgendaLength.from_bytes(length).steps if length is not None else 0
        found = [self.ledger.tree.get(agenda_key(height, index)) for index in range(steps)]
        return any(AgendaItem.from_bytes(data).kind not in _OF_THE_CHAIN for data in found if data)

    def _measure_steps(self) -> None:
        idle = Overlay(self.ledger.tree)
        idle.delete(height_key(Namespace.AGENDA, self.ledger.height + 1))
        us, transfers = self._beside_transfers(self._cpu_us, lambda: self._cpu_us(state=idle))
        self.later_us += us
        self.later_transfers += transfers

    def _beside_transfers(self, full: Callable[[], float], empty: Callable[[], float]) -> tuple[float, float]:
        """What `full` takes more than `empty`: in microseconds, and in transfers of the same moment."""
        payments = self._payments()
        rounds = []
        for _ in range(ROUNDS):
            nothing, transfers = self._cpu_us(), self._cpu_us(payments)
            taken = full() - empty()
            rounds.append((taken, taken / (transfers - nothing) * len(payments)))
        return median(us for us, _ in rounds), median(ratio for _, ratio in rounds)

    def _payments(self) -> list[bytes]:
        """A block of transfers, each between two people of its own."""
        pairs = zip(self.people(COUNT, 400), self.people(COUNT, 450), strict=True)
        block = self.sent(*((who, Transfer(to.address, Grains(TILE), b"")) for who, to in pairs))
        self.ledger.forget()
        return [transaction.to_bytes() for transaction in block]

    def _cpu_us(self, data: list[bytes] | tuple[()] = (), state: StateReader | None = None) -> float:
        """Decoding, signatures, execution and staging of the state of one block, on one thread."""
        ledger = self.ledger
        state_key.cache_clear()  # the first block that asks for a key has to derive it
        started = time.process_time()
        transition = Transition(ledger.spec, state or ledger.tree, ledger.parent)
        for each in data:
            transition.add(each, ledger.parse(each))
        ledger.tree.stage(transition.finish().changes)
        return (time.process_time() - started) * 1e6


Block = Iterator[list[Transaction]]


@dataclass(frozen=True)
class Form:
    """One way to send a kind: `make` yields one block of it."""

    kind: str
    words: str
    make: Callable[[Stage], Block]
    validators: int

    def stage(self) -> Stage:
        return Stage(Ledger(stage_spec(self.validators)))


Maker = Callable[[Stage], Block]


class Forms:
    """The forms of one file."""

    def __init__(self) -> None:
        self.listed: list[Form] = []

    def form(self, kind: str, words: str, validators: int = FIRST) -> Callable[[Maker], Maker]:
        """Lists a generator as a form of a kind."""

        def take(make: Maker) -> Maker:
            self.listed.append(Form(kind, words, make, validators))
            return make

        return take
