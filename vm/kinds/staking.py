"""Staking: becoming a validator, and taking stake out again.  Spec: [STAKE-*]."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated

from chain.codec import U63, Raw, Record
from chain.doc import Doc
from chain.ints import add
from chain.ledger import MAX_VALIDATORS, Namespace, Validator, ValidatorIndex, state_key
from chain.types import Address, Grains, Height, StateKey
from vm.act import Act, affords
from vm.context import Context
from vm.events import Happening
from vm.kind import Family, Kind
from vm.rules import Refusal, Rule, check, guarded
from vm.staking import unbonding

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

    @property
    def listed(self) -> bool:
        """Whether the sender stands for committees, or will from the next epoch on."""
        return self.call.sender in self.addresses

    @cached_property
    def total_grains(self) -> int:
        """The stake after this.  Raises: Invalid RANGE."""
        return add(self.held.stake_grains if self.held is not None else 0, self.body.stake_grains)

    @cached_property
    def addresses(self) -> list[Address]:
        return list(_listed(self.context))


def _listed(context: Context) -> tuple[Address, ...]:
    """Everybody on the list of validators, ascending."""
    index = context.state.load(INDEX_KEY, ValidatorIndex)
    assert index is not None, "genesis writes the validator index"
    return index.addresses


def _countable(act: Registration) -> None:
    add(act.total_grains, 0)


def _large_enough(act: Registration) -> Refusal | None:
    minimum = act.context.spec.money.minimum_stake_grains
    if act.total_grains < minimum or not act.body.stake_grains:
        return Refusal(act.total_grains, f"more than 0 and in all at least {minimum} grains")
    return None


def _place_free(act: Registration) -> Refusal | None:
    if not act.listed and len(act.addresses) >= MAX_VALIDATORS:
        return Refusal(len(act.addresses), f"fewer than {MAX_VALIDATORS}")
    return None


def _register(act: Registration) -> None:
    context, sender = act.context, act.call.sender
    total = Grains(act.total_grains)
    context.debit(sender, act.body.stake_grains)
    context.lock(act.body.stake_grains)
    if act.held is not None and act.listed:
        validator = replace(act.held, stake_grains=total)
        context.emit(StakeAdded(sender, total))
    else:
        insort(act.addresses, sender)
        context.state.put(INDEX_KEY, ValidatorIndex(tuple(act.addresses)).to_bytes())
        validator = Validator(act.call.public_key, total, context.height)
        context.emit(ValidatorRegistered(sender, total))
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


@dataclass(frozen=True, slots=True)
class StakeUndelegate(Record):
    """Take stake out of a validator: it counts no more from the next epoch on, and can be spent when it is unbonded."""

    operator: Annotated[Address, Raw(20), Doc("the validator; the sender itself, for its own stake")]
    shares: Annotated[int, U63, Doc("how many of the sender's shares; of its own stake, one per grain")]


@dataclass(frozen=True, slots=True)
class UnbondingStarted(Happening):
    """Stake left a validator and waits."""

    staker: Annotated[Address, Raw(20), Doc("whose it is")]
    operator: Annotated[Address, Raw(20), Doc("the validator")]
    amount_grains: Annotated[Grains, U63, Doc("how much")]
    height: Annotated[Height, U63, Doc("from when on it can be spent")]


class Withdrawal(Act[StakeUndelegate]):
    """What the sender has staked."""

    @cached_property
    def own(self) -> Validator | None:
        """The sender's record, if the stake is its own."""
        operator = self.body.operator
        if operator != self.call.sender:
            return None
        return self.context.state.load(state_key(Namespace.VALIDATOR, operator), Validator)

    @property
    def held_shares(self) -> int:
        return self.own.stake_grains if self.own is not None else 0


def _holds_shares(act: Withdrawal) -> Refusal | None:
    if not 1 <= act.body.shares <= act.held_shares:
        return Refusal(act.body.shares, f"1..{act.held_shares} shares")
    return None


def _undelegate(act: Withdrawal) -> None:
    context, staker, operator = act.context, act.call.sender, act.body.operator
    assert act.own is not None
    amount = act.body.shares
    key = state_key(Namespace.VALIDATOR, operator)
    left = Grains(act.own.stake_grains - amount)
    if left or operator in _listed(context):
        context.state.store(key, replace(act.own, stake_grains=left))
    else:
        context.state.delete(key)
    height = unbonding.begin(context, staker, amount)
    context.emit(UnbondingStarted(staker, operator, Grains(amount), Height(height)))


UNDELEGATE = Kind(
    "stake.undelegate",
    STAKING,
    StakeUndelegate,
    who="whoever has stake with the validator",
    weight=3,
    max_bytes=1024,
    act=Withdrawal,
    checks=(check("SHARES", "the sender has as many shares of it, and at least one", _holds_shares),),
    effect=_undelegate,
    events=(UnbondingStarted,),
)
