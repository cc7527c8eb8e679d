"""Miners that play the attacker: no shortcut known gives valid tickets for less than 0.9 of an honest one's cost."""

from __future__ import annotations

import pytest

from tests.attacks.catalogue import ATTACKS, Attack
from tests.attacks.settings import SMALL, honest

FLOOR = 0.9
"""Zero matrices save their part of the commitment; anything below would be a shortcut."""


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_no_shortcut_pays(attack: Attack) -> None:
    outcome = attack.run(SMALL)
    assert outcome.tickets > 0
    assert outcome.relative_to(honest(SMALL)) >= FLOOR
