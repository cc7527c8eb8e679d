"""Session keys: what they may do, what they may spend, when they end.  Spec: [SESSION-*]."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chain.errors import Invalid
from chain.state import Overlay
from chain.types import NO_ADDRESS, Grains, Height
from tests.asset_cases import publication
from tests.builders import TILE, Ledger, key
from tests.unit.test_account_keys import KEYS, two_of_three
from vm.accounts.scope import fields
from vm.accounts.session import MAX_SESSIONS, Session, find_session, session_id, session_keys_of
from vm.execute import check_includable
from vm.kinds.accounts import Transfer
from vm.kinds.batch import Batch, Operation
from vm.kinds.jobs import JobCancel
from vm.kinds.sessions import SessionGrant, SessionRevoke
from vm.kinds.staking import StakeDelegate
from vm.registry import KINDS

ALICE, BOB, CAROL, AGENT = key(5), key(1), key(2), key(60)
FAR = Height(90)


def grant(**changes: Any) -> SessionGrant:
    fields: dict[str, Any] = {
        "public_key": AGENT.public_key,
        "kinds": ("transfer",),
        "total_grains": Grains(10 * TILE),
        "window_blocks": 0,
        "per_window_grains": Grains(0),
        "counterparties": (),
        "objects": (),
        "vote_scope": 0,
        "agent": 1,
        "expires": FAR,
    }
    return SessionGrant(**(fields | changes))


def granted(**changes: Any) -> Ledger:
    """A chain on which Alice has let the agent's key do something."""
    ledger = Ledger()
    (receipt,) = ledger.mine(ledger.sign(ALICE, grant(**changes)))
    assert receipt.code == ""
    return ledger


def pay(amount: int = TILE, to: Any = BOB) -> Transfer:
    return Transfer(to.address, Grains(amount), b"")


def act(ledger: Ledger, body: Any, signer: Any = AGENT) -> str:
    """The code of a transaction in Alice's name, `refused …` if it may not be in a block."""
    try:
        (receipt,) = ledger.mine(ledger.sign(signer, body, sender=ALICE.address))
    except Invalid as error:
        return f"refused {error.code}"
    return receipt.code


def session(ledger: Ledger) -> Session:
    found = find_session(Overlay(ledger.tree), session_id(ALICE.address, AGENT.public_key))
    assert found is not None
    return found


def test_it_spends_in_the_name_of_the_account() -> None:
    ledger = granted()
    before, bob = ledger.balance(ALICE), ledger.balance(BOB)
    assert act(ledger, pay()) == ""
    assert ledger.balance(BOB) == bob + TILE
    assert session(ledger).spent_grains == before - ledger.balance(ALICE), "the fee counts too"


def test_a_stranger_and_an_own_key_beside_it() -> None:
    ledger = granted()
    assert act(ledger, pay(), CAROL) == "refused BAD_AUTH"
    both = ledger.sign(AGENT, pay(), ALICE, sender=ALICE.address)
    with pytest.raises(Invalid, match="BAD_AUTH"):
        ledger.mine(both)
    assert act(ledger, pay(), ALICE) == ""
    assert session(ledger).spent_grains == 0, "what the owner spends is not the session's"


def test_only_what_was_granted() -> None:
    ledger = granted()
    assert act(ledger, StakeDelegate(BOB.address, Grains(TILE))) == "refused SCOPE"
    assert act(ledger, SessionRevoke(AGENT.public_key)) == "refused SCOPE"
    operations = (
        Operation("transfer", pay()),
        Operation("stake.delegate", StakeDelegate(BOB.address, Grains(1))),
    )
    assert act(ledger, Batch(operations)) == "refused SCOPE"
    assert act(ledger, Batch(operations[:1])) == ""


