"""Accounts: moving money."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from chain.codec import U63, Blob, Raw, Record
from chain.doc import Doc
from chain.types import Address, Grains
from vm.act import Act, affords
from vm.events import Happening
from vm.kind import Family, Kind
from vm.rules import Refusal, check

ACCOUNTS = Family("account", "Accounts: move money, do several things at once, say whose keys sign.")


@dataclass(frozen=True, slots=True)
class Transfer(Record):
    """Move coins to an address; the first payment to an address must be worth an account's place in the state."""

    to: Annotated[Address, Raw(20), Doc("who gets it")]
    amount_grains: Annotated[Grains, U63, Doc("how much is moved")]
    memo: Annotated[bytes, Blob(64), Doc("a note, public for ever")]


@dataclass(frozen=True, slots=True)
class Transferred(Happening):
    """Coins were moved."""

    sender: Annotated[Address, Raw(20), Doc("who paid")]
    to: Annotated[Address, Raw(20), Doc("who was paid")]
    amount_grains: Annotated[Grains, U63, Doc("how much")]


def _worth_an_account(act: Act[Transfer]) -> Refusal | None:
    dust = act.context.spec.money.dust_grains
    amount = act.body.amount_grains
    if amount < dust and act.context.account(act.body.to).is_new:
        return Refusal(amount, f"at least {dust} grains to a new account")
    return None


def _move(act: Act[Transfer]) -> None:
    sender, to, amount = act.call.sender, act.body.to, act.body.amount_grains
    act.context.debit(sender, amount)
    act.context.credit(to, amount)
    act.context.emit(Transferred(sender, to, amount))


TRANSFER = Kind(
    "transfer",
    ACCOUNTS,
    Transfer,
    who="anyone",
    weight=1,
    max_bytes=1024,
    checks=(
        check("DUST", "a new account begins with at least `dust_grains`", _worth_an_account),
        affords(lambda act: act.body.amount_grains, "the sender has the amount besides the fee"),
    ),
    effect=_move,
    events=(Transferred,),
)
