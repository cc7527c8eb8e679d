"""Validators and those who stake with them on a test chain, and one case for every code of the staking kinds.

The codes are read by test_error_codes.py, so that a new one without a case shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from chain.codec import Record
from chain.keys import SigningKey
from chain.ledger import Delegation, Namespace, Validator, state_key
from chain.types import Address, Grains
from genesis.spec import ChainSpec, FoundingValidator
from tests.builders import STAKE_GRAINS, TILE, Ledger, funded_spec, key, registration
from vm.context import Context
from vm.kinds.operators import StakeUnjail, StakeUpdate
from vm.kinds.staking import StakeClaim, StakeDelegate, StakeRedelegate, StakeUndelegate
from vm.staking.jail import jail
from vm.staking.pools import delegation_key
from vm.staking.slash import slash
from vm.staking.unbonding import unbonding_blocks

U63_MAX = (1 << 63) - 1
ALICE, BOB, ERIN, CAROL, DAVE = key(0), key(1), key(2), key(6), key(7)
"""Alice, Bob and Erin validate from the start."""
MINIMUM = 1_000 * TILE
NOTHING = bytes(32)


def quick(**staking: int) -> ChainSpec:
    """Epochs of four blocks, and jobs so short that stake is unbonded after a few of them."""
    spec = funded_spec()
    jobs = replace(spec.jobs, deadline_minimum_blocks=2, deadline_default_blocks=2, deadline_maximum_blocks=2)
    rules = replace(spec.staking, **{"unbonding_blocks": 8, "notice_blocks": 6, **staking})
    governance = replace(spec.governance, voting_blocks=8)
    pace = replace(spec.pace, epoch_blocks=4)
    return replace(spec, pace=pace, jobs=jobs, staking=rules, governance=governance)


def updated(commission_bp: int = 1_000, max_change_bp: int = 100, meta_root: bytes = NOTHING) -> StakeUpdate:
    return StakeUpdate(commission_bp, max_change_bp, meta_root)  # type: ignore[arg-type]


@dataclass
class Stakes:
    """A test chain, a block per act; every block is audited, unless there are too many people for that."""

    ledger: Ledger = field(default_factory=lambda: Ledger(quick()))

    def audit(self) -> None:
        if len(self.ledger.people) < 100:
            self.ledger.audit()

    def send(self, who: SigningKey, body: Record) -> str:
        """Mine it; returns the code."""
        (receipt,) = self.ledger.mine(self.ledger.sign(who, body))
        self.audit()
        return receipt.code

    def did(self, who: SigningKey, body: Record) -> list[Any]:
        """Mine what must succeed; returns its events."""
        (receipt,) = self.ledger.mine(self.ledger.sign(who, body))
        self.audit()
        assert receipt.code == ""
        return [(event.name, event.values) for event in receipt.events]

    def directly(self, act: Callable[[Context], Any]) -> Any:
        """A block in which something happens that no transaction does yet; returns what it returns."""
        transition = self.ledger.begin()
        found = act(transition.context)
        self.ledger.finish(transition)
        self.audit()
        return found

    def jail(self, operator: SigningKey, until: int = 0, *, forever: bool = False) -> None:
        self.directly(lambda context: jail(context, operator.address, until, forever=forever))

    def slash(self, operator: SigningKey, numerator: int, denominator: int, height: int = 0) -> int:
        """For something done at a height, at first if none is given; returns what was destroyed."""
        taken: int = self.directly(
            lambda context: slash(context, operator.address, numerator, denominator, height)
        )
        return taken

    def delegate(self, who: SigningKey, grains: int, operator: SigningKey = ALICE) -> str:
        return self.send(who, StakeDelegate(operator.address, Grains(grains)))

    def undelegate(self, who: SigningKey, shares: int, operator: SigningKey = ALICE) -> str:
        return self.send(who, StakeUndelegate(operator.address, shares))

    def move(self, who: SigningKey, shares: int, source: SigningKey = ALICE, target: SigningKey = BOB) -> str:
        return self.send(who, StakeRedelegate(source.address, target.address, shares))

    def to_next_epoch(self) -> None:
        length = self.ledger.spec.pace.epoch_blocks
        self.ledger.mine_to((self.ledger.height // length + 1) * length)
        self.audit()

    # -- looking ----------------------------------------------------------------------------------------------------

    @property
    def wait(self) -> int:
        """Blocks that unbonding takes."""
        return unbonding_blocks(self.ledger.begin().context)

    def record(self, who: SigningKey) -> Validator:
        data = self.ledger.tree.get(state_key(Namespace.VALIDATOR, who.address))
        assert data is not None
        return Validator.from_bytes(data)

    def delegation(self, who: SigningKey, operator: SigningKey = ALICE) -> Delegation | None:
        data = self.ledger.tree.get(delegation_key(operator.address, who.address))
        return Delegation.from_bytes(data) if data is not None else None

    def listed(self, who: SigningKey) -> bool:
        """Whether it has weight in the present epoch."""
        snapshot = self.ledger.weights(self.ledger.height // self.ledger.spec.pace.epoch_blocks)
        assert snapshot is not None
        return who.address in {each.address for each in snapshot.weights}


# -- one case per code ------------------------------------------------------------------------------------------------

Case = Callable[[Stakes], str]


def sent(who: SigningKey, body: Record) -> Case:
    return lambda stakes: stakes.send(who, body)


def after_jail(body: Record, by: SigningKey = CAROL, *, forever: bool = False) -> Case:
    """With Alice in jail, for a long time."""

    def case(stakes: Stakes) -> str:
        assert stakes.delegate(CAROL, TILE, BOB) == ""
        stakes.jail(ALICE, 1_000, forever=forever)
        return stakes.send(by, body)

    return case


def full(stakes: Stakes) -> Stakes:
    """The same chain, founded with every place taken; Alice's for certain."""
    founders = [key(0), *(key(number) for number in range(100, 100 + 1_023))]
    validators = tuple(FoundingValidator(each.public_key, Grains(MINIMUM)) for each in founders)
    return Stakes(Ledger(replace(stakes.ledger.spec, validators=validators)))


