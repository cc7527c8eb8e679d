"""Counts what the state holds of assets, for the audit of a test chain."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from chain.codec import Record
from chain.state.reader import StateReader
from chain.types import Address, AssetId, StateKey
from vm.assets.limits import SLOTS
from vm.assets.opinion import OpinionKind, opinion_key
from vm.assets.record import (
    COUNT_KEY,
    AssetCount,
    AssetNumber,
    Holding,
    Version,
    asset_key,
    content_key,
    holding_key,
    number_key,
    version_key,
)
from vm.assets.sales import Revenue, grant_key, offer_key, revenue_key

R = TypeVar("R", bound=Record)


@dataclass
class AssetBooks:
    """Places that belong to assets, and the coins locked in them, in grains."""

    keys: set[StateKey] = field(default_factory=set)
    locked_grains: int = 0


def count_assets(state: StateReader, people: Iterable[Address]) -> AssetBooks:
    """Every place that an asset may have, for people of whom the test knows."""
    books, people = AssetBooks(), list(people)
    data = state.get(COUNT_KEY)
    if data is None:
        return books
    books.keys.add(COUNT_KEY)
    for number in range(AssetCount.from_bytes(data).assets):
        books.keys.add(number_key(number))
        _count(state, books, _read(state, number_key(number), AssetNumber).asset, people)
    return books


def _count(state: StateReader, books: AssetBooks, asset: AssetId, people: list[Address]) -> None:
    holding = _read(state, holding_key(asset), Holding)
    books.locked_grains += holding.deposit_grains
    books.keys |= {asset_key(asset), holding_key(asset)}
    books.keys |= {offer_key(asset, slot) for slot in range(SLOTS)}
    for person in people:
        books.keys |= {grant_key(asset, slot, person) for slot in range(SLOTS)}
        books.keys.add(revenue_key(asset, person))
        data = state.get(revenue_key(asset, person))
        books.locked_grains += Revenue.from_bytes(data).accrued_grains if data is not None else 0
    for number in range(1, holding.versions + 1):
        version = _read(state, version_key(asset, number), Version)
        books.keys |= {version_key(asset, number), content_key(version.content_root)}
        books.keys |= {opinion_key(asset, number, kind, who) for kind in OpinionKind for who in people}


def _read(state: StateReader, key: StateKey, record: type[R]) -> R:
    data = state.get(key)
    assert data is not None
    return record.from_bytes(data)
