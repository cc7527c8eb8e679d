"""Staking: becoming a validator."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated

from chain.codec import U63, Raw, Record
from chain.doc import Doc
from chain.ints import add
from chain.ledger import MAX_VALIDATORS, Namespace, Validator, ValidatorIndex, state_key
from chain.types import Address, Grains, StateKey
from vm.act import Act, affords
from vm.events import Happening
from vm.kind import Family, Kind
from vm.rules import Refusal, Rule, check, guarded

STAKING = Family("staking", "Staking: stand for committees with locked coins.")
INDEX_KEY = state_key(Namespace.VALIDATOR_INDEX, b"")


@dataclass(frozen=True, slots=True)
class StakeRegister(Record):
    """Lock a stake and stand for committees from the next epoch boundary on; sent again, it adds to the stake."""

    stake_grains: Annotated[Grains, U63, Doc("how much to lock, or to add")]


@dataclass(frozen=True, slots=True)
class ValidatorRegistered(Happening):
    """An account became a validator."""

    validator: Annotated[Address, Raw(20), Doc("the account")]
    stake_grains: Annotated[Grains, U63, Doc("its stake")]


@dataclass(frozen=True, slots=True)
class StakeAdded(Happening):
    """A validator's stake grew."""

    validator: Annotated[Address, Raw(20), Doc("the account")]
    stake_grains: Annotated[Grains, U63, Doc("its whole stake")]


class Registration(Act[StakeRegister]):
    """The sender's record as a validator, and the list of all of them."""

    @cached_property
    def key(self) -> StateKey:
        return state_key(Namespace.VALIDATOR, self.call.sender)

    @cached_property
    def held(self) -> Validator | None:
        data = self.context.state.get(self.key)
        return Validator.from_bytes(data) if data is not None else None

    @cached_property
    def total_grains(self) -> int:
        """The stake after this.  Raises: Invalid RANGE."""
        return add(self.held.stake_grains if self.held is not None else 0, self.body.stake_grains)

    @cached_property
    def addresses(self) -> list[Address]:
        data = self.context.state.get(INDEX_KEY)
        assert data is not None, "genesis writes the validator index"
        return list(ValidatorIndex.from_bytes(data).addresses)


def _countable(act: Registration) -> None:
    add(act.total_grains, 0)


def _large_enough(act: Registration) -> Refusal | None:
    minimum = act.context.spec.money.minimum_stake_grains
    if act.total_grains < minimum or not act.body.stake_grains:
        return Refusal(act.total_grains, f"more than 0 and in all at least {minimum} grains")
    return None


def _place_free(act: Registration) -> Refusal | None:
    if act.held is None and len(act.addresses) >= MAX_VALIDATORS:
        return Refusal(len(act.addresses), f"fewer than {MAX_VALIDATORS}")
    return None


def _register(act: Registration) -> None:
    context, sender = act.context, act.call.sender
    total = Grains(act.total_grains)
    context.debit(sender, act.body.stake_grains)
    context.lock(act.body.stake_grains)
    if act.held is None:
        insort(act.addresses, sender)
        context.state.put(INDEX_KEY, ValidatorIndex(tuple(act.addresses)).to_bytes())
        validator = Validator(act.call.public_key, total, context.height)
        context.emit(ValidatorRegistered(sender, total))
    else:
        validator = replace(act.held, stake_grains=total)
        context.emit(StakeAdded(sender, total))
    context.state.put(act.key, validator.to_bytes())


REGISTER = Kind(
    "stake.register",
    STAKING,
    StakeRegister,
    who="anyone",
    weight=3,
    max_bytes=1024,
    act=Registration,
    checks=(
        guarded((Rule("RANGE", "the stake stays below 2^63 grains"),), _countable),
        check(
            "MIN_STAKE",
            "something is added, and the stake is then at least `minimum_stake_grains`",
            _large_enough,
        ),
        check("VALIDATORS_FULL", f"there are fewer than {MAX_VALIDATORS:,} validators", _place_free),
        affords(lambda act: act.body.stake_grains, "the sender has the stake besides the fee"),
    ),
    effect=_register,
    events=(ValidatorRegistered, StakeAdded),
)
