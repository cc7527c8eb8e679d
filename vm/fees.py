"""Fees: weight per kind, a burned base fee that follows block fullness, a byte fee, a tip.  Spec: [FEE-*]."""

from __future__ import annotations

from dataclasses import dataclass

from chain.ints import share_bp, u63
from genesis.spec import Money


@dataclass(frozen=True, slots=True)
class Fee:
    """What one transaction pays: `burned` is destroyed, `tip` goes to the producer."""

    burned: int
    tip: int

    @property
    def total(self) -> int:
        return u63(self.burned + self.tip)


def fee(money: Money, base_fee_grains: int, *, weight: int, size_bytes: int, tip_grains: int) -> Fee:
    """base fee x weight + byte fee x size, and the tip [FEE-1].  Raises: Invalid RANGE."""
    return Fee(u63(base_fee_grains * weight + money.byte_fee_grains * size_bytes), tip_grains)


def next_base_fee(money: Money, base_fee_grains: int, used_weight: int) -> int:
    """Move by at most one eighth towards the target fullness, never under the floor (EIP-1559's shape) [FEE-2]."""
    target = max(1, share_bp(money.block_weight_limit, money.block_target_bp))
    distance = abs(used_weight - target)
    step = base_fee_grains * distance // target // money.base_fee_step_divisor
    if used_weight > target:
        return u63(base_fee_grains + max(1, step))
    return max(money.base_fee_floor_grains, base_fee_grains - step)
