"""Governance against the naive model: proposals of every sort, to every end, while everything else goes on.

Spec: docs/spec/governance.md, all of it.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

import tests.model.governance
from tests.acts_governance import GOVERN
from tests.acts_stakes import STAKES
from tests.model import governance
from tests.model.governance import books_of
from tests.stories import OFTEN, story
from tests.twins import Twins, short_lives
from vm.registry import KINDS

KINDS_OF_GOVERNANCE = [kind for kind in KINDS.values() if kind.name.startswith("gov.")]
NAMES = {kind.name for kind in KINDS_OF_GOVERNANCE}
FAILURES = {f"{kind.name} {rule.code}" for kind in KINDS_OF_GOVERNANCE for rule in kind.rules}
ENDS = {
    f"end {status}"
    for status in (
        governance.EXECUTED,
        governance.REJECTED,
        governance.VETOED,
        governance.EXPIRED,
        governance.FAILED,
        governance.CANCELLED,
    )
}
DONE = {f"sort {sort} done" for sort in range(1, 6)}
DEPTHS = {
    *ENDS,
    *DONE,
    "a delegator votes itself",
    "a vote of work alone",
    "failed: TREASURY",
    "failed: UPGRADE",
    "refused PAUSED",
}


def roomy() -> Twins:
    """Blocks with room for the votes of everybody."""
    spec = short_lives()
    return Twins(replace(spec, money=replace(spec.money, block_weight_limit=201)))


def stories(count: int, blocks: int, seed: int) -> Counter[str]:
    source = random.Random(seed)
    seen: Counter[str] = Counter()
    for _ in range(count):
        twins = roomy()
        seen += story(twins, source, blocks, (*OFTEN, *STAKES, *GOVERN * 4), busy=20)
        seen.update(depths(twins))
    return seen


def depths(twins: Twins) -> set[str]:
    books = books_of(twins.model)
    found = {f"end {each['status']}" for each in books.proposals.values()}
    for each in books.proposals.values():
        if each["status"] == governance.EXECUTED:
            found.add(f"sort {each['sort']} done")
        if each["failure"]:
            found.add(f"failed: {each['failure']}")
    for name, position, voter in books.votes:
        if position != voter:
            found.add("a delegator votes itself")
        elif books.counted(name, position, voter)[0] == 0:
            found.add("a vote of work alone")
    return found


def test_stories_of_governance() -> None:
    seen = stories(6, 70, seed=2)
    assert not (NAMES | ENDS) - set(seen), (NAMES | ENDS) - set(seen)
    assert len(DEPTHS - set(seen)) <= 2, DEPTHS - set(seen)  # which rare ones are met shifts with everything
    assert len(FAILURES - set(seen)) <= 3, FAILURES - set(seen)  # BUSY, SCOPE: test_error_codes.py


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_many_stories_of_governance(seed: int) -> None:
    assert not (NAMES | ENDS) - set(stories(8, 120, seed))


@pytest.mark.slow  # some bounds are met rarely
@pytest.mark.parametrize("name", sorted(governance.BOUNDS))
@pytest.mark.parametrize("place", [0, 1])
def test_a_model_with_one_other_bound_disagrees(
    name: str, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison is sharp: the table of the specification is the table of the program."""
    bounds = list(governance.BOUNDS[name])
    bounds[place] += 1 - 2 * place
    monkeypatch.setitem(tests.model.governance.BOUNDS, name, tuple(bounds))
    with pytest.raises(AssertionError, match="program"):
        stories(30, 60, seed=7)
