"""The chain spec: every number a network is founded on, with a canonical form, a hash and a JSON face.  Spec: [GEN-*].

The hash of the canonical form stands in the genesis header's parent field, so two networks that differ in one constant
have different genesis ids and refuse each other in the handshake [GEN-HASH].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from chain.blocks import MAX_BLOCK_TRANSACTIONS
from chain.codec import U63, BigUint, Blob, Nested, Raw, Record, Seq, Text, Uint
from chain.hashing import Tag, h256
from chain.ledger import MAX_EPOCH_BLOCKS, MAX_VALIDATORS, TICKET_RING
from chain.types import Address, Grains, Hash32, PublicKey

GRAINS_PER_TILE = 10**9
BASIS_POINTS = Uint(10_000)


@dataclass(frozen=True, slots=True)
class Pace(Record):
    """Block time, difficulty and epochs."""

    block_time_ms: Annotated[int, Uint(minimum=1)]
    asert_halflife_ms: Annotated[int, Uint(minimum=1)]
    max_future_ms: Annotated[int, U63]
    epoch_blocks: Annotated[int, Uint(MAX_EPOCH_BLOCKS, 1)]


@dataclass(frozen=True, slots=True)
class Money(Record):
    """Emission, fees and what happens to them."""

    cap_grains: Annotated[Grains, U63]
    emission_divisor: Annotated[int, Uint(minimum=1)]
    coinbase_maturity_blocks: Annotated[int, Uint(minimum=1)]
    base_fee_grains: Annotated[Grains, Uint(minimum=1)]
    base_fee_floor_grains: Annotated[Grains, Uint(minimum=1)]
    base_fee_step_divisor: Annotated[int, Uint(minimum=1)]
    byte_fee_grains: Annotated[Grains, U63]
    block_target_bp: Annotated[int, Uint(10_000, 1)]
    """Fullness of a block at which the base fee stays as it is."""
    block_weight_limit: Annotated[int, Uint(MAX_BLOCK_TRANSACTIONS, 30)]
    """Room for the heaviest kind but a batch: challenge.prove weighs up to 14, and 8 more with sixteen signatures.

    Every kind weighs 1 or more, so a full block fits into a body.
    """
    dust_grains: Annotated[Grains, U63]
    minimum_stake_grains: Annotated[Grains, Uint(minimum=1)]


@dataclass(frozen=True, slots=True)
class AccountRules(Record):
    """Keys of an account other than its own, and keys with limits."""

    key_delay_blocks: Annotated[int, Uint(1 << 32, 1)]
    """From asking for other keys until they hold, at least: time to notice a theft and to cancel."""
    session_deposit_grains: Annotated[Grains, U63]
    """Locked for each live session key."""


@dataclass(frozen=True, slots=True)
class StakeRules(Record):
    """Stake, and what validators may take for their work."""

    unbonding_blocks: Annotated[int, Uint(1 << 32, 1)]
    """From leaving a validator until stake can be spent; longer where weights frozen with it are kept longer."""
    share_cap_bp: Annotated[int, BASIS_POINTS]
    """Of all weight, that one validator may have with the stake of others."""
    commission_cap_bp: Annotated[int, BASIS_POINTS]
    commission_change_bp: Annotated[int, BASIS_POINTS]
    """By how much a commission may rise at a time."""
    notice_blocks: Annotated[int, Uint(1 << 32, 1)]
    """From announcing another commission until it holds, and until the next one may be announced."""


@dataclass(frozen=True, slots=True)
class GovernanceRules(Record):
    """How the rules change; none of these periods can be governed but the timelock."""

    deposit_grains: Annotated[Grains, Uint(minimum=1)]
    """Collected for a proposal before anybody votes."""
    deposit_blocks: Annotated[int, Uint(1 << 32, 1)]
    voting_blocks: Annotated[int, Uint(1 << 32, 1)]
    timelock_blocks: Annotated[int, Uint(1 << 32, 1)]
    """From the end of a vote until what it decided happens."""
    timelock_minimum_blocks: Annotated[int, Uint(1 << 32, 1)]
    pause_maximum_blocks: Annotated[int, Uint(1 << 32, 1)]
    quorum_bp: Annotated[int, BASIS_POINTS]
    """Part of all power that has to vote."""
    pass_bp: Annotated[int, BASIS_POINTS]
    """What yes must exceed, of yes, no and veto together."""
    veto_bp: Annotated[int, BASIS_POINTS]
    """What veto must stay under, of all votes."""


@dataclass(frozen=True, slots=True)
class ProviderRules(Record):
    """Entries in the list of providers."""

    deposit_grains: Annotated[Grains, U63]
    """Locked while an account is on the list."""
    heartbeat_blocks: Annotated[int, Uint(TICKET_RING, 1)]
    """From the beginning of an epoch until a heartbeat for it is too late; what it answers to is known for so long."""


@dataclass(frozen=True, slots=True)
class JobRules(Record):
    """Windows (in blocks) and money of the job life cycle, protocol section 4."""

    minimum_open_blocks: Annotated[int, U63]
    open_expiry_blocks: Annotated[int, Uint(minimum=1)]
    deadline_minimum_blocks: Annotated[int, Uint(minimum=1)]
    deadline_maximum_blocks: Annotated[int, Uint(minimum=1)]
    deadline_default_blocks: Annotated[int, Uint(minimum=1)]
    beacon_first_block: Annotated[int, Uint(minimum=1)]
    beacon_last_block: Annotated[int, Uint(12, 1)]
    attest_commit_blocks: Annotated[int, Uint(minimum=1)]
    attest_reveal_blocks: Annotated[int, Uint(minimum=1)]
    settle_window_blocks: Annotated[int, Uint(minimum=1)]
    second_round_blocks: Annotated[int, Uint(minimum=1)]
    committee_size: Annotated[int, Uint(64, 1)]
    quorum: Annotated[int, Uint(64, 1)]
    bond_floor_grains: Annotated[Grains, U63]
    penalty_floor_grains: Annotated[Grains, U63]
    protocol_fee_bp: Annotated[int, BASIS_POINTS]
    treasury_bp: Annotated[int, BASIS_POINTS]
    stakers_bp: Annotated[int, BASIS_POINTS]
    bonus_bp: Annotated[int, BASIS_POINTS]
    audit_price_millis: Annotated[int, U63]
    """Thousandths of a grain per checked matrix entry and committee member."""
    attest_allowance_grains: Annotated[Grains, U63]
    """Per committee member and attestation; pays the fees of attestations out of the audit escrow."""

    @property
    def draw_offset(self) -> int:
        """Blocks from commit to the block whose agenda draws the committee."""
        return self.beacon_last_block + 1

    @property
    def reveal_offset(self) -> int:
        """Blocks from commit to the first block that may hold a reveal."""
        return self.draw_offset + self.attest_commit_blocks

    @property
    def reveal_end_offset(self) -> int:
        """Blocks from commit to the first block after the reveal window."""
        return self.reveal_offset + self.attest_reveal_blocks

    @property
    def settle_offset(self) -> int:
        """Blocks from commit to settlement without dispute."""
        return (
            self.beacon_last_block
            + self.attest_commit_blocks
            + self.attest_reveal_blocks
            + self.settle_window_blocks
        )


@dataclass(frozen=True, slots=True)
class Allocation(Record):
    address: Annotated[Address, Raw(20)]
    balance_grains: Annotated[Grains, U63]


@dataclass(frozen=True, slots=True)
class FoundingValidator(Record):
    public_key: Annotated[PublicKey, Raw(32)]
    stake_grains: Annotated[Grains, U63]


@dataclass(frozen=True, slots=True)
class ChainSpec(Record):
    """Everything that makes one network different from another."""

    MAX_BYTES: ClassVar[int] = 1 << 20

    preset: Annotated[str, Text(16)]
    chain_id: Annotated[bytes, Blob(32)]
    address_prefix: Annotated[str, Text(16)]
    genesis_time_ms: Annotated[int, U63]
    genesis_target: Annotated[int, BigUint(32)]
    profile_id: Annotated[int, U63]
    fault_injection: Annotated[int, Uint(1)]
    """1 lets nodes of this network run with deliberate faults (`node run --fault`); never on a public network."""
    pace: Pace
    money: Money
    accounts: AccountRules
    staking: StakeRules
    governance: GovernanceRules
    providers: ProviderRules
    jobs: JobRules
    allocations: Annotated[tuple[Allocation, ...], Seq(Nested(Allocation), 4096)]
    validators: Annotated[tuple[FoundingValidator, ...], Seq(Nested(FoundingValidator), MAX_VALIDATORS)]

    def hash(self) -> Hash32:
        """Digest of the canonical form."""
        return h256(Tag.CHAIN_SPEC, self.to_bytes())
