"""Who won how many blocks of an epoch [GOV-WORK]."""

from __future__ import annotations

from chain.ledger import MAX_EPOCH_BLOCKS
from chain.state.overlay import Overlay
from chain.types import NO_ADDRESS, Address
from tests.builders import Ledger, key
from tests.governance_cases import quick
from vm.governance.work import BlocksWon, EpochWork, work_of
from vm.jobs.lifecycle import weights_retention_epochs

LENGTH = 4
ALICE, BOB, CAROL = (key(number).address for number in (20, 21, 22))


def work(ledger: Ledger, epoch: int) -> dict[bytes, int]:
    found = work_of(Overlay(ledger.tree), epoch).miners
    assert list(found) == sorted(found, key=lambda each: each.miner)
    return {each.miner: each.blocks for each in found}


def mined(*miners: Address) -> Ledger:
    ledger = Ledger(quick())
    for miner in miners:
        ledger.mine(miner=miner)
    return ledger


def test_a_block_counts_in_its_own_epoch_one_block_later() -> None:
    ledger = mined(ALICE, BOB, ALICE)  # heights 1..3 of epoch 0; genesis has no miner
    assert work(ledger, 0) == {ALICE: 1, BOB: 1}
    ledger.mine(miner=CAROL)  # height 4, the first of epoch 1: the last of epoch 0 is credited here
    assert work(ledger, 0) == {ALICE: 2, BOB: 1}
    assert work(ledger, 1) == {}
    ledger.mine(miner=CAROL)
    assert work(ledger, 1) == {CAROL: 1}
    assert work(ledger, 0) == {ALICE: 2, BOB: 1}, "complete"
    ledger.audit()


def test_everybody_has_a_place_and_the_whole_is_the_epoch() -> None:
    ledger = mined(NO_ADDRESS, NO_ADDRESS, NO_ADDRESS, CAROL, ALICE, BOB, ALICE, NO_ADDRESS)
    found = work_of(Overlay(ledger.tree), 1)
    assert found.blocks == LENGTH
    assert [found.won_by(who) for who in (ALICE, BOB, CAROL, key(23).address)] == [2, 1, 1, 0]
    assert work_of(Overlay(ledger.tree), -1).blocks == 0


def test_it_goes_one_epoch_after_the_weights_that_were_frozen_with_it() -> None:
    ledger = Ledger(quick())
    kept = weights_retention_epochs(ledger.spec)
    last = (1 + kept) * LENGTH
    ledger.mine_to(last - 1)
    assert ledger.weights(1) is not None
    assert work(ledger, 0)
    ledger.mine()
    assert ledger.weights(1) is None
    assert not work(ledger, 0)
    assert work(ledger, 1), "a vote that began in epoch 2 counts it"
    ledger.audit()


def test_the_longest_record_can_be_stored() -> None:
    miners = tuple(BlocksWon(Address(number.to_bytes(20, "big")), 1) for number in range(MAX_EPOCH_BLOCKS))
    data = EpochWork(miners).to_bytes()
    assert EpochWork.from_bytes(data).blocks == MAX_EPOCH_BLOCKS
    assert len(data) <= EpochWork.MAX_BYTES
