"""One attempt to do what a kind does: on which state, at whose request, with which body."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from chain.codec import Record
from chain.hashing import Tag
from chain.types import Address, Hash32, PublicKey
from vm.accounts.session import Session
from vm.context import Context
from vm.envelope import Transaction
from vm.naming import object_id
from vm.rules import Check, Refusal, check

B = TypeVar("B", bound=Record)


@dataclass(frozen=True, slots=True)
class Call:
    """What a kind may know of the transaction around a body; `place` counts the operations of a batch from 0."""

    sender: Address
    nonce: int
    public_key: PublicKey
    """The key that signed for the sender."""
    session: Session | None = None
    """The session whose key signed, as it was before this; None if keys of the account itself did."""
    place: int | None = None

    @staticmethod
    def of(transaction: Transaction, session: Session | None) -> Call:
        """The call of a transaction's own body."""
        return Call(transaction.sender, transaction.nonce, transaction.authorisations[0].public_key, session)

    def object_id(self, tag: Tag) -> Hash32:
        """Names what this creates: sender and nonce occur once, and so does the place in a batch [TX-OBJECT]."""
        return object_id(tag, self.sender, self.nonce, self.place)

    def at(self, place: int) -> Call:
        """The call of operation number `place`."""
        return replace(self, place=place)


class Act(Generic[B]):
    """What checks and effect of a kind are given; a subclass adds what several of them look up, once.

    Checks run on the state before the effect, so what they looked up still holds when the effect begins.
    """

    def __init__(self, context: Context, call: Call, body: B) -> None:
        self.context = context
        self.call = call
        self.body = body


def affords(amount_grains: Callable[[Any], int], requires: str) -> Check:
    """The sender's balance covers what the effect will take from it."""

    def test(act: Act[Any]) -> Refusal | None:
        balance, needed = act.context.account(act.call.sender).balance_grains, amount_grains(act)
        return Refusal(balance, f"at least {needed} grains") if balance < needed else None

    return check("BALANCE", requires, test)
