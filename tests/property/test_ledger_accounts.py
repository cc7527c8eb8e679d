"""Keys and sessions against the naive model: stories in which accounts change hands and agents try their limits."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tests.account_cases import AGENT, granted
from tests.acts_accounts import KEYS
from tests.acts_base import seal
from tests.builders import TILE
from tests.edges import PAYER, PROVIDER, Edge
from tests.stories import OFTEN, story
from tests.twins import Twins

WANTED = {
    *("account.set_auth", "session.grant", "session.revoke"),
    *(
        "account.set_auth FORM",
        "account.set_auth THRESHOLD",
        "account.set_auth DELAY",
        "account.set_auth PENDING",
    ),
    *("session.grant SELF", "session.grant SCOPE_INVALID", "session.grant FORM", "session.grant EXPIRES"),
    *("session.grant DUPLICATE", "session.revoke NOT_FOUND"),
    *("transfer SCOPE", "batch of transfer SCOPE", "refused SCOPE", "refused BAD_AUTH"),
}


def stories(count: int, blocks: int, seed: int) -> Counter[str]:
    source = random.Random(seed)
    seen: Counter[str] = Counter()
    for _ in range(count):
        seen += story(Twins(), source, blocks, (*OFTEN, *KEYS * 4))
    return seen


def test_stories_of_keys() -> None:
    assert not WANTED - set(stories(5, 60, seed=1))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_many_stories_of_keys(seed: int) -> None:
    assert not WANTED - set(stories(8, 120, seed))


def test_limits_hold_across_a_reorganisation() -> None:
    """What was spent in blocks that are left is not spent; made again, it is, and no grain more."""
    edge = Edge()
    assert granted()(edge) == ""
    edge.block()

    def pay(amount: int) -> str:
        body = [PROVIDER.address, amount, b""]
        return edge.twins.add(seal(AGENT, edge.acts.envelope(PAYER, "transfer", body)))

    assert pay(TILE // 2) == ""
    edge.block()
    assert pay(TILE // 2) == "SCOPE"
    edge.twins.undo()
    edge.twins.begin()
    assert pay(TILE // 2) == "", "in another block instead"
    assert pay(TILE // 2) == "SCOPE"
