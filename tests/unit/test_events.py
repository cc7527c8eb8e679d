"""The table of events, and that each fits into a receipt."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain.blocks import Event, Receipt
from chain.codec import layout
from chain.errors import Invalid
from chain.types import Grains, JobId, TxId
from consensus.events import EVENTS, PROTOCOL, described
from tests.builders import key
from tests.strategies import every_record, records
from vm.events import Happening
from vm.jobs.lifecycle import CommitteeDrawn, JobRefunded
from vm.jobs.record import Status
from vm.kinds.accounts import Transferred
from vm.registry import KINDS


@pytest.mark.parametrize("name", EVENTS)
@given(data=st.data())
@settings(max_examples=10)
def test_every_event_fits_into_a_receipt(name: str, data: st.DataObject) -> None:
    happening = data.draw(records(EVENTS[name]))
    event = happening.to_event()
    assert all(type(value) in (int, bytes) for value in event.values)
    receipt = Receipt(TxId(bytes(32)), "", 1, Grains(0), Grains(0), (event,))
    assert Receipt.from_bytes(receipt.to_bytes()) == receipt
    assert described(event) == happening


def test_whatever_is_declared_is_in_the_table() -> None:
    declared = {record for record in every_record() if issubclass(record, Happening)} - {Happening}
    assert set(EVENTS.values()) == declared
    assert len({happening.__name__ for happening in declared}) == len(declared), "names are unique"


def test_kinds_and_the_protocol_share_the_table() -> None:
    assert Transferred in KINDS["transfer"].events
    assert Transferred not in PROTOCOL
    assert CommitteeDrawn in PROTOCOL


def test_members_of_enumerations_travel_as_numbers() -> None:
    found = JobRefunded(JobId(bytes(32)), Status.VOID, key(1).address, Grains(1), Grains(2), Grains(1))
    event = Event.from_bytes(found.to_event().to_bytes())
    place = [name for name, _ in layout(JobRefunded)].index("status")
    assert type(event.values[place]) is int
    assert described(event) == found


def test_values_that_are_not_the_events_are_refused() -> None:
    with pytest.raises(Invalid, match="ENC_"):
        described(Event("Transferred", (1, 2, 3)))
    with pytest.raises(KeyError):
        described(Event("Unheard", ()))
