"""Emission and coinbase.  Spec: [MONEY-*]."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from chain.types import Grains
from consensus.rewards import emission
from genesis.presets import preset
from tests.builders import TILE, Ledger, funded_spec, key

MONEY = preset("test").money
CAP = MONEY.cap_grains


@given(st.integers(0, CAP))
def test_emission_is_a_fraction_of_what_is_left(minted: int) -> None:
    part = emission(MONEY, minted)
    assert 0 <= part <= CAP - minted
    assert part * MONEY.emission_divisor <= CAP - minted < (part + 1) * MONEY.emission_divisor


def test_emission_decays_and_ends_under_the_cap() -> None:
    quick = replace(MONEY, emission_divisor=4)
    minted, parts = 0, []
    while part := emission(quick, minted):
        parts.append(part)
        minted += part
    assert parts == sorted(parts, reverse=True)
    assert CAP - quick.emission_divisor < minted <= CAP
    assert emission(MONEY, CAP + 5) == 0


def test_a_producer_is_paid_by_the_next_block_and_can_spend_after_maturity() -> None:
    ledger = Ledger()
    miner = key(9)
    expected = emission(MONEY, ledger.chain.minted_grains)
    ledger.mine(ledger.transfer(key(5), key(6).address, TILE, tip_grains=50), miner=miner.address)
    assert (ledger.chain.pending_tips_grains, ledger.chain.immature_grains) == (50, 0)
    ledger.mine()
    assert ledger.events()[0] == ("CoinbaseEarned", (miner.address, expected, 50))
    assert (ledger.chain.pending_tips_grains, ledger.chain.immature_grains) == (0, expected + 50)
    earned = ledger.height
    ledger.mine_to(earned + MONEY.coinbase_maturity_blocks - 1)
    assert ledger.balance(miner) == 0
    ledger.audit()
    ledger.mine()
    assert ledger.balance(miner) == expected + 50
    assert ("CoinbaseMatured", (miner.address, expected + 50)) in ledger.events()
    ledger.audit()


def test_the_child_of_genesis_pays_nobody() -> None:
    ledger = Ledger()
    ledger.mine()
    assert not ledger.events()
    assert ledger.tickets == ()


def test_at_the_cap_only_tips_are_paid() -> None:
    plain = funded_spec()
    minted = Ledger(plain).chain.minted_grains
    ledger = Ledger(replace(plain, money=replace(plain.money, cap_grains=Grains(minted))))
    ledger.mine(ledger.transfer(key(5), key(6).address, TILE, tip_grains=50), miner=key(9).address)
    ledger.mine()
    assert ledger.events() == [("CoinbaseEarned", (key(9).address, 0, 50))]
    ledger.mine()
    assert ledger.events() == [], "nothing to pay, nothing on the agenda"
    ledger.mine_to(40)
    assert ledger.balance(key(9)) == 50
    ledger.audit()
