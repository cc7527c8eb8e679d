"""Publishing, lineage, versions, passing on, retiring, attesting.  Spec: [ASSET-*]."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain.ledger import Namespace, state_key
from chain.types import NO_PERMIT, Grains, JobId, TensorRoot
from tests.asset_cases import (
    ASSET_FAILURES,
    AUTHOR,
    BUYER,
    OTHER,
    VALIDATOR,
    Market,
    new_version,
    offered,
    parent,
    publication,
    purchase,
    rating,
    root,
    too_deep,
)
from tests.builders import TILE
from tests.cases import Product
from vm.assets.limits import DEPOSIT_GRAINS, SLOTS
from vm.assets.opinion import Opinion, OpinionKind, opinion_key
from vm.assets.record import AssetType, Derivatives, Royalty, Version, find_version, version_key
from vm.jobs.record import Status, new_job
from vm.kinds.assets import AssetClaim, AssetRetire, AssetTransfer


@pytest.fixture
def market() -> Market:
    return Market()


@pytest.mark.parametrize(("kind", "code"), ASSET_FAILURES)
def test_every_code_of_an_asset_kind(kind: str, code: str, market: Market) -> None:
    assert ASSET_FAILURES[kind, code](market) == code
    market.ledger.audit()


# -- publishing -----------------------------------------------------------------------------------------------------


def test_publishing_locks_the_deposit(market: Market) -> None:
    assert market.cost(AUTHOR, publication("first")) == DEPOSIT_GRAINS == TILE
    assert market.ledger.chain.locked_grains == 5 * 10_000 * TILE + TILE
    market.ledger.audit()


def test_what_is_published_is_what_was_said(market: Market) -> None:
    asset = market.publish(type=AssetType.DATASET, title="Größe 😀")
    facts, holding = market.facts(asset), market.holding(asset)
    assert (facts.type, facts.title, facts.publisher, facts.number) == (
        AssetType.DATASET,
        "Größe 😀",
        AUTHOR.address,
        0,
    )
    assert (holding.owner, holding.versions, holding.retired) == (AUTHOR.address, 1, 0)
    assert market.facts(market.publish(OTHER, "next")).number == 1


def test_events_of_a_descendant(market: Market) -> None:
    one, two = market.publish(), market.publish(OTHER, "second")
    named = market.did(AUTHOR, publication("child", parent(one), parent(two)))
    assert named == ["AssetPublished", "LineageAdded", "LineageAdded"]


def test_undo_and_redo_are_the_same(market: Market) -> None:
    ledger = market.ledger
    before = ledger.tree.root
    market.publish()
    after, undo = ledger.tree.root, ledger.undos[-1]
    redo = {place: ledger.tree.get(place) for place in undo}
    ledger.undo()
    assert ledger.tree.root == before
    ledger.put(redo)
    assert ledger.tree.root == after


# -- lineage --------------------------------------------------------------------------------------------------------


def test_the_table_of_a_grandchild(market: Market) -> None:
    first = market.publish()
    second = market.publish(AUTHOR, 2, parent(first, 1_000))
    third = market.publish(OTHER, 3, parent(second, 2_000))
    assert market.facts(third).royalties == (Royalty(second, 1_800), Royalty(first, 200))
    assert market.facts(third).depth == 2


def test_remainders_of_a_table_stay_with_the_nearer_parent(market: Market) -> None:
    first = market.publish()
    second = market.publish(AUTHOR, 2, parent(first, 3_333))
    third = market.publish(OTHER, 3, parent(second, 1_001))
    assert market.facts(third).royalties == (Royalty(second, 668), Royalty(first, 333))


def test_the_order_of_a_table(market: Market) -> None:
    """A parent before its own payees, in the order in which it has them, and each where it comes first."""
    first, second = market.publish(OTHER, 1), market.publish(OTHER, 2)
    third = market.publish(OTHER, 3, parent(second, 1_000), parent(first, 1_000))
    fourth = market.publish(OTHER, 4, parent(first, 1_000))
    last = market.publish(OTHER, 5, parent(third, 1_000), parent(fourth, 1_000))
    assert [royalty.asset for royalty in market.facts(last).royalties] == [third, second, first, fourth]


def test_a_share_of_nothing_is_left_out_and_one_asset_has_one_row(market: Market) -> None:
    first = market.publish()
    second = market.publish(AUTHOR, 2, parent(first, 100))
    third = market.publish(OTHER, 3, parent(second, 5), parent(first, 7))
    assert market.facts(third).royalties == (Royalty(second, 5), Royalty(first, 7))
    fourth = market.publish(OTHER, 4, parent(second, 1_000), parent(first, 7))
    assert market.facts(fourth).royalties == (Royalty(second, 990), Royalty(first, 17))
    assert market.facts(market.publish(OTHER, 5, parent(first, 0))).royalties == ()


def test_parents_together_take_half_at_most(market: Market) -> None:
    one, two = market.publish(), market.publish(OTHER, "second")
    assert market.send(BUYER, publication("a", parent(one, 2_500), parent(two, 2_501))) == "SHARE"
    assert market.send(BUYER, publication("a", parent(one, 2_500), parent(two, 2_500))) == ""


def test_sixteen_generations_and_no_more(market: Market) -> None:
    assert too_deep(market) == "LINEAGE"
    market.ledger.audit()


def test_thirty_two_payees_and_no_more(market: Market) -> None:
    families = []
    for family in range(4):
        roots = [market.publish(AUTHOR, (family, place)) for place in range(8)]
        families.append(market.publish(AUTHOR, family, *[parent(each, 600) for each in roots]))
    three = [parent(each, 1_000) for each in families[:3]]
    ones = [market.publish(AUTHOR, ("one", place)) for place in range(5)]
    fits = market.publish(OTHER, "fits", *three, *[parent(each, 1) for each in ones])
    assert len(market.facts(fits).royalties) == 3 * 9 + 5 == 32
    two = parent(market.publish(AUTHOR, "two", parent(market.publish(AUTHOR, "root"), 600)), 100)
    one_more = publication("33 payees", *three, two, *[parent(each, 1) for each in ones[:4]])
    assert market.send(OTHER, one_more) == "LINEAGE"
    four = [parent(each, 1_000) for each in families]
    assert market.send(OTHER, publication("too many", *four)) == "LINEAGE"


def test_a_retired_parent_has_no_more_descendants(market: Market) -> None:
    assert market.send(OTHER, publication("child", parent(market.retired()))) == "LICENCE"


def test_the_minimum_of_a_parent_suffices(market: Market) -> None:
    asset = market.publish(min_derivative_share_bp=500)
    assert market.send(OTHER, publication("child", parent(asset, 500))) == ""


def test_what_forbids_derivatives_can_still_be_sold(market: Market) -> None:
    asset = market.publish(derivatives=Derivatives.FORBIDDEN)
    market.did(AUTHOR, offered(asset))
    assert market.send(BUYER, purchase(asset)) == ""


# -- versions, receipts, attestations ---------------------------------------------------------------------------------


def ran(market: Market, given: bytes, result: bytes, status: Status = Status.SETTLED) -> JobId:
    """Put a job without money into the state, as if it had run."""
    job = new_job(
        OTHER.address,
        Product.random().program,
        (TensorRoot(given), TensorRoot(bytes(32))),
        macs=1,
        price_per_gmac_grains=1,
        deadline_blocks=1,
        chosen_provider=VALIDATOR.address,
        permit=NO_PERMIT,
        height=1,
        escrow=(0, 0, 0),
    )
    found = JobId(root(("job", given, result, status)))
    done = replace(job, status=status, result_root=TensorRoot(result), escrow_price_grains=Grains(0))
    market.ledger.put({state_key(Namespace.JOB, found): done.to_bytes()})
    market.ledger.jobs.append(found)
    return found


def version_of(market: Market, asset: bytes, number: int) -> Version:
    found = find_version(market.ledger.begin().context, asset, number)  # type: ignore[arg-type]
    assert found is not None
    return found


def test_versions_are_added_and_stay(market: Market) -> None:
    asset = market.publish()
    assert market.did(AUTHOR, new_version(asset)) == ["VersionAdded"]
    assert [version_of(market, asset, number).content_root for number in (1, 2)] == [
        root("first"),
        root("second"),
    ]
    assert market.holding(asset).versions == 2
    assert market.send(AUTHOR, new_version(asset, "third", parent_version=3)) == "NOT_FOUND"
    assert market.send(AUTHOR, new_version(asset, "third", parent_version=0)) == "NOT_FOUND"
    assert market.ledger.tree.get(version_key(asset, 3)) is None


def test_a_settled_job_verifies_a_version(market: Market) -> None:
    asset = market.publish()
    job = ran(market, root("first"), root("second"))
    assert market.send(AUTHOR, new_version(asset, job=job)) == ""
    assert (version_of(market, asset, 1).verified, version_of(market, asset, 2).verified) == (0, 1)
    market.ledger.audit()


@pytest.mark.parametrize(
    ("given", "result", "status"),
    [
        ("other", "second", Status.SETTLED),
        ("first", "other", Status.SETTLED),
        ("first", "second", Status.VOID),
    ],
)
def test_another_job_is_no_receipt(market: Market, given: str, result: str, status: Status) -> None:
    asset = market.sold()
    job = ran(market, root(given), root(result), status)
    assert market.send(AUTHOR, new_version(asset, job=job)) == "RECEIPT"
    measured = rating(asset, kind=OpinionKind.EVAL, job=job, evidence_root=root("second"))
    assert market.send(OTHER, measured) == "RECEIPT"


def opinion(market: Market, asset: bytes, kind: OpinionKind, who: bytes) -> Opinion:
    data = market.ledger.tree.get(opinion_key(asset, 1, kind, who))  # type: ignore[arg-type]
    assert data is not None
    return Opinion.from_bytes(data)


def test_anyone_measures_with_a_job(market: Market) -> None:
    asset = market.publish()
    evalset = market.publish(OTHER, "questions", type=AssetType.EVAL_SET)
    job = ran(market, root("first"), root("answers"))
    said = rating(
        asset, kind=OpinionKind.EVAL, job=job, evidence_root=root("answers"), evalset=evalset, score=97
    )
    assert market.did(BUYER, said) == ["AssetAttested"]
    found = opinion(market, asset, OpinionKind.EVAL, BUYER.address)
    assert (found.score, found.verified, found.evalset) == (97, 1, evalset)
    market.ledger.audit()


@pytest.mark.parametrize("kind", [OpinionKind.EVAL, OpinionKind.SAFETY, OpinionKind.LICENCE])
def test_validators_judge_without_one(market: Market, kind: OpinionKind) -> None:
    asset = market.publish()
    assert market.send(BUYER, rating(asset, kind=kind)) == "ROLE"
    assert market.did(VALIDATOR, rating(asset, kind=kind)) == ["AssetAttested"]
    assert opinion(market, asset, kind, VALIDATOR.address).verified == 0
    market.ledger.audit()


def test_who_bought_may_rate_even_later_and_has_one_opinion(market: Market) -> None:
    asset = market.sold(period_blocks=1)
    market.did(BUYER, purchase(asset))
    market.ledger.mine_to(market.ledger.height + 5)
    assert market.send(OTHER, rating(asset)) == "NO_GRANT"
    assert market.send(BUYER, rating(asset, slot=1)) == "NO_GRANT"
    for score in (1, 5):
        assert market.send(BUYER, rating(asset, score=score)) == ""
    assert opinion(market, asset, OpinionKind.RATING, BUYER.address).score == 5
    assert market.send(BUYER, rating(asset, version=2)) == "NOT_FOUND"


# -- passing on and retiring ------------------------------------------------------------------------------------------


def test_future_revenue_follows_and_what_was_earned_stays(market: Market) -> None:
    asset = market.sold()
    market.did(BUYER, purchase(asset))
    assert market.did(AUTHOR, AssetTransfer(asset, OTHER.address)) == ["AssetTransferred"]
    market.did(BUYER, purchase(asset, units=2))
    assert (market.accrued(asset, AUTHOR), market.accrued(asset, OTHER)) == (100, 200)
    assert market.cost(AUTHOR, AssetClaim(asset)) == -100
    assert market.send(AUTHOR, AssetClaim(asset)) == "NOTHING"
    assert market.send(AUTHOR, AssetRetire(asset, SLOTS)) == "NOT_OWNER"
    assert market.cost(OTHER, AssetRetire(asset, SLOTS)) == -DEPOSIT_GRAINS
    market.ledger.audit()


def test_the_deposit_comes_back_at_once_if_nobody_waits(market: Market) -> None:
    asset = market.sold()
    market.did(BUYER, purchase(asset))
    assert market.did(AUTHOR, AssetRetire(asset, SLOTS)) == ["Retired", "DepositReturned"]
    assert market.holding(asset).deposit_grains == 0
    assert market.send(BUYER, purchase(asset)) == "INACTIVE"
    assert market.grant(asset).units == 1, "old grants are honoured"
    assert market.accrued(asset, AUTHOR) == 100
    market.ledger.audit()


def test_the_deposit_waits_for_the_last_grant_that_ends(market: Market) -> None:
    asset = market.sold(period_blocks=10)
    market.did(BUYER, purchase(asset))
    expiry = market.grant(asset).expiry
    assert market.did(AUTHOR, AssetRetire(asset, SLOTS)) == ["Retired"]
    market.ledger.mine_to(expiry - 1)
    assert market.send(AUTHOR, AssetRetire(asset, SLOTS)) == "GRANTS_LIVE"
    assert market.did(AUTHOR, AssetRetire(asset, SLOTS)) == ["DepositReturned"]
    assert market.ledger.height == expiry + 1
    assert market.send(AUTHOR, AssetRetire(asset, SLOTS)) == "BAD_STATE"
    market.ledger.audit()


def test_a_grant_that_became_one_for_ever_holds_the_deposit_until_its_former_end(market: Market) -> None:
    asset = market.sold(period_blocks=10)
    market.did(BUYER, purchase(asset))
    expiry = market.grant(asset).expiry
    market.did(AUTHOR, offered(asset))
    market.did(BUYER, purchase(asset))
    assert market.grant(asset).expiry == 0
    assert market.holding(asset).granted_until == expiry
    assert market.did(AUTHOR, AssetRetire(asset, SLOTS)) == ["Retired"]
    assert market.send(AUTHOR, AssetRetire(asset, SLOTS)) == "GRANTS_LIVE"
    market.ledger.mine_to(expiry)
    assert market.did(AUTHOR, AssetRetire(asset, SLOTS)) == ["DepositReturned"]


def test_one_offer_is_taken_back_alone(market: Market) -> None:
    asset = market.sold()
    market.did(AUTHOR, offered(asset, slot=1))
    assert market.send(AUTHOR, AssetRetire(asset, 2)) == "NOT_FOUND"
    assert market.did(AUTHOR, AssetRetire(asset, 0)) == ["Retired"]
    assert market.send(BUYER, purchase(asset)) == "INACTIVE"
    assert market.send(BUYER, purchase(asset, slot=1)) == ""
    market.did(AUTHOR, AssetRetire(asset, SLOTS))
    assert market.send(AUTHOR, AssetRetire(asset, 1)) == "BAD_STATE"


def test_assets_of_one_batch_have_names_of_their_own(market: Market) -> None:
    from vm.kinds.batch import Batch, Operation

    both = tuple(Operation("asset.publish", publication(place)) for place in range(2))
    assert market.did(AUTHOR, Batch(both)) == ["AssetPublished", "AssetPublished", "BatchDone"]
    market.ledger.audit()
