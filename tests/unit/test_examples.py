"""The digits example and the sentences of the demo."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module", autouse=True)
def _examples_on_path() -> Any:
    """The examples are scripts, not a package: they import each other as a person runs them."""
    places = [str(EXAMPLES), str(EXAMPLES / "digits")]
    sys.path[:0] = places
    yield
    for place in places:
        sys.path.remove(place)


@pytest.fixture(scope="module")
def classifier() -> Any:
    pytest.importorskip("sklearn", reason="the demo extra is not installed")
    from layer import train

    return train()


def test_one_layer_becomes_integers_in_range(classifier: Any) -> None:
    a, b = classifier.quantised()
    assert (a.shape, a.dtype) == ((1797, 64), np.int8)
    assert (b.shape, b.dtype) == ((64, 64), np.int8)
    assert (int(a.min()), int(a.max())) == (0, 63)
    assert max(-int(b.min()), int(b.max())) == 63


def test_the_integer_layer_classifies_as_well_as_the_float_one(classifier: Any) -> None:
    a, b = (matrix.astype(np.int32) for matrix in classifier.quantised())
    original = classifier.accuracy(classifier.float_sums())
    assert original > 0.95
    assert classifier.accuracy((a @ b) * classifier.scale()) == pytest.approx(original, abs=0.01)


def test_the_classifier_survives_its_file(classifier: Any, tmp_path: Path) -> None:
    from layer import load, save

    save(classifier, tmp_path)
    again = load(tmp_path)
    assert again.accuracy(again.float_sums()) == classifier.accuracy(classifier.float_sums())
    assert np.array_equal(np.load(tmp_path / "A.npy"), classifier.quantised()[0])


def test_strips_are_rows_of_whole_images() -> None:
    pytest.importorskip("sklearn", reason="the demo extra is not installed")
    from strips import strips

    images = np.arange(100 * 64).reshape(100, 64) % 64
    rows = strips(images, first=99)
    assert rows.shape == (2048, 2048)
    assert np.array_equal(rows[0, :64], images[99])
    assert np.array_equal(rows[0, 64:128], images[0])
    assert np.array_equal(rows[1, :64], images[0])


NAMES = {"tiledev1alice": "alice", "tiledev1n0": "node-0", "tiledev1n1": "node-1"}


def settled_job() -> dict[str, Any]:
    ending = {
        "height": 30,
        "event": "JobSettled",
        "provider": "tiledev1n0",
        "paid_grains": 700,
        "committee_grains": 200,
        "burned_grains": 21,
        "treasury_grains": 7,
        "stakers_grains": 7,
        "bonus_grains": 5,
        "refund_grains": 60,
    }
    seat = {"member": "tiledev1n1"}
    reveal = {"event": "Attested", "phase": "REVEAL", "verdict": "OK"}
    return {
        "payer": "tiledev1alice",
        "provider": "tiledev1n0",
        "escrow_grains": 1000,
        "bond_grains": 10**9,
        "attest_fees_grains": 3,
        "seats": [seat],
        "ending": ending,
        "timeline": [
            {"height": 5, "event": "JobOpened", "payer": "tiledev1alice", "escrow_grains": 1000},
            {"height": 6, "event": "JobClaimed", "provider": "tiledev1n0", "bond_grains": 10**9},
            {"height": 12, "event": "CommitteeDrawn", "beacon": "00"},
            {"height": 13, "event": "Attested", "phase": "COMMIT", "member": "tiledev1n1", "verdict": "NONE"},
            {"height": 17, "member": "tiledev1n1", **reveal},
            {"height": 17, "member": "tiledev1stranger", **reveal},
            ending,
        ],
    }


def test_every_event_is_told_once_and_reveals_of_a_block_together() -> None:
    from story import sentences

    job, told = settled_job(), list[dict[str, Any]]()
    assert list(sentences(job, told, NAMES)) == [
        "block 5: opened by alice, who locks 0.000001 TILE",
        "block 6: claimed by node-0, who locks a bond of 1 TILE",
        "block 12: committee drawn: node-1",
        "block 17: checked by node-1, tiledev1stranger: ok",
        "block 30: settled",
    ]
    assert list(sentences(job, told, NAMES)) == []


def test_a_settlement_adds_up_to_the_escrow() -> None:
    from story import settlement_rows

    rows, total = settlement_rows(settled_job(), NAMES)
    assert rows[0] == ("node-0", 705)
    assert sum(amount for _, amount in rows) == total == 1000


def test_a_slashing_adds_up_to_escrow_and_bond() -> None:
    from story import settlement_rows

    job = settled_job() | {
        "ending": {
            "event": "JobSlashed",
            "payer_grains": 997 + 250,
            "prover_grains": 250,
            "burned_grains": 500,
        },
        "bond_grains": 1000,
        "timeline": [
            {"height": 20, "event": "ChallengeUpheld", "prover": "tiledev1n1", "reward_grains": 250}
        ],
    }
    rows, total = settlement_rows(job, NAMES)
    assert rows == [("back to alice", 1247), ("node-1 (proof)", 250), ("burned", 503)]
    assert sum(amount for _, amount in rows) == total == 2000
