"""RPC methods about assets: one, the newest, and what one is made from.  Spec: [RPC-ASSET]."""

from __future__ import annotations

from typing import TypeVar

from chain.codec import Record
from chain.errors import Missing, Policy
from chain.state import StateReader
from chain.types import AssetId, StateKey
from node.rpc.backend import NodeBackend
from node.rpc.forms import Json, address_form, record_form
from node.rpc.registry import Cost, Field, Form, Parameter, method
from vm.assets.limits import SLOTS
from vm.assets.record import (
    COUNT_KEY,
    Asset,
    AssetCount,
    AssetNumber,
    AssetType,
    Holding,
    Version,
    asset_key,
    holding_key,
    number_key,
    version_key,
)
from vm.assets.sales import Offer, offer_key

MAX_LISTED = 100
MAX_SEARCHED = 500
"""Assets looked through for one list."""
MAX_ANCESTORS = 128
"""Ancestors in one answer."""
R = TypeVar("R", bound=Record)


@method(
    "asset_get",
    "Everything about an asset: facts, owner, newest version, offers, who earns on a sale.",
    parameters=(Parameter("id", Form.HASH, "asset id"),),
    result=(
        Field("id", Form.HASH, "asset id"),
        Field("type", Form.TEXT, ", ".join(AssetType.__members__)),
        Field("title", Form.TEXT, "its name for people"),
        Field("owner, publisher", Form.ADDRESS, "who owns it, who published it"),
        Field("height", Form.INTEGER, "height of its publication"),
        Field("retired", Form.BOOLEAN, "whether it is off sale for good"),
        Field("versions", Form.INTEGER, "how many there are; the newest has this number"),
        Field("newest", Form.OBJECT, "the newest version: roots, size, parent, whether a job verified it"),
        Field(
            "offers", Form.LIST, "terms that hold now, units sold, dearer terms that wait with their height"
        ),
        Field("royalties", Form.LIST, "other assets that earn on a sale, in hundredths of a per cent"),
        Field("parents", Form.LIST, "what it is made from, as published"),
        Field("deposit_grains", Form.GRAINS, "locked until it is retired"),
        Field("granted_until", Form.INTEGER, "last height of any grant that ends; 0: none"),
        Field("derivatives", Form.TEXT, "FORBIDDEN or ALLOWED"),
        Field("min_derivative_share_bp", Form.INTEGER, "what it asks of descendants"),
        Field("licence_root, doc_root, consent_root", Form.HASH, "as published; zeros: none"),
    ),
)
async def asset_get(node: NodeBackend, *, id: str) -> Json:
    chain, asset = node.chain, AssetId(bytes.fromhex(id))
    state, prefix, height = chain.state, chain.spec.address_prefix, chain.head.height
    facts, holding = _facts(state, asset), _known(state, holding_key(asset), Holding)
    form = record_form(facts, prefix) | record_form(holding, prefix)
    del form["number"], form["depth"]
    newest = _known(state, version_key(asset, holding.versions), Version)
    offers = [(slot, _found(state, offer_key(asset, slot), Offer)) for slot in range(SLOTS)]
    return form | {
        "id": asset.hex(),
        "retired": bool(holding.retired),
        "newest": record_form(newest, prefix) | {"number": holding.versions},
        "offers": [
            _offer_form(slot, offer, height + 1, prefix) for slot, offer in offers if offer is not None
        ],
    }


@method(
    "asset_list",
    "Assets of this chain, newest first.",
    parameters=(
        Parameter("limit", Form.INTEGER, f"at most {MAX_LISTED}", required=False, default=50),
        Parameter("type", Form.TEXT, "only assets of this type", required=False),
    ),
    result=(
        Field("assets", Form.LIST, "id, type, title, owner, height and retired of each"),
        Field("count", Form.INTEGER, "how many there are in all"),
    ),
    cost=Cost.SCAN,
)
async def asset_list(node: NodeBackend, *, limit: int, type: str | None) -> Json:
    if limit > MAX_LISTED:
        raise Policy("RPC_LIMIT", found=limit, allowed=f"at most {MAX_LISTED}")
    if type is not None and type.upper() not in AssetType.__members__:
        raise Policy("ASSET_TYPE", found=type, allowed=", ".join(AssetType.__members__))
    state, prefix = node.chain.state, node.chain.spec.address_prefix
    count = _found(state, COUNT_KEY, AssetCount) or AssetCount(0)
    searched = range(count.assets - 1, max(-1, count.assets - 1 - MAX_SEARCHED), -1)
    found: list[Json] = []
    for number in searched:
        if len(found) >= limit:
            break
        asset = _known(state, number_key(number), AssetNumber).asset
        facts = _facts(state, asset)
        if type is None or facts.type is AssetType[type.upper()]:
            found.append(_summary(state, asset, facts, prefix))
    return {"assets": found, "count": count.assets}


