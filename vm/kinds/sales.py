"""Sales of assets: offers, and buying from them.  Spec: [ASSET-OFFER], [ASSET-BUY]."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from chain.codec import U63, OneOf, Raw, Record, Uint
from chain.doc import Doc
from chain.ints import add, u63
from chain.types import Address, AssetId, Grains, Height, StateKey
from vm.act import affords
from vm.assets.act import EXISTS, LIVE, OWNED, OnAsset
from vm.assets.limits import NOTICE_BLOCKS, SLOTS
from vm.assets.record import holding_key
from vm.assets.sales import (
    Grant,
    Offer,
    OfferKind,
    Terms,
    accrue,
    extended,
    grant_key,
    offer_key,
    parts,
)
from vm.events import Happening
from vm.kind import Kind
from vm.kinds.assets import ASSETS
from vm.rules import Refusal, Rule, check, guarded

SLOT = Uint(SLOTS - 1)


@dataclass(frozen=True, slots=True)
class AssetOffer(Record):
    """Offer an asset for use, or change an offer; dearer terms wait, others hold at once."""

    asset: Annotated[AssetId, Raw(32), Doc("the asset")]
    slot: Annotated[int, SLOT, Doc("which of its offers")]
    kind: Annotated[OfferKind, OneOf(OfferKind), Doc("what one unit is")]
    price_grains: Annotated[Grains, U63, Doc("of one unit")]
    period_blocks: Annotated[int, Uint(1 << 32), Doc("how long what is bought can be used; 0: for ever")]
    quota: Annotated[int, U63, Doc("units that one beneficiary may hold; 0: no bound")]
    supply: Annotated[int, U63, Doc("units that are sold in all; 0: no bound")]
    active: Annotated[int, Uint(1), Doc("1: for sale; 0: not now")]

    @property
    def terms(self) -> Terms:
        return Terms(self.kind, self.price_grains, self.period_blocks, self.quota, self.supply, self.active)


@dataclass(frozen=True, slots=True)
class OfferSet(Happening):
    """An offer was made or changed."""

    asset: Annotated[AssetId, Raw(32), Doc("the asset")]
    slot: Annotated[int, U63, Doc("which of its offers")]
    kind: Annotated[OfferKind, OneOf(OfferKind), Doc("what one unit is")]
    price_grains: Annotated[Grains, U63, Doc("of one unit")]
    height: Annotated[Height, U63, Doc("from when on")]


@dataclass(frozen=True, slots=True)
class ModelListed(Happening):
    """OfferSet under the name by which marketplaces know it."""

    asset: Annotated[AssetId, Raw(32), Doc("the asset")]
    owner: Annotated[Address, Raw(20), Doc("who sells")]
    price_grains: Annotated[Grains, U63, Doc("of one unit")]


def _well_formed(act: OnAsset) -> Refusal | None:
    body: AssetOffer = act.body
    if (body.kind is OfferKind.FREE) != (body.price_grains == 0):
        return Refusal(f"{body.price_grains} grains", "a price, or a free offer without one")
    if body.kind is OfferKind.SUBSCRIPTION and not body.period_blocks:
        return Refusal("period 0", "a subscription with a period")
    if body.kind is OfferKind.PERPETUAL and body.period_blocks:
        return Refusal(f"period {body.period_blocks}", "a perpetual licence without a period")
    return None


def _offer(act: OnAsset) -> None:
    context, body = act.context, act.body
    key, terms = offer_key(act.asset_id, body.slot), body.terms
    held = context.state.load(key, Offer)
    offer = Offer(terms, terms, Height(0), 0) if held is None else held.offering(terms, context.height)
    context.state.store(key, offer)
    since = Height(offer.coming_height or context.height)
    context.emit(OfferSet(act.asset_id, body.slot, body.kind, body.price_grains, since))
    context.emit(ModelListed(act.asset_id, act.call.sender, body.price_grains))


OFFER = Kind(
    "asset.offer",
    ASSETS,
    AssetOffer,
    who=f"the owner; dearer terms hold after {NOTICE_BLOCKS} blocks",
    weight=1,
    max_bytes=1024,
    act=OnAsset,
    checks=(
        EXISTS,
        OWNED,
        LIVE,
        check(
            "FORM",
            "free has no price and the others have one, a subscription a period, for ever none",
            _well_formed,
        ),
    ),
    effect=_offer,
    events=(OfferSet, ModelListed),
    pausable=True,
)


@dataclass(frozen=True, slots=True)
class AssetAcquire(Record):
    """Buy from an offer: exactly the price is paid, and shared with the owners of what the asset is made from."""

    asset: Annotated[AssetId, Raw(32), Doc("the asset")]
    slot: Annotated[int, SLOT, Doc("which of its offers")]
    max_price_grains: Annotated[Grains, U63, Doc("bound on the whole price, against a change meanwhile")]
    units: Annotated[int, Uint(minimum=1), Doc("how many units")]
    beneficiary: Annotated[Address, Raw(20), Doc("who may use it")]
    version: Annotated[int, U63, Doc("the version that is meant; 0: the newest")]


@dataclass(frozen=True, slots=True)
class Acquired(Happening):
    """Somebody bought the use of an asset."""

    asset: Annotated[AssetId, Raw(32), Doc("the asset")]
    slot: Annotated[int, U63, Doc("which of its offers")]
    buyer: Annotated[Address, Raw(20), Doc("who paid")]
    beneficiary: Annotated[Address, Raw(20), Doc("who may use it")]
    units: Annotated[int, U63, Doc("units that the beneficiary now holds")]
    expiry: Annotated[Height, U63, Doc("last height at which they are good; 0: for ever")]
    price_grains: Annotated[Grains, U63, Doc("what was paid")]


@dataclass(frozen=True, slots=True)
class ModelPurchased(Happening):
    """Acquired under the name by which marketplaces know it."""

    asset: Annotated[AssetId, Raw(32), Doc("the asset")]
    buyer: Annotated[Address, Raw(20), Doc("who paid")]
    price_grains: Annotated[Grains, U63, Doc("what was paid")]


class Purchase(OnAsset):
    """The offer, what it costs, and what the beneficiary will hold."""

    @cached_property
    def offer(self) -> Offer | None:
        return self.context.state.load(offer_key(self.asset_id, self.body.slot), Offer)

    @property
    def terms(self) -> Terms | None:
        """What holds now."""
        return self.offer.terms_at(self.context.height) if self.offer is not None else None

    @property
    def sale(self) -> tuple[Offer, Terms]:
        """Offer and terms, once they are known to be there."""
        assert self.offer is not None
        return self.offer, self.offer.terms_at(self.context.height)

    @property
    def version_number(self) -> int:
        return int(self.body.version) or self.holding.versions

    @cached_property
    def cost_grains(self) -> int:
        """Raises: Invalid RANGE."""
        return u63(self.sale[1].price_grains * self.body.units)

    @cached_property
    def grant(self) -> Grant:
        """What the beneficiary holds afterwards.  Raises: Invalid RANGE."""
        held = self.context.state.load(self.grant_key, Grant)
        return extended(held, self.sale[1], self.body.units, self.version_number, self.context.height)

    @property
    def grant_key(self) -> StateKey:
        return grant_key(self.asset_id, self.body.slot, self.body.beneficiary)


def _for_sale(act: Purchase) -> Refusal | None:
    if act.terms is not None and act.terms.active and not act.holding.retired:
        return None
    return Refusal(f"slot {act.body.slot}", "a slot with an active offer, of an asset that is not retired")


def _version_exists(act: Purchase) -> Refusal | None:
    number = act.version_number
    return Refusal(number, f"1..{act.holding.versions}") if act.version(number) is None else None


def _countable(act: Purchase) -> None:
    u63(act.cost_grains)
    add(act.sale[0].sold, act.body.units)
    assert act.grant


def _not_dearer(act: Purchase) -> Refusal | None:
    limit = act.body.max_price_grains
    return (
        Refusal(act.cost_grains, f"at most the {limit} grains offered") if act.cost_grains > limit else None
    )


def _within_quota(act: Purchase) -> Refusal | None:
    quota = act.sale[1].quota
    return Refusal(act.grant.units, f"at most {quota} units") if quota and act.grant.units > quota else None


def _in_stock(act: Purchase) -> Refusal | None:
    offer, terms = act.sale
    if terms.supply and offer.sold + act.body.units > terms.supply:
        return Refusal(act.body.units, f"the {max(0, terms.supply - offer.sold)} units that are left")
    return None


def _acquire(act: Purchase) -> None:
    context, body, cost, grant = act.context, act.body, act.cost_grains, act.grant
    buyer, (offer, _) = act.call.sender, act.sale
    context.debit(buyer, cost)
    context.lock(cost)
    for asset, owner, amount in parts(context, act.asset_id, act.facts, cost):
        accrue(context, asset, owner, amount)
    context.state.store(offer_key(act.asset_id, body.slot), offer.but(sold=offer.sold + body.units))
    context.state.store(act.grant_key, grant)
    if grant.expiry > act.holding.granted_until:
        context.state.store(holding_key(act.asset_id), act.holding.but(granted_until=grant.expiry))
    paid = Grains(cost)
    context.emit(Acquired(act.asset_id, body.slot, buyer, body.beneficiary, grant.units, grant.expiry, paid))
    context.emit(ModelPurchased(act.asset_id, buyer, paid))


ACQUIRE = Kind(
    "asset.acquire",
    ASSETS,
    AssetAcquire,
    who="anyone",
    weight=5,
    max_bytes=1024,
    act=Purchase,
    checks=(
        EXISTS,
        check("INACTIVE", "the slot has an active offer, and the asset is not retired", _for_sale),
        check("NOT_FOUND", "the version exists", _version_exists),
        guarded((Rule("RANGE", "price, units and expiry stay below 2^63"),), _countable),
        check("PRICE_MOVED", "the price is at most `max_price_grains`", _not_dearer),
        check("QUOTA", "the beneficiary then holds no more units than the offer allows", _within_quota),
        check("SOLD_OUT", "so many units are left", _in_stock),
        affords(lambda act: act.cost_grains, "the buyer has the price besides the fee"),
    ),
    effect=_acquire,
    events=(Acquired, ModelPurchased),
    pausable=True,
)
