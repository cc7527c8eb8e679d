"""Jobs under random people: one end each, money always ends, no honest provider is slashed.  Spec: [JOB-LIFE]."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.world import SPEC, Move, Round, World, rounds
from vm.jobs.record import Status

MOSTLY_SENSIBLE = rounds(
    "open", "push", "push", "push", "push", "push", "push", "push", "cancel", "challenge"
)
LONGEST_BLOCKS = SPEC.jobs.open_expiry_blocks + 8 + SPEC.jobs.settle_offset
ENDS = (Status.SETTLED, Status.CANCELLED, Status.EXPIRED, Status.LATE, Status.VOID, Status.SLASHED)
EVERYTHING = ("open", "cancel", "claim", "commit", "attest", "challenge", "transfer", "stake", *["push"] * 20)


def drain(world: World) -> None:
    """Wait until nothing can be left to happen: every escrow and bond has gone somewhere."""
    for _ in range(LONGEST_BLOCKS):
        world.wait()
    assert all(status.terminal for status in world.statuses.values())
    assert world.ledger.chain.locked_grains == world.ledger.staked()


@settings(max_examples=25)  # each waits some forty blocks for the end
@given(st.lists(MOSTLY_SENSIBLE, min_size=10, max_size=25))
def test_every_job_ends_once_and_its_money_with_it(story: list[Round]) -> None:
    world = World()
    for this in story:
        world.play(this)
    drain(world)


def random_stories(count: int, seed: int) -> Counter[str]:
    """Tell stories of sixty blocks and count what happened in them."""
    seen: Counter[str] = Counter()
    source = random.Random(seed)
    for _ in range(count):
        world = World()
        for _ in range(60):
            moves = [
                Move(
                    source.choice(EVERYTHING),
                    source.randrange(8),
                    source.randrange(4),
                    source.choice([0, 999, source.randrange(1 << 52)]),
                    source.randrange(12),
                )
                for _ in range(source.randrange(5))
            ]
            world.play(Round(moves, source.random() < 0.5, 0))
        drain(world)
        seen += world.seen
    return seen


def test_random_stories_reach_every_end_and_most_refusals() -> None:
    """The properties above are worth something only if the drawing gets everywhere."""
    seen = random_stories(6, seed=20)
    assert not {end.name for end in ENDS} - set(seen)
    codes = {"SELF", "NOT_OWNER", "BAD_STATE", "NOT_WRONG", "DUST", "refused CONFLICT", "refused WINDOW"}
    assert not codes - set(seen)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_many_random_stories(seed: int) -> None:
    assert random_stories(20, seed)["SETTLED"]
