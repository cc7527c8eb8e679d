"""Providers and permits against the naive model: lists that shrink, averages, guarded data, runs that are used up.

Spec: docs/spec/providers.md, [ASSET-PERMIT], [JOB-DATA].
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

import tests.model.permits
import tests.model.providers
from genesis.spec import ProviderRules
from tests.acts_providers import PROVIDERS
from tests.model.permits import books_of as permits_of
from tests.model.providers import books_of as providers_of
from tests.stories import OFTEN, story
from tests.twins import Twins, short_lives
from vm.registry import KINDS

OURS = [kind for kind in KINDS.values() if kind.name.startswith("provider.") or kind.name == "asset.permit"]
NAMES = {kind.name for kind in OURS}
FAILURES = {f"{kind.name} {rule.code}" for kind in OURS for rule in kind.rules}
FAILURES |= {"job.open PERMIT", "job.open NO_GRANT", "job.claim PERMIT"}
RARE = {"asset.permit AGENDA_FULL"}
"""Needs 4,096 permits that end together; there is a case for it in tests/provider_cases.py."""
DEPTHS = {
    "several listed",
    "measured",
    "settled and not measured",
    "used up",
    "revoked",
    "job under a permit",
}
"""What there is at the ends of stories."""


def roomy() -> Twins:
    """Blocks with room for batches, heartbeats that can be late."""
    spec = short_lives()
    return Twins(
        replace(
            spec,
            money=replace(spec.money, block_weight_limit=201),
            providers=replace(spec.providers, heartbeat_blocks=2),
        )
    )


def depths(twins: Twins) -> set[str]:
    listed, held = providers_of(twins.model), permits_of(twins.model).held.values()
    reached = {
        "several listed": len(listed.order) > 1,
        "measured": any(life["average"] for life in listed.life.values()),
        "settled and not measured": any(life["settled"] for life in listed.life.values()),
        "used up": any(permit["used"] == permit["allowed"] for permit in held),
        "revoked": any(permit["revoked"] for permit in held),
        "job under a permit": any(any(job["permit"]) for job in twins.model.state.jobs.values()),
    }
    assert set(reached) == DEPTHS
    return {name for name, there in reached.items() if there}


def stories(count: int, blocks: int, seed: int) -> Counter[str]:
    source = random.Random(seed)
    seen: Counter[str] = Counter()
    for _ in range(count):
        twins = roomy()
        seen += story(twins, source, blocks, (*OFTEN, *PROVIDERS * 2), busy=16)
        seen.update(depths(twins))
    return seen


def test_stories_of_providers() -> None:
    """Every kind, nearly every code, and the far ends of a life."""
    seen = stories(5, 60, seed=1)
    assert not NAMES - set(seen)
    assert not DEPTHS - set(seen)
    assert not {f"batch of {kind}" for kind in ("asset.permit",)} - set(seen)
    assert len(FAILURES - RARE - set(seen)) <= 2, FAILURES - set(seen)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_many_long_stories_of_providers(seed: int) -> None:
    seen = stories(6, 120, seed)
    assert not (NAMES | DEPTHS) - set(seen)


CONSTANTS = [("permits", "DEPOSIT"), ("permits", "DATASET"), ("providers", "PART")]


@pytest.mark.slow  # the rare ones need many stories
@pytest.mark.parametrize("change", [-1, 1])
@pytest.mark.parametrize(("module", "name"), CONSTANTS)
def test_a_model_with_one_other_constant_disagrees(
    module: str, name: str, change: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison is sharp: these are constants of the code, not of the chain spec."""
    model = getattr(tests.model, module)
    monkeypatch.setattr(model, name, getattr(model, name) + change)
    with pytest.raises(AssertionError, match="program"):
        stories(30, 60, seed=7)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deposit_grains", "heartbeat_blocks"])
def test_a_model_with_another_constant_of_the_network_disagrees(name: str) -> None:
    rules = roomy().ledger.spec.providers
    wrong = replace(rules, **{name: getattr(rules, name) + 1})
    with pytest.raises(AssertionError, match="program"):
        misread(wrong)


def misread(wrong: ProviderRules) -> None:
    """Stories in which the model goes by other rules."""
    source = random.Random(7)
    for _ in range(30):
        twins = roomy()
        twins.model.founding = replace(twins.model.founding, providers=wrong)
        story(twins, source, 60, (*OFTEN, *PROVIDERS * 2), busy=16)
