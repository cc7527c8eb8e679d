"""Range-checked arithmetic."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.errors import Invalid
from chain.ints import U63_MAX, add, ceil_div, share_bp, sub, u63

AMOUNTS = st.integers(0, U63_MAX)


@pytest.mark.parametrize("value", [0, 1, U63_MAX])
def test_range_holds_its_ends(value: int) -> None:
    assert u63(value) == value


@pytest.mark.parametrize("value", [-1, U63_MAX + 1, -(1 << 80), 1 << 80])
def test_range_refuses_what_is_outside(value: int) -> None:
    with pytest.raises(Invalid, match="RANGE"):
        u63(value)


@given(AMOUNTS, AMOUNTS)
def test_sums_and_differences_never_wrap(left: int, right: int) -> None:
    for operation, exact in ((add, left + right), (sub, left - right)):
        if 0 <= exact <= U63_MAX:
            assert operation(left, right) == exact
        else:
            with pytest.raises(Invalid, match="RANGE"):
                operation(left, right)


@given(AMOUNTS, st.integers(1, U63_MAX))
def test_ceil_div_rounds_up(numerator: int, denominator: int) -> None:
    quotient = ceil_div(numerator, denominator)
    assert (quotient - 1) * denominator < numerator <= quotient * denominator


@given(AMOUNTS, st.integers(0, 10_000))
def test_a_share_floors_and_never_exceeds_the_whole(amount: int, basis_points: int) -> None:
    share = share_bp(amount, basis_points)
    assert 0 <= Fraction(amount * basis_points, 10_000) - share < 1
    assert share <= amount
