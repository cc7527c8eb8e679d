"""The list of events."""

from __future__ import annotations

import pytest

from chain.blocks import Event, Receipt
from chain.types import Grains, TxId
from vm.events import FIELDS, described, event
from vm.jobs.record import Status


@pytest.mark.parametrize("name", FIELDS)
def test_every_event_fits_into_a_receipt(name: str) -> None:
    longest = event(name, **dict.fromkeys(FIELDS[name], (1 << 63) - 1))
    hashes = event(name, **{field: bytes(32) for field in FIELDS[name]})
    for found in (longest, hashes):
        receipt = Receipt(TxId(bytes(32)), "", 1, Grains(0), Grains(0), (found,))
        assert Receipt.from_bytes(receipt.to_bytes()) == receipt
        assert list(described(found)) == list(FIELDS[name])


def test_members_of_enumerations_become_numbers() -> None:
    found = event(
        "JobRefunded",
        job=b"j",
        status=Status.VOID,
        payer=b"p",
        refund_grains=1,
        penalty_grains=2,
        burned_grains=1,
    )
    assert type(found.values[1]) is int
    assert described(Event.from_bytes(found.to_bytes()))["status"] == Status.VOID


def test_a_missing_or_unknown_value_is_our_own_mistake() -> None:
    with pytest.raises(AssertionError):
        event("BlockBound", job=b"j", provider=b"p")
    with pytest.raises(AssertionError):
        event("BlockBound", job=b"j", provider=b"p", height=1, more=2)
    with pytest.raises(KeyError):
        event("Unheard")
