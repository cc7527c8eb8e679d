"""Rules that other tests would notice only by chance, each asked directly.  Spec: [POW-*], [FREIVALDS-*]."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from blake3 import blake3

import compute.engines.select as select
import compute.messages as messages
import compute.spec.noise as noise_rule
from chain.codec import pack
from chain.errors import Invalid, LocalFault, Policy
from chain.hashing import BulkTag
from chain.types import Hash32
from compute.engines.base import Attempt, Order, Output
from compute.engines.numpy_blocks import NumpyEngine
from compute.entries import seeded_entries
from compute.spec.freivalds import challenge, find_wrong_row
from compute.spec.profiles import CPU, DEV, GPU, TEST, assert_sound
from compute.spec.reference import reference_attempt
from compute.spec.tiles import fold
from node.mining.work_forms import parse_work
from tests.work_samples import SIGMA, random_matrix

SEED = Hash32(bytes(range(1, 33)))
WORK_PAGE = Path(__file__).parents[2] / "docs/spec/work.md"


@pytest.mark.parametrize(
    "change",
    [
        {"noise_rank": 24, "segment": 64},
        {"tile": 40, "max_m": 1040, "max_n": 1040},
        {"noise_rank": 1, "segment": 4},
        {"noise_rank": 2, "segment": 32},
        {"noise_rank": 1088, "segment": 1088, "max_k": 1088},
        {"max_k": 1 << 17},
        {"max_m": 1016},
        {"max_n": 1016},
        {"max_k": 1056},
    ],
    ids=str,
)
def test_each_bound_of_a_profile_alone(change: dict[str, int]) -> None:
    """Every other promise is kept, so exactly one assertion stands between these constants and a network."""
    with pytest.raises(AssertionError):
        assert_sound(replace(TEST, **change))


def test_a_ticket_stands_for_its_cube() -> None:
    """t * t * S multiply-accumulates, in numbers [POW-TARGET-1]."""
    assert [profile.cube_macs for profile in (TEST, DEV, CPU, GPU)] == [16_384, 262_144, 1_048_576, 4_194_304]


def test_equal_words_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two equal words are rare, but two implementations must agree on them [POW-NOISE-2]."""
    words = np.random.default_rng(5).integers(0, 3, 8 * GPU.noise_rank, dtype=np.uint32).astype("<u4")
    monkeypatch.setattr(
        noise_rule, "_stream", lambda tag, seed, start, size: words.tobytes()[start : start + size]
    )
    orders = noise_rule.permutations(SEED, GPU, 0, 8)
    for order, row in zip(orders, words.reshape(8, -1).tolist(), strict=True):
        assert order.tolist() == sorted(range(len(row)), key=lambda at: row[at])


def test_the_reference_product_is_the_plain_product() -> None:
    """[POW-DENOISE-1], [POW-PAD-1]: noise and padding leave no trace."""
    a, b_t = random_matrix(21, 70, 3), random_matrix(35, 70, 4)
    product = reference_attempt(SIGMA, TEST, a, b_t).product
    assert np.array_equal(product, a.astype(np.int64) @ b_t.T.astype(np.int64))


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("entry", [64, -64])
def test_the_reference_refuses_entries_out_of_range(side: int, entry: int) -> None:
    pair = [random_matrix(16, 64, 1), random_matrix(16, 64, 2)]
    pair[side][3, 3] = entry
    with pytest.raises(Invalid, match="WORK_RANGE"):
        reference_attempt(SIGMA, TEST, *pair)