@method(
    "asset_lineage",
    "What an asset is made from, generation by generation, and how a sale is shared.",
    parameters=(Parameter("id", Form.HASH, "asset id"),),
    result=(
        Field("id", Form.HASH, "asset id"),
        Field("depth", Form.INTEGER, "generations above it"),
        Field("ancestors", Form.LIST, "each once, nearest first: summary, generation, and its own parents"),
        Field("truncated", Form.BOOLEAN, f"whether there are more than {MAX_ANCESTORS} ancestors"),
        Field("royalties", Form.LIST, "asset and share_bp of everyone who earns besides the owner"),
        Field("owner_share_bp", Form.INTEGER, "what is left for the owner, in hundredths of a per cent"),
    ),
    cost=Cost.SCAN,
)
async def asset_lineage(node: NodeBackend, *, id: str) -> Json:
    state, prefix, asset = node.chain.state, node.chain.spec.address_prefix, AssetId(bytes.fromhex(id))
    facts = _facts(state, asset)
    ancestors, truncated = _ancestors(state, facts, prefix)
    return {
        "id": asset.hex(),
        "depth": facts.depth,
        "ancestors": ancestors,
        "truncated": truncated,
        "royalties": [record_form(each, prefix) for each in facts.royalties],
        "owner_share_bp": 10_000 - sum(each.share_bp for each in facts.royalties),
    }


def _ancestors(state: StateReader, facts: Asset, prefix: str) -> tuple[list[Json], bool]:
    """(forms of all ancestors, breadth first; whether some were left out)."""
    queue = [(parent.asset, 1) for parent in facts.parents]
    found: dict[AssetId, Json] = {}
    while queue:
        asset, generation = queue.pop(0)
        if asset in found:
            continue
        if len(found) == MAX_ANCESTORS:
            return list(found.values()), True
        above = _facts(state, asset)
        found[asset] = _summary(state, asset, above, prefix) | {
            "generation": generation,
            "parents": [record_form(parent, prefix) for parent in above.parents],
        }
        queue += [(parent.asset, generation + 1) for parent in above.parents]
    return list(found.values()), False


def _summary(state: StateReader, asset: AssetId, facts: Asset, prefix: str) -> Json:
    holding = _known(state, holding_key(asset), Holding)
    return {
        "id": asset.hex(),
        "type": facts.type.name,
        "title": facts.title,
        "owner": address_form(prefix, holding.owner),
        "height": facts.height,
        "retired": bool(holding.retired),
    }


def _offer_form(slot: int, offer: Offer, height: int, prefix: str) -> Json:
    """An offer as the block of this height finds it."""
    waits = offer.coming_height > height
    return {
        "slot": slot,
        **record_form(offer.terms_at(height), prefix),
        "sold": offer.sold,
        "coming": record_form(offer.coming, prefix) | {"height": offer.coming_height} if waits else None,
    }


def _facts(state: StateReader, asset: AssetId) -> Asset:
    """Raises: Missing ASSET_UNKNOWN."""
    facts = _found(state, asset_key(asset), Asset)
    if facts is None:
        raise Missing(
            "ASSET_UNKNOWN",
            found=asset,
            allowed="the id of an asset on this chain",
            hint="See `tilework model list`.",
        )
    return facts


def _found(state: StateReader, key: StateKey, record: type[R]) -> R | None:
    data = state.get(key)
    return record.from_bytes(data) if data is not None else None


def _known(state: StateReader, key: StateKey, record: type[R]) -> R:
    """What the rules say is there."""
    found = _found(state, key, record)
    assert found is not None
    return found


METHODS = (asset_get, asset_list, asset_lineage)
