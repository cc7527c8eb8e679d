"""Counts the stake that has left validators, for the audit of a test chain."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from chain.state.reader import StateReader
from chain.types import Address, StateKey
from vm.staking.departures import Departure, Departures, departure_key
from vm.staking.liability import Redelegation, redelegation_key
from vm.staking.unbonding import Unbonding, unbonding_key
from vm.staking.validators import departures_key


@dataclass
class DepartureBooks:
    """Places that belong to stake on its way out, and what of it is left, in grains."""

    keys: set[StateKey] = field(default_factory=set)
    unbonding_grains: int = 0


def count_departures(state: StateReader, people: Iterable[Address]) -> DepartureBooks:
    """Every pool of what left somebody, and everybody in it; a pool counts exactly those."""
    books, people = DepartureBooks(), list(people)
    for operator in people:
        found = state.get(departures_key(operator))
        if found is not None:
            books.keys.add(departures_key(operator))
            numbers = Departures.from_bytes(found)
            assert state.get(departure_key(operator, numbers.first)) is not None, "the oldest exists"
            for number in range(numbers.first, numbers.next):
                _count(state, books, operator, number, people)
    return books


def _count(
    state: StateReader, books: DepartureBooks, operator: Address, number: int, people: list[Address]
) -> None:
    data = state.get(departure_key(operator, number))
    if data is None:
        return
    pool = Departure.from_bytes(data)
    assert pool.unbonding.left_grains <= pool.unbonding.entered_grains
    assert pool.moved.left_grains <= pool.moved.entered_grains
    waiting = {person: unbonding_key(operator, person, number) for person in people}
    moved = [
        redelegation_key(operator, to, person, number) for to in people for person in people if to != operator
    ]
    entered = [Unbonding.from_bytes(data) for place in waiting.values() if (data := state.get(place))]
    gone_on = [Redelegation.from_bytes(data) for place in moved if (data := state.get(place))]
    assert sum(each.entered_grains for each in entered) == pool.unbonding.entered_grains
    assert sum(each.moved_grains for each in gone_on) == pool.moved.entered_grains
    books.keys |= {departure_key(operator, number), *waiting.values(), *moved}
    books.unbonding_grains += pool.unbonding.left_grains
