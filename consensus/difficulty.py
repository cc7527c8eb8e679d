"""ASERT difficulty with genesis as anchor.  Spec: [DIFF-*].

The rule is aserti3-2d (Mark Lundeberg, 2020; used by Bitcoin Cash): the target doubles or halves for every half-life
the chain is behind or ahead of schedule, computed from the anchor in integers, so errors never add up. The division
truncates toward zero and the shift floors: the official vectors decide where the published listing is unclear.
"""

from __future__ import annotations

from chain.blocks import Header
from compute.spec.profiles import PROFILES
from genesis.spec import ChainSpec

_RADIX_BITS = 16
_TARGET_BITS = 256


def next_target(spec: ChainSpec, genesis: Header, parent: Header) -> int:
    """The only valid target of a child of `parent` [DIFF-1].

    The anchor is genesis; its own parent is taken to be exactly one block time older.
    """
    return asert(
        anchor_target=genesis.target,
        elapsed=parent.time_ms - (genesis.time_ms - spec.pace.block_time_ms),
        heights=parent.height - genesis.height,
        block_time=spec.pace.block_time_ms,
        halflife=spec.pace.asert_halflife_ms,
        easiest_target=PROFILES[spec.profile_id].max_target,
    )


def asert(
    *, anchor_target: int, elapsed: int, heights: int, block_time: int, halflife: int, easiest_target: int
) -> int:
    """anchor_target * 2^((elapsed - block_time * (heights + 1)) / halflife), in [1, easiest_target].

    `elapsed` is the time from the anchor's parent to the last block, `heights` the blocks from the anchor to it, all
    times in one unit. 2^x is approximated by a cubic with an error below 0.013 %.
    """
    ahead = (elapsed - block_time * (heights + 1)) << _RADIX_BITS
    exponent = -(-ahead // halflife) if ahead < 0 else ahead // halflife  # truncates toward zero
    shifts = exponent >> _RADIX_BITS  # floors
    fraction = exponent - (shifts << _RADIX_BITS)
    if shifts > _TARGET_BITS:  # a parent from a far future must not make a number of its size
        return easiest_target
    cubic = 195_766_423_245_049 * fraction + 971_821_376 * fraction**2 + 5_127 * fraction**3
    factor = (1 << _RADIX_BITS) + ((cubic + (1 << 47)) >> 48)
    shifts -= _RADIX_BITS
    target = anchor_target * factor
    target = target >> -shifts if shifts < 0 else target << shifts
    return min(max(1, target), easiest_target)
