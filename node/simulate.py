"""What a transaction would do now: run on the head's state, told, and forgotten.  Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from chain.blocks import Receipt
from chain.errors import Invalid
from chain.ledger import Account
from chain.types import Address, Grains
from vm.context import Context
from vm.execute import Parsed, caller, execute


@dataclass(slots=True)
class Witness(Context):
    """A context that remembers whose accounts were written."""

    touched: set[Address] = field(default_factory=set)

    def child(self) -> Witness:
        return Witness(
            self.spec, self.state.child(), self.height, self.paused, self.spender, touched=self.touched
        )

    def put_account(self, address: Address, account: Account) -> None:
        self.touched.add(address)
        Context.put_account(self, address, account)


@dataclass(frozen=True, slots=True)
class Simulation:
    """The receipt, or why there would be none, and every balance that would change, fee included."""

    receipt: Receipt | None
    refusal: Invalid | None
    """Why it fails, or may not be in a block at all; None if it succeeds."""
    balances: tuple[tuple[Address, int, int], ...]
    """(account, grains before, grains after), by address."""


def simulate(context: Context, parsed: Parsed) -> Simulation:
    """Run a transaction in the next block on the head; the sender's waiting transactions are left out.

    Nobody's signature is looked at, but the keys must speak for the sender.
    """
    transaction = parsed.transaction
    account = context.account(transaction.sender)
    if transaction.nonce > account.nonce:
        context.put_account(transaction.sender, replace(account, nonce=transaction.nonce))
    witness = Witness(context.spec, context.state.child(), context.height, context.paused)
    try:
        receipt = execute(witness, parsed)
    except Invalid as error:
        return Simulation(None, error, ())
    changes = ((who, _balance(context, who), _balance(witness, who)) for who in sorted(witness.touched))
    balances = tuple(change for change in changes if change[1] != change[2])
    return Simulation(receipt, _reason(context, parsed) if receipt.code else None, balances)


def _balance(context: Context, address: Address) -> Grains:
    return context.account(address).balance_grains


def _reason(context: Context, parsed: Parsed) -> Invalid:
    """The whole error behind the code of a receipt: the same attempt once more, after the fee."""
    call = caller(context, parsed)
    scope = context.child()
    execute(scope, replace(parsed, kind=replace(parsed.kind, effect=_nothing, checks=())))
    try:
        parsed.kind.perform(scope, call, parsed.body)
    except Invalid as error:
        return error
    raise AssertionError("what failed once fails again")


def _nothing(act: object) -> None:
    del act
