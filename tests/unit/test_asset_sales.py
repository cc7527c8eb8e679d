"""Offers, notices, purchases, grants, and where the money goes.  Spec: [ASSET-OFFER], [ASSET-BUY], [ASSET-GRANT]."""

from __future__ import annotations

import pytest

from tests.asset_cases import AUTHOR, BUYER, OTHER, U63_MAX, Market, new_version, offered, parent, purchase
from vm.assets.limits import NOTICE_BLOCKS
from vm.assets.sales import OfferKind
from vm.kinds.assets import AssetClaim, AssetRetire


@pytest.fixture
def market() -> Market:
    return Market()


def test_a_purchase_to_the_grain(market: Market) -> None:
    """The example of a sale in three generations: 18 % and 2 %, and the remainder to the seller."""
    first = market.publish(BUYER)
    second = market.publish(OTHER, 2, parent(first, 1_000))
    third = market.publish(AUTHOR, 3, parent(second, 2_000))
    market.did(AUTHOR, offered(third, 200_049))
    assert market.cost(BUYER, purchase(third)) == 200_049
    assert market.accrued(second, OTHER) == 36_008
    assert market.accrued(first, BUYER) == 4_000
    assert market.accrued(third, AUTHOR) == 160_041
    market.ledger.audit()
    for who, asset, earned in ((OTHER, second, 36_008), (BUYER, first, 4_000), (AUTHOR, third, 160_041)):
        assert market.cost(who, AssetClaim(asset)) == -earned
        assert market.send(who, AssetClaim(asset)) == "NOTHING"
    market.ledger.audit()


def test_aliases_stand_beside_the_events(market: Market) -> None:
    asset = market.publish()
    assert market.did(AUTHOR, offered(asset)) == ["OfferSet", "ModelListed"]
    assert market.did(BUYER, purchase(asset)) == ["Acquired", "ModelPurchased"]


def test_exactly_the_price_is_paid(market: Market) -> None:
    asset = market.sold()
    assert market.cost(BUYER, purchase(asset, max_price_grains=100)) == 100
    assert market.cost(BUYER, purchase(asset, units=3, max_price_grains=10**9)) == 300
    assert market.grant(asset).units == 4


def test_a_rise_waits_for_the_notice(market: Market) -> None:
    asset = market.sold()
    market.did(AUTHOR, offered(asset, 101))
    since = market.ledger.height + NOTICE_BLOCKS
    market.ledger.mine_to(since - 2)
    assert market.cost(BUYER, purchase(asset)) == 100
    assert market.ledger.height == since - 1
    assert market.send(BUYER, purchase(asset, max_price_grains=100)) == "PRICE_MOVED"
    assert market.cost(BUYER, purchase(asset)) == 101


def test_a_fall_holds_at_once_and_ends_a_rise_that_waits(market: Market) -> None:
    asset = market.sold()
    market.did(AUTHOR, offered(asset, 200))
    market.did(AUTHOR, offered(asset, 99))
    assert market.cost(BUYER, purchase(asset)) == 99
    market.ledger.mine_to(market.ledger.height + NOTICE_BLOCKS)
    assert market.cost(BUYER, purchase(asset)) == 99


@pytest.mark.parametrize(
    "dearer",
    [{"kind": OfferKind.PER_GMAC}, {"period_blocks": 19}, {"price": 101}],
    ids=str,
)
def test_terms_that_somebody_would_mind_wait(market: Market, dearer: dict[str, int]) -> None:
    asset = market.sold(period_blocks=20)
    height = market.ledger.height
    (receipt,) = market.ledger.mine(
        market.ledger.sign(AUTHOR, offered(asset, **({"period_blocks": 20} | dearer)))
    )
    assert receipt.events[0].values[-1] == height + 1 + NOTICE_BLOCKS


@pytest.mark.parametrize("period", [0, 20, 21])
def test_a_longer_period_does_not_wait(market: Market, period: int) -> None:
    asset = market.sold(period_blocks=20)
    (receipt,) = market.ledger.mine(market.ledger.sign(AUTHOR, offered(asset, period_blocks=period)))
    assert receipt.events[0].values[-1] == market.ledger.height


def test_an_end_after_none_waits(market: Market) -> None:
    asset = market.sold()
    market.did(AUTHOR, offered(asset, period_blocks=1_000))
    market.did(BUYER, purchase(asset))
    assert market.grant(asset).expiry == 0


def test_taking_back_and_offering_again_does_not_avoid_the_notice(market: Market) -> None:
    asset = market.sold()
    market.did(AUTHOR, AssetRetire(asset, 0))
    market.did(AUTHOR, offered(asset, 500))
    assert market.send(BUYER, purchase(asset)) == "INACTIVE"
    market.ledger.mine_to(market.ledger.height + NOTICE_BLOCKS)
    assert market.cost(BUYER, purchase(asset)) == 500


