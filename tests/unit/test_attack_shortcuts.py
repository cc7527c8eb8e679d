"""Miners that play the attacker: no known shortcut gives valid tickets for less than 0.9 of an honest one's cost."""

from __future__ import annotations

import numpy as np
import pytest

from chain.hashing import BulkTag, b3
from compute.spec.noise import right_factor
from compute.spec.profiles import CPU, DEV, GPU, PROFILES, Profile
from tests.attacks.arithmetic import table_words_per_mac
from tests.attacks.catalogue import ARITHMETIC, CHOICES_OF_INPUT, REPLAYS, Attack
from tests.attacks.counterfactuals import COUNTERFACTUALS, Counterfactual
from tests.attacks.counting import GENEROUS_WORD_COST, TENSOR_WORD_COST, VECTOR_WORD_COST, Operations
from tests.attacks.draws import Forged, lanes_of, prepare
from tests.attacks.reduction import inner_dimension
from tests.attacks.selection import lane_sums
from tests.attacks.settings import SIGMA, SMALL, Setting, direct_sums, honest

FLOOR = 0.9
"""Zero matrices save their part of the commitment; anything below would be a shortcut."""
PRODUCT_FLOOR = 0.98
"""Without the hashing there is nothing to save but additions of noise: a thinner slice shows here at once."""


@pytest.mark.parametrize("attack", CHOICES_OF_INPUT, ids=lambda attack: attack.name)
def test_no_choice_of_input_pays(attack: Attack) -> None:
    outcome, yardstick = attack.run(attack.setting), honest(attack.setting)
    assert outcome.tickets > 0
    assert outcome.relative_to(yardstick) >= FLOOR
    assert outcome.product_relative_to(yardstick) >= PRODUCT_FLOOR


@pytest.mark.parametrize("attack", [*REPLAYS, *ARITHMETIC], ids=lambda attack: attack.name)
def test_no_replay_and_no_other_arithmetic_pays(attack: Attack) -> None:
    outcome = attack.run(attack.setting)
    assert outcome.tickets > 0
    assert outcome.relative_to(honest(attack.setting)) >= FLOOR


@pytest.mark.slow
@pytest.mark.parametrize(
    "setting", [Setting(DEV, 1024, 1024, 512), Setting(CPU, 1024, 1024, 256)], ids=lambda at: at.profile.name
)
@pytest.mark.parametrize("attack", CHOICES_OF_INPUT, ids=lambda attack: attack.name)
def test_no_choice_of_input_pays_under_larger_profiles(attack: Attack, setting: Setting) -> None:
    """At both rates: a word operation for one multiply-accumulate, and for four."""
    outcome, yardstick = attack.run(setting), honest(setting)
    for word_cost in (GENEROUS_WORD_COST, VECTOR_WORD_COST):
        assert outcome.relative_to(yardstick, word_cost) >= FLOOR


@pytest.mark.parametrize("missing", COUNTERFACTUALS, ids=lambda missing: missing.name)
def test_each_rule_stops_a_shortcut_that_pays(missing: Counterfactual) -> None:
    """With the rule taken out of the verifier the miner succeeds for less; with it, forged or no cheaper."""
    yardstick = honest(missing.setting)
    with missing.without():
        assert missing.run(missing.setting).relative_to(yardstick) < FLOOR
    try:
        outcome = missing.run(missing.setting)
    except Forged:
        return
    assert outcome.relative_to(yardstick) >= 1


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_zero_matrices_leave_the_whole_rank_on_every_slice(profile: Profile) -> None:
    """Neither a slice's own matrix nor its sum with others is thinner than r, but for one in a lucky sum."""
    middle = np.zeros((profile.noise_rank, profile.noise_rank), np.int64)
    known = [middle]
    for index in range(min(profile.slices, 4)):
        step = slice_middle(profile, index)
        assert inner_dimension(step) == profile.noise_rank
        middle = middle + step
        assert min(inner_dimension(middle - earlier) for earlier in known) >= profile.noise_rank - 1
        known.append(middle)


def slice_middle(profile: Profile, index: int) -> np.ndarray:
    """int64[r, r]: E_R,l F_L,l."""
    e_right, f_left = (
        right_factor(b3(BulkTag.POW_ENTRIES, side), profile, index, 1).astype(np.int64)
        for side in (b"A", b"B")
    )
    return e_right @ f_left.T


@pytest.mark.parametrize(
    ("profile", "rows"),
    [(DEV, 2048), (CPU, 4096), (CPU, 16384), (GPU, 65536)],
    ids=lambda value: str(value)[:12],
)
@pytest.mark.parametrize("planes", [6, 8])
def test_tables_of_sums_cost_more_than_multiplying(profile: Profile, rows: int, planes: int) -> None:
    """At the rate of the hardware that multiplies bytes: 4 on CPUs, 64 on tensor cores, where the gpu profile runs.

    At one word operation per multiply-accumulate, and loads for nothing, the sums would win, for the honest miner too.
    """
    word_cost = TENSOR_WORD_COST if profile is GPU else VECTOR_WORD_COST
    assert word_cost * table_words_per_mac(profile.noise_rank, rows, planes) >= 2
    assert table_words_per_mac(profile.noise_rank, rows, planes) < 1.2


def test_only_the_lowest_bit_of_a_lane_can_be_foretold() -> None:
    """Sums of lanes agree with their XORs in bit 0 and say nothing about bit 1."""
    account = Operations()
    draw = prepare(account, SIGMA, SMALL.profile, *SMALL.random())
    agreeing = [0, 0]
    for partial, sums in zip(direct_sums(account, draw, 0), lane_sums(account, draw, 0), strict=True):
        differing = lanes_of(account, partial, SMALL.profile.tile) ^ sums
        for bit in (0, 1):
            agreeing[bit] += int((differing >> np.uint32(bit) & np.uint32(1) == 0).sum())
    lanes = SMALL.profile.slices * SMALL.m * SMALL.n // SMALL.profile.tile
    assert agreeing[0] == lanes
    assert agreeing[1] == pytest.approx(lanes / 2, rel=0.02)
