"""What a job costs and who gets what: pure functions from shapes and prices to grains.  Spec: [JOB-MONEY].

Every division floors and every remainder has an owner, so the parts of a split always add up to the whole.
"""

from __future__ import annotations

from dataclasses import dataclass

from chain.ints import U63_MAX, ceil_div, share_bp, u63
from genesis.spec import JobRules
from vm.tensor.program import Gemm

MACS_PER_GMAC = 10**9


def price(macs: int, per_gmac_grains: int) -> int:
    """Price of metered work, rounded up, at least one grain [JOB-MONEY-1].  Raises: Invalid RANGE."""
    return u63(max(1, ceil_div(macs * per_gmac_grains, MACS_PER_GMAC)))


def audit_fee(rules: JobRules, shape: Gemm) -> int:
    """Fee of the whole committee: entries it must touch, plus an allowance for its transactions [JOB-MONEY-2]."""
    per_member = ceil_div(shape.entries * rules.audit_price_millis, 1000) + 2 * rules.attest_allowance_grains
    return u63(rules.committee_size * per_member)


def protocol_fee(rules: JobRules, price_grains: int) -> int:
    """The protocol's share of the price."""
    return share_bp(price_grains, rules.protocol_fee_bp)


def escrow(rules: JobRules, shape: Gemm, per_gmac_grains: int) -> tuple[int, int, int]:
    """(price, protocol fee, audit fee) that opening a job locks [JOB-MONEY-3].  Raises: Invalid RANGE."""
    full_price = price(shape.macs, per_gmac_grains)
    parts = (full_price, protocol_fee(rules, full_price), audit_fee(rules, shape))
    u63(sum(parts))
    return parts


def affordable_price_per_gmac(rules: JobRules, shape: Gemm, total_grains: int) -> int:
    """The highest price per GMAC whose escrow stays within `total_grains`; 0 if even the cheapest does not fit."""
    low, high = 0, min(U63_MAX, u63(total_grains) * MACS_PER_GMAC // shape.macs + 1)
    while low < high:
        middle = (low + high + 1) // 2
        full_price = max(1, ceil_div(shape.macs * middle, MACS_PER_GMAC))
        if full_price + protocol_fee(rules, full_price) + audit_fee(rules, shape) <= total_grains:
            low = middle
        else:
            high = middle - 1
    return low


def bond(rules: JobRules, escrow_grains: int) -> int:
    """What a provider locks to claim: a quarter of the escrow, at least the floor."""
    return max(escrow_grains // 4, rules.bond_floor_grains)


def small_penalty(rules: JobRules, escrow_grains: int, bond_grains: int) -> int:
    """What lateness or an unfinished check costs a provider: a tenth of the escrow, at least the floor."""
    return min(bond_grains, max(escrow_grains // 10, rules.penalty_floor_grains))


@dataclass(frozen=True, slots=True)
class Settlement:
    """Where every grain of escrow and bond goes when a job ends well."""

    provider: int
    member: int
    """Per paid seat."""
    treasury: int
    stakers: int
    burned: int
    bonus: int
    payer: int


def settle(
    rules: JobRules,
    *,
    escrow_grains: int,
    protocol_grains: int,
    audit_grains: int,
    attest_fees_grains: int,
    bond_grains: int,
    paid_price_grains: int,
    paid_seats: int,
    bound: bool,
) -> Settlement:
    """Split escrow and bond of a settled job [JOB-MONEY-4].

    The protocol's share is the one in force now, and at most what was locked when the job was opened [GOV-FLIGHT].

    The bonus comes out of the fee that would be burned and is paid once, if the provider won a canonical block bound
    to this job: nothing is minted and paying oneself always loses money [JOB-BONUS].
    """
    fee = min(protocol_fee(rules, paid_price_grains), protocol_grains)
    treasury, stakers = share_bp(fee, rules.treasury_bp), share_bp(fee, rules.stakers_bp)
    burn = fee - treasury - stakers
    bonus = share_bp(burn, rules.bonus_bp) if bound else 0
    member = (audit_grains - attest_fees_grains) // rules.committee_size
    payer = escrow_grains - attest_fees_grains - paid_price_grains - fee - member * paid_seats
    return Settlement(
        provider=paid_price_grains + bonus + bond_grains,
        member=member,
        treasury=treasury,
        stakers=stakers,
        burned=burn - bonus,
        bonus=bonus,
        payer=payer,
    )
