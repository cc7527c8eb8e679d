"""JSON faces: every kind of transaction and every event has one without code of its own.  Spec: [RPC-FORM]."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain.codec import layout
from consensus.events import EVENTS
from node.rpc.forms import LONG_BYTES, address_form, event_form, record_form, transaction_form
from tests.strategies import records
from tests.unit.rpc_node import ALICE, PREFIX
from vm.envelope import Transaction
from vm.jobs.challenge import Opening
from vm.kinds.accounts import Transfer
from vm.registry import KINDS


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_every_body_becomes_plain_json(kind: str, data: st.DataObject) -> None:
    body = data.draw(records(KINDS[kind].body))
    form = record_form(body, PREFIX)
    assert json.loads(json.dumps(form)) == form


@given(transaction=records(Transaction), body=records(Transfer))
def test_transactions_show_their_body_by_name(transaction: Transaction, body: Transfer) -> None:
    data = replace(transaction, kind="transfer", body=body.to_bytes()).to_bytes()
    form = transaction_form(data, PREFIX)
    assert form["body"]["amount_grains"] == body.amount_grains
    assert json.loads(json.dumps(form)) == form


@pytest.mark.parametrize("name", EVENTS)
@given(data=st.data())
@settings(max_examples=5)
def test_every_event_names_its_fields(name: str, data: st.DataObject) -> None:
    form = event_form(data.draw(records(EVENTS[name])).to_event(), PREFIX)
    assert list(form) == ["event", *(field for field, _ in layout(EVENTS[name]))]
    json.dumps(form)


def test_addresses_and_their_absence() -> None:
    assert address_form(PREFIX, ALICE.address).startswith(f"{PREFIX}1")  # type: ignore[union-attr]
    assert address_form(PREFIX, bytes(20)) is None


def test_long_bytes_are_shown_by_their_size() -> None:
    form = record_form(Opening(0, bytes(LONG_BYTES + 1), ()), PREFIX)
    assert form["leaf"] == {"size_bytes": LONG_BYTES + 1}
    assert record_form(Opening(0, b"\x01", ()), PREFIX)["leaf"] == "01"