def test_the_total_to_the_grain() -> None:
    """The fee of a payment first, the payment itself then: what is left decides about the last grain."""
    ledger = granted()
    assert act(ledger, pay()) == ""
    left = 10 * TILE - session(ledger).spent_grains
    assert act(ledger, pay(left)) == "SCOPE", "the fee is part of it"
    left = 10 * TILE - session(ledger).spent_grains
    fee = fee_of(ledger, left)
    assert act(ledger, pay(left - fee + 1)) == "SCOPE"
    left = 10 * TILE - session(ledger).spent_grains
    assert act(ledger, pay(left - fee_of(ledger, left))) == ""
    assert session(ledger).spent_grains == 10 * TILE
    assert act(ledger, pay(0)) == "refused SCOPE", "not even a fee is left"
    waiting = ledger.parse(ledger.sign(AGENT, pay(0), sender=ALICE.address).to_bytes())
    with pytest.raises(Invalid, match="SCOPE"):
        check_includable(ledger.begin().context, waiting)


def fee_of(ledger: Ledger, amount: int) -> int:
    transaction = ledger.sign(AGENT, pay(amount), sender=ALICE.address)
    ledger.forget()
    chain = ledger.chain
    return chain.base_fee_grains + ledger.spec.money.byte_fee_grains * len(transaction.to_bytes())


def test_a_failed_attempt_counts_its_fee() -> None:
    ledger = granted()
    before = ledger.balance(ALICE)
    assert act(ledger, pay(11 * TILE)) == "SCOPE"
    assert session(ledger).spent_grains == before - ledger.balance(ALICE) > 0


def test_every_debit_counts() -> None:
    """A deposit is a debit like any other."""
    ledger = granted(kinds=("asset.publish",))
    before = ledger.balance(ALICE)
    assert act(ledger, publication("made by an agent")) == ""
    assert session(ledger).spent_grains == before - ledger.balance(ALICE) > TILE


