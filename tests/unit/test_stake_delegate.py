"""Stake behind another: delegating, earning, claiming, leaving again.  Spec: [STAKE-*]."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.codec import Record
from chain.errors import Invalid
from chain.keys import SigningKey
from chain.ledger import EMPTY_POOL, MAX_VALIDATORS, Delegation, Namespace, StakePool, state_key
from chain.types import Grains, Height
from genesis.build import FOUNDING_COMMISSION_BP
from genesis.spec import ChainSpec
from tests.builders import STAKE_GRAINS, TILE, Ledger, funded_spec, key, registration
from vm.kinds.staking import StakeClaim, StakeDelegate, StakeUndelegate
from vm.staking.pools import earned, shares_for, with_reward, worth
from vm.staking.unbonding import unbonding_blocks

ALICE, BOB, CAROL, DAVE = key(0), key(1), key(6), key(7)
"""Alice and Bob validate from the start."""


def quick() -> ChainSpec:
    """Epochs of four blocks, and jobs and votes so short that stake is unbonded after a few of them."""
    spec = funded_spec()
    jobs = replace(spec.jobs, deadline_minimum_blocks=2, deadline_default_blocks=2, deadline_maximum_blocks=2)
    return replace(
        spec,
        pace=replace(spec.pace, epoch_blocks=4),
        staking=replace(spec.staking, unbonding_blocks=1),
        governance=replace(spec.governance, voting_blocks=4),
        jobs=jobs,
    )


SPEC = quick()


def send(ledger: Ledger, who: SigningKey, body: Record) -> str:
    """One block with one transaction; returns its code."""
    (receipt,) = ledger.mine(ledger.sign(who, body))
    ledger.audit()
    return receipt.code


def delegate(ledger: Ledger, who: SigningKey, grains: int, operator: SigningKey = ALICE) -> str:
    return send(ledger, who, StakeDelegate(operator.address, Grains(grains)))


def undelegate(ledger: Ledger, who: SigningKey, shares: int, operator: SigningKey = ALICE) -> str:
    return send(ledger, who, StakeUndelegate(operator.address, shares))


def claimed(ledger: Ledger, who: SigningKey, operator: SigningKey = ALICE) -> int:
    """What a claim pays; -1 if there is nothing to pay."""
    (receipt,) = ledger.mine(ledger.sign(who, StakeClaim(operator.address)))
    ledger.audit()
    if receipt.code:
        assert receipt.code == "NO_REWARD"
        return -1
    ((name, values),) = [(event.name, event.values) for event in receipt.events]
    assert name == "RewardsClaimed"
    assert values[:2] == (who.address, operator.address)
    return int(values[2])


def earn(ledger: Ledger, grains: int) -> None:
    """Put newly minted grains into the stakers' pool, where the fees of jobs go, then cross a boundary."""
    chain = ledger.chain
    given_out = replace(
        chain,
        minted_grains=Grains(chain.minted_grains + grains),
        staker_pool_grains=Grains(chain.staker_pool_grains + grains),
    )
    ledger.put({state_key(Namespace.CHAIN, b""): given_out.to_bytes()})
    ledger.audit()
    length = ledger.spec.pace.epoch_blocks
    ledger.mine_to((ledger.height // length + 1) * length)
    ledger.audit()


def weight(ledger: Ledger, epoch: int, who: SigningKey = ALICE) -> int:
    snapshot = ledger.weights(epoch)
    assert snapshot is not None
    return {each.address: each.stake_grains for each in snapshot.weights}.get(who.address, 0)


def test_a_delegation_counts_from_the_next_epoch_on_and_comes_back_unbonded() -> None:
    ledger = Ledger(SPEC)
    before = ledger.balance(CAROL)
    assert delegate(ledger, CAROL, 500 * TILE) == ""
    assert ledger.balance(CAROL) < before - 500 * TILE
    assert weight(ledger, 0) == STAKE_GRAINS
    ledger.mine_to(4)
    assert weight(ledger, 1) == STAKE_GRAINS + 500 * TILE
    assert undelegate(ledger, CAROL, 200 * TILE) == ""
    assert undelegate(ledger, CAROL, 300 * TILE) == ""
    start, held = ledger.height, ledger.balance(CAROL)
    assert weight(ledger, 1) == STAKE_GRAINS + 500 * TILE, "what is frozen stays"
    ledger.mine_to(8)
    assert weight(ledger, 2) == STAKE_GRAINS
    ledger.mine_to(start + unbonding_blocks(ledger.begin().context))
    assert ledger.balance(CAROL) == held + 500 * TILE
    assert ledger.pool(ALICE.address) == EMPTY_POOL
    ledger.audit()


def test_rewards_follow_weight_shares_and_commission() -> None:
    ledger = Ledger(SPEC)
    assert delegate(ledger, CAROL, 6_000 * TILE) == delegate(ledger, DAVE, 4_000 * TILE) == ""
    earn(ledger, 60 * TILE)  # Alice stands for 20,000 of 60,000, half of it her own
    commission = 10 * TILE * FOUNDING_COMMISSION_BP // 10_000
    assert claimed(ledger, ALICE) == 10 * TILE + commission
    assert claimed(ledger, BOB, BOB) == 10 * TILE
    assert abs(claimed(ledger, CAROL) - 54 * TILE // 10) <= 1
    assert abs(claimed(ledger, DAVE) - 36 * TILE // 10) <= 1
    assert ledger.chain.staker_pool_grains == 0
    for who in (ALICE, CAROL, DAVE):
        assert claimed(ledger, who) == -1, "not twice"
    assert claimed(ledger, BOB) == -1, "it has no stake there"


def test_nothing_is_earned_before_or_after_one_was_there() -> None:
    ledger = Ledger(SPEC)
    delegate(ledger, CAROL, 1_000 * TILE)
    earn(ledger, 61 * TILE)
    delegate(ledger, DAVE, 1_000 * TILE)
    assert claimed(ledger, DAVE) == -1
    ledger.mine_to(8)
    first = claimed(ledger, CAROL)
    assert first > 0
    assert undelegate(ledger, CAROL, 1_000 * TILE) == ""
    earn(ledger, 61 * TILE)
    assert claimed(ledger, CAROL) == -1
    assert claimed(ledger, DAVE) > 0


def test_changing_a_delegation_pays_what_it_has_earned() -> None:
    ledger = Ledger(SPEC)
    delegate(ledger, CAROL, 1_000 * TILE)
    earn(ledger, 51 * TILE)
    for body in (StakeDelegate(ALICE.address, Grains(TILE)), StakeUndelegate(ALICE.address, 3)):
        (receipt,) = ledger.mine(ledger.sign(CAROL, body))
        assert ("RewardsClaimed" in [event.name for event in receipt.events]) == isinstance(
            body, StakeDelegate
        )
        ledger.audit()


def test_who_may_delegate_what_to_whom() -> None:
    ledger = Ledger(SPEC)
    cap = 2 * STAKE_GRAINS  # five validators of the same weight: twice the average
    assert delegate(ledger, CAROL, cap - STAKE_GRAINS + 1) == "CAPPED"
    assert delegate(ledger, CAROL, cap - STAKE_GRAINS) == ""
    assert delegate(ledger, DAVE, 1_000) == "CAPPED"
    assert delegate(ledger, ALICE, TILE) == "SELF"
    assert delegate(ledger, CAROL, TILE, DAVE) == "NOT_FOUND"
    assert delegate(ledger, CAROL, TILE, key(99)) == "NOT_FOUND"
    assert delegate(ledger, CAROL, 999) == "DUST"
    assert delegate(ledger, CAROL, (1 << 63) - 1) == "BALANCE"
    for shares in (0, cap - STAKE_GRAINS + 1, (1 << 63) - 1):
        assert undelegate(ledger, CAROL, shares) == "SHARES"
    assert undelegate(ledger, DAVE, 1) == "SHARES"


def test_the_cap_of_many_is_a_fifth() -> None:
    ledger = Ledger(replace(SPEC, validators=funded_spec(validators=range(100, 120)).validators))
    most = 20 * STAKE_GRAINS * 2_000 // 10_000 - STAKE_GRAINS
    assert send(ledger, CAROL, StakeDelegate(key(100).address, Grains(most + 1))) == "CAPPED"
    assert send(ledger, CAROL, StakeDelegate(key(100).address, Grains(most))) == ""


def test_a_validator_that_left_keeps_its_debts() -> None:
    ledger = Ledger(SPEC)
    delegate(ledger, CAROL, 1_000 * TILE)
    undelegate(ledger, ALICE, STAKE_GRAINS)
    earn(ledger, 40 * TILE)
    assert ledger.stake(ALICE.address) == 0
    assert weight(ledger, 1) == 0, "the trust of others makes no validator"
    assert claimed(ledger, CAROL) == claimed(ledger, ALICE) == -1
    assert delegate(ledger, DAVE, TILE) == "NOT_FOUND"
    assert undelegate(ledger, CAROL, 1_000 * TILE) == ""
    assert send(ledger, ALICE, registration(1_000 * TILE)) == ""


def test_a_share_of_one_grain_takes_nothing_from_others() -> None:
    """Being first with almost nothing, then waiting for somebody: what comes later is not diluted or rounded away."""
    ledger = Ledger(SPEC)
    assert delegate(ledger, CAROL, 1_000) == undelegate(ledger, CAROL, 999) == ""
    earn(ledger, 500 * TILE)  # a grain earns next to nothing, the index does not run away
    assert delegate(ledger, DAVE, 9_000 * TILE) == ""
    assert undelegate(ledger, DAVE, 9_000 * TILE) == ""
    assert ledger.unbonding() == 999 + 9_000 * TILE, "every grain of it"
    assert undelegate(ledger, CAROL, 1) == ""
    assert ledger.pool(ALICE.address).owed_grains == 0, "what rounding left is the validator's"


def test_undo_and_redo() -> None:
    def story(ledger: Ledger) -> list[bytes]:
        roots = [ledger.tree.root]
        for who, body in (
            (CAROL, StakeDelegate(ALICE.address, Grains(77 * TILE))),
            (DAVE, StakeDelegate(ALICE.address, Grains(5 * TILE))),
            (CAROL, StakeUndelegate(ALICE.address, 77 * TILE)),
            (DAVE, StakeUndelegate(ALICE.address, TILE)),
        ):
            send(ledger, who, body)
            roots.append(ledger.tree.root)
        return roots

    ledger = Ledger(SPEC)
    start = ledger.parent
    roots = story(ledger)
    for root in reversed(roots[:-1]):
        ledger.undo()
        assert ledger.tree.root == root
    ledger.parent = start
    assert story(ledger) == roots


def test_a_boundary_with_every_place_taken_is_bounded() -> None:
    """One pool a validator, whoever stakes with them."""
    spec = replace(SPEC, validators=funded_spec(validators=range(100, 100 + MAX_VALIDATORS)).validators)
    ledger = Ledger(spec)
    chain = ledger.chain
    more = replace(chain, staker_pool_grains=Grains(10**12))
    ledger.put({state_key(Namespace.CHAIN, b""): more.to_bytes()})
    ledger.mine_to(3)
    outcome = ledger.finish(ledger.begin())
    assert len(outcome.changes) <= MAX_VALIDATORS + 10
    assert ledger.chain.staker_pool_grains == 10**12 % MAX_VALIDATORS


# -- the arithmetic --------------------------------------------------------------------------------------------------

AMOUNTS = st.integers(1, 1 << 60) | st.integers(1, 1_000)


@given(st.lists(st.tuples(st.integers(0, 4), AMOUNTS), max_size=30), st.data())
def test_a_pool_never_owes_more_than_it_was_given(steps: list[tuple[int, int]], data: st.DataObject) -> None:
    """Join or leave (0, 1), claim (2), earn (3), be slashed (4), in any order, at any size."""
    pool, stakes = EMPTY_POOL, dict.fromkeys(range(3), Delegation(0, 0, (), Height(0)))
    given_in = paid = joined = left = burned = 0
    for what, amount in steps:
        who = data.draw(st.integers(0, 2))
        if what == 3:
            pool = with_reward(pool, 1 + amount // 3, amount, 1_000)
            given_in += amount
            continue
        if what == 4:
            lost = pool.staked_grains * (amount % 1_001) // 1_000
            pool = replace(pool, staked_grains=Grains(pool.staked_grains - lost))
            burned += lost
            continue
        due = earned(pool, stakes[who])
        shares, grains = 0, 0
        if what == 0:
            try:
                shares, grains = shares_for(pool, amount), amount
            except Invalid:
                assert not pool.staked_grains or amount * pool.shares // pool.staked_grains >= 1 << 62
        elif what == 1:
            shares = -min(amount, stakes[who].shares)
            grains = -worth(pool, -shares)
        joined, left = joined + max(0, grains), left - min(0, grains)
        before = [worth(pool, each.shares) for other, each in stakes.items() if other != who]
        pool = replace(
            pool,
            staked_grains=Grains(pool.staked_grains + grains),
            shares=pool.shares + shares,
            owed_grains=Grains(pool.owed_grains - due),
        )
        stakes[who] = Delegation(stakes[who].shares + shares, pool.index, (), Height(0))
        paid += due
        others = [worth(pool, each.shares) for other, each in stakes.items() if other != who]
        assert all(now >= then for now, then in zip(others, before, strict=True)), "nobody pays for it"
        assert pool.shares >= pool.staked_grains, "a share is worth a grain or less"
        assert pool.shares or not pool.staked_grains, "the last takes everything"
        assert joined == left + burned + pool.staked_grains
        assert pool.owed_grains >= sum(earned(pool, each) for each in stakes.values())
        assert paid + pool.owed_grains + pool.operator_grains == given_in


@given(
    st.integers(1, 1 << 60),
    st.integers(1, 10_000),
    st.lists(st.tuples(st.booleans(), st.integers(1, 1 << 40)), max_size=8),
    st.integers(1, 1 << 60),
)
def test_whoever_comes_late_loses_less_than_a_grain(
    first: int, kept_bp: int, steps: list[tuple[bool, int]], late: int
) -> None:
    """Whatever the first does, with a pool slashed or not: there is no price at which shares of others vanish."""
    kept = max(1, first * kept_bp // 10_000)
    pool = replace(EMPTY_POOL, staked_grains=Grains(kept), shares=first)
    for joins, amount in steps:
        change = shares_for(pool, amount) if joins else -min(amount, pool.shares - 1)
        grains = amount if joins else -worth(pool, -change)
        pool = replace(pool, staked_grains=Grains(pool.staked_grains + grains), shares=pool.shares + change)
    if not pool.staked_grains:
        return
    try:
        shares = shares_for(pool, late)
    except Invalid:
        return
    after = replace(pool, staked_grains=Grains(pool.staked_grains + late), shares=pool.shares + shares)
    assert shares >= late
    assert late - 1 <= worth(after, shares) <= late


def test_the_index_of_one_grain_and_the_whole_supply_fits() -> None:
    pool = with_reward(replace(EMPTY_POOL, staked_grains=Grains(1), shares=1), 0, (1 << 63) - 1, 1_000)
    assert StakePool.from_bytes(pool.to_bytes()) == pool
    assert earned(pool, Delegation(1, 0, (), Height(0))) == pool.owed_grains


@pytest.mark.parametrize("stake", [0, 1])
def test_a_validator_alone_keeps_everything(stake: int) -> None:
    assert with_reward(EMPTY_POOL, 1 + stake, 100, 1_000).operator_grains == 100
