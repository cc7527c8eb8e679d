"""Transactions that people build: includable as they are, and never for more than the account holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from chain.errors import Invalid, Policy
from chain.types import Grains
from node.wallet import VALID_BLOCKS, Situation, build, require_funds
from tests.unit.rpc_node import ALICE, BOB, MemoryNode
from vm.execute import check_includable, parse
from vm.kinds.accounts import Transfer

BODY = Transfer(BOB.address, Grains(5_000), b"memo")


@pytest.fixture
def node(tmp_path: Path) -> MemoryNode:
    return MemoryNode(tmp_path)


def now(node: MemoryNode) -> Situation:
    context = node.chain.context()
    account = context.account(ALICE.address)
    return Situation(
        node.chain.spec,
        node.chain.head.height,
        context.chain.base_fee_grains,
        account.nonce,
        account.balance_grains,
    )


def test_it_may_stand_in_a_block_even_if_the_base_fee_rises(node: MemoryNode) -> None:
    transaction = build(now(node), ALICE, "transfer", BODY, tip_grains=77)
    parsed = parse(transaction.to_bytes(), node.chain.spec.chain_id)
    cost = check_includable(node.chain.context(), parsed)
    assert cost.tip == 77
    rising = node.chain.context()
    rising.put_chain(replace(rising.chain, base_fee_grains=Grains(rising.chain.base_fee_grains * 4)))
    check_includable(rising, parsed)
    rising.put_chain(replace(rising.chain, base_fee_grains=Grains(rising.chain.base_fee_grains * 2)))
    with pytest.raises(Invalid, match="FEE_TOO_LOW"):
        check_includable(rising, parsed)


def test_it_dies_after_a_while(node: MemoryNode) -> None:
    assert build(now(node), ALICE, "transfer", BODY).valid_until == VALID_BLOCKS


def test_funds_are_checked_to_the_grain(node: MemoryNode) -> None:
    situation = now(node)
    transaction = build(situation, ALICE, "transfer", BODY)
    affordable = situation.balance_grains - transaction.max_fee_grains
    require_funds(situation, transaction, affordable, "amount")
    with pytest.raises(Policy) as caught:
        require_funds(situation, transaction, affordable + 1, "amount")
    assert caught.value.code == "BALANCE"
    assert "1,000 TILE in the account" in str(caught.value)


def test_bodies_out_of_bounds_are_refused(node: MemoryNode) -> None:
    with pytest.raises(Invalid):
        build(now(node), ALICE, "transfer", Transfer(BOB.address, Grains(1), bytes(65)))
