"""Permits on datasets, and the jobs that need them.  Spec: [ASSET-PERMIT], [JOB-DATA]."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain.tensors import DType
from chain.types import Grains, Hash32, Height, PermitId
from tests.asset_cases import AUTHOR, BUYER, VALIDATOR, new_version, offered, parent, purchase, root
from tests.builders import TILE
from tests.provider_cases import INT8, SELLER, Fair, permission, revocation
from vm.assets.limits import PERMIT_DEPOSIT_GRAINS, SLOTS
from vm.assets.permits import program_digest
from vm.assets.record import AssetType
from vm.jobs import money
from vm.jobs.record import Status
from vm.kinds.assets import AssetTransfer
from vm.kinds.jobs import OPEN


@pytest.fixture
def fair() -> Fair:
    return Fair()


# -- setting and ending -----------------------------------------------------------------------------------------------


def test_a_deposit_is_locked_until_the_permit_expires(fair: Fair) -> None:
    asset = fair.dataset()
    assert fair.cost(AUTHOR, permission(asset, expiry=Height(5))) == PERMIT_DEPOSIT_GRAINS == TILE // 10
    assert fair.holding(asset).permits == 1
    before = fair.ledger.balance(AUTHOR)
    fair.ledger.mine_to(5)
    assert (fair.ledger.balance(AUTHOR), fair.holding(asset).permits) == (before, 1)
    fair.ledger.audit()
    fair.ledger.mine()
    assert fair.ledger.balance(AUTHOR) == before + PERMIT_DEPOSIT_GRAINS
    assert fair.holding(asset).permits == 0
    assert "PermitEnded" in [name for name, _ in fair.ledger.events()]
    fair.ledger.audit()


def test_a_permit_holds_in_the_next_block_at_least(fair: Fair) -> None:
    asset = fair.dataset()
    assert fair.send(AUTHOR, permission(asset, expiry=Height(2))) == "EXPIRY"
    assert fair.send(AUTHOR, permission(asset, expiry=Height(4))) == ""


def test_the_deposit_goes_to_whoever_locked_it(fair: Fair) -> None:
    asset, permit = fair.permitted(expiry=Height(6))
    assert fair.send(AUTHOR, AssetTransfer(asset, BUYER.address)) == ""
    assert fair.send(AUTHOR, revocation(asset, permit)) == "NOT_OWNER"
    assert fair.did(BUYER, revocation(asset, permit)) == ["PermitRevoked"]
    before = fair.ledger.balance(AUTHOR)
    fair.ledger.mine_to(7)
    assert fair.ledger.balance(AUTHOR) == before + PERMIT_DEPOSIT_GRAINS
    fair.ledger.audit()


def test_a_revoked_permit_guards_until_it_expires(fair: Fair) -> None:
    asset, permit = fair.permitted(expiry=Height(8))
    assert fair.cost(AUTHOR, revocation(asset, permit)) == 0
    assert fair.order(permit=permit) == "PERMIT"
    assert fair.order() == "NO_GRANT"
    fair.ledger.mine_to(9)
    assert fair.order(permit=permit) == "PERMIT"
    assert fair.order() == ""


@pytest.mark.parametrize(
    "changes", [{"max_runs": 0}, {"code": ()}, {"permit": "own"}, {"permit": "own", "code": ()}]
)
def test_forms_that_mean_nothing(fair: Fair, changes: dict[str, object]) -> None:
    asset, permit = fair.permitted()
    if changes.get("permit") == "own":
        changes = changes | {"permit": permit}
    assert fair.send(AUTHOR, permission(asset, **changes)) == "FORM"


def test_only_a_permit_on_the_named_dataset_can_be_revoked(fair: Fair) -> None:
    asset, permit = fair.permitted()
    other = fair.publish(AUTHOR, "other", type=AssetType.DATASET)
    assert fair.send(AUTHOR, revocation(other, permit)) == "NOT_FOUND"
    assert fair.send(AUTHOR, revocation(asset, PermitId(root("none")))) == "NOT_FOUND"
    assert fair.send(AUTHOR, revocation(asset, permit)) == ""


# -- who may be given guarded data ------------------------------------------------------------------------------------


def test_data_is_free_until_its_owner_guards_it(fair: Fair) -> None:
    asset = fair.dataset()
    assert fair.order() == ""
    fair.permit(asset)
    assert fair.order() == "NO_GRANT"


def test_the_owner_needs_nothing(fair: Fair) -> None:
    asset, _ = fair.permitted()
    assert fair.order(by=AUTHOR) == ""
    assert fair.send(AUTHOR, AssetTransfer(asset, BUYER.address)) == ""
    assert fair.order(by=AUTHOR) == "NO_GRANT"
    assert fair.order(by=BUYER) == ""


def test_a_good_grant_in_the_named_slot_suffices(fair: Fair) -> None:
    asset, _ = fair.permitted()
    assert fair.send(AUTHOR, offered(asset, slot=3, period_blocks=5)) == ""
    assert fair.send(BUYER, purchase(asset, slot=3)) == ""
    end = fair.grant(asset, 3).expiry
    assert fair.order(slot=SLOTS) == "NO_GRANT"
    assert fair.order(slot=2) == "NO_GRANT"
    assert fair.order(slot=3) == ""
    assert fair.order(by=SELLER, slot=3) == "NO_GRANT"
    fair.ledger.mine_to(end - 1)
    assert fair.order(slot=3) == ""
    assert fair.order(slot=3) == "NO_GRANT"


def test_every_version_is_guarded(fair: Fair) -> None:
    asset = fair.publish(type=AssetType.DATASET)
    content = Hash32(fair.case().product.input_roots[1])
    assert fair.send(AUTHOR, replace(new_version(asset), content_root=content)) == ""
    fair.permit(asset)
    assert fair.order() == "NO_GRANT"


def test_a_permit_covers_its_own_dataset_only(fair: Fair) -> None:
    _, permit = fair.permitted()
    second = Hash32(fair.case().product.input_roots[1])
    other = fair.publish(AUTHOR, type=AssetType.DATASET, content_root=second)
    assert fair.order(permit=permit) == ""
    third = fair.permit(other)
    assert fair.order(permit=permit) == "NO_GRANT"
    assert fair.order(permit=third) == "NO_GRANT"
    assert fair.send(AUTHOR, offered(other)) == ""
    assert fair.send(BUYER, purchase(other)) == ""
    assert fair.order(permit=permit, slot=0) == ""


def test_a_permit_that_is_not_needed_is_not_used(fair: Fair) -> None:
    asset, permit = fair.permitted()
    assert fair.order(by=AUTHOR, permit=permit) == "PERMIT"
    roots = (fair.case().product.input_roots[1],) * 2
    assert fair.order(permit=permit, input_roots=roots) == "PERMIT"
    assert fair.holding(asset).permits == 1


# -- what a permit asks -----------------------------------------------------------------------------------------------


def test_the_grantee_alone(fair: Fair) -> None:
    _, permit = fair.permitted(grantee=BUYER.address)
    assert fair.order(by=SELLER, permit=permit) == "PERMIT"
    assert fair.order(permit=permit) == ""


def test_the_program_or_an_asset_that_published_it(fair: Fair) -> None:
    digest = program_digest(fair.case().product.program)
    code = fair.publish(VALIDATOR, "code", type=AssetType.CODE)
    asset = fair.dataset()
    permit = fair.permit(asset, code=(root("else"), Hash32(code)))
    assert fair.order(permit=permit) == "PERMIT"
    assert fair.send(VALIDATOR, replace(new_version(code), content_root=digest)) == ""
    assert fair.order(permit=permit) == ""
    child = fair.publish(SELLER, "child", parent(code), type=AssetType.CODE)
    other = fair.permit(asset, code=(Hash32(child),))
    assert fair.order(permit=other) == "PERMIT"


def test_the_chosen_provider(fair: Fair) -> None:
    _, permit = fair.permitted(providers=(AUTHOR.address, SELLER.address))
    assert fair.order(permit=permit, provider=VALIDATOR.address) == "PERMIT"
    assert fair.order(permit=permit, provider=SELLER.address) == ""
    case = fair.case().open(permit=permit)
    assert case.do(VALIDATOR, case.claim_body()) == "PERMIT"
    case.claim()
    fair.ledger.audit()


def test_the_bond(fair: Fair) -> None:
    case = fair.case()
    body = case.open_body()
    rules = fair.ledger.spec.jobs
    shape = OPEN.act(fair.ledger.begin().context, None, body).shape  # type: ignore[arg-type]
    bond = money.bond(rules, sum(money.escrow(rules, shape, body.price_per_gmac_grains)))
    asset, enough = fair.permitted(min_bond_grains=Grains(bond))
    more = fair.permit(asset, min_bond_grains=Grains(bond + 1))
    assert fair.order(permit=more) == "PERMIT"
    case.open(permit=enough).claim()
    assert case.now.bond_grains == bond


def test_the_class_of_the_provider(fair: Fair) -> None:
    _, permit = fair.permitted(dtype=int(DType.INT8))
    assert fair.order(permit=permit, provider=SELLER.address) == "PERMIT"
    case = fair.case().open(permit=permit)
    assert case.do(SELLER, case.claim_body()) == "PERMIT"
    fair.register(classes=(replace(INT8, dtype=DType.INT32),))
    assert case.do(SELLER, case.claim_body()) == "PERMIT"
    fair.register(VALIDATOR, classes=(replace(INT8, dtype=DType.INT32), INT8))
    assert case.do(VALIDATOR, case.claim_body()) == ""


# -- runs -------------------------------------------------------------------------------------------------------------


def test_runs_count_when_they_are_claimed(fair: Fair) -> None:
    _, permit = fair.permitted(max_runs=2)
    cases = [fair.case().open(permit=permit) for _ in range(3)]
    assert cases[0].cancel() == ""
    one, two = cases[1:]
    three = fair.case().open(permit=permit)
    (receipt,) = fair.ledger.mine(fair.ledger.sign(SELLER, one.claim_body()))
    assert [event.name for event in receipt.events] == ["JobClaimed", "PermitUsed"]
    assert receipt.events[1].values == (permit, one.job_id, 1)
    assert fair.order(permit=permit) == ""
    two.claim()
    assert three.do(SELLER, three.claim_body()) == "PERMIT"
    assert fair.order(permit=permit) == "PERMIT"
    found = fair.found(permit)
    assert found is not None
    assert found.runs == 2
    fair.ledger.audit()


def test_a_job_whose_permit_has_ended_is_not_claimed(fair: Fair) -> None:
    asset, permit = fair.permitted(expiry=Height(7))
    one, two, three = (fair.case().open(permit=permit) for _ in range(3))
    assert fair.ledger.height == 5
    one.claim()
    assert two.do(SELLER, two.claim_body()) == "PERMIT"
    other = fair.permit(asset)
    assert fair.ledger.height == 8
    assert three.do(SELLER, three.claim_body()) == "PERMIT"
    assert fair.found(other) is not None
    assert two.status is Status.OPEN


def test_the_last_block_of_a_permit(fair: Fair) -> None:
    _, permit = fair.permitted(expiry=Height(6), max_runs=9)
    one, two = fair.case().open(permit=permit), fair.case().open(permit=permit)
    fair.ledger.mine_to(5)
    one.claim()
    assert two.do(SELLER, two.claim_body()) == "PERMIT"
    fair.ledger.audit()


def test_look_ups_weigh(fair: Fair) -> None:
    body = fair.case().open_body()
    permit = PermitId(root("permit"))
    roots = body.input_roots * 8
    assert OPEN.weight_of(body) == 4
    assert OPEN.weight_of(replace(body, permit=permit)) == 5
    assert OPEN.weight_of(replace(body, input_roots=roots[:3])) == 5
    assert OPEN.weight_of(replace(body, input_roots=roots)) == 11
