"""Stake that has left a validator and still answers for it.  Spec: [STAKE-DEPART].

All that leaves a validator in one epoch is one pool, numbered per validator, so that one multiplication takes a part of
it from everybody who is in it. What is taken away never depends on how many they are. A pool has two parts: coins that
wait in it to be paid out, and a count of those that went on to another validator, which are taken away there.

A pool out of which something was taken lets nobody in any more; those who leave later in the epoch begin another. So
whoever enters does so at a grain for a grain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from chain.codec import U63, Nested, Record
from chain.ledger import Namespace, state_key
from chain.types import Address, Grains, StateKey
from vm.context import Context
from vm.staking.validators import departures_key, forget_if_empty


@dataclass(frozen=True, slots=True)
class Part(Record):
    """Grains as they entered, and what is left of them together."""

    entered_grains: Annotated[Grains, U63]
    left_grains: Annotated[Grains, U63]

    def plus(self, grains: int) -> Part:
        return Part(Grains(self.entered_grains + grains), Grains(self.left_grains + grains))

    def minus(self, entered: int) -> Part:
        """Without those that entered as so many grains."""
        return Part(Grains(self.entered_grains - entered), Grains(self.left_grains - self.worth(entered)))

    def worth(self, entered: int) -> int:
        """What is left of so many grains; division favours those who stay."""
        return entered * self.left_grains // self.entered_grains if entered else 0

    def lost(self, numerator: int, denominator: int) -> int:
        """What a slash takes."""
        return self.left_grains * numerator // denominator

    def less(self, grains: int) -> Part:
        """After a slash has taken so much."""
        return Part(self.entered_grains, Grains(self.left_grains - grains))


NOTHING = Part(Grains(0), Grains(0))


@dataclass(frozen=True, slots=True)
class Departure(Record):
    """What left in one epoch."""

    epoch: Annotated[int, U63]
    unbonding: Annotated[Part, Nested(Part)]
    """On its way into balances."""
    moved: Annotated[Part, Nested(Part)]
    """Staked with others now: counted here, held there."""

    @property
    def whole(self) -> bool:
        """Whether nothing was taken from those who are in it."""
        return all(part.entered_grains == part.left_grains for part in (self.unbonding, self.moved))

    @property
    def empty(self) -> bool:
        return not self.unbonding.entered_grains and not self.moved.entered_grains


@dataclass(frozen=True, slots=True)
class Departures(Record):
    """Numbers of a validator's pools: from the oldest that exists up to the next one."""

    first: Annotated[int, U63]
    next: Annotated[int, U63]


def departure_key(operator: Address, number: int) -> StateKey:
    return state_key(Namespace.DEPARTURE, operator + number.to_bytes(8, "big"))


def numbers_of(context: Context, operator: Address) -> range:
    """Of a validator's pools, ascending; some in between may be gone."""
    found = context.state.load(departures_key(operator), Departures)
    return range(found.first, found.next) if found is not None else range(0)


def find_departure(context: Context, operator: Address, number: int) -> Departure | None:
    return context.state.load(departure_key(operator, number), Departure)


def load_departure(context: Context, operator: Address, number: int) -> Departure:
    """A pool in which somebody certainly is."""
    departure = find_departure(context, operator, number)
    assert departure is not None, "a pool outlives everybody in it"
    return departure


def departure_now(context: Context, operator: Address) -> tuple[int, Departure]:
    """(number, pool) for those who leave a validator now; the caller stores it with them in it."""
    numbers, epoch = numbers_of(context, operator), context.height // context.spec.pace.epoch_blocks
    if numbers:
        newest = find_departure(context, operator, numbers[-1])
        if newest is not None and newest.epoch == epoch and newest.whole:
            return numbers[-1], newest
    return numbers.stop, Departure(epoch, NOTHING, NOTHING)


def put_departure(context: Context, operator: Address, number: int, departure: Departure) -> None:
    """Store a pool, or remove it when nobody is in it any more; validators without stake may be gone then, too."""
    numbers = numbers_of(context, operator)
    if not departure.empty:
        context.state.store(departure_key(operator, number), departure)
        found = Departures(numbers.start, max(numbers.stop, number + 1))
        context.state.store(departures_key(operator), found)
        return
    context.state.delete(departure_key(operator, number))
    first = next((each for each in numbers if find_departure(context, operator, each) is not None), None)
    if first is None:
        context.state.delete(departures_key(operator))
        forget_if_empty(context, operator)
    else:
        context.state.store(departures_key(operator), Departures(first, numbers.stop))


def slash_departed(context: Context, operator: Address, epoch: int, numerator: int, denominator: int) -> int:
    """Take a part of all that left in this epoch or later; returns the locked coins taken.

    Weights of an epoch are frozen at its first block, so what left later in it had weight all through the epoch. What
    went on to others is only counted here; vm/staking/liability.py takes it away.
    """
    taken = 0
    for number, departure in _since(context, operator, epoch):
        waiting = departure.unbonding.lost(numerator, denominator)
        elsewhere = departure.moved.lost(numerator, denominator)
        taken += waiting
        put_departure(
            context,
            operator,
            number,
            Departure(departure.epoch, departure.unbonding.less(waiting), departure.moved.less(elsewhere)),
        )
    return taken


def _since(context: Context, operator: Address, epoch: int) -> Iterator[tuple[int, Departure]]:
    """Pools of this epoch and later, the newest first."""
    for number in reversed(numbers_of(context, operator)):
        departure = find_departure(context, operator, number)
        if departure is None:
            continue
        if departure.epoch < epoch:
            return
        yield number, departure
