"""Encodings of every kind: what is valid comes back, what differs in one thing is refused.  Spec: [ENC-CANON]."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain.codec import Record, layout
from chain.errors import Invalid
from tests.strategies import invalid_bodies, near_misses, packed, valid_bodies
from vm.kind import Kind
from vm.registry import KINDS

EVERY_KIND = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
ALWAYS = {"unknown field", "missing field", "wrong type"}
"""Of every body that has fields."""


@EVERY_KIND
@given(data=st.data())
@settings(max_examples=25)
def test_valid_bodies_come_back(kind: Kind, data: st.DataObject) -> None:
    body = data.draw(valid_bodies(kind))
    encoded = body.to_bytes()
    assert packed(body.to_wire()) == encoded, "the near misses differ in one thing only"
    assert kind.body.from_bytes(encoded) == body
    assert kind.weight_of(body) >= kind.weight


@EVERY_KIND
@given(data=st.data())
@settings(max_examples=25)
def test_near_misses_are_refused(kind: Kind, data: st.DataObject) -> None:
    what, encoded = data.draw(invalid_bodies(kind))
    with pytest.raises(Invalid) as caught:
        kind.body.from_bytes(encoded)
    assert caught.value.code.startswith("ENC_") or caught.value.code in ("KIND", "BATCH_KIND"), what


@EVERY_KIND
def test_all_near_misses_of_one_body_are_refused(kind: Kind) -> None:
    """Every place of a body in turn, not only those that were drawn."""
    seen = set()

    @settings(max_examples=2)
    @given(valid_bodies(kind))
    def check(body: Record) -> None:
        for what, encoded in near_misses(body):
            seen.add(what)
            with pytest.raises(Invalid):
                kind.body.from_bytes(encoded)

    check()
    assert seen >= (ALWAYS if layout(kind.body) else ALWAYS - {"missing field"})


def test_the_near_misses_are_of_every_sort() -> None:
    wanted = {
        "over-long list",
        "non-minimal integer",
        "unknown member",
        "too large",
        "too long",
        "unknown kind",
    }
    seen: set[str] = set()

    @settings(max_examples=5)
    @given(st.tuples(*(valid_bodies(kind) for kind in KINDS.values())))
    def look(bodies: tuple[Record, ...]) -> None:
        seen.update(what for body in bodies for what, _ in near_misses(body))

    look()
    assert seen >= wanted | ALWAYS
