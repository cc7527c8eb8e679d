"""Assets against the naive model: families, dearer terms that wait, grants that end, and jobs as receipts.

Spec: docs/spec/assets.md, all of it.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

import tests.model.assets
from tests.acts_assets import ASSETS
from tests.model.assets import books_of
from tests.stories import OFTEN, story
from tests.twins import Twins, short_lives
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
    seen = story(twins, source, blocks, (*OFTEN, *ASSETS * 5), busy=20, waits=0.05)
    seen.update(depths(twins))
    return seen


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
    seen = stories(5, 45, seed=1)
    assert not NAMES - set(seen)
    assert not {f"batch of {kind}" for kind in NAMES} - set(seen)
    assert not DEPTHS - set(seen)
    assert len(FAILURES - set(seen)) <= 3, FAILURES - set(seen)
    assert len({f"batch of {failure}" for failure in FAILURES} - set(seen)) <= 15


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_many_long_stories_of_assets(seed: int) -> None:
    seen = stories(6, 120, seed)
    assert not (NAMES | DEPTHS) - set(seen)


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