def test_an_inactive_offer_sells_nothing(market: Market) -> None:
    asset = market.sold(active=0)
    assert market.send(BUYER, purchase(asset)) == "INACTIVE"
    market.did(AUTHOR, offered(asset))
    assert market.send(BUYER, purchase(asset)) == ""


def test_the_supply_is_counted_over_all_terms(market: Market) -> None:
    asset = market.sold(supply=3)
    market.did(BUYER, purchase(asset, units=2))
    market.did(AUTHOR, offered(asset, 99, supply=3))
    assert market.send(BUYER, purchase(asset, units=2)) == "SOLD_OUT"
    assert market.send(BUYER, purchase(asset)) == ""
    assert market.send(BUYER, purchase(asset)) == "SOLD_OUT"
    market.ledger.audit()


def test_a_quota_is_per_beneficiary(market: Market) -> None:
    asset = market.sold(quota=2)
    market.did(BUYER, purchase(asset, units=2))
    assert market.send(BUYER, purchase(asset)) == "QUOTA"
    assert market.send(BUYER, purchase(asset, beneficiary=OTHER.address)) == ""
    assert market.grant(asset, who=OTHER).units == 1


def test_subscriptions_are_strung_together(market: Market) -> None:
    asset = market.sold(kind=OfferKind.SUBSCRIPTION, period_blocks=10)
    market.did(BUYER, purchase(asset))
    end = market.ledger.height + 10
    assert market.grant(asset).expiry == end
    market.did(BUYER, purchase(asset, units=3))
    assert market.grant(asset).expiry == end + 30
    market.ledger.mine_to(end + 30)
    market.did(BUYER, purchase(asset))
    assert (market.grant(asset).expiry, market.grant(asset).units) == (market.ledger.height + 10, 1)
    market.ledger.audit()


def test_units_with_a_period_expire(market: Market) -> None:
    asset = market.sold(period_blocks=5)
    market.did(BUYER, purchase(asset, units=2))
    market.did(BUYER, purchase(asset))
    assert (market.grant(asset).units, market.grant(asset).expiry) == (3, market.ledger.height + 5)
    market.ledger.mine_to(market.grant(asset).expiry)
    market.did(BUYER, purchase(asset))
    assert market.grant(asset).units == 1


def test_a_licence_for_ever(market: Market) -> None:
    asset = market.sold(kind=OfferKind.PERPETUAL)
    market.did(BUYER, purchase(asset))
    assert market.grant(asset).expiry == 0
    assert market.holding(asset).granted_until == 0


def test_a_free_offer_costs_nothing_and_earns_nothing(market: Market) -> None:
    asset = market.publish()
    market.did(AUTHOR, offered(asset, 0, kind=OfferKind.FREE))
    assert market.cost(BUYER, purchase(asset, max_price_grains=0)) == 0
    assert market.send(AUTHOR, AssetClaim(asset)) == "NOTHING"
    market.ledger.audit()


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": OfferKind.FREE, "price": 1},
        {"kind": OfferKind.PER_CALL, "price": 0},
        {"kind": OfferKind.SUBSCRIPTION, "period_blocks": 0},
        {"kind": OfferKind.PERPETUAL, "period_blocks": 1},
    ],
)
def test_offers_that_make_no_sense(market: Market, wrong: dict[str, int]) -> None:
    assert market.send(AUTHOR, offered(market.publish(), **wrong)) == "FORM"


def test_a_version_can_be_pinned(market: Market) -> None:
    asset = market.sold()
    market.did(AUTHOR, new_version(asset))
    market.did(BUYER, purchase(asset))
    assert market.grant(asset).version == 2
    market.did(BUYER, purchase(asset, version=1))
    assert market.grant(asset).version == 1
    assert market.send(BUYER, purchase(asset, version=3)) == "NOT_FOUND"


def test_nothing_outgrows_the_range(market: Market) -> None:
    asset = market.publish()
    market.did(AUTHOR, offered(asset, 0, kind=OfferKind.FREE))
    market.did(BUYER, purchase(asset, units=U63_MAX))
    assert market.send(BUYER, purchase(asset)) == "RANGE"
    assert market.send(BUYER, purchase(asset, beneficiary=OTHER.address)) == "RANGE"
    market.did(AUTHOR, offered(asset, 1, slot=1, kind=OfferKind.SUBSCRIPTION, period_blocks=1 << 32))
    assert market.send(BUYER, purchase(asset, slot=1, units=1 << 31)) == "RANGE"


def test_one_grain_too_few(market: Market) -> None:
    asset = market.sold(price=market.ledger.balance(BUYER))
    assert market.send(BUYER, purchase(asset)) == "BALANCE"
