"""Assets against the naive model: families, dearer terms that wait, grants that end, and jobs as receipts.

Spec: docs/spec/assets.md, all of it.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

from tests.acts_assets import ASSETS
from tests.stories import OFTEN, story
from tests.twins import Twins, short_lives
from vm.registry import KINDS

KINDS_OF_ASSETS = [kind for kind in KINDS.values() if kind.name.startswith("asset.")]
RARE: set[str] = set()


def roomy() -> Twins:
    """Blocks with room for a batch of publications."""
    spec = short_lives()
    return Twins(replace(spec, money=replace(spec.money, block_weight_limit=201)))


def stories(count: int, blocks: int, seed: int) -> Counter[str]:
    source = random.Random(seed)
    seen: Counter[str] = Counter()
    for _ in range(count):
        seen += story(roomy(), source, blocks, (*OFTEN, *ASSETS * 5), busy=20, waits=0.05)
    return seen
