"""JSON faces of assets, and how what the state holds of them is looked up.  Spec: [RPC-ASSET]."""

from __future__ import annotations

from typing import TypeVar

from chain.codec import Record
from chain.errors import Missing, TooEarly
from chain.state import StateReader
from chain.types import AssetId, StateKey
from node.rpc.forms import Json, address_form, record_form
from vm.assets.record import Asset, Holding, asset_key, holding_key
from vm.assets.sales import Offer

R = TypeVar("R", bound=Record)


def summary_form(state: StateReader, asset: AssetId, facts: Asset, prefix: str) -> Json:
    """What a list says of an asset."""
    holding = known(state, holding_key(asset), Holding)
    return {
        "id": asset.hex(),
        "type": facts.type.name,
        "title": facts.title,
        "owner": address_form(prefix, holding.owner),
        "height": facts.height,
        "retired": bool(holding.retired),
    }


def offer_form(slot: int, offer: Offer, height: int, prefix: str) -> Json:
    """An offer as the block of this height finds it."""
    waits = offer.coming_height > height
    return {
        "slot": slot,
        **record_form(offer.terms_at(height), prefix),
        "sold": offer.sold,
        "coming": record_form(offer.coming, prefix) | {"height": offer.coming_height} if waits else None,
    }


def facts_of(state: StateReader, asset: AssetId) -> Asset:
    """Raises: Missing ASSET_UNKNOWN."""
    facts = found(state, asset_key(asset), Asset)
    if facts is None:
        raise Missing(
            "ASSET_UNKNOWN",
            found=asset,
            allowed="the id of an asset on this chain",
            hint="See `tilework model list`.",
        )
    return facts


def found(state: StateReader, key: StateKey, record: type[R]) -> R | None:
    """What the state holds under a key, if it holds anything."""
    data = state.get(key)
    return record.from_bytes(data) if data is not None else None


def known(state: StateReader, key: StateKey, record: type[R]) -> R:
    """What the rules say is there."""
    held = found(state, key, record)
    assert held is not None
    return held


def still(state: StateReader, key: StateKey, record: type[R]) -> R:
    """What the rules say was there at the head with which a read began.  Raises: TooEarly STATE_MOVED."""
    held = found(state, key, record)
    if held is None:
        raise TooEarly("STATE_MOVED", found="another head", allowed="the one with which the read began")
    return held
