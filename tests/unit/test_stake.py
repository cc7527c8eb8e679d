"""Taking stake out of a validator, and leaving the committees with it.  Spec: [STAKE-*]."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain.keys import SigningKey
from chain.ledger import MAX_VALIDATORS, Namespace, Validator, state_key
from chain.types import Grains
from genesis.spec import ChainSpec
from tests.builders import STAKE_GRAINS, TILE, Ledger, funded_spec, key, registration
from vm.kinds.batch import Batch, Operation
from vm.kinds.staking import StakeUndelegate
from vm.staking.unbonding import unbonding_blocks

ALICE, BOB, CAROL = key(0), key(1), key(6)
"""Alice and Bob validate from the start."""
MINIMUM = 1_000 * TILE


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


def withdraw(ledger: Ledger, who: SigningKey, shares: int, operator: SigningKey | None = None) -> str:
    """One block with one withdrawal; returns its code."""
    body = StakeUndelegate((operator or who).address, shares)
    (receipt,) = ledger.mine(ledger.sign(who, body))
    ledger.audit()
    return receipt.code


def register(ledger: Ledger, who: SigningKey, grains: int) -> str:
    (receipt,) = ledger.mine(ledger.sign(who, registration(grains)))
    ledger.audit()
    return receipt.code


def to_epoch(ledger: Ledger, epoch: int) -> dict[bytes, int]:
    """The weights of an epoch, at its first block."""
    ledger.mine_to(epoch * ledger.spec.pace.epoch_blocks)
    snapshot = ledger.weights(epoch)
    assert snapshot is not None
    ledger.audit()
    return {weight.address: weight.stake_grains for weight in snapshot.weights}


def record(ledger: Ledger, who: SigningKey) -> Validator | None:
    data = ledger.tree.get(state_key(Namespace.VALIDATOR, who.address))
    return Validator.from_bytes(data) if data is not None else None


def test_stake_comes_back_when_it_is_unbonded_and_not_a_block_earlier() -> None:
    ledger = Ledger(SPEC)
    assert withdraw(ledger, ALICE, 3 * TILE) == ""
    wait = unbonding_blocks(ledger.begin().context)
    before, locked = ledger.balance(ALICE), ledger.chain.locked_grains
    assert ledger.stake(ALICE.address) == STAKE_GRAINS - 3 * TILE
    ledger.mine_to(wait)
    assert ledger.balance(ALICE) == before
    assert ledger.chain.locked_grains == locked, "still counted"
    ledger.audit()
    ledger.mine()
    assert ledger.balance(ALICE) == before + 3 * TILE
    assert ledger.chain.locked_grains == locked - 3 * TILE
    assert ("Unbonded", (ALICE.address, 3 * TILE)) in ledger.events()
    ledger.audit()


def test_the_event_names_the_height_of_the_payment() -> None:
    ledger = Ledger(SPEC)
    (receipt,) = ledger.mine(ledger.sign(ALICE, StakeUndelegate(ALICE.address, TILE)))
    (started,) = receipt.events
    assert started.name == "UnbondingStarted"
    assert started.values[:3] == (ALICE.address, ALICE.address, TILE)
    ledger.mine_to(int(started.values[3]))
    assert ("Unbonded", (ALICE.address, TILE)) in ledger.events()


def test_a_frozen_weight_outlives_the_stake_and_is_gone_when_the_stake_is_back() -> None:
    ledger = Ledger(SPEC)
    assert to_epoch(ledger, 1)[ALICE.address] == STAKE_GRAINS
    assert withdraw(ledger, ALICE, STAKE_GRAINS) == ""
    first = ledger.height
    assert ALICE.address not in to_epoch(ledger, 2)
    assert ALICE.address in {w.address for w in ledger.weights(1).weights}  # type: ignore[union-attr]
    ledger.mine_to(first + unbonding_blocks(ledger.begin().context))
    assert ("Unbonded", (ALICE.address, STAKE_GRAINS)) in ledger.events()
    assert ledger.weights(0) is ledger.weights(1) is None, "no job can refer to them any more"


def test_the_constant_holds_where_it_is_longer_than_weights_are_kept() -> None:
    kept = unbonding_blocks(Ledger(SPEC).begin().context)
    voting = replace(SPEC, governance=replace(SPEC.governance, voting_blocks=100))
    assert unbonding_blocks(Ledger(voting).begin().context) == (100 // 4 + 2) * 4 > kept, "votes outlast jobs"
    longer = replace(SPEC, staking=replace(SPEC.staking, unbonding_blocks=kept + 3))
    ledger = Ledger(longer)
    assert withdraw(ledger, ALICE, TILE) == ""
    ledger.mine_to(kept + 3)
    assert ("Unbonded", (ALICE.address, TILE)) not in ledger.events()
    ledger.mine()
    assert ("Unbonded", (ALICE.address, TILE)) in ledger.events()


@pytest.mark.parametrize("shares", [0, STAKE_GRAINS + 1, (1 << 63) - 1])
def test_one_may_take_out_what_is_there(shares: int) -> None:
    ledger = Ledger(SPEC)
    assert withdraw(ledger, ALICE, shares) == "SHARES"
    assert withdraw(ledger, ALICE, STAKE_GRAINS) == ""
    assert withdraw(ledger, ALICE, 1) == "SHARES", "not twice"


def test_nobody_takes_out_what_is_not_theirs() -> None:
    ledger = Ledger(SPEC)
    assert withdraw(ledger, CAROL, TILE) == "SHARES", "no validator"
    assert withdraw(ledger, BOB, TILE, ALICE) == "SHARES"
    assert withdraw(ledger, CAROL, TILE, key(99)) == "SHARES", "nobody has heard of that one"


def test_too_little_stake_leaves_at_the_boundary_and_keeps_what_it_has() -> None:
    ledger = Ledger(SPEC)
    assert withdraw(ledger, ALICE, STAKE_GRAINS - MINIMUM) == ""
    assert to_epoch(ledger, 1)[ALICE.address] == MINIMUM, "the minimum is enough"
    assert withdraw(ledger, ALICE, 1) == ""
    assert ALICE.address not in to_epoch(ledger, 2)
    assert ("ValidatorLeft", (ALICE.address, MINIMUM - 1)) in ledger.events()
    held = record(ledger, ALICE)
    assert held is not None
    assert held.stake_grains == MINIMUM - 1
    assert withdraw(ledger, ALICE, MINIMUM - 2) == ""
    assert withdraw(ledger, ALICE, 1) == ""
    last = ledger.height
    assert to_epoch(ledger, 3) == {key(i).address: STAKE_GRAINS for i in range(1, 5)}
    ledger.mine_to(last + unbonding_blocks(ledger.begin().context) - 1)
    assert record(ledger, ALICE) is not None, "what left still answers for it"
    ledger.mine()
    assert record(ledger, ALICE) is None, "nothing is left, and nobody lists it"


def test_an_emptied_validator_leaves_at_the_boundary_and_is_forgotten_when_all_is_paid() -> None:
    ledger = Ledger(SPEC)
    assert withdraw(ledger, ALICE, STAKE_GRAINS) == ""
    assert record(ledger, ALICE) is not None, "the list still has it"
    paid = ledger.height + unbonding_blocks(ledger.begin().context)
    assert ALICE.address not in to_epoch(ledger, 1)
    assert ledger.events().count(("ValidatorLeft", (ALICE.address, 0))) == 1
    ledger.mine_to(paid)
    ledger.audit()
    assert record(ledger, ALICE) is None


def test_coming_back_before_and_after_the_boundary() -> None:
    ledger = Ledger(SPEC)
    assert withdraw(ledger, ALICE, STAKE_GRAINS) == withdraw(ledger, BOB, STAKE_GRAINS - 7) == ""
    assert register(ledger, ALICE, MINIMUM) == ""
    assert record(ledger, ALICE).registered_height == 0  # type: ignore[union-attr]
    assert to_epoch(ledger, 1).keys() == {key(i).address for i in (0, 2, 3, 4)}
    assert register(ledger, BOB, MINIMUM - 8) == "MIN_STAKE", "with the seven that are left"
    assert register(ledger, BOB, MINIMUM - 7) == ""
    assert record(ledger, BOB).registered_height == ledger.height  # type: ignore[union-attr]
    assert to_epoch(ledger, 2)[BOB.address] == MINIMUM


def test_a_place_that_was_left_is_free() -> None:
    founders = tuple(range(100, 100 + MAX_VALIDATORS))
    spec = funded_spec(validators=founders)
    rich = replace(spec.validators[0], stake_grains=Grains(MINIMUM + 1))
    few = tuple(replace(v, stake_grains=Grains(MINIMUM)) for v in spec.validators[1:])
    ledger = Ledger(replace(SPEC, validators=(rich, *few), allocations=spec.allocations))
    leaver = key(100)
    ledger.mine(ledger.transfer(CAROL, leaver.address, TILE))
    assert ledger.mine(ledger.sign(leaver, StakeUndelegate(leaver.address, 2)))[0].code == ""
    assert ledger.mine(ledger.sign(CAROL, registration(MINIMUM)))[0].code == "VALIDATORS_FULL"
    ledger.mine_to(4)
    assert ledger.mine(ledger.sign(CAROL, registration(MINIMUM)))[0].code == ""
    assert ledger.mine(ledger.sign(leaver, registration(1)))[0].code == "VALIDATORS_FULL"


def test_a_chain_goes_on_without_any_validator() -> None:
    ledger = Ledger(SPEC)
    everybody = [ledger.sign(key(i), StakeUndelegate(key(i).address, STAKE_GRAINS)) for i in range(5)]
    assert [receipt.code for receipt in ledger.mine(*everybody)] == [""] * 5
    assert to_epoch(ledger, 1) == {}
    ledger.mine_to(ledger.height + unbonding_blocks(ledger.begin().context))
    assert ledger.chain.locked_grains == 0
    assert register(ledger, CAROL, MINIMUM) == ""


def test_several_withdrawals_in_one_batch_and_one_too_many() -> None:
    ledger = Ledger(SPEC)
    half = Operation("stake.undelegate", StakeUndelegate(ALICE.address, STAKE_GRAINS // 2))
    (receipt,) = ledger.mine(ledger.sign(ALICE, Batch((half, half, half))))
    assert receipt.code == "BATCH(2,SHARES)"
    ledger.audit()
    (receipt,) = ledger.mine(ledger.sign(ALICE, Batch((half, half))))
    assert receipt.code == ""
    ledger.audit()
    assert ledger.unbonding() == STAKE_GRAINS


def test_undo_and_redo_over_withdrawal_departure_and_payment() -> None:
    ledger, again = Ledger(SPEC), Ledger(SPEC)
    for each in (ledger, again):
        withdraw(each, ALICE, STAKE_GRAINS)
        withdraw(each, BOB, STAKE_GRAINS - 1)
    roots, parents = [ledger.tree.root], [ledger.parent]
    for _ in range(unbonding_blocks(ledger.begin().context) + 4):
        ledger.mine()
        roots.append(ledger.tree.root)
        parents.append(ledger.parent)
    for root, parent in zip(reversed(roots[:-1]), reversed(parents[:-1]), strict=True):
        ledger.undo()
        ledger.parent = parent
        assert ledger.tree.root == root
    for root in roots[1:]:
        ledger.mine()
        again.mine()
        assert ledger.tree.root == again.tree.root == root
