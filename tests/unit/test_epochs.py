"""Epoch boundaries freeze the weights.  Spec: [EPOCH-*]."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.builders import STAKE_GRAINS, TILE, Ledger, funded_spec, key, registration

SPEC = funded_spec()
LENGTH = SPEC.pace.epoch_blocks


def weights(ledger: Ledger, epoch: int) -> dict[bytes, int]:
    snapshot = ledger.weights(epoch)
    assert snapshot is not None
    assert snapshot.epoch == epoch
    assert list(snapshot.weights) == sorted(snapshot.weights, key=lambda weight: weight.address)
    return {weight.address: weight.stake_grains for weight in snapshot.weights}


def test_stake_counts_from_the_next_boundary_on() -> None:
    ledger = Ledger(SPEC)
    (receipt,) = ledger.mine(ledger.sign(key(7), registration(5_000 * TILE)))
    assert receipt.code == ""
    (receipt,) = ledger.mine(ledger.sign(key(0), registration(TILE)))
    assert receipt.code == ""
    assert ledger.weights(1) is None
    assert key(7).address not in weights(ledger, 0)
    ledger.mine_to(LENGTH)
    frozen = weights(ledger, 1)
    assert frozen[key(7).address] == 5_000 * TILE
    assert frozen[key(0).address] == STAKE_GRAINS + TILE
    assert ("EpochStarted", (1, 6, sum(frozen.values()))) in ledger.events()
    ledger.audit()


def test_the_boundary_block_freezes_before_its_own_transactions() -> None:
    ledger = Ledger(SPEC)
    ledger.mine_to(LENGTH - 1)
    ledger.mine(ledger.sign(key(7), registration(5_000 * TILE)))
    assert ledger.height == LENGTH
    assert key(7).address not in weights(ledger, 1)
    ledger.mine_to(2 * LENGTH)
    assert key(7).address in weights(ledger, 2)


def test_snapshots_live_as_long_as_a_job_can_need_them() -> None:
    short = replace(
        SPEC.jobs, deadline_minimum_blocks=5, deadline_default_blocks=5, deadline_maximum_blocks=5
    )
    ledger = Ledger(replace(SPEC, jobs=short, governance=replace(SPEC.governance, voting_blocks=1)))
    longest = LENGTH - 1 + 5 + short.settle_offset + short.second_round_blocks
    ledger.mine_to(LENGTH + longest)
    assert ledger.weights(1) is not None, "a job claimed at the end of the epoch may still run"
    ledger.mine_to(LENGTH + longest + 2 * LENGTH)
    assert ledger.weights(0) is ledger.weights(1) is None
    ledger.audit()


def test_registering_needs_the_minimum() -> None:
    ledger = Ledger(SPEC)
    minimum = SPEC.money.minimum_stake_grains
    for stake, code in ((minimum - 1, "MIN_STAKE"), (0, "MIN_STAKE"), (1 << 62, "BALANCE"), (minimum, "")):
        (receipt,) = ledger.mine(ledger.sign(key(7), registration(stake)))
        assert receipt.code == code
        ledger.audit()
    (receipt,) = ledger.mine(ledger.sign(key(7), registration(0)))
    assert receipt.code == "MIN_STAKE", "a second registration must add something"
    (receipt,) = ledger.mine(ledger.sign(key(7), registration((1 << 63) - 1)))
    assert receipt.code == "RANGE"
    (receipt,) = ledger.mine(ledger.sign(key(7), registration(1)))
    assert receipt.code == ""
    assert ledger.stake(key(7).address) == minimum + 1
    ledger.audit()


def test_the_number_of_validators_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """An epoch boundary walks through all of them."""
    monkeypatch.setattr("vm.kinds.operators.MAX_VALIDATORS", 5)
    ledger = Ledger(SPEC)
    (receipt,) = ledger.mine(ledger.sign(key(7), registration(5_000 * TILE)))
    assert receipt.code == "VALIDATORS_FULL"
    (receipt,) = ledger.mine(ledger.sign(key(0), registration(TILE)))
    assert receipt.code == "", "who is one already may add to its stake"
    ledger.audit()
