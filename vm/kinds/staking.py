"""Staking: becoming a validator."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, replace
from typing import Annotated

from chain.codec import U63, Record
from chain.errors import Invalid
from chain.ints import add
from chain.ledger import MAX_VALIDATORS, Namespace, Validator, ValidatorIndex, state_key
from chain.types import Address, Grains
from vm.context import Context
from vm.envelope import Transaction
from vm.kind import Kind

INDEX_KEY = state_key(Namespace.VALIDATOR_INDEX, b"")


@dataclass(frozen=True, slots=True)
class StakeRegister(Record):
    """Lock a stake and stand for committees from the next epoch boundary on; sent again, it adds to the stake."""

    stake_grains: Annotated[Grains, U63]


def apply_register(context: Context, transaction: Transaction, body: StakeRegister) -> None:
    """Raises: Invalid MIN_STAKE, VALIDATORS_FULL, BALANCE."""
    key = state_key(Namespace.VALIDATOR, transaction.sender)
    data = context.state.get(key)
    held = Validator.from_bytes(data).stake_grains if data is not None else 0
    total = add(held, body.stake_grains)
    minimum = context.spec.money.minimum_stake_grains
    if total < minimum or not body.stake_grains:
        raise Invalid("MIN_STAKE", found=total, allowed=f"more than 0 and in all at least {minimum} grains")
    if data is None:
        _enlist(context, transaction.sender)
    context.debit(transaction.sender, body.stake_grains)
    context.lock(body.stake_grains)
    if data is None:
        public_key = transaction.authorisations[0].public_key
        validator = Validator(public_key, Grains(total), context.height)
        context.emit("ValidatorRegistered", validator=transaction.sender, stake_grains=total)
    else:
        validator = replace(Validator.from_bytes(data), stake_grains=Grains(total))
        context.emit("StakeAdded", validator=transaction.sender, stake_grains=total)
    context.state.put(key, validator.to_bytes())


def _enlist(context: Context, address: Address) -> None:
    data = context.state.get(INDEX_KEY)
    assert data is not None, "genesis writes the validator index"
    addresses = list(ValidatorIndex.from_bytes(data).addresses)
    if len(addresses) >= MAX_VALIDATORS:
        raise Invalid("VALIDATORS_FULL", found=len(addresses), allowed=f"fewer than {MAX_VALIDATORS}")
    insort(addresses, address)
    context.state.put(INDEX_KEY, ValidatorIndex(tuple(addresses)).to_bytes())


KINDS = (Kind("stake.register", StakeRegister, weight=3, max_bytes=1024, apply=apply_register),)
