"""Governance against the naive model: proposals of every sort, to every end, while everything else goes on.

Spec: docs/spec/governance.md, all of it.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from tests.acts_governance import GOVERN
from tests.acts_stakes import STAKES
from tests.edges import PAYER, Edge
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
@pytest.mark.parametrize("seed", range(2))
def test_many_stories_of_governance(seed: int) -> None:
    assert not (NAMES | ENDS) - set(stories(6, 90, seed))


OTHER_SHARE = {"jobs.treasury_bp": "jobs.stakers_bp", "jobs.stakers_bp": "jobs.treasury_bp"}
"""Of the two that are bounded together, the one that makes room for the other."""


@pytest.mark.parametrize("name", sorted(governance.BOUNDS))
def test_every_bound_to_the_unit(name: str) -> None:
    """The table of the specification is that of the program: on a bound is right, one beyond is wrong."""
    least, largest = governance.BOUNDS[name]
    for value, code in (
        (least - 1, "PARAM_BOUNDS"),
        (least, ""),
        (largest, ""),
        (largest + 1, "PARAM_BOUNDS"),
    ):
        if value < 0:
            continue
        edge = Edge()
        changes = sorted([[name, value], *([[OTHER_SHARE[name], 0]] if name in OTHER_SHARE else [])])
        deposit = edge.spec.governance.deposit_grains
        body = [governance.PARAM, "a bound", bytes(32), changes, "", 0, bytes(20), 0, [], 0, deposit]
        assert edge.send(PAYER, "gov.propose", body) == code, value
