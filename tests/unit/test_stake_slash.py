"""Stake that moves, and stake that is taken away wherever it has gone.  Spec: [STAKE-SLASH], [STAKE-LIABLE]."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain.keys import SigningKey
from chain.ledger import EMPTY_POOL, Governed, Namespace, ParameterValue, state_key
from chain.types import Grains, Height
from tests.builders import STAKE_GRAINS, TILE, Ledger, funded_spec, key, registration
from tests.staking_cases import ALICE, BOB, CAROL, DAVE, ERIN, MINIMUM, Stakes, quick
from vm.kinds.staking import StakeClaim, StakeDelegate, StakeRedelegate, StakeUndelegate
from vm.staking.departures import departure_key
from vm.staking.pools import worth
from vm.staking.slash import slash

FRANK = key(5)


@pytest.fixture
def stakes() -> Stakes:
    return Stakes()


def burned(stakes: Stakes) -> int:
    return stakes.ledger.chain.burned_grains


def paid_out(stakes: Stakes) -> dict[bytes, int]:
    """What the last block has unbonded, by staker."""
    return {
        bytes(values[0]): int(values[1])  # type: ignore[arg-type]
        for name, values in stakes.ledger.events()
        if name == "Unbonded"
    }


def value(stakes: Stakes, who: SigningKey, operator: SigningKey = ALICE) -> int:
    """What a delegation is worth."""
    held = stakes.delegation(who, operator)
    return worth(stakes.ledger.pool(operator.address), held.shares) if held is not None else 0


# -- what a slash takes -----------------------------------------------------------------------------------------------


def test_a_slash_takes_the_same_part_of_everything_and_destroys_it(stakes: Stakes) -> None:
    assert stakes.delegate(CAROL, 7 * TILE) == stakes.delegate(DAVE, 2 * TILE) == ""
    assert stakes.undelegate(CAROL, 4 * TILE) == stakes.undelegate(ALICE, 3 * TILE + 1) == ""
    before, locked = burned(stakes), stakes.ledger.chain.locked_grains
    taken = stakes.slash(ALICE, 1, 3)
    own, others, waiting = STAKE_GRAINS - 3 * TILE - 1, 5 * TILE, 7 * TILE + 1
    assert taken == own // 3 + others // 3 + waiting // 3
    assert burned(stakes) - before == locked - stakes.ledger.chain.locked_grains == taken
    event = ("StakeSlashed", (ALICE.address, own // 3, others // 3, waiting // 3))
    assert event in stakes.ledger.events()
    assert stakes.ledger.stake(ALICE.address) == own - own // 3
    assert stakes.ledger.pool(ALICE.address).staked_grains == others - others // 3
    assert value(stakes, CAROL) + value(stakes, DAVE) == others - others // 3 - 1, "rounded down for each"
    assert stakes.ledger.unbonding() == waiting - waiting // 3
    stakes.to_next_epoch()
    snapshot = stakes.ledger.weights(stakes.ledger.height // 4)
    assert snapshot is not None
    weight = {each.address: each.stake_grains for each in snapshot.weights}[ALICE.address]
    assert weight == own - own // 3 + others - others // 3


def test_those_who_wait_bear_it_alike_and_the_last_gets_what_rounding_left(stakes: Stakes) -> None:
    assert stakes.delegate(CAROL, 10_001) == stakes.delegate(DAVE, 20_002) == ""
    stakes.to_next_epoch()
    assert stakes.undelegate(CAROL, 10_001) == stakes.undelegate(DAVE, 20_002) == ""
    wait, height = stakes.wait, stakes.ledger.height
    assert stakes.slash(ALICE, 1, 7) == STAKE_GRAINS // 7 + 30_003 // 7
    stakes.ledger.mine_to(height - 1 + wait)
    left = 30_003 - 30_003 // 7
    first = 10_001 * left // 30_003
    assert paid_out(stakes) == {CAROL.address: first}
    stakes.ledger.mine()
    assert paid_out(stakes) == {DAVE.address: left - first}
    stakes.audit()
    assert stakes.ledger.tree.get(departure_key(ALICE.address, 0)) is None


def test_what_left_in_an_earlier_epoch_answers_no_more(stakes: Stakes) -> None:
    stakes.ledger.mine_to(6)
    assert stakes.undelegate(ALICE, 1_000) == ""  # height 7, the last of epoch 1
    assert stakes.undelegate(ALICE, 500) == ""
    assert stakes.ledger.height == 8
    own = STAKE_GRAINS - 1_500
    assert stakes.slash(ALICE, 1, 10, height=8) == own // 10 + 50
    own -= own // 10
    assert stakes.slash(ALICE, 1, 10, height=7) == own // 10 + 100 + 45
    own -= own // 10
    assert stakes.slash(ALICE, 1, 10, height=4) == own // 10 + 90 + 40, "it had weight all through the epoch"


def test_a_pool_that_was_slashed_lets_nobody_in(stakes: Stakes) -> None:
    """Otherwise those who leave later would share what was taken from those before."""
    assert stakes.delegate(CAROL, 2_000) == ""
    stakes.ledger.mine_to(4)
    assert stakes.undelegate(ALICE, 1_000) == ""
    first = stakes.ledger.height + stakes.wait
    stakes.slash(ALICE, 1, 2)
    assert stakes.undelegate(CAROL, 2_000) == ""
    assert stakes.ledger.height == 7, "still in the epoch of the first"
    stakes.slash(ALICE, 1, 4)
    assert stakes.ledger.unbonding() == 375 + 750
    stakes.ledger.mine_to(first)
    assert paid_out(stakes) == {ALICE.address: 375}
    stakes.ledger.mine_to(first + 2)
    assert paid_out(stakes) == {CAROL.address: 750}


def test_several_withdrawals_of_one_account_are_paid_each_in_its_time(stakes: Stakes) -> None:
    assert stakes.undelegate(ALICE, 1_000) == stakes.undelegate(ALICE, 3_000) == ""
    height, wait = stakes.ledger.height, stakes.wait
    stakes.slash(ALICE, 1, 10)
    stakes.ledger.mine_to(height - 1 + wait)
    assert paid_out(stakes) == {ALICE.address: 900}
    stakes.ledger.mine()
    assert paid_out(stakes) == {ALICE.address: 2_700}


def test_earnings_are_not_slashed(stakes: Stakes) -> None:
    assert stakes.delegate(CAROL, STAKE_GRAINS) == ""
    chain = stakes.ledger.chain
    more = Grains(60 * TILE)
    richer = replace(chain, minted_grains=Grains(chain.minted_grains + more), staker_pool_grains=more)
    stakes.ledger.put({state_key(Namespace.CHAIN, b""): richer.to_bytes()})
    stakes.to_next_epoch()
    owed = stakes.ledger.pool(ALICE.address).owed_grains
    stakes.slash(ALICE, 1, 1)
    ((_, claimed),) = stakes.did(CAROL, StakeClaim(ALICE.address))
    assert owed - 1 <= int(claimed[2]) <= owed


def test_a_slash_of_everything_leaves_shares_that_are_worth_nothing(stakes: Stakes) -> None:
    assert stakes.delegate(CAROL, TILE) == stakes.undelegate(CAROL, 1_000) == ""
    assert stakes.slash(ALICE, 1, 1) == STAKE_GRAINS + TILE
    assert stakes.ledger.stake(ALICE.address) == stakes.ledger.unbonding() == value(stakes, CAROL) == 0
    stakes.to_next_epoch()
    assert not stakes.listed(ALICE)
    assert stakes.slash(ALICE, 1, 2) == 0
    events = stakes.did(CAROL, StakeUndelegate(ALICE.address, TILE - 1_000))
    assert [values[2] for name, values in events if name == "UnbondingStarted"] == [0]
    assert stakes.ledger.pool(ALICE.address) == EMPTY_POOL
    stakes.ledger.mine_to(stakes.ledger.height + stakes.wait)
    stakes.audit()
    assert stakes.ledger.tree.get(state_key(Namespace.VALIDATOR, ALICE.address)) is None


def test_after_a_slash_grains_buy_more_shares_and_nobody_pays_for_anybody(stakes: Stakes) -> None:
    assert stakes.delegate(CAROL, 3 * TILE) == ""
    stakes.slash(ALICE, 1, 3)
    assert value(stakes, CAROL) == 2 * TILE
    assert stakes.delegate(DAVE, 2 * TILE) == ""
    held = stakes.delegation(DAVE)
    assert held is not None
    assert held.shares == 3 * TILE
    assert value(stakes, CAROL) == value(stakes, DAVE) == 2 * TILE
    assert stakes.undelegate(DAVE, held.shares) == ""
    assert value(stakes, CAROL) == stakes.ledger.unbonding() == 2 * TILE


def test_a_cost_that_does_not_grow_with_those_who_bear_it(stakes: Stakes) -> None:
    def changes(people: int) -> int:
        spec = replace(quick(), allocations=funded_spec(accounts=6 + people).allocations)
        ledger = Ledger(spec)
        for number in range(6, 6 + people):
            bodies = (
                StakeDelegate(ALICE.address, Grains(10_000)),
                StakeUndelegate(ALICE.address, 1_000),
                StakeRedelegate(ALICE.address, BOB.address, 1_000),
            )
            receipts = ledger.mine(*(ledger.sign(key(number), body) for body in bodies))
            assert {receipt.code for receipt in receipts} == {""}
            ledger.undos.clear()
        transition = ledger.begin()
        before = len(transition.context.state.changes())
        slash(transition.context, ALICE.address, 1, 2, 0)
        return len(transition.context.state.changes()) - before

    assert changes(1) <= changes(3) <= 6
    assert changes(11) <= 6 + 11 // 4 + 1, "a pool for each epoch"


# -- moving -----------------------------------------------------------------------------------------------------------


def test_stake_moves_at_once_and_weight_at_the_boundary(stakes: Stakes) -> None:
    assert stakes.delegate(CAROL, 5 * TILE) == ""
    stakes.to_next_epoch()
    (moved,) = stakes.did(CAROL, StakeRedelegate(ALICE.address, BOB.address, 2 * TILE))
    until = stakes.ledger.height + stakes.wait
    assert moved == ("Redelegated", (CAROL.address, ALICE.address, BOB.address, 2 * TILE, until))
    assert (value(stakes, CAROL), value(stakes, CAROL, BOB)) == (3 * TILE, 2 * TILE)
    stakes.to_next_epoch()
    snapshot = stakes.ledger.weights(2)
    assert snapshot is not None
    weights = {each.address: each.stake_grains for each in snapshot.weights}
    assert weights[ALICE.address] == STAKE_GRAINS + 3 * TILE
    assert weights[BOB.address] == STAKE_GRAINS + 2 * TILE


def test_moving_pays_what_was_earned_at_both_ends(stakes: Stakes) -> None:
    assert stakes.delegate(CAROL, TILE) == stakes.delegate(CAROL, TILE, BOB) == ""
    chain = stakes.ledger.chain
    more = Grains(60 * TILE)
    richer = replace(chain, minted_grains=Grains(chain.minted_grains + more), staker_pool_grains=more)
    stakes.ledger.put({state_key(Namespace.CHAIN, b""): richer.to_bytes()})
    stakes.to_next_epoch()
    events = stakes.did(CAROL, StakeRedelegate(ALICE.address, BOB.address, 1_000))
    assert [name for name, _ in events] == ["RewardsClaimed", "RewardsClaimed", "Redelegated"]


def test_what_has_just_arrived_moves_nowhere_until_it_answers_no_more(stakes: Stakes) -> None:
    assert stakes.delegate(CAROL, 2 * TILE) == stakes.delegate(CAROL, TILE, BOB) == ""
    assert stakes.move(CAROL, TILE) == ""
    until = stakes.ledger.height + stakes.wait
    assert stakes.move(CAROL, 1_000, BOB, ERIN) == "REDELEGATING"
    assert stakes.delegate(CAROL, TILE, BOB) == "", "more may join it"
    assert stakes.move(CAROL, 1_000, BOB, ERIN) == "REDELEGATING"
    assert stakes.move(CAROL, 1_000) == "", "and more may follow"
    stakes.ledger.mine_to(until)
    assert stakes.move(CAROL, 1_000, BOB, ERIN) == "REDELEGATING", "because of what followed"
    stakes.ledger.mine_to(until + 3)
    assert stakes.move(CAROL, 1_000, BOB, ERIN) == ""


def test_stake_that_moved_still_answers_for_whom_it_left(stakes: Stakes) -> None:
    assert stakes.delegate(CAROL, 3 * TILE) == stakes.move(CAROL, 2 * TILE) == ""
    until = stakes.ledger.height + stakes.wait
    taken = stakes.slash(ALICE, 1, 4)
    assert taken == STAKE_GRAINS // 4 + TILE // 4
    assert value(stakes, CAROL, BOB) == 2 * TILE, "collected at the end"
    stakes.ledger.mine_to(until - 1)
    before = burned(stakes)
    stakes.ledger.mine()
    assert burned(stakes) - before == 2 * TILE // 4
    event = ("RedelegationSlashed", (CAROL.address, ALICE.address, BOB.address, 2 * TILE // 4))
    assert event in stakes.ledger.events()
    assert value(stakes, CAROL, BOB) == 2 * TILE - 2 * TILE // 4
    stakes.audit()


def test_stake_that_did_not_answer_any_more_loses_nothing(stakes: Stakes) -> None:
    assert stakes.delegate(CAROL, 3 * TILE) == stakes.move(CAROL, 2 * TILE) == ""
    until = stakes.ledger.height + stakes.wait
    stakes.to_next_epoch()
    stakes.slash(ALICE, 1, 4, height=stakes.ledger.height)
    before = burned(stakes)
    stakes.ledger.mine_to(until)
    assert burned(stakes) == before
    stakes.slash(ALICE, 1, 4, height=0)
    assert value(stakes, CAROL, BOB) == 2 * TILE
    assert stakes.ledger.tree.get(departure_key(ALICE.address, 0)) is None
    stakes.audit()


def test_leaving_the_second_validator_is_no_way_out(stakes: Stakes) -> None:
    assert stakes.delegate(CAROL, 2 * TILE) == stakes.move(CAROL, 2 * TILE) == ""
    until = stakes.ledger.height + stakes.wait
    assert stakes.undelegate(CAROL, TILE // 2, BOB) == ""
    assert stakes.undelegate(CAROL, TILE + TILE // 4, BOB) == ""
    stakes.slash(ALICE, 1, 2)
    before = burned(stakes)
    stakes.ledger.mine_to(until)
    assert burned(stakes) - before == TILE
    assert value(stakes, CAROL, BOB) == 0, "first what is staked"
    assert stakes.ledger.unbonding() == TILE, "then what is on its way out, of the oldest"
    stakes.ledger.mine()
    assert paid_out(stakes) == {}, "all of it was taken"
    stakes.ledger.mine()
    assert paid_out(stakes) == {CAROL.address: TILE}
    stakes.audit()


def test_stake_that_arrived_waits_for_its_liability_even_if_unbonding_becomes_shorter() -> None:
    stakes = Stakes(Ledger(quick(unbonding_blocks=60)))
    assert stakes.delegate(CAROL, TILE) == stakes.move(CAROL, TILE) == ""
    until = stakes.ledger.height + 60
    shorter = Governed((ParameterValue("staking.unbonding_blocks", 1),), (), Height(0), "", Height(0))
    stakes.ledger.put({state_key(Namespace.GOVERNED, b""): shorter.to_bytes()})
    assert stakes.wait < 60
    ((_, values),) = stakes.did(CAROL, StakeUndelegate(BOB.address, TILE))
    assert values[3] == until
    stakes.slash(ALICE, 1, 2)
    before = burned(stakes)
    stakes.ledger.mine_to(until)
    assert burned(stakes) - before == TILE // 2
    assert paid_out(stakes) == {CAROL.address: TILE // 2}
    stakes.audit()


def test_a_slash_of_both_takes_from_what_the_other_left(stakes: Stakes) -> None:
    assert stakes.delegate(CAROL, 2 * TILE) == stakes.move(CAROL, 2 * TILE) == ""
    until = stakes.ledger.height + stakes.wait
    stakes.slash(BOB, 3, 4)
    stakes.slash(ALICE, 1, 2)
    before = burned(stakes)
    stakes.ledger.mine_to(until)
    assert burned(stakes) - before == TILE // 2, "it owes one, and has a half"
    assert stakes.delegation(CAROL, BOB) is None
    stakes.audit()


def test_what_is_seized_from_others_pools_costs_the_others_nothing(stakes: Stakes) -> None:
    assert stakes.delegate(CAROL, 3_333) == stakes.delegate(DAVE, 7_777, BOB) == ""
    stakes.slash(BOB, 1, 3)
    held = value(stakes, DAVE, BOB)
    assert stakes.move(CAROL, 3_333) == ""
    until = stakes.ledger.height + stakes.wait
    stakes.slash(ALICE, 1, 7)
    stakes.ledger.mine_to(until)
    assert held <= value(stakes, DAVE, BOB) <= held + 1
    assert 3_333 - 3_333 // 7 - 2 <= value(stakes, CAROL, BOB) <= 3_333 - 3_333 // 7


# -- in any order -----------------------------------------------------------------------------------------------------

ACTS = st.tuples(
    st.sampled_from(("delegate", "undelegate", "move", "slash", "jail", "register", "wait", "epoch")),
    st.integers(0, 2),
    st.integers(0, 2),
    st.integers(0, 1 << 40) | st.integers(1_000, 20_000),
)


@settings(max_examples=25)
@given(st.lists(ACTS, max_size=25))
def test_no_grain_is_made_or_lost_whatever_happens(acts: list[tuple[str, int, int, int]]) -> None:
    """Every block is audited: each grain that leaves a stake is paid out or counted as destroyed."""
    stakes = Stakes()
    operators, stakers = (ALICE, BOB, ERIN), (CAROL, DAVE, FRANK)
    for what, who, where, amount in acts:
        operator, staker = operators[where], stakers[who]
        if what == "delegate":
            stakes.delegate(staker, amount, operator)
        elif what == "undelegate":
            held = stakes.delegation(staker, operator)
            stakes.undelegate(staker, amount % ((held.shares if held else 0) + 2), operator)
        elif what == "move":
            held = stakes.delegation(staker, operator)
            target = operators[(where + 1 + who % 2) % 3]
            stakes.move(staker, amount % ((held.shares if held else 0) + 2), operator, target)
        elif what == "slash":
            if stakes.ledger.tree.get(state_key(Namespace.VALIDATOR, operator.address)) is not None:
                part = (amount % 7, 1 + amount % 7)
                height = max(0, stakes.ledger.height - amount % 9)
                before, locked = burned(stakes), stakes.ledger.chain.locked_grains
                taken = stakes.slash(operator, *part, height=height)
                assert burned(stakes) - before >= taken
                assert locked - stakes.ledger.chain.locked_grains >= taken
        elif what == "jail":
            stakes.jail(operator, stakes.ledger.height + amount % 20, forever=not amount % 11)
        elif what == "register":
            stakes.send(operator, registration(MINIMUM))
        elif what == "wait":
            stakes.ledger.mine_to(stakes.ledger.height + amount % stakes.wait)
        else:
            stakes.to_next_epoch()
        stakes.audit()
    everything_out(stakes, stakers, operators)


def everything_out(
    stakes: Stakes, stakers: tuple[SigningKey, ...], operators: tuple[SigningKey, ...]
) -> None:
    """Everybody leaves; when all is paid, nothing is left of anybody."""
    stakes.ledger.mine_to(stakes.ledger.height + stakes.wait)
    for operator in operators:
        for staker in stakers:
            held = stakes.delegation(staker, operator)
            if held is not None:
                assert stakes.undelegate(staker, held.shares, operator) == ""
        assert stakes.ledger.pool(operator.address).staked_grains == 0
    stakes.ledger.mine_to(stakes.ledger.height + stakes.wait + 4)
    stakes.audit()
    assert stakes.ledger.unbonding() == 0
    for operator in operators:
        assert stakes.ledger.tree.get(state_key(Namespace.DEPARTURE, operator.address)) is None


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50)), min_size=2, max_size=5), st.randoms())
def test_the_order_of_slashes_changes_no_more_than_rounding(
    parts: list[tuple[int, int]], source: object
) -> None:
    def left(order: list[tuple[int, int]]) -> tuple[int, int, int]:
        stakes = Stakes()
        assert stakes.delegate(CAROL, 123_457) == stakes.undelegate(CAROL, 23_456) == ""
        transition = stakes.ledger.begin()
        taken = sum(slash(transition.context, ALICE.address, min(n, d), d, 0) for n, d in order)
        stakes.ledger.finish(transition)
        stakes.audit()
        pool = stakes.ledger.pool(ALICE.address)
        kept = (stakes.ledger.stake(ALICE.address), pool.staked_grains, stakes.ledger.unbonding())
        assert taken + sum(kept) == STAKE_GRAINS + 123_457, "exactly what is gone was destroyed"
        return kept

    other = list(parts)
    source.shuffle(other)  # type: ignore[attr-defined]
    for one, another in zip(left(parts), left(other), strict=True):
        assert abs(one - another) <= len(parts)
