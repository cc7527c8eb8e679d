"""Staking: becoming a validator, and taking stake out again.  Spec: [STAKE-*]."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated

from chain.codec import U63, Raw, Record
from chain.doc import Doc
from chain.ints import add, share_bp
from chain.ledger import MAX_VALIDATORS, Delegation, Namespace, Validator, ValidatorIndex, state_key
from chain.types import Address, Grains, Height, StateKey
from vm.act import Act, affords
from vm.context import Context
from vm.events import Happening
from vm.jobs.lifecycle import load_weights
from vm.kind import Family, Kind
from vm.rules import Refusal, Rule, check, guarded
from vm.staking import unbonding
from vm.staking.pools import delegation_key, delegation_of, earned, pool_of, put_pool

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
    owner_only=True,
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


MAX_SHARE_BP = 2_000
"""Of all weight, that one validator may have with the stake of others; with few validators, twice the average."""


@dataclass(frozen=True, slots=True)
class StakeDelegate(Record):
    """Lock coins behind a validator: they add to its weight from the next epoch on and earn with it."""

    operator: Annotated[Address, Raw(20), Doc("the validator")]
    amount_grains: Annotated[Grains, U63, Doc("how much to lock")]


@dataclass(frozen=True, slots=True)
class Delegated(Happening):
    """Coins were locked behind a validator."""

    staker: Annotated[Address, Raw(20), Doc("whose they are")]
    operator: Annotated[Address, Raw(20), Doc("the validator")]
    amount_grains: Annotated[Grains, U63, Doc("how much")]


@dataclass(frozen=True, slots=True)
class RewardsClaimed(Happening):
    """What a stake had earned was paid out."""

    staker: Annotated[Address, Raw(20), Doc("to whom")]
    operator: Annotated[Address, Raw(20), Doc("the validator it was earned with")]
    amount_grains: Annotated[Grains, U63, Doc("how much")]


def _with_another(act: Act[StakeDelegate]) -> Refusal | None:
    if act.body.operator == act.call.sender:
        return Refusal(act.body.operator, "another account; `stake.register` adds to the sender's own stake")
    return None


def _operator_listed(act: Act[StakeDelegate]) -> Refusal | None:
    if act.body.operator not in _listed(act.context):
        return Refusal(act.body.operator, "the address of a validator")
    return None


def _worth_a_record(act: Act[StakeDelegate]) -> Refusal | None:
    least = max(1, act.context.spec.money.dust_grains)
    amount = act.body.amount_grains
    return Refusal(amount, f"at least {least} grains") if amount < least else None


def _below_the_cap(act: Act[StakeDelegate]) -> Refusal | None:
    context, operator = act.context, act.body.operator
    own = context.state.load(state_key(Namespace.VALIDATOR, operator), Validator)
    assert own is not None, "the list names only validators that exist"
    weight = own.stake_grains + pool_of(context, operator).staked_grains + act.body.amount_grains
    frozen = load_weights(context, context.height // context.spec.pace.epoch_blocks).weights
    total = sum(each.stake_grains for each in frozen)
    most = max(share_bp(total, MAX_SHARE_BP), 2 * total // max(1, len(frozen)))
    return Refusal(weight, f"at most {most} grains with this validator") if weight > most else None


def _delegate(act: Act[StakeDelegate]) -> None:
    context, staker, operator = act.context, act.call.sender, act.body.operator
    amount = act.body.amount_grains
    context.debit(staker, amount)
    context.lock(amount)
    _resize(context, operator, staker, amount)
    context.emit(Delegated(staker, operator, amount))


def _resize(context: Context, operator: Address, staker: Address, change: int) -> None:
    """Pay what a delegation has earned until now, then make it larger or smaller."""
    pool = pool_of(context, operator)
    old = delegation_of(context, operator, staker) or Delegation(0, pool.index)
    due = earned(pool, old)
    _pay(context, operator, staker, due)
    staked, owed = Grains(pool.staked_grains + change), Grains(pool.owed_grains - due)
    put_pool(context, operator, replace(pool, staked_grains=staked, owed_grains=owed))
    key = delegation_key(operator, staker)
    if old.shares + change:
        context.state.store(key, Delegation(old.shares + change, pool.index))
    else:
        context.state.delete(key)


def _pay(context: Context, operator: Address, staker: Address, amount: int) -> None:
    """Pay earnings, which the caller took from a pool."""
    if amount:
        context.unlock(amount)
        context.credit(staker, amount)
        context.emit(RewardsClaimed(staker, operator, Grains(amount)))


DELEGATE = Kind(
    "stake.delegate",
    STAKING,
    StakeDelegate,
    who="anyone but the validator itself",
    weight=3,
    max_bytes=1024,
    checks=(
        check("SELF", "the validator is not the sender", _with_another),
        check("NOT_FOUND", "the validator is on the list", _operator_listed),
        check("DUST", "it is at least `dust_grains`, and more than 0", _worth_a_record),
        affords(lambda act: act.body.amount_grains, "the sender has the amount besides the fee"),
        check(
            "CAPPED",
            f"with it the validator has at most {MAX_SHARE_BP / 100:.0f} % of the weights frozen last, or twice "
            "their average if that is more",
            _below_the_cap,
        ),
    ),
    effect=_delegate,
    events=(Delegated, RewardsClaimed),
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

    @cached_property
    def delegation(self) -> Delegation | None:
        """What the sender has delegated to somebody else."""
        return delegation_of(self.context, self.body.operator, self.call.sender)

    @property
    def held_shares(self) -> int:
        if self.own is not None:
            return self.own.stake_grains
        return self.delegation.shares if self.delegation is not None else 0


def _holds_shares(act: Withdrawal) -> Refusal | None:
    if not 1 <= act.body.shares <= act.held_shares:
        return Refusal(act.body.shares, f"1..{act.held_shares} shares")
    return None


def _take_own(context: Context, operator: Address, own: Validator, amount: int) -> None:
    """Make a validator's own stake smaller; without any, its record stays only as long as it is listed."""
    key = state_key(Namespace.VALIDATOR, operator)
    left = Grains(own.stake_grains - amount)
    if left or operator in _listed(context):
        context.state.store(key, replace(own, stake_grains=left))
    else:
        context.state.delete(key)


