"""Prices and splits of a job to the grain.  Spec: [JOB-MONEY]."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chain.errors import Invalid
from chain.ints import U63_MAX
from chain.types import Grains
from genesis.presets import preset
from genesis.spec import JobRules
from tests.builders import TILE
from vm.jobs import money
from vm.tensor.program import MAX_DEPTH, gemm_program, resolve

RULES = preset("test").jobs
SHAPE = resolve(gemm_program(2048, 2048, 2048))

SHARES = st.integers(0, 10_000)
AMOUNTS = st.integers(0, 1 << 55)


@st.composite
def job_rules(draw: st.DrawFn) -> JobRules:
    """Any rules a spec may found a chain on."""
    treasury = draw(SHARES)
    seats = draw(st.integers(1, 64))
    return replace(
        RULES,
        committee_size=seats,
        quorum=draw(st.integers(1, seats)),
        bond_floor_grains=Grains(draw(AMOUNTS)),
        penalty_floor_grains=Grains(draw(AMOUNTS)),
        protocol_fee_bp=draw(SHARES),
        treasury_bp=treasury,
        stakers_bp=draw(st.integers(0, 10_000 - treasury)),
        bonus_bp=draw(st.integers(0, 9_999)),
        audit_price_millis=draw(st.integers(0, 1 << 30)),
        attest_allowance_grains=Grains(draw(st.integers(0, 1 << 40))),
    )


@st.composite
def settlements(draw: st.DrawFn) -> tuple[money.Settlement, int, int, dict[str, int], JobRules]:
    """A settlement with its escrow, bond and the numbers that led to it."""
    rules = draw(job_rules())
    shape = resolve(gemm_program(*(draw(st.integers(1, 4096)) for _ in range(3))))
    offered = draw(st.integers(1, 1 << 40))
    bid = draw(st.integers(1, offered))
    try:
        parts = money.escrow(rules, shape, offered)
    except Invalid:
        assume(False)
    escrow = sum(parts)
    bond = money.bond(rules, escrow)
    known = {
        "paid": money.price(shape.macs, bid),
        "fees": draw(st.integers(0, 2 * rules.attest_allowance_grains * rules.committee_size)),
        "seats": draw(st.integers(rules.quorum, rules.committee_size)),
        "bound": draw(st.integers(0, 1)),
    }
    split = money.settle(
        rules,
        escrow_grains=escrow,
        protocol_grains=parts[1],
        audit_grains=parts[2],
        attest_fees_grains=known["fees"],
        bond_grains=bond,
        paid_price_grains=known["paid"],
        paid_seats=known["seats"],
        bound=bool(known["bound"]),
    )
    return split, escrow, bond, known, rules


@given(settlements())
def test_every_grain_of_escrow_and_bond_has_one_owner(
    case: tuple[money.Settlement, int, int, dict[str, int], JobRules],
) -> None:
    split, escrow, bond, known, _ = case
    parts = (
        split.provider,
        split.member * known["seats"],
        split.treasury,
        split.stakers,
        split.burned,
        split.payer,
    )
    assert min(parts) >= 0
    assert sum(parts) == escrow + bond - known["fees"]


@given(settlements())
def test_the_bonus_is_less_than_what_would_burn(
    case: tuple[money.Settlement, int, int, dict[str, int], JobRules],
) -> None:
    split, _, _, known, rules = case
    would_burn = split.burned + split.bonus
    assert split.bonus == (would_burn * rules.bonus_bp // 10_000 if known["bound"] else 0)
    assert split.bonus < would_burn or split.bonus == would_burn == 0


@given(settlements())
def test_paying_yourself_never_gains(
    case: tuple[money.Settlement, int, int, dict[str, int], JobRules],
) -> None:
    """One person as payer, provider and committee gets back less than it locked, unless there is no fee."""
    split, escrow, bond, known, rules = case
    back = split.provider + split.payer + split.member * known["seats"]
    assert back <= escrow + bond
    fee = money.protocol_fee(rules, known["paid"])
    if fee:
        assert back < escrow + bond, "transaction fees are not even counted"


@given(job_rules(), job_rules(), st.integers(1, 1 << 40), st.integers(0, 1))
def test_settlement_takes_no_more_than_was_locked_whatever_governance_changed_since(
    opening: JobRules, closing: JobRules, price: int, bound: int
) -> None:
    locked = money.protocol_fee(opening, price)
    split = money.settle(
        closing,
        escrow_grains=price + locked,
        protocol_grains=locked,
        audit_grains=0,
        attest_fees_grains=0,
        bond_grains=0,
        paid_price_grains=price,
        paid_seats=1,
        bound=bool(bound),
    )
    taken = split.treasury + split.stakers + split.burned + split.bonus
    assert taken == min(locked, money.protocol_fee(closing, price))
    assert split.payer == locked - taken >= 0
    assert min(split.treasury, split.stakers, split.burned, split.bonus) >= 0


def test_one_job_to_the_unit() -> None:
    """10,000 GMAC at 100, two of three judges, a bonus: the example of the protocol's design, without royalties."""
    split = money.settle(
        RULES,
        escrow_grains=1_000_000 + 50_000 + 24_000,
        protocol_grains=50_000,
        audit_grains=24_000,
        attest_fees_grains=0,
        bond_grains=321_000,
        paid_price_grains=1_000_000,
        paid_seats=2,
        bound=True,
    )
    assert split == money.Settlement(
        provider=1_000_000 + 24_000 + 321_000,
        member=8_000,
        treasury=10_000,
        stakers=10_000,
        burned=30_000 - 24_000,
        bonus=24_000,
        payer=8_000,
    )


