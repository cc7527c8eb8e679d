"""A market on a test chain: things to publish, sell, buy and rate; and one case for every code of the asset kinds.

The codes are read by test_error_codes.py, so that a new one without a case shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from chain.codec import Record
from chain.hashing import Tag, h256
from chain.keys import SigningKey
from chain.types import NO_ASSET, NO_JOB, AssetId, Grains, Hash32, JobId
from tests.builders import TILE, Ledger, key
from vm.assets.limits import SLOTS
from vm.assets.opinion import OpinionKind
from vm.assets.record import (
    Asset,
    AssetType,
    Derivatives,
    Holding,
    Parent,
    Relation,
    asset_id,
    asset_key,
    holding_key,
)
from vm.assets.sales import Grant, OfferKind, Revenue, grant_key, revenue_key
from vm.kinds.assets import AssetClaim, AssetPublish, AssetRetire, AssetTransfer, AssetVersion
from vm.kinds.attestations import AssetAttest
from vm.kinds.sales import AssetAcquire, AssetOffer

U63_MAX = (1 << 63) - 1
VALIDATOR, AUTHOR, BUYER, OTHER, POOR = key(0), key(5), key(6), key(7), key(40)
NOTHING = AssetId(bytes(32))


def root(name: object) -> Hash32:
    """A root of whatever this names."""
    return h256(Tag.LIST_NODE, repr(name).encode())


def publication(content: object, *parents: Parent, **changes: Any) -> AssetPublish:
    fields: dict[str, Any] = {
        "type": AssetType.MODEL,
        "title": "a model",
        "content_root": root(content),
        "size_bytes": 1,
        "manifest_root": root("manifest"),
        "licence_root": root("licence"),
        "doc_root": bytes(32),
        "consent_root": bytes(32),
        "derivatives": Derivatives.ALLOWED,
        "min_derivative_share_bp": 0,
        "parents": parents,
    }
    return AssetPublish(**(fields | changes))


def parent(asset: AssetId, share_bp: int = 100) -> Parent:
    return Parent(asset, Relation.FINE_TUNED, share_bp)


def offered(asset: AssetId, price: int = 100, **changes: Any) -> AssetOffer:
    fields: dict[str, Any] = {
        "asset": asset,
        "slot": 0,
        "kind": OfferKind.PER_CALL,
        "price_grains": Grains(price),
        "period_blocks": 0,
        "quota": 0,
        "supply": 0,
        "active": 1,
    }
    return AssetOffer(**(fields | changes))


def purchase(asset: AssetId, **changes: Any) -> AssetAcquire:
    fields: dict[str, Any] = {
        "asset": asset,
        "slot": 0,
        "max_price_grains": U63_MAX,
        "units": 1,
        "beneficiary": BUYER.address,
        "version": 0,
    }
    return AssetAcquire(**(fields | changes))


def rating(asset: AssetId, **changes: Any) -> AssetAttest:
    fields: dict[str, Any] = {
        "asset": asset,
        "version": 1,
        "kind": OpinionKind.RATING,
        "slot": 0,
        "evalset": NO_ASSET,
        "metric": "stars",
        "score": 5,
        "evidence_root": bytes(32),
        "job": NO_JOB,
    }
    return AssetAttest(**(fields | changes))


def new_version(asset: AssetId, content: object = "second", **changes: Any) -> AssetVersion:
    fields: dict[str, Any] = {
        "asset": asset,
        "parent_version": 1,
        "content_root": root(content),
        "size_bytes": 2,
        "manifest_root": root("manifest"),
        "job": NO_JOB,
    }
    return AssetVersion(**(fields | changes))


@dataclass
class Market:
    """A test chain, a block per transaction."""

    ledger: Ledger = field(default_factory=Ledger)

    def send(self, who: SigningKey, body: Record) -> str:
        """Mine it; returns the code."""
        (receipt,) = self.ledger.mine(self.ledger.sign(who, body))
        return receipt.code

    def did(self, who: SigningKey, body: Record) -> list[Any]:
        """Mine what must succeed; returns the names of its events."""
        (receipt,) = self.ledger.mine(self.ledger.sign(who, body))
        assert receipt.code == ""
        return [event.name for event in receipt.events]

    def cost(self, who: SigningKey, body: Record) -> int:
        """What it takes from a balance besides the fee; it must succeed."""
        before = self.ledger.balance(who)
        (receipt,) = self.ledger.mine(self.ledger.sign(who, body))
        assert receipt.code == ""
        return before - self.ledger.balance(who) - receipt.burned_grains - receipt.tip_grains

    def publish(
        self, who: SigningKey = AUTHOR, content: object = "first", *parents: Parent, **changes: Any
    ) -> AssetId:
        asset = asset_id(who.address, self.ledger.account(who.address).nonce)
        assert self.send(who, publication(content, *parents, **changes)) == ""
        return asset

    def sold(self, **changes: Any) -> AssetId:
        """A published asset with an offer."""
        asset = self.publish()
        assert self.send(AUTHOR, offered(asset, **changes)) == ""
        return asset

    def retired(self) -> AssetId:
        asset = self.sold()
        assert self.send(AUTHOR, AssetRetire(asset, SLOTS)) == ""
        return asset

    # -- looking ----------------------------------------------------------------------------------------------------

    def facts(self, asset: AssetId) -> Asset:
        return Asset.from_bytes(self._read(asset_key(asset)))

    def holding(self, asset: AssetId) -> Holding:
        return Holding.from_bytes(self._read(holding_key(asset)))

    def grant(self, asset: AssetId, slot: int = 0, who: SigningKey = BUYER) -> Grant:
        return Grant.from_bytes(self._read(grant_key(asset, slot, who.address)))

    def accrued(self, asset: AssetId, owner: SigningKey) -> int:
        data = self.ledger.tree.get(revenue_key(asset, owner.address))
        return Revenue.from_bytes(data).accrued_grains if data is not None else 0

    def _read(self, place: Any) -> bytes:
        data = self.ledger.tree.get(place)
        assert data is not None
        return data


# -- one case per code ------------------------------------------------------------------------------------------------

Case = Callable[[Market], str]


def published(*parents: Parent, by: SigningKey = AUTHOR, **changes: Any) -> Case:
    return lambda market: market.send(by, publication("another", *parents, **changes))


def of_parent(share_bp: int = 100, times: int = 1, **changes: Any) -> Case:
    """A descendant of something published with these changes."""

    def case(market: Market) -> str:
        asset = market.publish(**changes)
        return market.send(OTHER, publication("child", *[parent(asset, share_bp)] * times))

    return case


def twice(market: Market) -> str:
    market.publish()
    return market.send(OTHER, publication("first"))


def too_deep(market: Market) -> str:
    asset = market.publish()
    for generation in range(16):
        asset = market.publish(AUTHOR, generation, parent(asset))
    return market.send(AUTHOR, publication("too deep", parent(asset)))


def on_published(make: Callable[[AssetId], Record], by: SigningKey = AUTHOR) -> Case:
    return lambda market: market.send(by, make(market.publish()))


def on_sold(make: Callable[[AssetId], Record], by: SigningKey = BUYER, **changes: Any) -> Case:
    return lambda market: market.send(by, make(market.sold(**changes)))


def on_retired(make: Callable[[AssetId], Record], by: SigningKey = AUTHOR) -> Case:
    return lambda market: market.send(by, make(market.retired()))


def on_nothing(body: Record) -> Case:
    return lambda market: market.send(AUTHOR, body)


def bought_then_retired(market: Market) -> str:
    asset = market.sold(period_blocks=10)
    assert market.send(BUYER, purchase(asset)) == ""
    assert market.send(AUTHOR, AssetRetire(asset, SLOTS)) == ""
    return market.send(AUTHOR, AssetRetire(asset, SLOTS))


def _poor(case: Callable[[Market], str]) -> Case:
    def run(market: Market) -> str:
        market.ledger.mine(market.ledger.transfer(AUTHOR, POOR.address, TILE // 2))
        market.ledger.people.add(POOR.address)
        return case(market)

    return run


ASSET_FAILURES: dict[tuple[str, str], Case] = {
    ("asset.publish", "TEXT"): published(title="a\u202emodel"),
    ("asset.publish", "DUPLICATE"): twice,
    ("asset.publish", "NOT_FOUND"): published(parent(NOTHING)),
    ("asset.publish", "LICENCE"): of_parent(derivatives=Derivatives.FORBIDDEN),
    ("asset.publish", "LINEAGE"): of_parent(times=2),
    ("asset.publish", "SHARE"): of_parent(499, min_derivative_share_bp=500),
    ("asset.publish", "BALANCE"): _poor(published(by=POOR)),
    ("asset.version", "NOT_FOUND"): on_nothing(new_version(NOTHING)),
    ("asset.version", "NOT_OWNER"): on_published(new_version, OTHER),
    ("asset.version", "BAD_STATE"): on_retired(new_version),
    ("asset.version", "DUPLICATE"): on_published(lambda asset: new_version(asset, "first")),
    ("asset.version", "RECEIPT"): on_published(lambda asset: new_version(asset, job=JobId(root("no job")))),
    ("asset.transfer", "NOT_FOUND"): on_nothing(AssetTransfer(NOTHING, BUYER.address)),
    ("asset.transfer", "NOT_OWNER"): on_published(lambda asset: AssetTransfer(asset, BUYER.address), OTHER),
    ("asset.retire", "NOT_FOUND"): on_nothing(AssetRetire(NOTHING, SLOTS)),
    ("asset.retire", "NOT_OWNER"): on_published(lambda asset: AssetRetire(asset, SLOTS), OTHER),
    ("asset.retire", "BAD_STATE"): on_retired(lambda asset: AssetRetire(asset, SLOTS)),
    ("asset.retire", "GRANTS_LIVE"): bought_then_retired,
    ("asset.claim", "NOTHING"): on_published(AssetClaim),
    ("asset.offer", "NOT_FOUND"): on_nothing(offered(NOTHING)),
    ("asset.offer", "NOT_OWNER"): on_published(offered, OTHER),
    ("asset.offer", "BAD_STATE"): on_retired(offered),
    ("asset.offer", "FORM"): on_published(lambda asset: offered(asset, 1, kind=OfferKind.FREE)),
    ("asset.acquire", "NOT_FOUND"): on_nothing(purchase(NOTHING)),
    ("asset.acquire", "INACTIVE"): on_published(purchase, BUYER),
    ("asset.acquire", "RANGE"): on_sold(lambda asset: purchase(asset, units=U63_MAX)),
    ("asset.acquire", "PRICE_MOVED"): on_sold(lambda asset: purchase(asset, units=2, max_price_grains=199)),
    ("asset.acquire", "QUOTA"): on_sold(lambda asset: purchase(asset, units=4), quota=3),
    ("asset.acquire", "SOLD_OUT"): on_sold(lambda asset: purchase(asset, units=4), supply=3),
    ("asset.acquire", "BALANCE"): on_sold(purchase, price=U63_MAX),
    ("asset.attest", "NOT_FOUND"): on_nothing(rating(NOTHING)),
    ("asset.attest", "TEXT"): on_sold(lambda asset: rating(asset, metric="")),
    ("asset.attest", "EVALSET"): on_sold(lambda asset: rating(asset, evalset=asset)),
    ("asset.attest", "FORM"): on_sold(lambda asset: rating(asset, job=JobId(root("no job")))),
    ("asset.attest", "NO_GRANT"): on_sold(rating),
    ("asset.attest", "RECEIPT"): on_sold(
        lambda asset: rating(asset, kind=OpinionKind.EVAL, job=JobId(root("no job")))
    ),
    ("asset.attest", "ROLE"): on_sold(lambda asset: rating(asset, kind=OpinionKind.SAFETY)),
}
