"""What a local network is founded on: its spec, who is funded, and the target that gives the asked block time.

Pure: keys, time, rate and network name are arguments. The target follows from one measured number: blocks come every
`block_time_ms` if all miners together multiply `macs_per_second`, because a block costs 2^256 / target MACs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chain.errors import Policy
from chain.types import Address, Grains, PublicKey
from compute.spec.profiles import PROFILES
from genesis.build import check_spec
from genesis.presets import preset
from genesis.spec import GRAINS_PER_TILE, Allocation, ChainSpec, FoundingValidator

NODE_BALANCE_GRAINS = Grains(1_000 * GRAINS_PER_TILE)
"""Pays the bonds of many jobs; a dev job's bond is rarely above one TILE."""
NODE_STAKE_GRAINS = Grains(10_000 * GRAINS_PER_TILE)
"""Ten times the least stake; equal stakes give equal chances of a committee seat."""
USER_BALANCE_GRAINS = Grains(10_000 * GRAINS_PER_TILE)
MOST_NODES = 32
MOST_ACCOUNTS = 100
BLOCK_TIME_MS = range(500, 60_001)
"""Below half a second blocks come faster than loopback gossip and four verifications settle them."""
HALFLIFE_BLOCKS = 30
"""As in the dev preset: a laptop that gets busy must not stall its own network."""
NAMES = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy")


def account_name(index: int) -> str:
    """alice, bob, carol, ..., judy, user-10, user-11, ..."""
    return NAMES[index] if index < len(NAMES) else f"user-{index}"


def node_name(index: int) -> str:
    return f"node-{index}"


def check_request(nodes: int, miners: int, accounts: int, block_time_ms: int) -> None:
    """Refuse a network that cannot be.  Raises: Policy DEVNET_*."""
    if not 1 <= nodes <= MOST_NODES:
        raise Policy("DEVNET_NODES", found=nodes, allowed=f"1..{MOST_NODES}")
    if not 1 <= miners <= nodes:
        raise Policy(
            "DEVNET_MINERS", found=miners, allowed=f"1..{nodes}", hint="Without a miner no block is made."
        )
    if not 0 <= accounts <= MOST_ACCOUNTS:
        raise Policy("DEVNET_ACCOUNTS", found=accounts, allowed=f"0..{MOST_ACCOUNTS}")
    if block_time_ms not in BLOCK_TIME_MS:
        raise Policy(
            "DEVNET_BLOCK_TIME",
            found=f"{block_time_ms} ms",
            allowed=f"{BLOCK_TIME_MS[0]}..{BLOCK_TIME_MS[-1]} ms",
        )


def target_for(macs_per_second: int, block_time_ms: int, easiest_target: int) -> int:
    """The target at which `macs_per_second` of all miners together find a block every `block_time_ms`."""
    macs_per_block = max(1, macs_per_second * block_time_ms // 1000)
    return max(1, min((1 << 256) // macs_per_block, easiest_target))


def founding_spec(
    *,
    chain_id: bytes,
    now_ms: int,
    block_time_ms: int,
    macs_per_second: int,
    validators: Sequence[PublicKey],
    operators: Sequence[Address],
    users: Sequence[Address],
) -> ChainSpec:
    """The dev preset for these people: validators are staked, operators can post bonds, users can pay for jobs.

    Raises: Policy SPEC_* if a key occurs twice.
    """
    base = preset("dev")
    spec = replace(
        base,
        chain_id=chain_id,
        genesis_time_ms=now_ms,
        genesis_target=target_for(macs_per_second, block_time_ms, PROFILES[base.profile_id].max_target),
        pace=replace(
            base.pace, block_time_ms=block_time_ms, asert_halflife_ms=HALFLIFE_BLOCKS * block_time_ms
        ),
        allocations=(
            *(Allocation(address, NODE_BALANCE_GRAINS) for address in operators),
            *(Allocation(address, USER_BALANCE_GRAINS) for address in users),
        ),
        validators=tuple(FoundingValidator(key, NODE_STAKE_GRAINS) for key in validators),
    )
    check_spec(spec)
    return spec
