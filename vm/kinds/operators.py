"""Validators: becoming one, what one takes for its work, and coming back from jail.  Spec: [STAKE-*]."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated

from chain.codec import U63, Raw, Record, Uint
from chain.doc import Doc
from chain.ints import add
from chain.ledger import MAX_VALIDATORS, Validator
from chain.types import Address, Grains, Hash32, Height
from vm.act import Act, affords
from vm.context import Context
from vm.events import Happening
from vm.kind import Family, Kind
from vm.rules import Refusal, Rule, check, guarded
from vm.staking.terms import OperatorAnnounced, OperatorUpdated, announce, describe
from vm.staking.validators import (
    enlist,
    find_validator,
    load_validator,
    put_validator,
    validator_addresses,
)

STAKING = Family("staking", "Staking: stand for committees with locked coins.")
BASIS_POINTS = Uint(10_000)


@dataclass(frozen=True, slots=True)
class StakeRegister(Record):
    """Lock a stake and stand for committees from the next epoch boundary on; sent again, it only adds to the stake."""

    stake_grains: Annotated[Grains, U63, Doc("how much to lock, or to add")]
    commission_bp: Annotated[
        int,
        BASIS_POINTS,
        Doc("part of what the stake of others earns that it keeps, in hundredths of a per cent"),
    ]
    max_change_bp: Annotated[int, BASIS_POINTS, Doc("by how much it may raise that at a time")]
    meta_root: Annotated[
        Hash32, Raw(32), Doc("root of what it says about itself elsewhere; zeros for nothing")
    ]


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
    """The sender's record as a validator, and whether it is on the list of all of them."""

    @cached_property
    def held(self) -> Validator | None:
        return find_validator(self.context, self.call.sender)

    @cached_property
    def total_grains(self) -> int:
        """The stake after this.  Raises: Invalid RANGE."""
        return add(self.held.stake_grains if self.held is not None else 0, self.body.stake_grains)

    @cached_property
    def only_adds(self) -> bool:
        """Whether the sender stands for committees, or is in jail and must ask to do so again."""
        listed = self.call.sender in validator_addresses(self.context)
        return listed or (self.held is not None and self.held.jailed)


def _countable(act: Registration) -> None:
    add(act.total_grains, 0)


def _not_tombstoned(act: Registration) -> Refusal | None:
    if act.held is not None and act.held.tombstoned:
        return Refusal("a validator in jail for ever", "another account")
    return None


def _large_enough(act: Registration) -> Refusal | None:
    minimum = act.context.spec.money.minimum_stake_grains
    if act.total_grains < minimum or not act.body.stake_grains:
        return Refusal(act.total_grains, f"more than 0 and in all at least {minimum} grains")
    return None


def _modest(act: Registration) -> Refusal | None:
    return _within_caps(act) if act.held is None else None


def _within_caps(act: Act[StakeRegister] | Act[StakeUpdate]) -> Refusal | None:
    rules, body = act.context.spec.staking, act.body
    if body.commission_bp > rules.commission_cap_bp:
        return Refusal(body.commission_bp, f"at most {rules.commission_cap_bp} bp")
    if body.max_change_bp > rules.commission_change_bp:
        return Refusal(body.max_change_bp, f"changes of at most {rules.commission_change_bp} bp")
    return None


def _place_free(act: Registration) -> Refusal | None:
    return None if act.only_adds else _refuse_if_full(act.context)


def _refuse_if_full(context: Context) -> Refusal | None:
    taken = len(validator_addresses(context))
    return Refusal(taken, f"fewer than {MAX_VALIDATORS}") if taken >= MAX_VALIDATORS else None


def _register(act: Registration) -> None:
    context, sender, body = act.context, act.call.sender, act.body
    total = Grains(act.total_grains)
    context.debit(sender, body.stake_grains)
    context.lock(body.stake_grains)
    if act.held is not None and act.only_adds:
        put_validator(context, sender, replace(act.held, stake_grains=total))
        context.emit(StakeAdded(sender, total))
        return
    before = act.held or _newcomer(act)
    validator = replace(
        before, public_key=act.call.public_key, stake_grains=total, registered_height=context.height
    )
    put_validator(context, sender, validator)
    enlist(context, sender)
    context.emit(ValidatorRegistered(sender, total))


def _newcomer(act: Registration) -> Validator:
    return Validator(
        public_key=act.call.public_key,
        stake_grains=Grains(0),
        registered_height=act.context.height,
        commission_bp=act.body.commission_bp,
        max_change_bp=act.body.max_change_bp,
        meta_root=act.body.meta_root,
        announced=(),
        jailed_until=Height(0),
        tombstoned=0,
    )


REGISTER = Kind(
    "stake.register",
    STAKING,
    StakeRegister,
    who="anyone",
    weight=2,
    max_bytes=1024,
    act=Registration,
    checks=(
        guarded((Rule("RANGE", "the stake stays below 2^63 grains"),), _countable),
        check("TOMBSTONED", "the sender is not in jail for ever", _not_tombstoned),
        check(
            "MIN_STAKE",
            "something is added, and the stake is then at least `minimum_stake_grains`",
            _large_enough,
        ),
        check(
            "COMMISSION",
            "of a new validator, the commission is at most `commission_cap_bp` and its change at most "
            "`commission_change_bp`",
            _modest,
        ),
        check("VALIDATORS_FULL", f"there are fewer than {MAX_VALIDATORS:,} validators", _place_free),
        affords(lambda act: act.body.stake_grains, "the sender has the stake besides the fee"),
    ),
    effect=_register,
    events=(ValidatorRegistered, StakeAdded),
    owner_only=True,
    pausable=True,
)


