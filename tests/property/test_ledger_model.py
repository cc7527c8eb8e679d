"""The ledger against its naive model: random acts of every kind, blocks and reorganisations, compared entry by entry.

Spec: everything in docs/spec/chain.md, jobs.md and staking.md that a transaction or the agenda does; what belongs to
another family is in the file of its stories.
"""

from __future__ import annotations

import ast
import random
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

import tests.model
from genesis.spec import ChainSpec
from tests.acts import EVERYBODY, Act, Acts
from tests.model.forms import KINDS
from tests.model.state import CANCELLED, EXPIRED, LATE, SETTLED, SLASHED, VOID
from tests.stories import EVERYTHING, OFTEN, acts, after, reorganise, story
from tests.twins import Twins, short_lives
from vm import registry

NOT_IN_BLOCKS = {
    *("block_time_ms", "asert_halflife_ms", "max_future_ms"),  # rules of headers
    "deadline_default_blocks",  # of the command line
    "base_fee_grains",  # of genesis
    *("quorum_bp", "pass_bp", "veto_bp"),  # few vote so evenly that they decide: test_governance_tally.py
    "timelock_minimum_blocks",  # a bound of another constant: test_governance_parameters.py
}
COARSE = {
    "cap_grains": 10**9,
    "block_target_bp": 1_000,  # of blocks with room for some dozens
}
"""Constants of which a single unit vanishes in a division."""
OWN = ("transfer", "batch", "stake.register", "stake.undelegate", "job.", "challenge.")
"""How the names of kinds begin that these stories must reach; others have files of their own."""
ACTS = acts(*EVERYTHING)

FAILURES = (
    *(
        "BALANCE",
        "DUST",
        "MIN_STAKE",
        "RANGE",
        "SELF",
        "NOT_CHOSEN",
        "BID",
        "SHARES",
        "NOT_FOUND",
        "NOT_OWNER",
        "BAD_STATE",
    ),
    *(
        "PROGRAM_STEPS",
        "PROGRAM_WIRING",
        "PROGRAM_SHAPE",
        "PROGRAM_INPUTS",
        "DEADLINE",
        "ESCROW",
        "LATE",
        "PATH",
    ),
    *("CHALLENGE_FACTS", "CHALLENGE_FORM", "NOT_WRONG"),
)
REFUSALS = (
    *(
        "ENC",
        "SIZE",
        "KIND",
        "BAD_AUTH",
        "EXPIRED",
        "NONCE",
        "RANGE",
        "FEE_TOO_LOW",
        "BALANCE",
        "BLOCK_FULL",
        "TIP",
    ),
    *("BAD_STATE", "CONFLICT", "WINDOW", "FORM", "MISMATCH"),
)


class Machine(RuleBasedStateMachine):
    """Anything, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.twins = Twins()
        self.acts = Acts(self.twins)

    @rule(tried=st.lists(ACTS, min_size=1, max_size=6))
    def act(self, tried: list[Act]) -> None:
        for act in tried:
            self.acts(act)

    @rule(miner=st.integers(0, len(EVERYBODY) - 1), job=st.integers(0, 8))
    def block(self, miner: int, job: int) -> None:
        after(self.twins, miner, job)

    @rule(depth=st.integers(1, 4), way=st.integers(0, 2))
    def reorganise(self, depth: int, way: int) -> None:
        reorganise(self.twins, depth, way)


def test_program_and_model_agree() -> None:
    run_state_machine_as_test(Machine, settings=settings(max_examples=15, stateful_step_count=50))


@pytest.mark.slow
def test_program_and_model_agree_at_length() -> None:
    run_state_machine_as_test(Machine, settings=settings(max_examples=100, stateful_step_count=100))


# -- stories: the same acts, evenly drawn, so that they get further --------------------------------------------------


EXPECTED = [kind for kind in KINDS if kind.startswith(OWN)]


def stories(count: int, blocks: int, seed: int) -> Counter[str]:
    source = random.Random(seed)
    seen: Counter[str] = Counter()
    for _ in range(count):
        seen += story(Twins(), source, blocks)
    return seen


def test_stories_reach_every_kind_and_most_codes() -> None:
    """Agreement is worth something only if the drawing gets everywhere."""
    seen = stories(8, 60, seed=5)
    assert not set(EXPECTED) - set(seen)
    ends = (SETTLED, CANCELLED, EXPIRED, LATE, VOID, SLASHED)
    assert not {f"job {status}" for status in ends} - set(seen)
    missing = {f"failed {code}" for code in FAILURES} | {f"refused {code}" for code in REFUSALS}
    missing -= set(seen)
    assert len(missing) <= 5, missing  # of each there is a case in tests/unit/test_error_codes.py


CONSTANTS = [
    (group, field.name)
    for group in ("pace", "money", "accounts", "governance", "jobs")
    for field in fields(getattr(short_lives(), group))
    if field.name not in NOT_IN_BLOCKS
]


@pytest.mark.slow  # most of them show in the first blocks, some need a hundred
@pytest.mark.parametrize(("group", "name"), CONSTANTS)
def test_a_model_with_one_other_constant_disagrees(group: str, name: str) -> None:
    """The comparison is sharp: no constant of the ledger could be misread by one unnoticed."""
    right = short_lives()
    changed = getattr(getattr(right, group), name) + COARSE.get(name, 1)
    wrong = replace(right, **{group: replace(getattr(right, group), **{name: changed})})
    with pytest.raises(AssertionError, match="program"):
        misread(wrong, random.Random(7))


def misread(wrong: ChainSpec, source: random.Random) -> None:
    """Stories in which the model goes by another spec."""
    for _ in range(30):
        twins = Twins()
        twins.model.founding = wrong
        story(twins, source, 60, EVERYTHING if source.random() < 0.5 else OFTEN)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_many_long_stories(seed: int) -> None:
    seen = stories(10, 120, seed)
    assert not set(EXPECTED) - set(seen)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_stories_of_everything(seed: int) -> None:
    """Families meet: what one does to the money of another shows here."""
    source = random.Random(seed)
    seen: Counter[str] = Counter()
    for _ in range(16):
        seen += story(Twins(), source, 100, EVERYTHING)
    assert len(set(KINDS) - set(seen)) <= 4, set(KINDS) - set(
        seen
    )  # the stories of each family reach them all


def test_the_model_knows_every_kind() -> None:
    declared = {kind.name: (kind.weight, kind.max_bytes) for kind in registry.KINDS.values()}
    assert {name: (weight, largest) for name, (weight, largest, _) in KINDS.items()} == declared


def test_the_model_shares_no_rule_with_the_program() -> None:
    for path in sorted(Path(tests.model.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not {name.split(".")[0] for name in names} & {"vm", "consensus"}, path.name
