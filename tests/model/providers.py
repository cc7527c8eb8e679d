"""Who sells work, on the naive state.  Spec: docs/spec/providers.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from blake3 import blake3

from chain.hashing import Tag, h256
from tests.model.assets import books_of as assets_of
from tests.model.assets import readable
from tests.model.books import Books, Entry, Item
from tests.model.forms import pack, require
from tests.model.state import OPEN, SETTLED

if TYPE_CHECKING:
    from tests.model.ledger import Model

PROVIDER, INDEX = 20, 21
"""Namespaces."""
ACTIVE, PAUSED, EXITING = 1, 2, 3
PART = 4
"""The newest figure's part of the average: one of so many."""


@dataclass
class Providers(Books):
    """[PROV-STATE]"""

    listed: dict[bytes, Item] = field(default_factory=dict)
    """Address to declared fields, status, height of registration, deposit."""
    order: list[bytes] = field(default_factory=list)
    """The list by number."""
    life: dict[bytes, Item] = field(default_factory=dict)
    """Of those on the list: `settled`, `average` and `epoch` of the last heartbeat."""
    open_jobs: dict[bytes, int] = field(default_factory=dict)
    """Of whoever has some."""

    @property
    def locked(self) -> int:
        return sum(entry["deposit"] for entry in self.listed.values())

    def entries(self) -> Iterator[Entry]:
        for who, entry in self.listed.items():
            yield f"provider {who.hex()}", PROVIDER, who, list(entry.values())
        for number, who in enumerate(self.order):
            yield f"provider number {number}", INDEX, number.to_bytes(8, "big"), [who]
        if self.order:
            yield "number of providers", INDEX, b"", [len(self.order)]
        for who in {**self.listed, **self.open_jobs}:
            life = self.life.get(who, {"settled": 0, "average": 0, "epoch": 0})
            work = [life[name].to_bytes(16, "big") for name in ("settled", "average")]
            place = self.order.index(who) if who in self.order else 0
            counted = [self.open_jobs.get(who, 0), int(who in self.order), place, *work, life["epoch"]]
            yield f"what is counted of {who.hex()}", PROVIDER, who + b"\1", counted


def register(model: Model, sender: bytes, origin: list[Any], body: Any) -> None:
    """[PROV-LIST]"""
    books, (declared,) = books_of(model), body
    require(sender not in books.listed, "BAD_STATE")
    check(model, declared)
    deposit = model.spec.providers.deposit_grains
    model.debit(sender, deposit)
    books.order.append(sender)
    books.listed[sender] = {
        "declared": declared,
        "status": ACTIVE,
        "height": model.height,
        "deposit": deposit,
    }
    books.life[sender] = {"settled": 0, "average": 0, "epoch": epoch_of(model)}


def update(model: Model, sender: bytes, origin: list[Any], body: Any) -> None:
    """[PROV-DECLARED], [PROV-LEAVE]"""
    books, (status, declared) = books_of(model), body
    require(sender in books.listed, "NOT_FOUND")
    check(model, declared)
    if status != EXITING:
        books.listed[sender] |= {"declared": declared, "status": status}
        return
    require(sender not in books.open_jobs, "BUSY")
    model.credit(sender, books.listed.pop(sender)["deposit"])
    del books.life[sender]
    place, last = books.order.index(sender), books.order.pop()
    if last != sender:
        books.order[place] = last


def check(model: Model, declared: Any) -> None:
    """[PROV-DECLARED]"""
    endpoints, region, versions = declared[0], declared[7], declared[5]
    require(all(readable(each) for each in endpoints) and (region == "" or readable(region)), "TEXT")
    require(all((asset, number) in assets_of(model).versions for asset, number in versions), "NOT_FOUND")


def beat(model: Model, sender: bytes, origin: list[Any], body: Any) -> None:
    """[PROV-HEARTBEAT], [PROV-MEASURE]"""
    books, (digest,) = books_of(model), body
    require(sender in books.listed, "NOT_FOUND")
    life, epoch = books.life[sender], epoch_of(model)
    require(life["epoch"] < epoch, "TOO_SOON")
    into = model.height - epoch * model.spec.pace.epoch_blocks
    require(into < model.spec.providers.heartbeat_blocks, "LATE")
    require(digest == answer(model, sender), "CHALLENGE")
    newest = life["settled"] // (epoch - life["epoch"])
    life |= {"average": ((PART - 1) * life["average"] + newest) // PART, "settled": 0, "epoch": epoch}


def answer(model: Model, provider: bytes) -> bytes:
    """The digest of the product of an epoch; of nothing if its ticket is not known."""
    tickets = dict(model.state.tickets)
    before = epoch_of(model) * model.spec.pace.epoch_blocks - 1
    if before not in tickets:
        return bytes(32)
    seed = h256(Tag.HEARTBEAT, pack([tickets[before], provider]))
    drawn = np.frombuffer(blake3(b"", key=seed).digest(length=8_192), np.int8).astype(np.int64)
    product = drawn[:4_096].reshape(64, 64).dot(drawn[4_096:].reshape(64, 64))
    return blake3(product.astype("<i4").tobytes(), key=seed).digest()


EFFECTS = {"provider.register": register, "provider.update": update, "provider.heartbeat": beat}


# -- jobs ---------------------------------------------------------------------------------------------------------


def recount(model: Model, provider: bytes) -> None:
    """[PROV-COUNT]: all of somebody's jobs, from the beginning."""
    jobs = model.state.jobs.values()
    mine = [job for job in jobs if job["provider"] == provider and OPEN < job["status"] < SETTLED]
    books = books_of(model)
    books.open_jobs.pop(provider, None)
    if mine:
        books.open_jobs[provider] = len(mine)


def settled(model: Model, provider: bytes, macs: int) -> None:
    life = books_of(model).life
    if provider in life:
        life[provider]["settled"] += macs


def epoch_of(model: Model) -> int:
    return model.height // model.spec.pace.epoch_blocks


def books_of(model: Model) -> Providers:
    books = model.state.books["providers"]
    assert isinstance(books, Providers)
    return books
