"""Becoming a validator on terms, announcing others, going to jail and coming back.  Spec: [STAKE-*]."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain.keys import SigningKey
from chain.ledger import Announcement, Governed, Namespace, ParameterValue, state_key
from chain.types import Grains, Height
from tests.builders import STAKE_GRAINS, TILE, Ledger, registration
from tests.staking_cases import (
    ALICE,
    BOB,
    CAROL,
    DAVE,
    MINIMUM,
    NOTHING,
    STAKE_FAILURES,
    Stakes,
    full,
    quick,
    updated,
)
from vm.kinds.operators import REGISTER, StakeUnjail
from vm.kinds.staking import StakeClaim, StakeDelegate, StakeUndelegate

META = bytes(31) + b"\7"


@pytest.fixture
def stakes() -> Stakes:
    return Stakes()


def earn(stakes: Stakes, grains: int) -> None:
    """Newly minted grains go into the stakers' pool, and out of it at the next boundary."""
    ledger = stakes.ledger
    chain = ledger.chain
    more = replace(
        chain,
        minted_grains=Grains(chain.minted_grains + grains),
        staker_pool_grains=Grains(chain.staker_pool_grains + grains),
    )
    ledger.put({state_key(Namespace.CHAIN, b""): more.to_bytes()})
    stakes.to_next_epoch()


def claimed(stakes: Stakes, who: SigningKey, operator: SigningKey) -> int:
    ((_, values),) = stakes.did(who, StakeClaim(operator.address))
    return int(values[2])


@pytest.mark.parametrize(("kind", "code"), STAKE_FAILURES)
def test_every_failure_pays_its_fee_and_nothing_else(stakes: Stakes, kind: str, code: str) -> None:
    assert STAKE_FAILURES[kind, code](stakes) == code, kind


# -- terms ------------------------------------------------------------------------------------------------------------


def test_a_new_validator_says_what_it_takes(stakes: Stakes) -> None:
    rules = stakes.ledger.spec.staking
    most, fastest = rules.commission_cap_bp, rules.commission_change_bp
    assert stakes.send(CAROL, registration(MINIMUM, max_change_bp=fastest + 1)) == "COMMISSION"
    body = registration(MINIMUM, commission_bp=most, max_change_bp=fastest, meta_root=META)
    assert stakes.send(CAROL, body) == ""
    held = stakes.record(CAROL)
    assert (held.commission_bp, held.max_change_bp, held.meta_root) == (most, fastest, META)
    assert (held.announced, held.jailed, held.public_key) == ((), False, CAROL.public_key)


def test_a_validator_that_registers_again_only_adds_to_its_stake(stakes: Stakes) -> None:
    other = registration(TILE, commission_bp=9_000, max_change_bp=9_000, meta_root=META)
    before = stakes.record(ALICE)
    assert stakes.send(ALICE, other) == ""
    assert stakes.record(ALICE) == replace(before, stake_grains=Grains(STAKE_GRAINS + TILE))


def test_leaving_and_coming_back_is_no_way_to_other_terms(stakes: Stakes) -> None:
    """Those who stake with it would be surprised."""
    assert stakes.delegate(CAROL, TILE) == ""
    assert stakes.undelegate(ALICE, STAKE_GRAINS) == ""
    stakes.ledger.mine_to(stakes.ledger.height + stakes.wait + 4)
    assert not stakes.listed(ALICE)
    assert stakes.send(ALICE, registration(MINIMUM, commission_bp=5_000)) == ""
    held = stakes.record(ALICE)
    assert (held.commission_bp, held.registered_height) == (1_000, stakes.ledger.height)
    assert stakes.undelegate(CAROL, TILE) == stakes.undelegate(ALICE, MINIMUM) == ""
    stakes.ledger.mine_to(stakes.ledger.height + stakes.wait + 4)
    assert stakes.send(ALICE, registration(MINIMUM, commission_bp=5_000)) == ""
    assert stakes.record(ALICE).commission_bp == 5_000, "nobody was there to be surprised"


def test_no_session_key_becomes_the_key_of_a_validator() -> None:
    assert REGISTER.owner_only


def test_founders_take_what_is_usual_or_the_cap() -> None:
    assert Stakes().record(ALICE).commission_bp == 1_000
    assert Stakes().record(ALICE).max_change_bp == 100
    assert Stakes(Ledger(quick(commission_cap_bp=300))).record(ALICE).commission_bp == 300


# -- changes of terms -------------------------------------------------------------------------------------------------


