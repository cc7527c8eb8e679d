"""What a delegation had when an epoch began [STAKE-PAST]."""

from __future__ import annotations

from chain.ledger import MAX_PAST_STAKES, Delegation
from chain.types import Grains, Height
from tests.builders import TILE, Ledger, key
from tests.staking_cases import ALICE, CAROL, Stakes
from vm.kinds.staking import StakeClaim, StakeDelegate, StakeUndelegate
from vm.staking.past import grains_at, remembering
from vm.staking.pools import delegation_of, worth

OPERATOR, STAKER = key(0), key(6)


def changed(delegation: Delegation, epoch: int, shares: int) -> Delegation:
    return delegation.but(shares=shares, past=remembering(delegation, epoch, delegation.shares))


def test_every_epoch_is_answered_with_what_was_there_when_it_began() -> None:
    had = {}
    delegation = Delegation(0, 0, (), Height(0))
    for epoch in range(5, 5 + MAX_PAST_STAKES):
        had[epoch] = delegation.shares
        delegation = changed(changed(delegation, epoch, 1), epoch, 100 + epoch)
    assert {epoch: grains_at(delegation, epoch, delegation.shares) for epoch in had} == had
    assert grains_at(delegation, 4, delegation.shares) == 0, "it did not exist"
    assert grains_at(delegation, 99, delegation.shares) == delegation.shares


def test_between_two_changes_nothing_changes() -> None:
    delegation = changed(changed(Delegation(0, 0, (), Height(0)), 3, 10), 9, 20)
    assert [grains_at(delegation, epoch, delegation.shares) for epoch in (3, 4, 6, 9, 10)] == [
        0,
        10,
        10,
        10,
        20,
    ]


def test_what_is_forgotten_counts_as_nothing() -> None:
    delegation = Delegation(0, 0, (), Height(0))
    for epoch in range(MAX_PAST_STAKES + 3):
        delegation = changed(delegation, epoch, 10 + epoch)
    assert len(delegation.past) == MAX_PAST_STAKES
    answers = [grains_at(delegation, epoch, delegation.shares) for epoch in range(MAX_PAST_STAKES + 3)]
    exact = [0, *(10 + epoch for epoch in range(MAX_PAST_STAKES + 2))]
    assert answers == [0] * 4 + exact[4:]


def test_transactions_write_it() -> None:
    ledger = Ledger()
    length = ledger.spec.pace.epoch_blocks

    def do(body: StakeDelegate | StakeUndelegate | StakeClaim) -> None:
        (receipt,) = ledger.mine(ledger.sign(STAKER, body))
        assert receipt.code in ("", "NO_REWARD")

    def to_epoch(epoch: int) -> None:
        while ledger.height + 1 < epoch * length:
            ledger.mine()

    do(StakeDelegate(OPERATOR.address, Grains(TILE)))
    to_epoch(2)
    do(
        StakeDelegate(OPERATOR.address, Grains(TILE))
    )  # in the first block of an epoch: its weights are frozen already
    to_epoch(4)
    do(StakeUndelegate(OPERATOR.address, TILE // 2))
    do(StakeUndelegate(OPERATOR.address, TILE // 2))
    context = ledger.begin().context
    delegation = delegation_of(context, OPERATOR.address, STAKER.address)
    assert delegation is not None
    had = [grains_at(delegation, epoch, delegation.shares) for epoch in (0, 1, 2, 3, 4)]
    assert had == [0, TILE, TILE, 2 * TILE, 2 * TILE]
    to_epoch(5)
    do(StakeUndelegate(OPERATOR.address, TILE))
    do(StakeDelegate(OPERATOR.address, Grains(TILE)))
    again = delegation_of(ledger.begin().context, OPERATOR.address, STAKER.address)
    assert again is not None
    had = [grains_at(again, epoch, again.shares) for epoch in (4, 5)]
    assert had == [0, 0], "whoever leaves wholly is forgotten"


def test_it_remembers_grains_because_shares_can_lose_their_worth() -> None:
    """Otherwise somebody could vote with more than the validator had of it: a small pool's rate rises by rounding."""
    stakes = Stakes()
    length = stakes.ledger.spec.pace.epoch_blocks
    assert stakes.delegate(CAROL, 1_000) == ""
    stakes.slash(ALICE, 1, 2)
    stakes.ledger.mine_to(length)
    assert stakes.undelegate(CAROL, 999) == ""
    delegation, pool = stakes.delegation(CAROL), stakes.ledger.pool(ALICE.address)
    assert delegation is not None
    assert (pool.shares, pool.staked_grains) == (1, 1), "the last share is worth twice as much as before"
    assert grains_at(delegation, 1, worth(pool, delegation.shares)) == 500
    assert grains_at(delegation, 2, worth(pool, delegation.shares)) == 1
