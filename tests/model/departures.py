"""Stake that has left validators on the naive state.  Spec: [STAKE-DEPART], [STAKE-UNBOND], [STAKE-LIABLE]."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chain.hashing import Tag, h256
from tests.model.books import Books, Entry

if TYPE_CHECKING:
    from tests.model.ledger import Model

REDELEGATION, DEPARTURE, UNBONDING = 19, 26, 27
"""Namespaces."""
STAKE_UNBONDED, REDELEGATION_ENDS = 7, 14
"""Automatic steps."""
Key = tuple[bytes, ...]
"""Validator left, in the second part validator joined, staker."""


@dataclass
class Part:
    """Who entered with how much, and what is left of all of it."""

    entered: dict[Key, int] = field(default_factory=dict)
    left: int = 0

    def worth(self, grains: int) -> int:
        return grains * self.left // sum(self.entered.values())

    def enter(self, who: Key, grains: int) -> None:
        self.entered[who] = self.entered.get(who, 0) + grains
        self.left += grains

    def leave(self, who: Key, grains: int) -> int:
        """What they are worth."""
        amount = self.worth(grains)
        self.left -= amount
        self.entered[who] -= grains
        if not self.entered[who]:
            del self.entered[who]
        return amount

    def wire(self) -> list[int]:
        return [sum(self.entered.values()), self.left]


@dataclass
class Pool:
    epoch: int
    waiting: Part = field(default_factory=Part)
    moved: Part = field(default_factory=Part)
    until: dict[Key, int] = field(default_factory=dict)
    """When the last of what moved answers no more."""

    @property
    def whole(self) -> bool:
        return all(part.left == sum(part.entered.values()) for part in (self.waiting, self.moved))


@dataclass
class Departures(Books):
    pools: dict[bytes, dict[int, Pool]] = field(default_factory=dict)
    """Validator to number to pool, the oldest first."""
    next: dict[bytes, int] = field(default_factory=dict)

    @property
    def locked(self) -> int:
        return sum(pool.waiting.left for pools in self.pools.values() for pool in pools.values())

    def entries(self) -> Iterator[Entry]:
        for operator, pools in self.pools.items():
            yield "departures", DEPARTURE, operator, [min(pools), self.next[operator]]
            for number, pool in pools.items():
                suffix = number.to_bytes(8, "big")
                value = [pool.epoch, pool.waiting.wire(), pool.moved.wire()]
                yield f"departure {number}", DEPARTURE, operator + suffix, value
                for who, grains in pool.waiting.entered.items():
                    yield "unbonding", UNBONDING, b"".join(who) + suffix, [*who, number, grains]
                for who, grains in pool.moved.entered.items():
                    value = [*who, number, grains, pool.until[who]]
                    yield "redelegation", REDELEGATION, b"".join(who) + suffix, value

    def find(self, namespace: int, key: bytes) -> tuple[Key, int] | None:
        """Who is in which pool, by the key of the record."""
        for what, space, identifier, value in self.entries():
            if (
                space == namespace
                and what in ("unbonding", "redelegation")
                and place(space, identifier) == key
            ):
                return tuple(each for each in value if isinstance(each, bytes)), int.from_bytes(
                    identifier[-8:], "big"
                )
        return None

    def tidy(self, operator: bytes) -> None:
        pools = self.pools[operator]
        for number in [n for n, pool in pools.items() if not pool.waiting.entered and not pool.moved.entered]:
            del pools[number]
        if not pools:
            del self.pools[operator], self.next[operator]


def place(namespace: int, identifier: bytes) -> bytes:
    return h256(Tag.STATE_KEY, bytes([namespace]) + identifier)


def books_of(model: Model) -> Departures:
    found = model.state.books["departures"]
    assert isinstance(found, Departures)
    return found


def door(model: Model, operator: bytes) -> tuple[int, Pool]:
    """The pool for those who leave now."""
    books, epoch = books_of(model), model.height // model.spec.pace.epoch_blocks
    pools, number = books.pools.setdefault(operator, {}), books.next.get(operator, 0)
    newest = pools.get(number - 1)
    if newest is not None and newest.epoch == epoch and newest.whole:
        return number - 1, newest
    books.next[operator] = number + 1
    pools[number] = Pool(epoch)
    return number, pools[number]


def unbond(model: Model, operator: bytes, staker: bytes, amount: int, height: int) -> None:
    if amount:
        number, pool = door(model, operator)
        pool.waiting.enter((operator, staker), amount)
        key = place(UNBONDING, operator + staker + number.to_bytes(8, "big"))
        model.schedule(height, STAKE_UNBONDED, key, amount)


def unbonded(model: Model, key: bytes, number: int) -> None:
    books = books_of(model)
    found = books.find(UNBONDING, key)
    if found is not None:
        who, pool = found
        part = books.pools[who[0]][pool].waiting
        model.credit(who[1], part.leave(who, min(number, part.entered[who])))
        books.tidy(who[0])


def move(model: Model, source: bytes, target: bytes, staker: bytes, amount: int, until: int) -> None:
    number, pool = door(model, source)
    pool.moved.enter((source, target, staker), amount)
    pool.until[source, target, staker] = until
    key = place(REDELEGATION, source + target + staker + number.to_bytes(8, "big"))
    model.schedule(until, REDELEGATION_ENDS, key, amount)


def moved_on(model: Model, key: bytes, number: int) -> tuple[bytes, bytes, int]:
    """Out of the pool; returns (second validator, staker, what is owed)."""
    books = books_of(model)
    found = books.find(REDELEGATION, key)
    assert found is not None
    who, pool = found
    kept = books.pools[who[0]][pool].moved.leave(who, number)
    books.tidy(who[0])
    return who[1], who[2], number - kept


def seize(model: Model, operator: bytes, staker: bytes, wanted: int) -> int:
    """Up to so much of what somebody is unbonding, the oldest first: grain by grain of what entered, in effect."""
    books, taken = books_of(model), 0
    for pool in list(books.pools.get(operator, {}).values()):
        held = pool.waiting.entered.get((operator, staker), 0)
        if taken < wanted and held and pool.waiting.left:
            whole = sum(pool.waiting.entered.values())
            needed = -(-(wanted - taken) * whole // pool.waiting.left)
            taken += pool.waiting.leave((operator, staker), min(held, needed))
    if operator in books.pools:
        books.tidy(operator)
    return taken


def slash(model: Model, operator: bytes, epoch: int, n: int, d: int) -> int:
    """What was taken of the coins that wait."""
    taken = 0
    for pool in books_of(model).pools.get(operator, {}).values():
        if pool.epoch >= epoch:
            taken += pool.waiting.left * n // d
            for part in (pool.waiting, pool.moved):
                part.left -= part.left * n // d
    return taken