def test_seeded_entries_by_hand() -> None:
    """[POW-ENTRIES-1]."""
    key = blake3(pack([SEED, 7]), derive_key_context=BulkTag.POW_ENTRIES.value).digest()
    stream = blake3(b"", key=key).digest(length=20)
    assert seeded_entries(SEED, 7, 4, 5).ravel().tolist() == [byte * 127 // 256 - 63 for byte in stream]
    assert BulkTag.POW_ENTRIES.value == "tilework v1 pow entries"


def test_a_challenge_by_hand() -> None:
    """u64 words of the stream modulo 2^31 - 1, entry (j, q) from word 3 j + q [FREIVALDS-1]."""
    key = blake3(pack([SEED, 5, 3]), derive_key_context="tilework v1 freivalds").digest()
    stream = blake3(b"", key=key).digest(length=5 * 3 * 8)
    words = [int.from_bytes(stream[at : at + 8], "little") for at in range(0, len(stream), 8)]
    assert challenge(SEED, 5).ravel().tolist() == [word % 2_147_483_647 for word in words]


def test_an_empty_frame_has_no_kind() -> None:
    for parse in (messages.parse_command, messages.parse_event):
        with pytest.raises(Invalid, match="WORKER_KIND"):
            parse(b"")


def test_the_table_of_kinds_is_the_specification() -> None:
    """[POW-WORKER-1]: the numbers on the wire, from the page."""
    text = WORK_PAGE.read_text().split("**[POW-WORKER-1]**")[1].split("\n## ")[0]
    stated = {int(number): name for number, name in re.findall(r"\| (\d+) \| (\w+)", text)}
    known = {**messages._COMMANDS, **messages._EVENTS}
    assert stated == {number: record.__name__ for number, record in known.items()}


def test_lanes_of_a_wide_tile() -> None:
    """Column mod 16, in numbers without a pattern: those of a range cancel out [POW-TILE-2]."""
    partial = (
        np.random.default_rng(11).integers(-(1 << 31), 1 << 31, (64, 64), dtype=np.int64).astype(np.int32)
    )
    words = partial.view(np.uint32)
    expected = [int(np.bitwise_xor.reduce(words[:, lane::16], axis=None)) for lane in range(16)]
    assert fold(np.zeros(16, np.uint32), partial).tolist() == expected
    assert len(set(expected)) == 16


@pytest.mark.parametrize("sign", [1, -1])
def test_the_deepest_segments_are_exact_at_their_largest(sign: int) -> None:
    """4,096 products of 63 by 63 pass what a biased float32 holds [POW-EXACT-2]."""
    a = np.full((GPU.tile, GPU.segment), 63, np.int8)
    b_t = (a * sign).astype(np.int8)
    reference = reference_attempt(SIGMA, GPU, a, b_t)
    engine = NumpyEngine()
    prepared = engine.prepare_b(SIGMA, GPU, reference.mu, b_t)
    attempt = engine.run(Order(prepared, a, (1 << 256) // GPU.cube_macs, Output.PRODUCT))
    assert attempt.product is not None
    assert np.array_equal(attempt.product, reference.product)
    assert {winner.cube: winner.ticket for winner in attempt.winners} == reference.tickets


class OneOff(NumpyEngine):
    """One entry of every product is wrong."""

    def run(self, order: Order) -> Attempt:
        attempt = super().run(order)
        assert attempt.product is not None
        attempt.product[0, 0] += 1
        return attempt


def test_an_engine_that_fails_its_self_test_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """[POW-ENGINE-1]."""
    monkeypatch.setitem(select.ENGINES, "numpy", OneOff)
    with pytest.raises(LocalFault, match="WORK_SELF_TEST"):
        select.choose_engine("numpy", TEST, SEED)


@pytest.mark.parametrize("wrong", [(3, 5), (0, 1, 127), (128, 255)])
def test_the_first_of_several_wrong_rows_is_named(wrong: tuple[int, ...]) -> None:
    """[FREIVALDS-2]."""
    a, b_t = random_matrix(256, 20, 1), random_matrix(30, 20, 2)
    c = (a.astype(np.int64) @ b_t.T.astype(np.int64)).astype(np.int32)
    for row in wrong:
        c[row, 7] += 1
    assert find_wrong_row(a, b_t, c, SEED) == wrong[0]


def test_a_worker_names_the_engine_that_it_tries() -> None:
    """Before it is probed, so that a crash has a culprit [POW-WORKER-3]."""
    command = [sys.executable, "-m", "compute.worker", "--engine", "reference", "--profile", "1"]
    output = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60
    ).stdout
    events = []
    while output:
        size = messages.payload_bytes(output[:4])
        events.append(messages.parse_event(output[4 : 4 + size]))
        output = output[4 + size :]
    assert events[0] == messages.Trying("reference")
    assert isinstance(events[1], messages.Ready)


def test_work_of_other_rules_is_refused() -> None:
    """[POW-WORKER-4]."""
    with pytest.raises(Policy, match="WORK_RULES"):
        parse_work({"work_rules": 2}, None)