def _undelegate(act: Withdrawal) -> None:
    context, staker, operator = act.context, act.call.sender, act.body.operator
    amount = act.body.shares
    if act.own is not None:
        _take_own(context, staker, act.own, amount)
    else:
        _resize(context, operator, staker, -amount)
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
    events=(UnbondingStarted, RewardsClaimed),
)


@dataclass(frozen=True, slots=True)
class StakeClaim(Record):
    """Take what the sender's stake with a validator has earned; the stake itself stays where it is."""

    operator: Annotated[
        Address, Raw(20), Doc("the validator; the sender itself, for what it has earned as one")
    ]


class Claiming(Act[StakeClaim]):
    """What there is to take."""

    @cached_property
    def due(self) -> int:
        pool, staker = pool_of(self.context, self.body.operator), self.call.sender
        if self.body.operator == staker:
            return pool.operator_grains
        delegation = delegation_of(self.context, self.body.operator, staker)
        return earned(pool, delegation) if delegation is not None else 0


def _something_due(act: Claiming) -> Refusal | None:
    return Refusal(0, "at least 1 grain to claim") if not act.due else None


def _claim(act: Claiming) -> None:
    context, staker, operator = act.context, act.call.sender, act.body.operator
    if operator != staker:
        _resize(context, operator, staker, 0)
        return
    _pay(context, operator, staker, act.due)
    put_pool(context, operator, replace(pool_of(context, operator), operator_grains=Grains(0)))


CLAIM = Kind(
    "stake.claim",
    STAKING,
    StakeClaim,
    who="whoever has stake with the validator, and the validator itself",
    weight=1,
    max_bytes=1024,
    act=Claiming,
    checks=(check("NO_REWARD", "its stake has earned at least a grain", _something_due),),
    effect=_claim,
    events=(RewardsClaimed,),
)
