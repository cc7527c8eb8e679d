"""Stories: random acts over many blocks, evenly drawn, so that they get further than what a shrinker likes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence

from hypothesis import strategies as st

from tests.acts import EVERYBODY, Act, Acts
from tests.acts_accounts import KEYS
from tests.acts_assets import ASSETS
from tests.acts_governance import GOVERN
from tests.acts_jobs import JOBS
from tests.acts_money import MONEY
from tests.acts_providers import PROVIDERS
from tests.acts_stakes import STAKES, TROUBLE
from tests.twins import Twins

AMOUNTS = (0, 1, 999, 1_000, 10**9, 900_000 * 10**9, (1 << 63) - 1)
OFTEN = (*MONEY, *JOBS, *["push"] * 20)
EVERYTHING = (*OFTEN, *STAKES, *TROUBLE, *ASSETS, *KEYS, *GOVERN, *PROVIDERS)
"""Acts of every family."""
Wait = Callable[[Twins, random.Random], int]
"""How many empty blocks come next."""


def acts(*often: str) -> st.SearchStrategy[Act]:
    """Blindly drawn acts of these sorts."""
    return st.builds(
        Act,
        what=st.sampled_from(often),
        who=st.integers(0, len(EVERYBODY) - 1),
        job=st.integers(0, 3),
        choice=st.integers(0, 11),
        amount=st.sampled_from(AMOUNTS) | st.integers(0, 1 << 52),
    )


def after(twins: Twins, miner: int, job: int) -> None:
    """Finish a block, bound to one of the jobs if `job` says so."""
    twins.begin()
    jobs = list(twins.model.state.jobs)
    twins.end(EVERYBODY[miner].address, *jobs[-4:][job : job + 1])


def reorganise(twins: Twins, depth: int, way: int) -> None:
    """Leave some blocks; then make them again, or put their transactions into one block, last first, or do neither."""
    left = [twins.undo() for _ in range(min(depth, len(twins.chain)))]
    if way == 0:
        for block in reversed(left):
            twins.redo(block)
    elif way == 1:
        for block in left:
            for data in block.transactions:
                twins.add(data)
        after(twins, 0, 4)


def story(
    twins: Twins,
    source: random.Random,
    blocks: int,
    often: Sequence[str] = OFTEN,
    *,
    busy: int = 6,
    wait: Wait = lambda twins, source: 0,
) -> Counter[str]:
    """Some blocks of fewer acts than `busy`, now and then twice as many; returns what happened in them."""
    acts = Acts(twins)
    for _ in range(blocks):
        for _ in range(source.randrange(2 * busy if source.random() < 0.1 else busy)):
            amount = source.choice(AMOUNTS) if source.random() < 0.5 else source.randrange(1 << 52)
            what, who = source.choice(often), source.randrange(len(EVERYBODY))
            acts(Act(what, who, source.randrange(4), source.randrange(12), amount))
        after(twins, source.randrange(len(EVERYBODY)), source.randrange(9))
        if source.random() < 0.1:
            reorganise(twins, source.randint(1, 4), source.randrange(3))
        twins.skip(wait(twins, source))
    for job in twins.model.state.jobs.values():
        twins.seen[f"job {job['status']}"] += 1
    return twins.seen