@pytest.mark.parametrize(
    ("macs", "per_gmac", "expected"),
    [(10**9, 7, 7), (1, 1, 1), (10**9 + 1, 1, 2), (1, 10**9, 1), (1, 10**9 + 1, 2), (3 * 10**9, 5, 15)],
)
def test_prices_round_up_and_are_never_nothing(macs: int, per_gmac: int, expected: int) -> None:
    assert money.price(macs, per_gmac) == expected


def test_an_overflowing_price_is_refused_not_wrapped() -> None:
    biggest = resolve(gemm_program(4096, MAX_DEPTH, MAX_DEPTH))
    with pytest.raises(Invalid, match="RANGE"):
        money.price(biggest.macs, U63_MAX)
    just_fits = U63_MAX * 10**9 // biggest.macs
    assert money.price(biggest.macs, just_fits) <= U63_MAX
    with pytest.raises(Invalid, match="RANGE"):
        money.escrow(RULES, biggest, just_fits)


@given(st.integers(1, 2048), st.integers(1, 2048), st.integers(1, 2048), st.integers(0, 1 << 50))
def test_the_affordable_price_is_the_highest_that_fits(m: int, n: int, k: int, total: int) -> None:
    shape = resolve(gemm_program(m, n, k))
    best = money.affordable_price_per_gmac(RULES, shape, total)
    if best:
        assert sum(money.escrow(RULES, shape, best)) <= total
    if best < U63_MAX:
        assert sum(money.escrow(RULES, shape, best + 1)) > total


def test_the_affordable_price_at_the_ends() -> None:
    tiny = resolve(gemm_program(1, 1, 1))
    assert money.affordable_price_per_gmac(RULES, tiny, 0) == 0
    best = money.affordable_price_per_gmac(RULES, tiny, U63_MAX)
    assert best == U63_MAX, "a price must fit into a transaction"


def test_the_audit_fee_follows_shapes() -> None:
    entries = 3 * 2048 * 2048
    assert money.audit_fee(RULES, SHAPE) == 3 * (entries + 2 * RULES.attest_allowance_grains)
    cheap = replace(RULES, audit_price_millis=1)
    assert money.audit_fee(cheap, SHAPE) == 3 * (-(-entries // 1000) + 2 * RULES.attest_allowance_grains)


@pytest.mark.parametrize(
    ("escrow", "bond", "penalty"),
    [
        (0, TILE, TILE // 10),
        (4 * TILE, TILE, 4 * TILE // 10),
        (100 * TILE, 25 * TILE, 10 * TILE),
        (7, TILE, TILE // 10),
    ],
)
def test_bond_and_small_penalty(escrow: int, bond: int, penalty: int) -> None:
    assert money.bond(RULES, escrow) == bond
    assert money.small_penalty(RULES, escrow, bond) == penalty


def test_a_penalty_never_exceeds_the_bond() -> None:
    greedy = replace(RULES, penalty_floor_grains=Grains(5 * TILE))
    assert money.small_penalty(greedy, 0, TILE) == TILE
