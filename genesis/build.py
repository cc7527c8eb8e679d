"""From a chain spec to the first state and the genesis header.  Spec: [GEN-*]."""

from __future__ import annotations

from chain.blocks import HEADER_VERSION, Header
from chain.errors import Policy
from chain.hashing import Tag
from chain.keys import address_of
from chain.ledger import (
    Account,
    ChainState,
    Namespace,
    Validator,
    ValidatorIndex,
    Weight,
    WeightSnapshot,
    height_key,
    state_key,
)
from chain.merkle import list_root
from chain.types import NO_ADDRESS, ZERO_HASH, Address, BlockHash, Grains, Hash32, Height, StateKey
from compute.spec.profiles import PROFILES
from genesis.spec import ChainSpec, FoundingValidator, StakeRules

FOUNDING_COMMISSION_BP = 1_000
"""Of founding validators, unless the cap is lower: nobody chose them, so they get what is usual, a tenth."""
_FIRST_PRINTABLE, _LAST_PRINTABLE = 0x21, 0x7E


def check_spec(spec: ChainSpec) -> None:
    """Refuse a spec no chain can be founded on.  Raises: Policy SPEC_*."""
    if spec.profile_id not in PROFILES:
        raise Policy("SPEC_PROFILE", found=spec.profile_id, allowed=", ".join(str(i) for i in PROFILES))
    easiest = PROFILES[spec.profile_id].max_target
    if not 1 <= spec.genesis_target <= easiest:
        raise Policy("SPEC_TARGET", found=spec.genesis_target, allowed=f"1..{easiest}")
    addresses = [allocation.address for allocation in spec.allocations]
    keys = [validator.public_key for validator in spec.validators]
    if len(set(addresses)) != len(addresses) or len(set(keys)) != len(keys):
        raise Policy("SPEC_DUPLICATE", found="an address or validator twice", allowed="each once")
    for name in (spec.chain_id, spec.address_prefix.encode()):
        if not name or not all(_FIRST_PRINTABLE <= byte <= _LAST_PRINTABLE for byte in name):
            raise Policy(
                "SPEC_NAME", found=name, allowed="a chain id and an address prefix of printable ASCII"
            )
    if spec.address_prefix != spec.address_prefix.lower():
        raise Policy("SPEC_NAME", found=spec.address_prefix, allowed="an address prefix in lower case")
    rules = spec.jobs
    if rules.beacon_first_block > rules.beacon_last_block:
        raise Policy("SPEC_JOBS", found="a beacon that ends before it begins", allowed="first <= last")
    if not rules.deadline_minimum_blocks <= rules.deadline_default_blocks <= rules.deadline_maximum_blocks:
        raise Policy(
            "SPEC_JOBS", found="a default deadline out of its range", allowed="minimum <= default <= maximum"
        )
    if rules.quorum > rules.committee_size or rules.treasury_bp + rules.stakers_bp > 10_000:
        raise Policy(
            "SPEC_JOBS", found="a quorum above the committee or shares above the whole", allowed="less"
        )
    if rules.bonus_bp >= 10_000:
        raise Policy("SPEC_BONUS", found=rules.bonus_bp, allowed="below 10,000: a full bonus could be farmed")
    if spec.governance.timelock_blocks < spec.governance.timelock_minimum_blocks:
        raise Policy(
            "SPEC_GOVERNANCE",
            found=f"a timelock of {spec.governance.timelock_blocks} blocks",
            allowed=f"at least {spec.governance.timelock_minimum_blocks}",
        )
    if _minted(spec) > spec.money.cap_grains:
        raise Policy(
            "SPEC_SUPPLY", found=_minted(spec), allowed=f"at most the cap of {spec.money.cap_grains} grains"
        )


def genesis_state(spec: ChainSpec) -> dict[StateKey, bytes | None]:
    """Every entry of the first state: balances, founding validators with their frozen weights, chain-wide numbers."""
    state: dict[StateKey, bytes | None] = {}
    for allocation in spec.allocations:
        account = Account(0, allocation.balance_grains, 0)
        state[state_key(Namespace.ACCOUNT, allocation.address)] = account.to_bytes()
    stakes = {address_of(v.public_key): v for v in spec.validators}
    for address, founder in stakes.items():
        validator = _founded(founder, spec.staking)
        state[state_key(Namespace.VALIDATOR, address)] = validator.to_bytes()
    ordered = tuple(Address(address) for address in sorted(stakes))
    weights = tuple(Weight(address, stakes[address].stake_grains) for address in ordered)
    state[state_key(Namespace.VALIDATOR_INDEX, b"")] = ValidatorIndex(ordered).to_bytes()
    state[height_key(Namespace.WEIGHTS, 0)] = WeightSnapshot(0, weights).to_bytes()
    staked = sum(weight.stake_grains for weight in weights)
    state[state_key(Namespace.CHAIN, b"")] = ChainState(
        base_fee_grains=spec.money.base_fee_grains,
        minted_grains=Grains(_minted(spec)),
        burned_grains=Grains(0),
        treasury_grains=Grains(0),
        staker_pool_grains=Grains(0),
        immature_grains=Grains(0),
        pending_tips_grains=Grains(0),
        locked_grains=Grains(staked),
        settled_macs=0,
    ).to_bytes()
    return state


def genesis_header(spec: ChainSpec, state_root: Hash32) -> Header:
    """The first header; its parent field holds the hash of the spec, so its id commits to every constant."""
    return Header(
        version=HEADER_VERSION,
        chain_id=spec.chain_id,
        parent=BlockHash(spec.hash()),
        height=Height(0),
        time_ms=spec.genesis_time_ms,
        target=spec.genesis_target,
        extra_nonce=0,
        transaction_root=list_root(Tag.TX_LEAF, []),
        state_root=state_root,
        receipt_root=list_root(Tag.RECEIPT_LEAF, []),
        votes_root=list_root(Tag.VOTE_LEAF, []),
        miner=NO_ADDRESS,
        certificate_hash=Hash32(ZERO_HASH),
    )


def _founded(founder: FoundingValidator, rules: StakeRules) -> Validator:
    return Validator(
        public_key=founder.public_key,
        stake_grains=founder.stake_grains,
        registered_height=Height(0),
        commission_bp=min(FOUNDING_COMMISSION_BP, rules.commission_cap_bp),
        max_change_bp=rules.commission_change_bp,
        meta_root=Hash32(ZERO_HASH),
        announced=(),
        jailed_until=Height(0),
        tombstoned=0,
    )


def _minted(spec: ChainSpec) -> int:
    given = sum(allocation.balance_grains for allocation in spec.allocations)
    return given + sum(validator.stake_grains for validator in spec.validators)
