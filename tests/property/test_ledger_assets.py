"""Assets against the naive model: families, dearer terms that wait, grants that end, and jobs as receipts.

Spec: docs/spec/assets.md, all of it.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

import tests.model.assets
from chain.codec import pack
from chain.hashing import Tag, h256
from chain.keys import SigningKey
from tests.acts import EVERYBODY, Acts
from tests.acts_assets import ASSETS
from tests.model.assets import C2D, NOTICE, PER_CALL, PER_GMAC, PERPETUAL, SUBSCRIPTION, books_of
from tests.stories import OFTEN, story
from tests.twins import PEOPLE, Twins, short_lives
from vm.registry import KINDS

KINDS_OF_ASSETS = [
    kind for kind in KINDS.values() if kind.name.startswith("asset.") and kind.name != "asset.permit"
]
"""Permits have stories of their own, with jobs that need them: test_ledger_providers.py."""
NAMES = {kind.name for kind in KINDS_OF_ASSETS}
FAILURES = {f"{kind.name} {rule.code}" for kind in KINDS_OF_ASSETS for rule in kind.rules}
DEPTHS = {
    "16 generations",
    "32 payees",
    "verified version",
    "verified measurement",
    "grant for ever",
    "grant that ends",
    "dearer terms that hold",
    "dearer terms that wait",
    "earned by a former owner",
    "retired, deposit waiting",
    "retired, deposit back",
}
"""How far stories get; what of it is there at their ends."""


def told(source: random.Random, blocks: int, twins: Twins) -> Counter[str]:
    """One story, mostly of assets."""
    seen = story(twins, source, blocks, (*OFTEN, *ASSETS * 5), busy=20, wait=until_something_ends)
    seen.update(depths(twins))
    return seen


def until_something_ends(twins: Twins, source: random.Random) -> int:
    """Now and then, until the block before or after the one in which terms change or a grant ends, or that one."""
    if source.random() > 0.07:
        return 0
    books, height = books_of(twins.model), twins.model.height
    changes = [offer["since"] for offer in books.offers.values()]
    ends = [grant["expiry"] for grant in books.grants.values()]
    near = [each for each in source.choice((changes, ends)) if height < each <= height + NOTICE]
    return max(0, source.choice(near) - height - source.randrange(3)) if near else 0


def roomy() -> Twins:
    """Blocks with room for a batch of publications."""
    spec = short_lives()
    return Twins(replace(spec, money=replace(spec.money, block_weight_limit=201)))


def stories(count: int, blocks: int, seed: int) -> Counter[str]:
    source = random.Random(seed)
    seen: Counter[str] = Counter()
    for _ in range(count):
        seen += told(source, blocks, roomy())
    return seen


def depths(twins: Twins) -> set[str]:
    books, height = books_of(twins.model), twins.model.height
    holdings, facts, offers = books.holdings, books.facts.values(), books.offers.values()
    retired = [each for each in holdings.values() if each["retired"]]
    reached = {
        "16 generations": any(each["depth"] == 16 for each in facts),
        "32 payees": any(len(each["royalties"]) == 32 for each in facts),
        "verified version": any(each["verified"] for each in books.versions.values()),
        "verified measurement": any(each["verified"] for each in books.said.values()),
        "grant for ever": any(each["expiry"] == 0 for each in books.grants.values()),
        "grant that ends": any(each["expiry"] > 0 for each in books.grants.values()),
        "dearer terms that hold": any(0 < each["since"] <= height for each in offers),
        "dearer terms that wait": any(each["since"] > height for each in offers),
        "earned by a former owner": any(holdings[asset]["owner"] != who for asset, who in books.earned),
        "retired, deposit waiting": any(each["deposit"] for each in retired),
        "retired, deposit back": any(not each["deposit"] for each in retired),
    }
    assert set(reached) == DEPTHS
    return {name for name, there in reached.items() if there}


def test_stories_of_assets() -> None:
    """Every kind alone and in a batch, nearly every code, and the far ends of a life."""
    seen = stories(5, 45, seed=2)
    assert not NAMES - set(seen)
    assert not {f"batch of {kind}" for kind in NAMES} - set(seen)
    assert len(DEPTHS - set(seen)) <= 2, DEPTHS - set(seen)
    assert len(FAILURES - set(seen)) <= 3, FAILURES - set(seen)
    assert len({f"batch of {failure}" for failure in FAILURES} - set(seen)) <= 15


def test_every_block_around_a_change_and_an_end() -> None:
    """Bought again in each block near the end of a grant and of a notice; the deposit asked for near the last end."""
    twins, owner = roomy(), PEOPLE[0]
    acts, users = Acts(twins), EVERYBODY[1:7]
    asset = h256(Tag.ASSET_ID, pack([owner.address, 0]))
    slots = range(len(SOLD))

    def send(kind: str, *fields: Any) -> str:
        return twins.add(acts.signed(owner, f"asset.{kind}", list(fields)))

    def buy(slot: int, user: SigningKey) -> None:
        assert send("acquire", asset, slot, 10**6, 1, user.address, 0) == ""

    def block() -> None:
        twins.end(owner.address)
        twins.begin()

    twins.begin()
    send("publish", 1, "a model", bytes(32), 1, *[bytes(32)] * 4, 1, 0, [])
    for slot, (first, dearer) in enumerate(SOLD):
        assert (
            send("offer", asset, slot, *first, 0, 0, 1) == send("offer", asset, slot, *dearer, 0, 0, 1) == ""
        )
        for user in users[:5]:
            buy(slot, user)
        if slot % 2:
            block()
    for user in users[:5]:
        for slot in slots:
            buy(slot, user)
        block()
    changed = max(offer["since"] for offer in books_of(twins.model).offers.values())
    twins.give_up()
    twins.skip(changed - 4 - twins.model.height)
    for _ in range(6):
        twins.begin()
        for slot in slots:
            buy(slot, users[5])
        block()
    assert send("retire", asset, 8) == ""
    twins.end(owner.address)
    last = books_of(twins.model).holdings[asset]["last_end"]
    twins.skip(last - 2 - twins.model.height)
    codes = []
    for _ in range(4):
        codes.append(send("retire", asset, 8))
        twins.end(owner.address)
    assert codes == ["GRANTS_LIVE", "GRANTS_LIVE", "", "BAD_STATE"]


SOLD = (
    ([PER_CALL, 7, 40], [PER_CALL, 8, 5]),
    ([SUBSCRIPTION, 7, 3], [SUBSCRIPTION, 8, 3]),
    ([PER_CALL, 7, 2], [PERPETUAL, 7, 0]),
    ([PER_CALL, 7, 3], [SUBSCRIPTION, 7, 2]),
    ([PERPETUAL, 7, 0], [PER_CALL, 7, 4]),
    ([C2D, 7, 4], [PER_GMAC, 7, 4]),
)
"""Kind, price and period at first, and from the end of the notice on."""


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_many_long_stories_of_assets(seed: int) -> None:
    seen = stories(6, 120, seed)
    assert not NAMES - set(seen)
    assert len(DEPTHS - set(seen)) <= 1, DEPTHS - set(seen)


CONSTANTS = ("DEPOSIT", "NOTICE", "GENERATIONS", "PAYEES", "ALL_PARENTS_BP", "EVAL_SET", "SUBSCRIPTION")


@pytest.mark.slow  # the rare ones need many stories
@pytest.mark.parametrize("change", [-1, 1])
@pytest.mark.parametrize("name", CONSTANTS)
def test_a_model_with_one_other_constant_disagrees(
    name: str, change: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison is sharp: these are constants of the code, not of the chain spec."""
    monkeypatch.setattr(tests.model.assets, name, getattr(tests.model.assets, name) + change)
    with pytest.raises(AssertionError, match="program"):
        stories(30, 45, seed=7)
