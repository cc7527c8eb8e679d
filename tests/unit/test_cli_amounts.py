"""Amounts: what people may write, and what they read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.amounts import MAX_GRAINS, money, parse_amount, parse_per_cent, per_cent, scaled, span, tile


@pytest.mark.parametrize(
    ("text", "grains"),
    [
        ("0", 0),
        ("1500", 1500),
        ("1500 grains", 1500),
        ("1 grain", 1),
        ("1.5tile", 1_500_000_000),
        ("1.5 TILE", 1_500_000_000),
        ("0.000000001tile", 1),
        ("9223372036.854775807tile", MAX_GRAINS),
        (str(MAX_GRAINS), MAX_GRAINS),
    ],
)
def test_amounts(text: str, grains: int) -> None:
    assert parse_amount(text) == grains


@pytest.mark.parametrize(
    "text",
    ["", "-1", "1.5", "1e9", "1,000", ".5tile", "1.tile", "0.0000000001tile", "1.5 grains", "tile", "1 tiles", "0x10",
     "٣", "NaN", "9223372036.854775808tile", str(MAX_GRAINS + 1), "1" * 40],
)  # fmt: skip
def test_what_is_no_amount(text: str) -> None:
    assert parse_amount(text) is None


@given(st.integers(0, MAX_GRAINS))
def test_printed_amounts_read_back_exactly(grains: int) -> None:
    assert parse_amount(tile(grains).replace(",", "")) == grains


def test_printed_amounts() -> None:
    assert tile(10_000 * 10**9) == "10,000 TILE"
    assert tile(35_000_000) == "0.035 TILE"
    assert tile(-1) == "-0.000000001 TILE"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 MAC"),
        (999, "999 MAC"),
        (1_000, "1.0 kMAC"),
        (12_345_678_901, "12.3 GMAC"),
        (950 * 10**12, "950 TMAC"),
    ],
)
def test_scaled_counts(number: int, text: str) -> None:
    assert scaled(number, "MAC") == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59, "59 s"), (60, "1 min"), (12_000, "3 h 20 min"), (400_000, "4 d")]
)
def test_spans(seconds: int, text: str) -> None:
    assert span(seconds) == text


@given(st.integers(0, 10_000))
def test_shares_read_back_exactly(share_bp: int) -> None:
    assert parse_per_cent(per_cent(share_bp)) == share_bp


@pytest.mark.parametrize("text", ["", "-1", "100.01", "101", "1.234", ".5", "1.", "12.5 percent", "1e1", "٣"])
def test_what_is_no_share(text: str) -> None:
    assert parse_per_cent(text) is None


def test_money_has_the_grains_beside_it() -> None:
    assert money(35_000_000) == "0.035 TILE (35,000,000 grains)"
    assert money(1) == "0.000000001 TILE (1 grain)"
