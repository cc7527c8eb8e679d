"""Stake against the naive model: pools that are slashed, stake that moves and leaves, terms, jail.

Spec: docs/spec/staking.md, all of it. Slashes and sentences happen on both sides without a transaction.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import fields, replace

import pytest

from genesis.spec import ChainSpec
from tests.acts_stakes import STAKES, TROUBLE
from tests.model import departures
from tests.model.staking import jailed
from tests.stories import OFTEN, story
from tests.twins import Twins, short_lives
from vm.registry import KINDS

KINDS_OF_STAKE = [kind for kind in KINDS.values() if kind.name.startswith("stake.")]
NAMES = {kind.name for kind in KINDS_OF_STAKE}
FAILURES = {f"{kind.name} {rule.code}" for kind in KINDS_OF_STAKE for rule in kind.rules}
RARE = {"stake.register VALIDATORS_FULL", "stake.unjail VALIDATORS_FULL"}
"""They need a thousand validators."""
COARSE = {"share_cap_bp": 7_000}
"""Up to that, twice the average is more."""
DEPTHS = {
    "slashed pool",
    "slashed departure",
    "several departures",
    "moved and slashed",
    "announced",
    "in jail",
    "in jail for ever",
    "lost everything",
}
"""How far stories get; what of it is there at the end of some block."""


def told(source: random.Random, blocks: int, twins: Twins, often: tuple[str, ...]) -> Counter[str]:
    """One story, mostly of stake, with a look around now and then."""
    seen: Counter[str] = Counter()
    for _ in range(0, blocks, 4):
        story(twins, source, 4, often, busy=12, wait=now_and_then)
        seen.update(depths(twins))
    return seen + twins.seen


def now_and_then(twins: Twins, source: random.Random) -> int:
    """Empty blocks in which jails end and stake is paid out."""
    return source.choice((4, 12, 31)) if source.random() < 0.03 else 0


def stories(count: int, blocks: int, seed: int) -> Counter[str]:
    source = random.Random(seed)
    seen: Counter[str] = Counter()
    for number in range(count):
        seen += told(source, blocks, Twins(), (*OFTEN, *STAKES * 4, *TROUBLE * (1 + number % 4)))
    return seen


def depths(twins: Twins) -> set[str]:
    model = twins.model
    state, leaving = model.state, departures.books_of(model).pools
    pools = [pool for each in leaving.values() for pool in each.values()]
    validators = state.validators.values()
    reached = {
        "slashed pool": any(0 < pool["staked"] < pool["shares"] for pool in state.pools.values()),
        "slashed departure": any(0 < pool.waiting.left < pool.waiting.wire()[0] for pool in pools),
        "several departures": any(len(each) > 1 for each in leaving.values()),
        "moved and slashed": any(pool.moved.left < pool.moved.wire()[0] for pool in pools),
        "announced": any(each["announced"] for each in validators),
        "in jail": any(jailed(model, each) for each in state.validators),
        "in jail for ever": any(each["tombstoned"] for each in validators),
        "lost everything": any(pool["shares"] and not pool["staked"] for pool in state.pools.values()),
    }
    assert set(reached) == DEPTHS
    return {name for name, there in reached.items() if there}


def test_stories_of_stake_and_what_takes_it_away() -> None:
    seen = stories(8, 80, seed=1)
    assert not NAMES - set(seen)
    assert not DEPTHS - set(seen)
    assert {"jail", "slash"} <= set(seen)
    missing = FAILURES - RARE - set(seen)
    assert len(missing) <= 4, missing  # of each there is a case in tests/staking_cases.py


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_many_long_stories_of_stake(seed: int) -> None:
    seen = stories(8, 150, seed)
    assert not (NAMES | DEPTHS) - set(seen)


@pytest.mark.slow  # the rare ones need many stories
@pytest.mark.parametrize("name", [field.name for field in fields(short_lives().staking)])
def test_a_model_with_one_other_constant_disagrees(name: str) -> None:
    """The comparison is sharp: no constant of staking could be misread by one unnoticed."""
    right = short_lives()
    changed = getattr(right.staking, name) + COARSE.get(name, 1)
    wrong = replace(right, staking=replace(right.staking, **{name: changed}))
    with pytest.raises(AssertionError, match="program"):
        misread(wrong)


def misread(wrong: ChainSpec) -> None:
    """Stories in which the model goes by another spec."""
    for seed in range(30):
        twins = Twins()
        twins.model.founding = wrong
        told(random.Random(seed), 80, twins, (*OFTEN, *STAKES * 3, *TROUBLE))