def test_another_commission_holds_after_the_notice(stakes: Stakes) -> None:
    notice = stakes.ledger.spec.staking.notice_blocks
    (announced,) = stakes.did(ALICE, updated(1_100, 50))
    height = stakes.ledger.height + notice
    assert announced == ("OperatorAnnounced", (ALICE.address, 1_100, 50, height))
    assert stakes.record(ALICE).announced == (Announcement(1_100, 50, Height(height)),)
    stakes.ledger.mine_to(height - 1)
    assert (stakes.record(ALICE).commission_bp, stakes.record(ALICE).max_change_bp) == (1_000, 100)
    assert stakes.send(ALICE, updated(1_150, 50)) == "", "the step of this block came first"
    assert ("OperatorUpdated", (ALICE.address, 1_100, 50, NOTHING)) in stakes.ledger.events()
    assert (stakes.record(ALICE).commission_bp, stakes.record(ALICE).max_change_bp) == (1_100, 50)
    assert stakes.record(ALICE).announced == (Announcement(1_150, 50, Height(height + notice)),)


def test_meanwhile_earnings_are_shared_on_the_old_terms() -> None:
    stakes = Stakes(Ledger(quick(notice_blocks=8)))
    assert stakes.delegate(CAROL, STAKE_GRAINS) == ""
    stakes.to_next_epoch()
    assert stakes.send(ALICE, updated(0)) == ""
    earn(stakes, 60 * TILE)  # Alice and Carol have 20,000 of 60,000
    assert claimed(stakes, ALICE, ALICE) == 11 * TILE
    stakes.to_next_epoch()
    earn(stakes, 60 * TILE)
    assert claimed(stakes, ALICE, ALICE) == 10 * TILE, "it keeps nothing of what others earn"


def test_a_commission_rises_step_by_step_and_falls_at_will(stakes: Stakes) -> None:
    notice = stakes.ledger.spec.staking.notice_blocks
    assert stakes.send(ALICE, updated(1_101)) == "CHANGE_RATE"
    assert stakes.send(ALICE, updated(1_000, 101)) == "COMMISSION"
    assert stakes.send(ALICE, updated(0, 10)) == ""
    stakes.ledger.mine_to(stakes.ledger.height + notice)
    assert stakes.send(ALICE, updated(11, 10)) == "CHANGE_RATE", "its own promise binds it"
    assert stakes.send(ALICE, updated(10, 100)) == ""
    stakes.ledger.mine_to(stakes.ledger.height + notice)
    assert stakes.send(ALICE, updated(110, 100)) == ""


def test_what_governance_allows_binds_whatever_was_declared(stakes: Stakes) -> None:
    assert stakes.delegate(CAROL, STAKE_GRAINS) == ""
    govern(stakes, commission_cap_bp=500, commission_change_bp=20)
    assert stakes.send(ALICE, updated(501, 20)) == "COMMISSION"
    assert stakes.send(ALICE, updated(500, 21)) == "COMMISSION"
    stakes.to_next_epoch()
    earn(stakes, 60 * TILE)
    assert claimed(stakes, ALICE, ALICE) == 10 * TILE + TILE // 2, "a cap binds at once"
    govern(stakes, commission_change_bp=20)
    assert stakes.send(ALICE, updated(1_021, 20)) == "CHANGE_RATE"


def govern(stakes: Stakes, **values: int) -> None:
    """Constants of staking change from the next block on."""
    changed = tuple(ParameterValue(f"staking.{name}", value) for name, value in sorted(values.items()))
    governed = Governed(changed, (), Height(0), "", Height(0))
    stakes.ledger.put({state_key(Namespace.GOVERNED, b""): governed.to_bytes()})


def test_what_it_says_about_itself_changes_at_once_and_any_time(stakes: Stakes) -> None:
    assert stakes.send(ALICE, updated(1_050)) == ""
    (event,) = stakes.did(ALICE, updated(1_000, 100, META))
    assert event == ("OperatorUpdated", (ALICE.address, 1_000, 100, META))
    assert stakes.record(ALICE).announced, "the announcement stands"
    assert stakes.did(ALICE, updated(1_000, 100, META)) == [], "nothing is different"


def test_whoever_is_gone_when_the_notice_ends_has_announced_nothing() -> None:
    stakes = Stakes(Ledger(quick(notice_blocks=60)))
    assert stakes.send(ALICE, updated(1_050)) == ""
    height = stakes.ledger.height + 60
    assert stakes.undelegate(ALICE, STAKE_GRAINS) == ""
    stakes.ledger.mine_to(stakes.ledger.height + stakes.wait + 4)
    assert stakes.send(ALICE, registration(MINIMUM, commission_bp=7)) == ""
    assert stakes.send(ALICE, updated(8)) == ""
    assert stakes.ledger.height < height
    stakes.ledger.mine_to(height)
    assert stakes.record(ALICE).commission_bp == 7, "nor has it been told of the new ones for long enough"
    stakes.ledger.mine_to(stakes.record(ALICE).announced[0].height)
    assert stakes.record(ALICE).commission_bp == 8


