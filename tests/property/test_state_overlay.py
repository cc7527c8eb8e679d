"""Overlays behave as copies of a dictionary would.  Spec: [STATE-DIFF]."""

from __future__ import annotations

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.errors import Invalid
from chain.state import MAX_VALUE_BYTES, Overlay, state_key
from chain.types import StateKey

KEYS = [state_key(0, bytes([number])) for number in range(6)]
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(KEYS), st.binary(max_size=3)),
        st.tuples(st.just("delete"), st.sampled_from(KEYS), st.none()),
        st.tuples(st.sampled_from(["open", "merge", "drop"]), st.none(), st.none()),
    ),
    max_size=40,
)


@given(st.dictionaries(st.sampled_from(KEYS), st.binary(max_size=3)), ACTIONS)
def test_nested_overlays(base: dict[StateKey, bytes], actions: list[tuple[str, StateKey, bytes]]) -> None:
    untouched = deepcopy(base)
    stack = [(Overlay(base), dict(base))]
    for what, key, value in actions:
        overlay, model = stack[-1]
        if what == "put":
            overlay.put(key, value)
            model[key] = value
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
        assert [overlay.get(key) for key in KEYS] == [model.get(key) for key in KEYS]
    assert base == untouched
    changes = stack[0][0].changes()
    assert list(changes) == sorted(changes)
    assert {k: v for k, v in {**base, **changes}.items() if v is not None} == stack[0][1]


def test_a_value_has_a_largest_size() -> None:
    overlay = Overlay({})
    overlay.put(KEYS[0], bytes(MAX_VALUE_BYTES))
    with pytest.raises(Invalid, match=f"STATE_VALUE: found {MAX_VALUE_BYTES + 1} bytes"):
        overlay.put(KEYS[0], bytes(MAX_VALUE_BYTES + 1))


def test_keys_of_namespaces_never_meet() -> None:
    assert state_key(1, b"\x02") != state_key(2, b"\x01")
    assert len({state_key(number, b"x") for number in range(256)}) == 256
    assert state_key(7, b"abc").hex() == "8089319197c7bcfb70aead84bfa8ad4d49797bb064feba197f1deaaca1c82708"
