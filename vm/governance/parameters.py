"""The constants of the chain spec that governance may change, and how far.  Spec: [GOV-PARAM].

The one table. Nothing in it touches the cap, the emission, epochs, windows of jobs, or royalties. A value that was set
while it was inside its bounds stays inside them: bounds depend only on constants that nobody can change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chain.ledger import ParameterValue
from genesis.spec import GRAINS_PER_TILE, ChainSpec
from vm.context import with_values
from vm.jobs.lifecycle import weights_retention_epochs
from vm.rules import Refusal

MAX_CHANGES = 8
"""Of one proposal."""
MAX_SHARED_BP = 6_000
"""Of the protocol's fee, for treasury and stakers together: the rest is burned."""
_LONGEST_BLOCKS = 1 << 22
"""Two years of blocks of 15 s."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One constant, `group.field` of the chain spec, and the least and the largest value that it may get."""

    name: str
    meaning: str
    least: Callable[[ChainSpec], int]
    largest: Callable[[ChainSpec], int]
    protected: bool = False
    """Whether both houses have to agree."""

    def value(self, spec: ChainSpec) -> int:
        """What it is under these constants."""
        group, _, name = self.name.partition(".")
        value: int = getattr(getattr(spec, group), name)
        return value


def _between(least: int, largest: int, name: str, meaning: str) -> Parameter:
    return Parameter(name, meaning, lambda spec: least, lambda spec: largest)


def _weights_kept_blocks(spec: ChainSpec) -> int:
    return weights_retention_epochs(spec) * spec.pace.epoch_blocks


_TABLE = (
    _between(2_500, 7_500, "money.block_target_bp", "fullness of a block at which the base fee stays"),
    _between(4, 64, "money.base_fee_step_divisor", "the base fee moves by at most one part in so many"),
    _between(1, 1_000_000, "money.base_fee_floor_grains", "the least base fee for a unit of weight"),
    _between(0, 10_000, "money.byte_fee_grains", "fee for a byte of a transaction"),
    _between(0, GRAINS_PER_TILE // 100, "money.dust_grains", "the least that a new account begins with"),
    _between(0, 1_000, "jobs.protocol_fee_bp", "the protocol's part of the price of a job"),
    _between(0, MAX_SHARED_BP, "jobs.treasury_bp", "the treasury's part of that fee"),
    _between(0, MAX_SHARED_BP, "jobs.stakers_bp", "the stakers' part of that fee"),
    _between(1, 1_000_000, "jobs.audit_price_millis", "thousandths of a grain for checking a matrix entry"),
    Parameter(
        "jobs.bonus_bp",
        "what a provider that won a block with a job gets back of the burned fee",
        lambda spec: 0,
        lambda spec: 9_500,
        protected=True,
    ),
    Parameter(
        "staking.unbonding_blocks",
        "blocks from taking stake out until it can be spent",
        _weights_kept_blocks,
        lambda spec: max(_LONGEST_BLOCKS, _weights_kept_blocks(spec)),
    ),
    _between(500, 3_300, "staking.share_cap_bp", "of all weight, what one validator may reach by delegation"),
    _between(500, 10_000, "staking.commission_cap_bp", "the highest commission"),
    _between(1, 500, "staking.commission_change_bp", "by how much a commission may rise at a time"),
    _between(1_000, 6_000, "governance.quorum_bp", "part of all power that has to vote"),
    _between(5_000, 8_000, "governance.pass_bp", "what yes must exceed, of yes, no and veto"),
    _between(2_500, 5_000, "governance.veto_bp", "part of all votes from which veto stops a proposal"),
    Parameter(
        "governance.timelock_blocks",
        "blocks from the end of a vote until what it decided happens",
        lambda spec: spec.governance.timelock_minimum_blocks,
        lambda spec: 30 * spec.governance.timelock_minimum_blocks,
    ),
    _between(
        GRAINS_PER_TILE, 10**5 * GRAINS_PER_TILE, "governance.deposit_grains", "collected before a vote"
    ),
    _between(0, 100 * GRAINS_PER_TILE, "accounts.session_deposit_grains", "locked for a session key"),
    _between(0, 10**4 * GRAINS_PER_TILE, "providers.deposit_grains", "locked for a place in the list"),
)
PARAMETERS = {parameter.name: parameter for parameter in _TABLE}


def out_of_bounds(spec: ChainSpec, changes: tuple[ParameterValue, ...]) -> Refusal | None:
    """What is wrong with these changes to the constants in force."""
    names = [each.name for each in changes]
    if not names or len(set(names)) < len(names):
        return Refusal(f"{len(names)} changes", "at least one, and no name twice")
    for each in changes:
        parameter = PARAMETERS.get(each.name)
        if parameter is None:
            return Refusal(each.name, "a parameter that can be governed")
        least, largest = parameter.least(spec), parameter.largest(spec)
        if not least <= each.value <= largest:
            return Refusal(f"{each.name} = {each.value}", f"{least}..{largest}")
    jobs = with_values(spec, changes).jobs
    shared, before = jobs.treasury_bp + jobs.stakers_bp, spec.jobs.treasury_bp + spec.jobs.stakers_bp
    if shared > max(MAX_SHARED_BP, before):
        return Refusal(
            f"{shared} bp for treasury and stakers", f"at most {MAX_SHARED_BP}: the rest is burned"
        )
    return None
