"""Counts what the state holds of providers and permits, for the audit of a test chain."""

from __future__ import annotations

from collections.abc import Iterable

from chain.ledger import AgendaItem, AgendaKind
from chain.state.reader import StateReader
from chain.types import Address, PermitId
from tests.asset_books import AssetBooks
from vm.assets.permits import Permit, permit_key
from vm.providers.record import (
    COUNT_KEY,
    Activity,
    Provider,
    ProviderCount,
    ProviderNumber,
    activity_key,
    number_key,
    provider_key,
)


def count_providers(state: StateReader, people: Iterable[Address]) -> AssetBooks:
    """Every place that the list and its entries take; the list has no holes and names each entry once."""
    books = AssetBooks()
    data = state.get(COUNT_KEY)
    count = ProviderCount.from_bytes(data).providers if data is not None else 0
    listed = []
    for number in range(count):
        found = state.get(number_key(number))
        assert found is not None, "the list has no holes"
        listed.append(ProviderNumber.from_bytes(found).provider)
    assert len(set(listed)) == count
    books.keys |= {number_key(number) for number in range(count)} | ({COUNT_KEY} if count else set())
    for person in people:
        books.keys |= {provider_key(person), activity_key(person)}
        entry, counted = state.get(provider_key(person)), state.get(activity_key(person))
        assert (entry is not None) == (person in listed)
        if entry is not None:
            assert counted is not None
            assert Activity.from_bytes(counted).number == listed.index(person)
            books.locked_grains += Provider.from_bytes(entry).deposit_grains
    return books


def count_permits(state: StateReader, agenda: Iterable[AgendaItem]) -> AssetBooks:
    """Every permit has its end on the agenda, and every such end its permit."""
    books = AssetBooks()
    for item in agenda:
        if item.kind is AgendaKind.PERMIT_ENDS:
            place = permit_key(PermitId(item.subject))
            data = state.get(place)
            assert data is not None, "a permit is there until it expires"
            books.keys.add(place)
            books.locked_grains += Permit.from_bytes(data).deposit_grains
    return books
