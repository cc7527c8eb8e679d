"""The records of validators, and the list of those that stand for committees.  Spec: [STAKE-REGISTER], [STAKE-LEAVE].

A record outlives its place on the list for as long as there is something that it decides about: stake of its own or of
others, stake on its way out, or a time in jail.
"""

from __future__ import annotations

from bisect import insort

from chain.ledger import Namespace, StakePool, Validator, ValidatorIndex, state_key
from chain.types import Address, StateKey
from vm.context import Context

INDEX_KEY = state_key(Namespace.VALIDATOR_INDEX, b"")


def validator_addresses(context: Context) -> tuple[Address, ...]:
    """Everybody on the list, ascending."""
    index = context.state.load(INDEX_KEY, ValidatorIndex)
    assert index is not None, "genesis writes the validator index"
    return index.addresses


def put_addresses(context: Context, addresses: tuple[Address, ...]) -> None:
    context.state.store(INDEX_KEY, ValidatorIndex(addresses))


def enlist(context: Context, operator: Address) -> None:
    """Put a validator that is not there onto the list."""
    addresses = list(validator_addresses(context))
    insort(addresses, operator)
    put_addresses(context, tuple(addresses))


def find_validator(context: Context, operator: Address) -> Validator | None:
    return context.state.load(_validator_key(operator), Validator)


def load_validator(context: Context, operator: Address) -> Validator:
    """The record of an account that certainly has one."""
    validator = find_validator(context, operator)
    assert validator is not None, "whoever is on the list, has stake or answers for some has a record"
    return validator


def put_validator(context: Context, operator: Address, validator: Validator) -> None:
    context.state.store(_validator_key(operator), validator)


def departures_key(operator: Address) -> StateKey:
    """Under which stands how much of a validator's stake is on its way out; nothing is there if none is."""
    return state_key(Namespace.DEPARTURE, operator)


def forget_if_empty(context: Context, operator: Address) -> None:
    """Remove a record that decides about nothing any more."""
    validator = find_validator(context, operator)
    if validator is None or validator.stake_grains or validator.jailed:
        return
    pool = context.state.load(state_key(Namespace.STAKE_POOL, operator), StakePool)
    staked_with = pool is not None and pool.shares
    departing = context.state.get(departures_key(operator)) is not None
    if not staked_with and not departing and operator not in validator_addresses(context):
        context.state.delete(_validator_key(operator))


def _validator_key(operator: Address) -> StateKey:
    return state_key(Namespace.VALIDATOR, operator)
