"""Accounts: moving money."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from chain.codec import U63, Blob, Raw, Record
from chain.errors import Invalid
from chain.ledger import EMPTY_ACCOUNT
from chain.types import Address, Grains
from vm.context import Context
from vm.envelope import Transaction
from vm.kind import Kind


@dataclass(frozen=True, slots=True)
class Transfer(Record):
    """Move coins to an address; the first payment to an address must be worth an account's place in the state."""

    to: Annotated[Address, Raw(20)]
    amount_grains: Annotated[Grains, U63]
    memo: Annotated[bytes, Blob(64)]


def apply_transfer(context: Context, transaction: Transaction, body: Transfer) -> None:
    """Raises: Invalid BALANCE, DUST."""
    dust = context.spec.money.dust_grains
    if body.amount_grains < dust and context.account(body.to) == EMPTY_ACCOUNT:
        raise Invalid("DUST", found=body.amount_grains, allowed=f"at least {dust} grains to a new account")
    context.debit(transaction.sender, body.amount_grains)
    context.credit(body.to, body.amount_grains)
    context.emit("Transferred", sender=transaction.sender, to=body.to, amount_grains=body.amount_grains)


KINDS = (Kind("transfer", Transfer, weight=1, max_bytes=1024, apply=apply_transfer),)