def test_a_window() -> None:
    ledger = granted(window_blocks=5, per_window_grains=Grains(2 * TILE))
    begins = ledger.height
    assert act(ledger, pay(3 * TILE // 2)) == ""
    assert act(ledger, pay(TILE)) == "SCOPE"
    ledger.mine_to(begins + 3)
    assert act(ledger, pay(TILE)) == "SCOPE"
    assert act(ledger, pay(TILE)) == "", "five blocks after it began, a new window begins"
    assert session(ledger).window_begins == begins + 5
    assert act(ledger, pay(TILE)) == "SCOPE"


def test_counterparties() -> None:
    ledger = granted(counterparties=(BOB.address,))
    assert act(ledger, pay(to=CAROL)) == "refused SCOPE"
    assert act(ledger, pay(to=BOB)) == ""
    assert act(ledger, pay(to=ALICE)) == "", "the account itself is no counterparty"


def test_objects() -> None:
    wanted, other = (bytes([n]) * 32 for n in (1, 2))
    ledger = granted(kinds=("job.cancel",), objects=(wanted,))
    assert act(ledger, JobCancel(other)) == "refused SCOPE"
    assert act(ledger, JobCancel(wanted)) == "NOT_FOUND", "allowed, though there is no such job"


def test_what_kinds_name_is_read_off_their_fields() -> None:
    named = {kind.name: {field.name for field in fields(kind.body)} for kind in KINDS.values()}
    assert named["transfer"] == {"to"}
    assert named["job.claim"] == {"job"}
    assert named["asset.publish"] == {"parents"}
    assert named["asset.acquire"] == {"asset", "beneficiary"}


def test_it_ends_by_itself() -> None:
    ledger = Ledger()
    before = ledger.balance(ALICE)
    (receipt,) = ledger.mine(ledger.sign(ALICE, grant(expires=Height(4))))
    paid = receipt.burned_grains
    assert ledger.balance(ALICE) == before - paid - ledger.spec.accounts.session_deposit_grains
    ledger.mine_to(3)
    assert act(ledger, pay(0)) == ""
    assert ledger.height == 4
    spent = session(ledger).spent_grains
    assert act(ledger, pay(0)) == "refused BAD_AUTH"
    ledger.mine()
    assert ledger.balance(ALICE) == before - paid - spent, "the deposit is back"
    assert session_keys_of(Overlay(ledger.tree), ALICE.address) == ()


def test_it_is_revoked() -> None:
    ledger = granted()
    deposit = ledger.spec.accounts.session_deposit_grains
    before = ledger.balance(ALICE)
    (receipt,) = ledger.mine(ledger.sign(ALICE, SessionRevoke(AGENT.public_key)))
    assert ledger.balance(ALICE) == before + deposit - receipt.burned_grains
    assert act(ledger, pay()) == "refused BAD_AUTH"
    assert act(ledger, SessionRevoke(AGENT.public_key), ALICE) == "NOT_FOUND"


def test_the_end_of_a_revoked_session_leaves_the_next_one_alone() -> None:
    ledger = granted(expires=Height(5))
    ledger.mine(ledger.sign(ALICE, SessionRevoke(AGENT.public_key)))
    ledger.mine(ledger.sign(ALICE, grant()))
    ledger.mine_to(7)
    assert act(ledger, pay()) == ""


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"public_key": ALICE.public_key}, "SELF"),
        ({"kinds": ("mint",)}, "SCOPE_INVALID"),
        ({"kinds": ("account.set_auth",)}, "SCOPE_INVALID"),
        ({"kinds": ("session.grant",)}, "SCOPE_INVALID"),
        ({"kinds": ("batch",)}, "SCOPE_INVALID"),
        ({"kinds": ("transfer", "job.open")}, "SCOPE_INVALID"),
        ({"kinds": ("transfer", "transfer")}, "SCOPE_INVALID"),
        ({"kinds": ("job.open", "transfer")}, ""),
        ({"window_blocks": 5}, "FORM"),
        ({"per_window_grains": Grains(5)}, "FORM"),
        ({"expires": Height(1)}, "EXPIRES"),
        ({"expires": Height(2)}, ""),
        ({"expires": Height(1 << 33)}, "EXPIRES"),
    ],
)
def test_what_can_be_granted(changes: dict[str, Any], code: str) -> None:
    ledger = Ledger()
    (receipt,) = ledger.mine(ledger.sign(ALICE, grant(**changes)))
    assert receipt.code == code


def many() -> Iterator[SessionGrant]:
    return (grant(public_key=key(100 + n).public_key) for n in range(MAX_SESSIONS))


def test_so_many_and_no_more() -> None:
    ledger = Ledger()
    receipts = ledger.mine(*(ledger.sign(ALICE, each) for each in many()))
    assert {receipt.code for receipt in receipts} == {""}
    assert act(ledger, grant(), ALICE) == "TOO_MANY"
    assert act(ledger, SessionRevoke(key(100).public_key), ALICE) == ""
    assert act(ledger, grant(), ALICE) == ""
    assert act(ledger, grant(), ALICE) == "DUPLICATE"


def test_sessions_of_an_account_with_other_keys() -> None:
    ledger = Ledger()
    first, second, _ = KEYS
    ledger.mine(ledger.sign(ALICE, two_of_three()))
    ledger.mine_to(12)
    ledger.mine(ledger.sign(first, grant(), second, sender=ALICE.address))
    assert act(ledger, pay()) == ""
    assert act(ledger, pay(), first) == "refused BAD_AUTH"


def test_the_count_is_taken_back_with_the_block() -> None:
    ledger = granted()
    before = session(ledger)
    assert act(ledger, pay()) == ""
    ledger.undo()
    assert session(ledger) == before


def test_zero_fields_name_nobody() -> None:
    ledger = granted(kinds=("transfer",), counterparties=(BOB.address,))
    assert act(ledger, Transfer(NO_ADDRESS, Grains(TILE), b"")) == ""
