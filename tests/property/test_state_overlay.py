"""Overlays behave as copies of a dictionary would.  Spec: [STATE-DIFF]."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.errors import Invalid
from chain.ints import U63_MAX
from chain.ledger import Account, ChainState, TicketRing
from chain.state import MAX_VALUE_BYTES, Overlay, state_key
from chain.types import Grains, StateKey

KEYS = [state_key(0, bytes([number])) for number in range(6)]
U63S = st.integers(0, U63_MAX).map(Grains)
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(KEYS), st.binary(max_size=3)),
        st.tuples(st.just("delete"), st.sampled_from(KEYS), st.none()),
        st.tuples(st.just("store"), st.sampled_from(KEYS), st.builds(Account, U63S, U63S, st.just(0))),
        st.tuples(st.sampled_from(["open", "merge", "drop"]), st.none(), st.none()),
    ),
    max_size=40,
)


@given(st.dictionaries(st.sampled_from(KEYS), st.binary(max_size=3)), ACTIONS)
def test_nested_overlays(base: dict[StateKey, bytes], actions: list[tuple[str, StateKey, Any]]) -> None:
    untouched = deepcopy(base)
    stack = [(Overlay(base), dict(base))]
    for what, key, value in actions:
        overlay, model = stack[-1]
        if what == "put":
            overlay.put(key, value)
            model[key] = value
        elif what == "store":
            overlay.store(key, value)
            model[key] = value.to_bytes()
            assert overlay.load(key, Account) == value
        elif what == "delete":
            overlay.delete(key)
            model.pop(key, None)
        elif what == "open":
            stack.append((overlay.child(), dict(model)))
        elif len(stack) > 1:
            stack.pop()
            if what == "merge":
                parent = stack[-1][0]
                parent.merge(overlay)
                stack[-1] = (parent, model)
        overlay, model = stack[-1]
        if what != "store":  # asking for its bytes would hide that they can wait
            assert [overlay.get(key) for key in KEYS] == [model.get(key) for key in KEYS]
    assert base == untouched
    changes = stack[0][0].changes()
    assert list(changes) == sorted(changes)
    assert {k: v for k, v in {**base, **changes}.items() if v is not None} == stack[0][1]


def test_records_wait_for_their_bytes_only_if_these_are_sure() -> None:
    """A field out of its bounds fails the transaction that stores it, not the block at its end."""
    overlay = Overlay({})
    counters = ChainState(*(Grains(0) for _ in range(8)), settled_macs=1 << 100)
    assert counters.is_sure()
    overlay.store(KEYS[0], counters)
    assert overlay.child().load(KEYS[0], ChainState) is counters
    assert overlay.get(KEYS[0]) == counters.to_bytes()
    for wrong in (replace(counters, settled_macs=1 << 128), replace(counters, burned_grains=Grains(-1))):
        assert not wrong.is_sure()
        with pytest.raises(Invalid, match="ENC_INT"):
            overlay.store(KEYS[0], wrong)
    with pytest.raises(Invalid, match="ENC_RECORD"):
        overlay.load(KEYS[0], Account)
    assert not TicketRing(()).is_sure(), "a list may be long"
    assert overlay.get(KEYS[0]) == counters.to_bytes()


def test_a_value_has_a_largest_size() -> None:
    overlay = Overlay({})
    overlay.put(KEYS[0], bytes(MAX_VALUE_BYTES))
    with pytest.raises(Invalid, match=f"STATE_VALUE: found {MAX_VALUE_BYTES + 1} bytes"):
        overlay.put(KEYS[0], bytes(MAX_VALUE_BYTES + 1))


def test_keys_of_namespaces_never_meet() -> None:
    assert state_key(1, b"\x02") != state_key(2, b"\x01")
    assert len({state_key(number, b"x") for number in range(256)}) == 256
    assert state_key(7, b"abc").hex() == "8089319197c7bcfb70aead84bfa8ad4d49797bb064feba197f1deaaca1c82708"