def nobody_can_come_back(stakes: Stakes) -> str:
    stakes = full(stakes)
    stakes.jail(ALICE, 1)
    stakes.to_next_epoch()
    assert stakes.send(CAROL, registration(MINIMUM)) == ""
    return stakes.send(ALICE, StakeUnjail())


def too_poor_to_come_back(stakes: Stakes) -> str:
    stakes.jail(ALICE, 1)
    assert stakes.undelegate(ALICE, STAKE_GRAINS - MINIMUM + 1) == ""
    return stakes.send(ALICE, StakeUnjail())


def announced_twice(stakes: Stakes) -> str:
    assert stakes.send(ALICE, updated(1_050)) == ""
    return stakes.send(ALICE, updated(1_060))


def of_a_lost_pool(body: Callable[[Address], Record]) -> Case:
    """With Bob, whose stakers lost everything."""

    def case(stakes: Stakes) -> str:
        assert stakes.delegate(CAROL, TILE) == stakes.delegate(DAVE, TILE, BOB) == ""
        stakes.slash(BOB, 1, 1)
        assert stakes.send(BOB, registration(MINIMUM)) == ""
        return stakes.send(CAROL, body(BOB.address))

    return case


def moved(shares: int, source: SigningKey = ALICE, target: SigningKey = BOB, held: int = TILE) -> Case:
    def case(stakes: Stakes) -> str:
        assert stakes.delegate(CAROL, held) == ""
        return stakes.move(CAROL, shares, source, target)

    return case


def moved_on(stakes: Stakes) -> str:
    assert moved(TILE)(stakes) == ""
    return stakes.move(CAROL, 1, BOB, ERIN)


STAKE_FAILURES: dict[tuple[str, str], Case] = {
    ("stake.register", "RANGE"): sent(ALICE, registration(U63_MAX)),
    ("stake.register", "TOMBSTONED"): after_jail(registration(TILE), ALICE, forever=True),
    ("stake.register", "MIN_STAKE"): sent(CAROL, registration(MINIMUM - 1)),
    ("stake.register", "COMMISSION"): sent(CAROL, registration(MINIMUM, commission_bp=5_001)),
    ("stake.register", "VALIDATORS_FULL"): lambda stakes: full(stakes).send(CAROL, registration(MINIMUM)),
    ("stake.register", "BALANCE"): sent(CAROL, registration(U63_MAX)),
    ("stake.update", "NOT_FOUND"): sent(CAROL, updated(1_050)),
    ("stake.update", "PENDING"): announced_twice,
    ("stake.update", "COMMISSION"): sent(ALICE, updated(5_001)),
    ("stake.update", "CHANGE_RATE"): sent(ALICE, updated(1_101)),
    ("stake.unjail", "NOT_FOUND"): sent(CAROL, StakeUnjail()),
    ("stake.unjail", "BAD_STATE"): sent(ALICE, StakeUnjail()),
    ("stake.unjail", "TOMBSTONED"): after_jail(StakeUnjail(), ALICE, forever=True),
    ("stake.unjail", "JAILED"): after_jail(StakeUnjail(), ALICE),
    ("stake.unjail", "MIN_STAKE"): too_poor_to_come_back,
    ("stake.unjail", "VALIDATORS_FULL"): nobody_can_come_back,
    ("stake.delegate", "SELF"): sent(ALICE, StakeDelegate(ALICE.address, Grains(TILE))),
    ("stake.delegate", "NOT_FOUND"): sent(CAROL, StakeDelegate(DAVE.address, Grains(TILE))),
    ("stake.delegate", "JAILED"): after_jail(StakeDelegate(ALICE.address, Grains(TILE))),
    ("stake.delegate", "DUST"): sent(CAROL, StakeDelegate(ALICE.address, Grains(999))),
    ("stake.delegate", "BALANCE"): sent(CAROL, StakeDelegate(ALICE.address, Grains(U63_MAX))),
    ("stake.delegate", "CAPPED"): sent(CAROL, StakeDelegate(ALICE.address, Grains(10_000 * TILE + 1))),
    ("stake.delegate", "RANGE"): of_a_lost_pool(lambda bob: StakeDelegate(bob, Grains(TILE))),
    ("stake.undelegate", "SHARES"): sent(CAROL, StakeUndelegate(ALICE.address, 1)),
    ("stake.redelegate", "SELF"): moved(TILE, target=CAROL),
    ("stake.redelegate", "NOT_FOUND"): moved(TILE, target=DAVE),
    ("stake.redelegate", "JAILED"): after_jail(StakeRedelegate(BOB.address, ALICE.address, TILE)),
    ("stake.redelegate", "SHARES"): moved(TILE + 1),
    ("stake.redelegate", "REDELEGATING"): moved_on,
    ("stake.redelegate", "DUST"): moved(999),
    ("stake.redelegate", "CAPPED"): lambda stakes: (
        stakes.delegate(DAVE, 10_000 * TILE, BOB) or moved(TILE)(stakes)
    ),
    ("stake.redelegate", "RANGE"): of_a_lost_pool(lambda bob: StakeRedelegate(ALICE.address, bob, TILE)),
    ("stake.claim", "NO_REWARD"): sent(ALICE, StakeClaim(ALICE.address)),
}
"""What each code takes; every case is the last thing that happens on a chain of its own."""
