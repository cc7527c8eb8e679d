"""Stake with validators: locking it, moving it, taking it out, and what it earns.  Spec: [STAKE-*]."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated

from chain.codec import U63, Raw, Record
from chain.doc import Doc
from chain.ints import share_bp
from chain.ledger import Delegation, Validator
from chain.types import Address, Grains, Height
from vm.act import Act, affords
from vm.context import Context
from vm.events import Happening
from vm.jobs.lifecycle import load_weights
from vm.kind import Kind
from vm.kinds.operators import STAKING
from vm.rules import Refusal, Rule, check, guarded
from vm.staking import liability, unbonding
from vm.staking.pools import (
    RewardsClaimed,
    delegation_of,
    earned,
    join,
    leave,
    pay,
    pool_of,
    put_pool,
    resize,
    shares_for,
    worth,
)
from vm.staking.validators import (
    find_validator,
    forget_if_empty,
    load_validator,
    put_validator,
    validator_addresses,
)


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


def _refuse_unlisted(context: Context, operator: Address) -> Refusal | None:
    if operator not in validator_addresses(context):
        return Refusal(operator, "the address of a validator")
    return None


def _refuse_jailed(context: Context, operator: Address) -> Refusal | None:
    return Refusal(operator, "a validator at large") if load_validator(context, operator).jailed else None


def _refuse_dust(context: Context, amount: int) -> Refusal | None:
    least = max(1, context.spec.money.dust_grains)
    return Refusal(amount, f"at least {least} grains") if amount < least else None


def _refuse_above_cap(context: Context, operator: Address, amount: int) -> Refusal | None:
    own = load_validator(context, operator)
    weight = own.stake_grains + pool_of(context, operator).staked_grains + amount
    frozen = load_weights(context, context.height // context.spec.pace.epoch_blocks).weights
    total = sum(each.stake_grains for each in frozen)
    most = max(share_bp(total, context.spec.staking.share_cap_bp), 2 * total // max(1, len(frozen)))
    return Refusal(weight, f"at most {most} grains with this validator") if weight > most else None


_LISTED = "the validator is on the list"
_AT_LARGE = "it is not in jail"
_DUST = "it is at least `dust_grains`, and more than 0"
_COUNTABLE = "the shares it buys can be counted, as they cannot where nearly all stake was taken away"
_CAPPED = (
    "with it the validator has at most `share_cap_bp` of the weights frozen last, or twice their average"
)


def _with_another(act: Act[StakeDelegate]) -> Refusal | None:
    if act.body.operator == act.call.sender:
        return Refusal(act.body.operator, "another account; `stake.register` adds to the sender's own stake")
    return None


def _delegate(act: Act[StakeDelegate]) -> None:
    context, staker, operator = act.context, act.call.sender, act.body.operator
    amount = act.body.amount_grains
    context.debit(staker, amount)
    context.lock(amount)
    join(context, operator, staker, amount)
    context.emit(Delegated(staker, operator, amount))


DELEGATE = Kind(
    "stake.delegate",
    STAKING,
    StakeDelegate,
    who="anyone but the validator itself",
    weight=3,
    max_bytes=1024,
    checks=(
        check("SELF", "the validator is not the sender", _with_another),
        check("NOT_FOUND", _LISTED, lambda act: _refuse_unlisted(act.context, act.body.operator)),
        check("JAILED", _AT_LARGE, lambda act: _refuse_jailed(act.context, act.body.operator)),
        check("DUST", _DUST, lambda act: _refuse_dust(act.context, act.body.amount_grains)),
        affords(lambda act: act.body.amount_grains, "the sender has the amount besides the fee"),
        check(
            "CAPPED",
            _CAPPED,
            lambda act: _refuse_above_cap(act.context, act.body.operator, act.body.amount_grains),
        ),
        guarded(
            (Rule("RANGE", _COUNTABLE),),
            lambda act: _countable(act.context, act.body.operator, act.body.amount_grains),
        ),
    ),
    effect=_delegate,
    events=(Delegated, RewardsClaimed),
    pausable=True,
)


def _countable(context: Context, operator: Address, amount: int) -> None:
    shares_for(pool_of(context, operator), amount)


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
        return find_validator(self.context, operator) if operator == self.call.sender else None

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


def _undelegate(act: Withdrawal) -> None:
    context, staker, operator = act.context, act.call.sender, act.body.operator
    earliest = 0
    if act.own is not None:
        amount = act.body.shares
        left = Grains(act.own.stake_grains - amount)
        put_validator(context, operator, replace(act.own, stake_grains=left))
    else:
        assert act.delegation is not None, "the sender has shares"
        amount = leave(context, operator, staker, act.body.shares)
        earliest = act.delegation.arrived_until
    height = unbonding.begin(context, operator, staker, amount, earliest)
    forget_if_empty(context, operator)
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
class StakeRedelegate(Record):
    """Move stake from one validator to another at once; for the time of unbonding it still answers for the first."""

    source: Annotated[Address, Raw(20), Doc("the validator it leaves")]
    target: Annotated[Address, Raw(20), Doc("the validator it moves to")]
    shares: Annotated[int, U63, Doc("how many of the sender's shares with the first")]


@dataclass(frozen=True, slots=True)
class Redelegated(Happening):
    """Stake moved from one validator to another."""

    staker: Annotated[Address, Raw(20), Doc("whose it is")]
    source: Annotated[Address, Raw(20), Doc("the validator it left")]
    target: Annotated[Address, Raw(20), Doc("the validator it moved to")]
    amount_grains: Annotated[Grains, U63, Doc("how much")]
    until: Annotated[Height, U63, Doc("up to here it answers for the first, and stays with the second")]


class Redelegation(Act[StakeRedelegate]):
    """What the sender has with the first validator."""

    @cached_property
    def delegation(self) -> Delegation | None:
        return delegation_of(self.context, self.body.source, self.call.sender)

    @cached_property
    def amount_grains(self) -> int:
        """What moves."""
        return worth(pool_of(self.context, self.body.source), self.body.shares)


def _between_others(act: Redelegation) -> Refusal | None:
    source, target = act.body.source, act.body.target
    if source == target or act.call.sender in (source, target):
        return Refusal(target, "two validators, neither of them the sender")
    return None


def _has_shares_there(act: Redelegation) -> Refusal | None:
    held = act.delegation.shares if act.delegation is not None else 0
    return None if 1 <= act.body.shares <= held else Refusal(act.body.shares, f"1..{held} shares")


def _settled(act: Redelegation) -> Refusal | None:
    until = act.delegation.arrived_until if act.delegation is not None else 0
    height = act.context.height
    return Refusal(f"height {height}", f"at least {until}") if height < until else None


def _redelegate(act: Redelegation) -> None:
    context, staker, body = act.context, act.call.sender, act.body
    amount = leave(context, body.source, staker, body.shares)
    until = context.height + unbonding.unbonding_blocks(context)
    join(context, body.target, staker, amount, until)
    liability.begin(context, body.source, body.target, staker, amount, until)
    context.emit(Redelegated(staker, body.source, body.target, Grains(amount), Height(until)))


REDELEGATE = Kind(
    "stake.redelegate",
    STAKING,
    StakeRedelegate,
    who="whoever has stake with the first validator",
    weight=3,
    max_bytes=1024,
    act=Redelegation,
    checks=(
        check("SELF", "the validators are two, and neither is the sender", _between_others),
        check("NOT_FOUND", _LISTED, lambda act: _refuse_unlisted(act.context, act.body.target)),
        check("JAILED", _AT_LARGE, lambda act: _refuse_jailed(act.context, act.body.target)),
        check("SHARES", "the sender has as many shares of the first, and at least one", _has_shares_there),
        check("REDELEGATING", "none of them came from a third that they still answer for", _settled),
        check("DUST", _DUST, lambda act: _refuse_dust(act.context, act.amount_grains)),
        check(
            "CAPPED",
            _CAPPED,
            lambda act: _refuse_above_cap(act.context, act.body.target, act.amount_grains),
        ),
        guarded(
            (Rule("RANGE", _COUNTABLE),),
            lambda act: _countable(act.context, act.body.target, act.amount_grains),
        ),
    ),
    effect=_redelegate,
    events=(Redelegated, RewardsClaimed),
    pausable=True,
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
        resize(context, operator, staker, 0, 0)
        return
    pay(context, operator, staker, act.due)
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
