"""Founding constants of the networks we know, each with its reason.

`dev` is a local network for building and demonstrating; `test` makes whole life cycles fit into a unit test. Both allow
fault injection. A public preset follows when finality and escalation exist.
"""

from __future__ import annotations

from chain.errors import Policy
from chain.types import Grains
from genesis.spec import (
    GRAINS_PER_TILE,
    AccountRules,
    ChainSpec,
    GovernanceRules,
    JobRules,
    Money,
    Pace,
    ProviderRules,
    StakeRules,
)

_MONEY = Money(
    cap_grains=Grains(10**9 * GRAINS_PER_TILE),  # a billion TILE: below 2^60 grains, sums stay inside 63 bits
    emission_divisor=8_000_000,  # a block mints this fraction of what is left: smooth decay, the cap is never crossed
    coinbase_maturity_blocks=20,
    base_fee_grains=Grains(1_000),  # per weight unit: a transfer costs about a millionth of a TILE
    base_fee_floor_grains=Grains(100),
    base_fee_step_divisor=8,  # EIP-1559: at most one eighth up or down per block
    byte_fee_grains=Grains(1),
    block_target_bp=5_000,  # EIP-1559: twice the target fits into a block
    block_weight_limit=4_000,
    dust_grains=Grains(1_000),  # a new account must hold at least this, or state grows for nothing
    minimum_stake_grains=Grains(1_000 * GRAINS_PER_TILE),
)

_ACCOUNTS = AccountRules(
    key_delay_blocks=10,  # 20 s: long enough to cancel by hand, short enough to see it happen
    session_deposit_grains=Grains(GRAINS_PER_TILE // 100),
)
_STAKING = StakeRules(
    unbonding_blocks=700,  # 23 minutes: more than the weights that a job can refer to are kept
    share_cap_bp=2_000,
    commission_cap_bp=5_000,
    commission_change_bp=100,  # one point at a time, so that nobody is surprised
    notice_blocks=20,
)
_GOVERNANCE = GovernanceRules(
    deposit_grains=Grains(100 * GRAINS_PER_TILE),
    deposit_blocks=60,
    voting_blocks=40,  # 80 s: a tutorial votes and sees the end
    timelock_blocks=10,
    timelock_minimum_blocks=5,
    pause_maximum_blocks=300,
    quorum_bp=2_000,
    pass_bp=5_000,
    veto_bp=3_340,
)
_PROVIDERS = ProviderRules(
    deposit_grains=Grains(GRAINS_PER_TILE),
    heartbeat_blocks=8,  # half an epoch
)

_DEV_JOBS = JobRules(
    minimum_open_blocks=2,
    open_expiry_blocks=60,
    deadline_minimum_blocks=5,
    deadline_maximum_blocks=600,
    deadline_default_blocks=30,
    beacon_first_block=2,
    beacon_last_block=3,
    attest_commit_blocks=4,
    attest_reveal_blocks=4,
    settle_window_blocks=6,
    second_round_blocks=8,
    committee_size=3,
    quorum=2,
    bond_floor_grains=Grains(GRAINS_PER_TILE),
    penalty_floor_grains=Grains(GRAINS_PER_TILE // 10),
    protocol_fee_bp=500,
    treasury_bp=2_000,
    stakers_bp=2_000,
    bonus_bp=8_000,  # beta < 1: running your own jobs burns more than the bonus returns
    audit_price_millis=1_000,
    attest_allowance_grains=Grains(20_000),
)

_EASIEST_TARGET = {1: (1 << 252) // (16 * 16 * 64) - 1, 2: (1 << 252) // (32 * 32 * 256) - 1}


def preset(name: str) -> ChainSpec:
    """The constants of a preset, with no money and no validators yet.  Raises: Policy SPEC_PRESET."""
    if name not in PRESETS:
        raise Policy("SPEC_PRESET", found=name, allowed=", ".join(sorted(PRESETS)))
    return PRESETS[name]


PRESETS = {
    "dev": ChainSpec(
        preset="dev",
        chain_id=b"tilework-dev",
        address_prefix="tiledev",
        genesis_time_ms=0,
        genesis_target=_EASIEST_TARGET[2],
        profile_id=2,
        fault_injection=1,
        pace=Pace(
            block_time_ms=2_000,
            asert_halflife_ms=60_000,  # 30 blocks: a laptop that gets busy must not stall its own devnet
            max_future_ms=120_000,
            epoch_blocks=16,
        ),
        money=_MONEY,
        accounts=_ACCOUNTS,
        staking=_STAKING,
        governance=_GOVERNANCE,
        providers=_PROVIDERS,
        jobs=_DEV_JOBS,
        allocations=(),
        validators=(),
    ),
    "test": ChainSpec(
        preset="test",
        chain_id=b"tilework-test",
        address_prefix="tiletest",
        genesis_time_ms=1_000,
        genesis_target=_EASIEST_TARGET[1],
        profile_id=1,
        fault_injection=1,
        pace=Pace(
            block_time_ms=1_000,
            asert_halflife_ms=600_000,
            max_future_ms=120_000,
            epoch_blocks=8,  # a whole epoch fits into a test
        ),
        money=_MONEY,
        accounts=_ACCOUNTS,
        staking=_STAKING,
        governance=_GOVERNANCE,
        providers=_PROVIDERS,
        jobs=_DEV_JOBS,
        allocations=(),
        validators=(),
    ),
}
