"""Offers, what was bought, and what was earned.  Spec: [ASSET-OFFER], [ASSET-GRANT], [ASSET-REVENUE]."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from chain.codec import U63, OneOf, Record, Uint
from chain.ints import add, u63
from chain.ledger import Namespace, state_key
from chain.types import Address, AssetId, Grains, Height, StateKey
from vm.assets.limits import NOTICE_BLOCKS
from vm.assets.lineage import split
from vm.assets.record import Asset, holding_of
from vm.context import Context


class OfferKind(IntEnum):
    """What one unit is: a use, 10⁹ multiply-accumulates, a period, a licence for ever, a run beside the data."""

    FREE = 1
    PER_CALL = 2
    PER_GMAC = 3
    SUBSCRIPTION = 4
    PERPETUAL = 5
    C2D = 6


@dataclass(frozen=True, slots=True)
class Terms(Record):
    """What is offered; a `period_blocks` of 0 never ends, a `quota` or `supply` of 0 is no bound."""

    kind: Annotated[OfferKind, OneOf(OfferKind)]
    price_grains: Annotated[Grains, U63]
    period_blocks: Annotated[int, U63]
    quota: Annotated[int, U63]
    supply: Annotated[int, U63]
    active: Annotated[int, Uint(1)]

    def dearer_than(self, other: Terms) -> bool:
        """Whether somebody who wanted the other terms would mind these."""
        ends_sooner = self.period_blocks and not 0 < other.period_blocks <= self.period_blocks
        return self.kind != other.kind or self.price_grains > other.price_grains or bool(ends_sooner)


@dataclass(frozen=True, slots=True)
class Offer(Record):
    """One slot: its terms, those that replace them from `coming_height` on (0: none), units sold so far."""

    terms: Terms
    coming: Terms
    coming_height: Annotated[Height, U63]
    sold: Annotated[int, U63]

    def terms_at(self, height: int) -> Terms:
        """What holds in the block of this height."""
        return self.coming if self.coming_height and height >= self.coming_height else self.terms

    def offering(self, terms: Terms, height: int) -> Offer:
        """With new terms: at once, or after the notice if they are dearer."""
        now = self.terms_at(height)
        if terms.dearer_than(now):
            return Offer(now, terms, Height(height + NOTICE_BLOCKS), self.sold)
        return Offer(terms, terms, Height(0), self.sold)

    def withdrawn(self, height: int) -> Offer:
        """With nothing for sale."""
        terms = self.terms_at(height).but(active=0)
        return Offer(terms, terms, Height(0), self.sold)


@dataclass(frozen=True, slots=True)
class Grant(Record):
    """What somebody may use: units bought, the last height (0: for ever), and the version it was bought for."""

    units: Annotated[int, U63]
    expiry: Annotated[Height, U63]
    version: Annotated[int, U63]

    def good_at(self, height: int) -> bool:
        return self.expiry == 0 or height <= self.expiry


@dataclass(frozen=True, slots=True)
class Revenue(Record):
    """What an asset has earned for an owner and nobody has taken yet; locked until then."""

    accrued_grains: Annotated[Grains, U63]


def offer_key(asset: AssetId, slot: int) -> StateKey:
    return state_key(Namespace.OFFER, asset + bytes([slot]))


def grant_key(asset: AssetId, slot: int, beneficiary: Address) -> StateKey:
    return state_key(Namespace.GRANT, asset + bytes([slot]) + beneficiary)


def revenue_key(asset: AssetId, owner: Address) -> StateKey:
    return state_key(Namespace.REVENUE, asset + owner)


def extended(held: Grant | None, terms: Terms, units: int, version: int, height: int) -> Grant:
    """A grant after more units were bought; one that has expired begins anew.  Raises: Invalid RANGE."""
    if held is None or not held.good_at(height):
        held = Grant(0, Height(height), version)
    return Grant(add(held.units, units), _expiry(held, terms, units, height), version)


def _expiry(held: Grant, terms: Terms, units: int, height: int) -> Height:
    """Subscriptions are strung together; of other periods the one that ends last counts."""
    if held.expiry == 0 or terms.period_blocks == 0:
        return Height(0)
    if terms.kind is OfferKind.SUBSCRIPTION:
        return Height(u63(held.expiry + terms.period_blocks * units))
    return Height(max(held.expiry, add(height, terms.period_blocks)))


def parts(
    context: Context, asset: AssetId, facts: Asset, amount: int
) -> Iterator[tuple[AssetId, Address, int]]:
    """(asset that earns, its owner, how much) of a sale; the asset that is sold comes last, with the remainder."""
    shares = split(amount, facts.royalties)
    for royalty, share in zip(facts.royalties, shares, strict=True):
        yield royalty.asset, holding_of(context, royalty.asset).owner, share
    yield asset, holding_of(context, asset).owner, amount - sum(shares)


def accrue(context: Context, asset: AssetId, owner: Address, amount: int) -> None:
    """Count coins, which the caller has locked, as earned."""
    if amount:
        key = revenue_key(asset, owner)
        held = context.state.load(key, Revenue)
        total = add(held.accrued_grains if held is not None else 0, amount)
        context.state.store(key, Revenue(Grains(total)))
