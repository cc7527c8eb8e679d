"""Stake that moved from one validator to another and still answers for the first.  Spec: [STAKE-LIABLE].

The pool of what left the first counts it (vm/staking/departures.py), so a slash costs the same however many have moved.
What it took is collected from each of them at the end of the time: from what it stakes with the second validator, then
from what it is unbonding there. It cannot be gone by then: what was moved neither moves on nor is paid out before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from chain.codec import U63, Raw, Record
from chain.doc import Doc
from chain.ints import add, ceil_div
from chain.ledger import AgendaItem, AgendaKind, Namespace, state_key
from chain.types import Address, Grains, Height, StateKey
from vm.context import Context
from vm.events import Happening
from vm.staking import unbonding
from vm.staking.departures import departure_now, load_departure, put_departure
from vm.staking.pools import delegation_of, pool_of, resize, worth
from vm.staking.validators import forget_if_empty


@dataclass(frozen=True, slots=True)
class RedelegationSlashed(Happening):
    """Stake was taken away and destroyed for what the validator had done that it had left."""

    staker: Annotated[Address, Raw(20), Doc("whose it was")]
    source: Annotated[Address, Raw(20), Doc("the validator it had left")]
    target: Annotated[Address, Raw(20), Doc("the validator it had moved to")]
    amount_grains: Annotated[Grains, U63, Doc("how much")]


@dataclass(frozen=True, slots=True)
class Redelegation(Record):
    """What one account has moved from one validator to another."""

    source: Annotated[Address, Raw(20)]
    target: Annotated[Address, Raw(20)]
    staker: Annotated[Address, Raw(20)]
    departure: Annotated[int, U63]
    """Number of the pool of what left the source."""
    moved_grains: Annotated[Grains, U63]
    until: Annotated[Height, U63]
    """When the last of it answers no more."""


def redelegation_key(source: Address, target: Address, staker: Address, departure: int) -> StateKey:
    return state_key(Namespace.REDELEGATION, source + target + staker + departure.to_bytes(8, "big"))


def begin(
    context: Context, source: Address, target: Address, staker: Address, amount_grains: int, until: int
) -> None:
    """Write down what moves now, and when it will be free."""
    number, departure = departure_now(context, source)
    put_departure(context, source, number, replace(departure, moved=departure.moved.plus(amount_grains)))
    key = redelegation_key(source, target, staker, number)
    before = context.state.load(key, Redelegation)
    amount = Grains(add(before.moved_grains if before is not None else 0, amount_grains))
    context.state.store(key, Redelegation(source, target, staker, number, amount, Height(until)))
    context.schedule(until, AgendaKind.REDELEGATION_ENDS, key, amount_grains)


def end(context: Context, item: AgendaItem) -> None:
    """The time is over: collect what slashes of the first validator have taken meanwhile."""
    key = StateKey(item.subject)
    record = context.state.load(key, Redelegation)
    assert record is not None, "it lasts as long as there are steps for it"
    departure = load_departure(context, record.source, record.departure)
    lost = item.number - departure.moved.worth(item.number)
    left = replace(departure, moved=departure.moved.minus(item.number))
    put_departure(context, record.source, record.departure, left)
    if record.moved_grains > item.number:
        context.state.store(key, replace(record, moved_grains=Grains(record.moved_grains - item.number)))
    else:
        context.state.delete(key)
    if lost:
        collect(context, record, lost)


def collect(context: Context, record: Redelegation, lost_grains: int) -> int:
    """Destroy so much of what an account has with the second validator, or all it has there; returns how much."""
    taken = _from_stake(context, record.target, record.staker, lost_grains)
    taken += unbonding.seize(context, record.target, record.staker, lost_grains - taken)
    context.unlock(taken)
    context.burn(taken)
    forget_if_empty(context, record.target)
    context.emit(RedelegationSlashed(record.staker, record.source, record.target, Grains(taken)))
    return taken


def _from_stake(context: Context, operator: Address, staker: Address, wanted_grains: int) -> int:
    """Take as many shares as are worth that; a share is worth at most a grain, so they come out even."""
    pool, held = pool_of(context, operator), delegation_of(context, operator, staker)
    if held is None or not pool.staked_grains:
        return 0
    shares = min(held.shares, ceil_div(wanted_grains * pool.shares, pool.staked_grains))
    grains = worth(pool, shares)
    resize(context, operator, staker, -shares, -grains)
    return grains


STEPS = {AgendaKind.REDELEGATION_ENDS: end}
