"""Keys of an account: several with weights, changes that wait, changes that are called off.  Spec: [AUTH-*]."""

from __future__ import annotations

import pytest

from chain.errors import Invalid
from chain.keys import SigningKey
from chain.types import Grains
from tests.builders import TILE, Ledger, key
from vm.accounts.authority import KeyWeight
from vm.kinds.accounts import Transfer
from vm.kinds.keys import SetAuth

ALICE, BOB = key(0), key(1)
KEYS = sorted((key(n) for n in (50, 51, 52)), key=lambda each: each.public_key)
FIRST, SECOND, THIRD = KEYS
PAYMENT = Transfer(BOB.address, Grains(TILE), b"")
CALL_OFF = SetAuth(0, (), 0)


def weighted(*weights: int, keys: list[SigningKey] = KEYS) -> tuple[KeyWeight, ...]:
    return tuple(KeyWeight(each.public_key, weight) for each, weight in zip(keys, weights, strict=False))


def two_of_three(delay: int = 10) -> SetAuth:
    return SetAuth(2, weighted(1, 1, 1), delay)


def do(ledger: Ledger, body: SetAuth, *signers: SigningKey) -> str:
    """What came of it, in a block of its own."""
    first, *others = signers or (ALICE,)
    (receipt,) = ledger.mine(ledger.sign(first, body, *others, sender=ALICE.address))
    return receipt.code


def refused(ledger: Ledger, *signers: SigningKey) -> str:
    """The code with which a payment in Alice's name may not be in a block; empty if it may."""
    first, *others = signers
    try:
        ledger.mine(ledger.sign(first, PAYMENT, *others, sender=ALICE.address))
    except Invalid as error:
        return error.code
    return ""


def shared() -> Ledger:
    """Two of three keys speak for Alice."""
    ledger = Ledger()
    assert do(ledger, two_of_three()) == ""
    ledger.mine_to(ledger.height + 10)
    return ledger


def test_only_the_own_key_speaks_at_first() -> None:
    ledger = Ledger()
    assert refused(ledger, BOB) == "BAD_AUTH"
    assert refused(ledger, ALICE, BOB) == "BAD_AUTH"
    assert refused(ledger, ALICE) == ""


def test_the_change_waits_for_the_delay() -> None:
    ledger = Ledger()
    assert do(ledger, two_of_three()) == ""
    asked = ledger.height
    ledger.mine_to(asked + ledger.spec.accounts.key_delay_blocks - 2)
    assert refused(ledger, FIRST, SECOND) == "BAD_AUTH"
    assert refused(ledger, ALICE) == ""
    assert ledger.height == asked + ledger.spec.accounts.key_delay_blocks - 1
    assert refused(ledger, ALICE) == "BAD_AUTH", "the agenda comes before the transactions"
    assert refused(ledger, FIRST, SECOND) == ""


@pytest.mark.parametrize(
    ("signers", "code"),
    [
        ((FIRST, SECOND), ""),
        ((SECOND, THIRD), ""),
        (KEYS, ""),
        ((FIRST,), "BAD_AUTH"),
        ((ALICE,), "BAD_AUTH"),
        ((FIRST, SECOND, ALICE), "BAD_AUTH"),
    ],
)
def test_a_threshold(signers: tuple[SigningKey, ...], code: str) -> None:
    assert refused(shared(), *signers) == code


def test_weights_count() -> None:
    ledger = Ledger()
    assert do(ledger, SetAuth(3, weighted(2, 1, 1), 10)) == ""
    ledger.mine_to(ledger.height + 10)
    assert refused(ledger, SECOND, THIRD) == "BAD_AUTH"
    assert refused(ledger, FIRST, SECOND) == ""


def test_the_next_change_waits_as_long_as_these_keys_said() -> None:
    ledger = Ledger()
    assert do(ledger, two_of_three(delay=25)) == ""
    ledger.mine_to(ledger.height + 10)
    back = SetAuth(1, weighted(1, keys=[ALICE]), 10)
    assert do(ledger, back, FIRST, THIRD) == ""
    ledger.mine_to(ledger.height + 23)
    assert refused(ledger, ALICE) == "BAD_AUTH"
    ledger.mine()
    assert refused(ledger, ALICE) == "", "25 blocks after it was asked for"


def test_a_change_is_called_off() -> None:
    ledger = Ledger()
    assert do(ledger, two_of_three()) == ""
    assert do(ledger, CALL_OFF) == ""
    ledger.mine_to(ledger.height + 20)
    assert refused(ledger, FIRST, SECOND) == "BAD_AUTH"
    assert refused(ledger, ALICE) == ""


def test_what_was_called_off_does_not_come_with_the_next_change() -> None:
    """Its step is still on the agenda and must find nothing of its own."""
    ledger = Ledger()
    assert do(ledger, two_of_three()) == ""
    assert do(ledger, CALL_OFF) == ""
    assert do(ledger, SetAuth(1, weighted(1), 10)) == ""
    asked = ledger.height
    ledger.mine_to(asked + 8)
    assert refused(ledger, FIRST) == "BAD_AUTH", "at its own height, not at that of the first"
    ledger.mine()
    assert refused(ledger, FIRST) == ""
    assert ledger.height == asked + 10


def test_one_change_at_a_time() -> None:
    ledger = Ledger()
    assert do(ledger, CALL_OFF) == "PENDING"
    assert do(ledger, two_of_three()) == ""
    assert do(ledger, two_of_three()) == "PENDING"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (SetAuth(0, weighted(1), 10), "THRESHOLD"),
        (SetAuth(4, weighted(1, 1, 1), 10), "THRESHOLD"),
        (SetAuth(3, weighted(1, 1, 1), 10), ""),
        (SetAuth(1, weighted(1), 9), "DELAY"),
        (SetAuth(1, tuple(reversed(weighted(1, 1))), 10), "FORM"),
        (SetAuth(1, weighted(1) * 2, 10), "FORM"),
        (SetAuth(1, (), 0), "FORM"),
        (SetAuth(0, (), 1), "FORM"),
    ],
)
def test_what_can_be_set(body: SetAuth, code: str) -> None:
    assert do(Ledger(), body) == code


def test_two_signatures_weigh_one_more() -> None:
    ledger = shared()
    before = ledger.account(ALICE.address).balance_grains
    transaction = ledger.sign(FIRST, PAYMENT, SECOND, sender=ALICE.address)
    (receipt,) = ledger.mine(transaction)
    assert receipt.weight == 2
    assert ledger.account(ALICE.address).balance_grains == before - TILE - receipt.burned_grains


def test_undone_with_the_block() -> None:
    ledger = Ledger()
    assert do(ledger, two_of_three()) == ""
    ledger.mine_to(ledger.height + 9)
    root = ledger.tree.root
    ledger.mine()
    assert ledger.account(ALICE.address).keyed
    ledger.undo()
    assert ledger.tree.root == root
    assert not ledger.account(ALICE.address).keyed
