"""The program's ledger and the naive model of it, fed the same bytes and compared after every step.

Nothing here but bytes goes in, and nothing but codes and state entries is compared, so the program may be built however
it likes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from chain.blocks import Receipt
from chain.codec import unpack
from chain.errors import Invalid
from chain.hashing import Tag, h256
from chain.types import NO_JOB, Address, Grains, Hash32, JobId, StateKey
from compute.spec.claim import NO_BINDING, Binding
from consensus.transition import Parent, Transition
from genesis.spec import Allocation, ChainSpec
from tests.builders import TILE, Ledger, funded_spec, key
from tests.model import ledger as naive
from tests.model.forms import Refused
from vm.kinds.batch import Batch
from vm.staking.jail import jail
from vm.staking.slash import slash
from vm.staking.validators import find_validator

DEED = b"deed:"
"""Before something that happens to a validator without a transaction: its name, the validator, and how."""
DEEDS: dict[str, Callable[..., Any]] = {
    "jail": lambda context, operator, until, forever: jail(context, operator, until, forever=bool(forever)),
    "slash": slash,
}
PEOPLE = [key(number) for number in range(8)]
"""The first five validate; the last two are poor."""
STRANGERS = [key(number) for number in range(8, 12)]
"""Have nothing at first."""
POCKET_MONEY = (40_000, 2_000)


def short_lives() -> ChainSpec:
    """Windows so short that a whole job fits into a dozen blocks, blocks so small that they fill up, odd shares."""
    spec = funded_spec()
    poor = dict(zip((p.address for p in PEOPLE[-2:]), POCKET_MONEY, strict=True))
    return replace(
        spec,
        pace=replace(spec.pace, epoch_blocks=4),
        money=replace(
            spec.money, coinbase_maturity_blocks=3, block_weight_limit=41, emission_divisor=1_000_003
        ),
        staking=replace(spec.staking, unbonding_blocks=30),
        governance=replace(
            spec.governance,
            deposit_grains=Grains(5 * TILE + 1),
            deposit_blocks=5,
            voting_blocks=7,
            timelock_blocks=3,
            timelock_minimum_blocks=2,
            pause_maximum_blocks=6,
        ),
        accounts=replace(spec.accounts, key_delay_blocks=3, session_deposit_grains=Grains(10_000_019)),
        jobs=replace(
            spec.jobs,
            minimum_open_blocks=2,
            open_expiry_blocks=6,
            deadline_minimum_blocks=2,
            deadline_maximum_blocks=9,
            attest_commit_blocks=2,
            attest_reveal_blocks=2,
            settle_window_blocks=2,
            second_round_blocks=1,
            bond_floor_grains=Grains(100_003),
            penalty_floor_grains=Grains(10_007),
            protocol_fee_bp=333,
            treasury_bp=1_999,
            bonus_bp=7_777,
            attest_allowance_grains=Grains(2_000),
        ),
        allocations=tuple(
            Allocation(a.address, Grains(poor.get(a.address, a.balance_grains))) for a in spec.allocations
        ),
    )


@dataclass(frozen=True)
class Mined:
    """What it takes to make a block again."""

    transactions: tuple[bytes, ...]
    winner: naive.Winner
    parent: Parent
    root: bytes
    """Of the state after it."""
    receipts: bytes
    """Their root."""


class Twins:
    """A chain, twice.  Between blocks `transition` is absent."""

    def __init__(self, spec: ChainSpec | None = None) -> None:
        self.ledger = Ledger(spec or short_lives())
        self.model = naive.Model(self.ledger.spec)
        self.chain: list[Mined] = []
        self.transition: Transition | None = None
        self.pending: list[bytes] = []
        """Transactions of the block under construction."""
        self.base: dict[StateKey, bytes | None] = {}
        """Every entry of the state on which the block under construction stands."""
        self.tickets = 0
        self.seen: Counter[str] = Counter()
        """How often each outcome came up."""
        self.compare()

    # -- one block ----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start a block, unless one is under construction."""
        if self.transition is None:
            self._open()
            self.base = dict(self.ledger.tree.items())
            self.compare()

    def _open(self) -> None:
        self.model.begin()
        self.transition = self.ledger.begin()
        self.pending = []

    def add(self, data: bytes) -> str:
        """Try a transaction, or make a deed happen; returns its code.

        Empty for success, `refused CODE` if it may not be in this block.
        """
        self.begin()
        assert self.transition is not None
        if data.startswith(DEED):
            return self._happen(data)
        code, expected = self._added(self.transition, data), self._expected(data)
        assert code == expected, f"program {code}, model {expected}"
        self.compare()
        if isinstance(code, str):
            self.seen[code] += 1
            return code
        self.pending.append(data)
        self._count(data, code.code)
        return code.code

    def _happen(self, data: bytes) -> str:
        assert self.transition is not None
        name, operator, *how = unpack(data.removeprefix(DEED))
        context = self.transition.context
        if find_validator(context, operator) is not None:
            DEEDS[name](context, operator, *how)
            self.seen[name] += 1
        self.model.happen(name, operator, *how)
        self.compare()
        self.pending.append(data)
        return ""

    def _count(self, data: bytes, code: str) -> None:
        """An outcome: the kind, or `failed CODE` and `KIND CODE`; with `batch of ` before each operation."""
        parsed = self.ledger.parse(data)
        kinds = [each.kind for each in parsed.body.operations] if isinstance(parsed.body, Batch) else []
        if not code:
            self.seen.update([parsed.kind.name, *(f"batch of {kind}" for kind in kinds)])
            return
        name, _, inner = code.rstrip(")").partition("(")  # of BATCH(3,DUST)
        self.seen.update([f"failed {name}", f"{parsed.kind.name} {name}"])
        if inner:
            place, reason = inner.split(",")
            self.seen[f"batch of {kinds[int(place)]} {reason}"] += 1

    def _added(self, transition: Transition, data: bytes) -> naive.Receipt | str:
        try:
            receipt: Receipt = transition.add(data, self.ledger.parse(data))
        except Invalid as error:
            return "refused " + ("ENC" if error.code.startswith("ENC_") else error.code)
        return naive.Receipt(receipt.code, receipt.weight, receipt.burned_grains, receipt.tip_grains)

    def _expected(self, data: bytes) -> naive.Receipt | str:
        try:
            return self.model.add(data)
        except Refused as refusal:
            return f"refused {refusal.code}"

    def end(self, miner: bytes, job: bytes = NO_JOB) -> None:
        """Finish the block; `job` is the one its proof is bound to."""
        self._end(self._winner(miner, job))

    def _winner(self, miner: bytes, job: bytes) -> naive.Winner:
        self.tickets += 1
        ticket = h256(Tag.BEACON, b"ticket" + self.tickets.to_bytes(8, "big"))
        return naive.Winner(miner, ticket, job)

    def _end(self, winner: naive.Winner) -> None:
        self.begin()
        self._close(winner)
        self.compare()

    def _close(self, winner: naive.Winner) -> None:
        assert self.transition is not None
        parent = self.ledger.parent
        binding = Binding(JobId(winner.job), 0) if winner.job != NO_JOB else NO_BINDING
        outcome = self.ledger.finish(
            self.transition, miner=Address(winner.miner), ticket=Hash32(winner.ticket), binding=binding
        )
        self.transition = None
        self.model.end(winner)
        self.chain.append(
            Mined(tuple(self.pending), winner, parent, self.ledger.tree.root, outcome.receipt_root)
        )

    def skip(self, count: int) -> None:
        """Empty blocks in a row, compared once at their end: time has to pass."""
        for _ in range(count):
            if self.transition is None:
                self._open()
            self._close(self._winner(PEOPLE[0].address, NO_JOB))
        if count:
            self.compare()

    # -- reorganisations --------------------------------------------------------------------------------------------

    def give_up(self) -> None:
        """Drop the block under construction."""
        if self.transition is not None:
            self.transition = None
            self.model.undo()

    def undo(self) -> Mined:
        """Leave the last block."""
        self.give_up()
        left = self.chain.pop()
        self.ledger.undo()
        self.ledger.parent = left.parent
        self.ledger.outcomes.pop()
        self.model.undo()
        self.compare()
        if self.chain:
            assert self.ledger.tree.root == self.chain[-1].root
        return left

    def redo(self, block: Mined) -> None:
        """Make a block again that was left: everything comes out as it was."""
        for data in block.transactions:
            assert not self.add(data).startswith("refused")
        self._end(block.winner)
        assert self.chain[-1] == block

    # -- the comparison -----------------------------------------------------------------------------------------------

    def compare(self) -> None:
        """Every entry of the state, byte for byte, in the block under construction if there is one."""
        if self.transition is None:
            found: dict[StateKey, bytes | None] = dict(self.ledger.tree.items())
        else:
            found = {**self.base, **self.transition.context.state.changes()}
        expected = self.model.state.entries()
        wrong = [what for place, (what, value) in expected.items() if found.get(StateKey(place)) != value]
        unknown = [
            place.hex() for place, value in found.items() if value is not None and place not in expected
        ]
        assert not wrong, f"the program disagrees about {wrong}"
        assert not unknown, f"the program has entries the model does not have: {unknown}"
