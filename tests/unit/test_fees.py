"""Fees and the base fee.  Spec: [FEE-*]."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.errors import Invalid
from genesis.presets import preset
from tests.builders import TILE, Ledger, funded_spec, key
from vm.envelope import MAX_SIGNATURES
from vm.fees import fee, next_base_fee
from vm.kinds.accounts import Transfer
from vm.kinds.audits import BYTES_PER_WEIGHT
from vm.registry import KINDS
from vm.tensor.program import MAX_DEPTH

MONEY = preset("test").money
FULL = MONEY.block_weight_limit
TARGET = FULL // 2


def test_a_fee_is_weight_size_and_tip() -> None:
    cost = fee(MONEY, 1_000, weight=3, size_bytes=250, tip_grains=7)
    assert (cost.burned, cost.tip, cost.total) == (3_000 + 250 * MONEY.byte_fee_grains, 7, 3_257)


def test_a_fee_beyond_the_range_is_refused() -> None:
    with pytest.raises(Invalid, match="RANGE"):
        fee(MONEY, 1 << 62, weight=30, size_bytes=0, tip_grains=0)
    with pytest.raises(Invalid, match="RANGE"):
        _ = fee(MONEY, 1_000, weight=1, size_bytes=0, tip_grains=(1 << 63) - 1).total


@pytest.mark.parametrize(
    ("base", "used", "following"),
    [
        (8_000, TARGET, 8_000),
        (8_000, FULL, 9_000),
        (8_000, 0, 7_000),
        (8_000, TARGET + TARGET // 2, 8_500),
        (8_000, TARGET // 2, 7_500),
        (1, FULL, 2),
        (MONEY.base_fee_floor_grains, 0, MONEY.base_fee_floor_grains),
        (MONEY.base_fee_floor_grains + 3, 0, MONEY.base_fee_floor_grains),
    ],
)
def test_the_base_fee_follows_fullness(base: int, used: int, following: int) -> None:
    assert next_base_fee(MONEY, base, used) == following


@given(st.integers(MONEY.base_fee_floor_grains, 1 << 50), st.integers(0, FULL))
def test_one_block_moves_it_by_an_eighth_at_most(base: int, used: int) -> None:
    following = next_base_fee(MONEY, base, used)
    assert following >= MONEY.base_fee_floor_grains
    assert (
        base - base // 8 <= following <= base + max(1, base // 8) or following == MONEY.base_fee_floor_grains
    )
    assert (following > base) == (used > TARGET)


def test_empty_blocks_let_it_fall_to_the_floor() -> None:
    ledger = Ledger()
    assert ledger.chain.base_fee_grains == MONEY.base_fee_grains
    ledger.mine()
    assert ledger.chain.base_fee_grains == 875
    ledger.mine_to(40)
    assert ledger.chain.base_fee_grains == MONEY.base_fee_floor_grains


def test_a_full_block_raises_it_and_more_does_not_fit() -> None:
    spec = funded_spec()
    ledger = Ledger(replace(spec, money=replace(spec.money, block_weight_limit=30)))
    transition = ledger.begin()
    for _ in range(30):
        data = ledger.transfer(key(0), key(1).address, TILE).to_bytes()
        transition.add(data, ledger.parse(data))
    data = ledger.transfer(key(0), key(1).address, TILE).to_bytes()
    before = transition.context.state.changes()
    with pytest.raises(Invalid, match="BLOCK_FULL"):
        transition.add(data, ledger.parse(data))
    assert transition.context.state.changes() == before
    ledger.finish(transition)
    assert ledger.chain.base_fee_grains == 1_125
    ledger.audit()


def test_the_burned_fee_and_the_tip_arrive() -> None:
    ledger = Ledger()
    transaction = ledger.transfer(key(5), key(6).address, TILE, tip_grains=77)
    size_bytes = len(transaction.to_bytes())
    before = ledger.balance(key(5))
    (receipt,) = ledger.mine(transaction, miner=key(7).address)
    assert (receipt.burned_grains, receipt.tip_grains) == (1_000 + size_bytes, 77)
    assert ledger.balance(key(5)) == before - TILE - receipt.burned_grains - 77
    assert ledger.chain.burned_grains == receipt.burned_grains
    assert ledger.chain.pending_tips_grains == 77
    ledger.audit()


def test_every_kind_fits_into_a_block() -> None:
    for kind in KINDS.values():
        assert 1 <= kind.weight <= 30, "genesis admits weight limits from 30 up"
    assert 2 + 3 * 4 * MAX_DEPTH // BYTES_PER_WEIGHT + MAX_SIGNATURES // 2 == 22, "as genesis/spec.py says"
    assert KINDS["transfer"].body is Transfer