# -- jail -------------------------------------------------------------------------------------------------------------


def test_jail_ends_membership_at_the_boundary_until_one_asks_to_return(stakes: Stakes) -> None:
    stakes.jail(ALICE, 9)
    assert ("Jailed", (ALICE.address, 9, 0)) in stakes.ledger.events()
    assert stakes.listed(ALICE), "weights are frozen"
    stakes.to_next_epoch()
    assert ("ValidatorLeft", (ALICE.address, STAKE_GRAINS)) in stakes.ledger.events()
    assert not stakes.listed(ALICE)
    stakes.ledger.mine_to(7)
    assert stakes.send(ALICE, StakeUnjail()) == "JAILED"
    stakes.to_next_epoch()
    assert not stakes.listed(ALICE), "time alone does not bring it back"
    assert stakes.did(ALICE, StakeUnjail()) == [("Unjailed", (ALICE.address,))]
    assert stakes.record(ALICE).registered_height == 0
    stakes.to_next_epoch()
    assert stakes.listed(ALICE)


def test_a_jail_that_is_over_before_the_boundary_changes_no_weight(stakes: Stakes) -> None:
    stakes.jail(ALICE, 2)
    assert stakes.send(ALICE, StakeUnjail()) == ""
    stakes.to_next_epoch()
    assert stakes.listed(ALICE)
    snapshot = stakes.ledger.weights(1)
    assert snapshot is not None
    assert len(snapshot.weights) == 5, "once"


def test_another_sentence_is_never_shorter(stakes: Stakes) -> None:
    stakes.jail(ALICE, 50)
    stakes.jail(ALICE, 40)
    assert stakes.record(ALICE).jailed_until == 50
    stakes.jail(ALICE, 60, forever=True)
    stakes.jail(ALICE, 70)
    assert (stakes.record(ALICE).jailed_until, stakes.record(ALICE).tombstoned) == (70, 1)


def test_nobody_buys_its_way_out_of_jail(stakes: Stakes) -> None:
    """Neither by adding to the stake nor by taking all of it out and registering anew."""
    stakes.jail(ALICE, 1_000)
    stakes.to_next_epoch()
    assert stakes.did(ALICE, registration(TILE)) == [("StakeAdded", (ALICE.address, STAKE_GRAINS + TILE))]
    stakes.to_next_epoch()
    assert not stakes.listed(ALICE)
    assert stakes.undelegate(ALICE, STAKE_GRAINS + TILE) == ""
    stakes.ledger.mine_to(stakes.ledger.height + stakes.wait + 4)
    assert stakes.record(ALICE).jailed_until == 1_000
    assert stakes.send(ALICE, registration(MINIMUM)) == ""
    stakes.to_next_epoch()
    assert not stakes.listed(ALICE)


def test_in_jail_for_ever(stakes: Stakes) -> None:
    stakes.jail(ALICE, 0, forever=True)
    stakes.to_next_epoch()
    assert not stakes.listed(ALICE)
    assert stakes.record(ALICE).jailed
    assert stakes.undelegate(ALICE, STAKE_GRAINS) == "", "what is left of the stake can go"
    assert stakes.send(ALICE, registration(MINIMUM)) == "TOMBSTONED"


def test_a_place_on_a_full_list_counts_only_for_those_who_left_it(stakes: Stakes) -> None:
    stakes = full(stakes)
    stakes.jail(ALICE, 1)
    assert stakes.send(ALICE, StakeUnjail()) == "", "it still has its place"
    stakes.jail(ALICE, 3)
    stakes.to_next_epoch()
    assert stakes.send(ALICE, registration(1)) == "", "it takes no place before it is out"
    assert stakes.send(CAROL, registration(MINIMUM)) == ""
    assert stakes.send(ALICE, registration(1)) == ""
    assert stakes.send(ALICE, StakeUnjail()) == "VALIDATORS_FULL"


def test_stake_stays_with_a_jailed_validator_and_earns_nothing(stakes: Stakes) -> None:
    assert stakes.delegate(CAROL, TILE) == ""
    stakes.jail(ALICE, 1_000)
    assert stakes.send(DAVE, StakeDelegate(ALICE.address, Grains(TILE))) == "JAILED"
    earn(stakes, 60 * TILE)
    assert stakes.send(CAROL, StakeClaim(ALICE.address)) == "NO_REWARD"
    assert stakes.move(CAROL, TILE // 2) == stakes.send(CAROL, StakeUndelegate(ALICE.address, 1)) == ""
    assert stakes.delegation(CAROL, BOB) is not None