@dataclass(frozen=True, slots=True)
class StakeUpdate(Record):
    """Announce another commission, which holds after the notice, or say something else about oneself at once."""

    commission_bp: Annotated[int, BASIS_POINTS, Doc("the commission then, in hundredths of a per cent")]
    max_change_bp: Annotated[int, BASIS_POINTS, Doc("by how much it may be raised at a time then")]
    meta_root: Annotated[
        Hash32, Raw(32), Doc("root of what it says about itself elsewhere; zeros for nothing")
    ]


class Updating(Act[StakeUpdate]):
    """The sender's record as a validator."""

    @cached_property
    def held(self) -> Validator | None:
        return find_validator(self.context, self.call.sender)

    @property
    def announces(self) -> bool:
        """Whether the terms change, not only what it says about itself."""
        assert self.held is not None
        terms = self.held.commission_bp, self.held.max_change_bp
        return terms != (self.body.commission_bp, self.body.max_change_bp)


def _is_validator(act: Act[StakeUpdate] | Act[StakeUnjail]) -> Refusal | None:
    if find_validator(act.context, act.call.sender) is None:
        return Refusal("an account without a stake of its own", "a validator")
    return None


def _none_pending(act: Updating) -> Refusal | None:
    if act.held is not None and act.announces and act.held.announced:
        return Refusal("a change announced", f"none before height {act.held.announced[0].height}")
    return None


def _gradual(act: Updating) -> Refusal | None:
    assert act.held is not None
    step = min(act.held.max_change_bp, act.context.spec.staking.commission_change_bp)
    most = act.held.commission_bp + step
    return Refusal(act.body.commission_bp, f"at most {most} bp") if act.body.commission_bp > most else None


def _update(act: Updating) -> None:
    assert act.held is not None
    if act.body.meta_root != act.held.meta_root:
        describe(act.context, act.call.sender, act.body.meta_root)
    if act.announces:
        announce(act.context, act.call.sender, act.body.commission_bp, act.body.max_change_bp)


UPDATE = Kind(
    "stake.update",
    STAKING,
    StakeUpdate,
    who="a validator",
    weight=2,
    max_bytes=1024,
    act=Updating,
    checks=(
        check("NOT_FOUND", "the sender is a validator", _is_validator),
        check("PENDING", "no other change of its terms is announced", _none_pending),
        check(
            "COMMISSION",
            "the commission is at most `commission_cap_bp` and its change at most `commission_change_bp`",
            _within_caps,
        ),
        check(
            "CHANGE_RATE",
            "the commission rises by no more than the validator has declared, and `commission_change_bp`",
            _gradual,
        ),
    ),
    effect=_update,
    events=(OperatorAnnounced, OperatorUpdated),
)


@dataclass(frozen=True, slots=True)
class StakeUnjail(Record):
    """Stand for committees again when the time in jail is over."""


@dataclass(frozen=True, slots=True)
class Unjailed(Happening):
    """A validator came out of jail."""

    operator: Annotated[Address, Raw(20), Doc("the validator")]


class Release(Act[StakeUnjail]):
    """The sender's record as a validator, which the first check has found."""

    @cached_property
    def held(self) -> Validator:
        return load_validator(self.context, self.call.sender)

    @cached_property
    def listed(self) -> bool:
        """No epoch has begun since it was sent to jail."""
        return self.call.sender in validator_addresses(self.context)


def _in_jail(act: Release) -> Refusal | None:
    return None if act.held.jailed else Refusal("a validator at large", "one in jail")


def _not_for_ever(act: Release) -> Refusal | None:
    return Refusal("in jail for ever", "a time that ends") if act.held.tombstoned else None


def _time_over(act: Release) -> Refusal | None:
    height, until = act.context.height, act.held.jailed_until
    return Refusal(f"height {height}", f"at least {until}") if height < until else None


def _still_rich(act: Release) -> Refusal | None:
    minimum, stake = act.context.spec.money.minimum_stake_grains, act.held.stake_grains
    return Refusal(stake, f"at least {minimum} grains") if stake < minimum else None


def _room(act: Release) -> Refusal | None:
    return None if act.listed else _refuse_if_full(act.context)


def _unjail(act: Release) -> None:
    context, sender = act.context, act.call.sender
    put_validator(context, sender, replace(act.held, jailed_until=Height(0)))
    if not act.listed:
        enlist(context, sender)
    context.emit(Unjailed(sender))


UNJAIL = Kind(
    "stake.unjail",
    STAKING,
    StakeUnjail,
    who="a validator",
    weight=2,
    max_bytes=1024,
    act=Release,
    checks=(
        check("NOT_FOUND", "the sender is a validator", _is_validator),
        check("BAD_STATE", "it is in jail", _in_jail),
        check("TOMBSTONED", "not for ever", _not_for_ever),
        check("JAILED", "its time is over", _time_over),
        check("MIN_STAKE", "it has at least `minimum_stake_grains`", _still_rich),
        check("VALIDATORS_FULL", f"there are fewer than {MAX_VALIDATORS:,} validators", _room),
    ),
    effect=_unjail,
    events=(Unjailed,),
)
