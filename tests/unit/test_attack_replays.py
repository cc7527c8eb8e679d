"""A win is good for one header and one binding: nothing multiplied before counts under another."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from chain.blocks import Header
from compute.spec.claim import Binding
from tests.attacks.counting import Operations
from tests.attacks.draws import Forged, Mined, judged, prepare
from tests.attacks.replays import HEADER, JOB, changed_headers, mined_once, other_bindings
from tests.attacks.settings import REPLAYED

HEADERS = dict(changed_headers())
BINDINGS = dict(other_bindings())


@pytest.fixture(scope="module")
def mined() -> Mined:
    """An honest attempt on a job's step."""
    return mined_once(Operations(), REPLAYED, HEADER.sigma(), JOB)


def test_an_honest_attempt_is_accepted(mined: Mined) -> None:
    """Otherwise nothing below would mean anything."""
    assert len(judged(mined)) == len(mined.cubes)


def test_every_field_of_the_header_is_tried() -> None:
    assert set(HEADERS) == {field.name for field in fields(Header)} - {"certificate_hash"}


@pytest.mark.parametrize(("name", "header"), HEADERS.items(), ids=list(HEADERS))
def test_no_field_of_the_header_can_change(mined: Mined, name: str, header: Header) -> None:
    """Address, height, time, nonce, roots: as it is, and with both matrices committed to anew."""
    with pytest.raises(Forged):
        judged(replace(mined, draw=replace(mined.draw, sigma=header.sigma())))
    draw = mined.draw
    with pytest.raises(Forged):
        judged(
            replace(mined, draw=prepare(Operations(), header.sigma(), draw.profile, draw.a, draw.b_t, JOB))
        )


@pytest.mark.parametrize(("name", "binding"), BINDINGS.items(), ids=list(BINDINGS))
def test_the_binding_cannot_change(mined: Mined, name: str, binding: Binding) -> None:
    """Stripped, another step, another job: as it is, and with both matrices committed to anew."""
    draw = mined.draw
    with pytest.raises(Forged):
        judged(replace(mined, draw=replace(draw, mu=replace(draw.mu, binding=binding))))
    with pytest.raises(Forged):
        judged(
            replace(mined, draw=prepare(Operations(), draw.sigma, draw.profile, draw.a, draw.b_t, binding))
        )
