"""ASERT against the official runs, and its behaviour on our chain.  Spec: [DIFF-*]."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain.types import Height
from compute.spec.profiles import PROFILES
from consensus.difficulty import asert, next_target
from tests.builders import Ledger, funded_spec
from tests.outside import outside

POW_LIMIT = 0xFFFF << 208
BLOCK_TIME_S = 600
HALFLIFE_S = 172_800


def expand(compact: int) -> int:
    """Target of Bitcoin's compact form: one byte of length, three of mantissa."""
    shift = 8 * ((compact >> 24) - 3)
    mantissa = compact & 0x7FFFFF
    return mantissa << shift if shift >= 0 else mantissa >> -shift


def compress(target: int) -> int:
    length = (target.bit_length() + 7) >> 3
    mantissa = target << 8 * (3 - length) if length <= 3 else target >> 8 * (length - 3)
    if mantissa & 0x800000:
        mantissa, length = mantissa >> 8, length + 1
    return mantissa | length << 24


@pytest.mark.parametrize("run", range(1, 13))
def test_every_row_of_the_official_runs(run: int) -> None:
    lines = outside(f"asert/run{run:02}").read_text().splitlines()
    facts = [line.split(":")[1].strip() for line in lines if line.startswith("##")]
    anchor_height, anchor_parent_time, iterations = int(facts[1]), int(facts[2]), int(facts[6])
    anchor_target = expand(int(facts[3], 16))
    rows = [line.split() for line in lines if line and line[0] != "#"]
    assert len(rows) == iterations
    for _, height, time, compact in rows:
        target = asert(
            anchor_target=anchor_target,
            elapsed=int(time) - anchor_parent_time,
            heights=int(height) - anchor_height,
            block_time=BLOCK_TIME_S,
            halflife=HALFLIFE_S,
            easiest_target=POW_LIMIT,
        )
        assert compress(target) == int(compact, 16)


def test_a_chain_on_schedule_keeps_its_target() -> None:
    easiest = PROFILES[1].max_target
    spec = funded_spec(genesis_target=easiest // 1000)
    genesis = Ledger(spec).genesis
    for height in (0, 1, 5, 1000):
        time_ms = genesis.time_ms + height * spec.pace.block_time_ms
        parent = replace(genesis, height=Height(height), time_ms=time_ms)
        assert next_target(spec, genesis, parent) == spec.genesis_target


def test_a_halflife_behind_doubles_and_ahead_halves() -> None:
    spec = funded_spec(genesis_target=PROFILES[1].max_target // 1000)
    genesis = Ledger(spec).genesis
    halflife, block_time = spec.pace.asert_halflife_ms, spec.pace.block_time_ms
    late = replace(genesis, height=Height(1), time_ms=genesis.time_ms + block_time + halflife)
    assert next_target(spec, genesis, late) == 2 * spec.genesis_target
    heights = halflife // block_time + 1
    early = replace(genesis, height=Height(heights), time_ms=genesis.time_ms + block_time)
    assert next_target(spec, genesis, early) == spec.genesis_target // 2


@pytest.mark.parametrize("time_ms", [1 << 40, (1 << 63) - 1])
def test_a_far_future_gives_the_easiest_target_at_once(time_ms: int) -> None:
    """The shift would have 10^13 bits; only its bound keeps this from taking the machine's memory."""
    spec = funded_spec()
    genesis = Ledger(spec).genesis
    parent = replace(genesis, height=Height(1), time_ms=time_ms)
    assert next_target(spec, genesis, parent) == PROFILES[1].max_target


def test_the_target_never_falls_to_zero() -> None:
    spec = funded_spec(genesis_target=1)
    genesis = Ledger(spec).genesis
    parent = replace(genesis, height=Height(1 << 40))
    assert next_target(spec, genesis, parent) == 1
