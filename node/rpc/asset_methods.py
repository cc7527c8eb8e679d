"""RPC methods about assets: one, the newest, and what one is made from.  Spec: [RPC-ASSET]."""

from __future__ import annotations

from chain.bech32m import decode_address
from chain.errors import Policy
from chain.state import StateReader
from chain.types import AssetId
from node.rpc.asset_forms import facts_of, found, known, offer_form, summary_form
from node.rpc.backend import NodeBackend
from node.rpc.forms import Json, record_form
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
    holding_key,
    number_key,
    version_key,
)
from vm.assets.sales import Offer, Revenue, offer_key, revenue_key

MAX_LISTED = 100
MAX_SEARCHED = 500
"""Assets looked through for one list."""
MAX_ANCESTORS = 128
"""Ancestors in one answer."""


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
        Field(
            "permits",
            Form.INTEGER,
            "how many have not expired; while there is one, jobs need one, or a grant",
        ),
        Field("earned_grains", Form.GRAINS, "earned for its present owner and not taken yet"),
        Field("derivatives", Form.TEXT, "FORBIDDEN or ALLOWED"),
        Field("min_derivative_share_bp", Form.INTEGER, "what it asks of descendants"),
        Field("licence_root, doc_root, consent_root", Form.HASH, "as published; zeros: none"),
    ),
)
async def asset_get(node: NodeBackend, *, id: str) -> Json:
    chain, asset = node.chain, AssetId(bytes.fromhex(id))
    state, prefix, height = chain.state, chain.spec.address_prefix, chain.head.height
    facts, holding = facts_of(state, asset), known(state, holding_key(asset), Holding)
    form = record_form(facts, prefix) | record_form(holding, prefix)
    del form["number"], form["depth"]
    newest = known(state, version_key(asset, holding.versions), Version)
    offers = [(slot, found(state, offer_key(asset, slot), Offer)) for slot in range(SLOTS)]
    revenue = found(state, revenue_key(asset, holding.owner), Revenue)
    return form | {
        "id": asset.hex(),
        "retired": bool(holding.retired),
        "newest": record_form(newest, prefix) | {"number": holding.versions},
        "offers": [
            offer_form(slot, offer, height + 1, prefix) for slot, offer in offers if offer is not None
        ],
        "earned_grains": revenue.accrued_grains if revenue is not None else 0,
    }


@method(
    "asset_list",
    "Assets of this chain, newest first.",
    parameters=(
        Parameter("limit", Form.INTEGER, f"at most {MAX_LISTED}", required=False, default=50),
        Parameter("type", Form.TEXT, "only assets of this type", required=False),
        Parameter("owner", Form.ADDRESS, "only assets of this account", required=False),
    ),
    result=(
        Field("assets", Form.LIST, "id, type, title, owner, height and retired of each"),
        Field("count", Form.INTEGER, "how many there are in all"),
        Field("searched", Form.INTEGER, f"how many of them were looked at, at most {MAX_SEARCHED}"),
    ),
    cost=Cost.SCAN,
)
async def asset_list(node: NodeBackend, *, limit: int, type: str | None, owner: str | None) -> Json:
    if limit > MAX_LISTED:
        raise Policy("RPC_LIMIT", found=limit, allowed=f"at most {MAX_LISTED}")
    if type is not None and type.upper() not in AssetType.__members__:
        raise Policy("ASSET_TYPE", found=type, allowed=", ".join(AssetType.__members__))
    state, prefix = node.chain.state, node.chain.spec.address_prefix
    who = decode_address(prefix, owner) if owner is not None else None
    count = asset_count(state)
    listed: list[Json] = []
    searched = 0
    for number in range(count - 1, max(-1, count - 1 - MAX_SEARCHED), -1):
        if len(listed) >= limit:
            break
        searched += 1
        asset = known(state, number_key(number), AssetNumber).asset
        if who is not None and known(state, holding_key(asset), Holding).owner != who:
            continue
        facts = facts_of(state, asset)
        if type is None or facts.type is AssetType[type.upper()]:
            listed.append(summary_form(state, asset, facts, prefix))
    return {"assets": listed, "count": count, "searched": searched}


@method(
    "asset_lineage",
    "What an asset is made from, generation by generation, and how a sale is shared.",
    parameters=(Parameter("id", Form.HASH, "asset id"),),
    result=(
        Field("id", Form.HASH, "asset id"),
        Field("type, title", Form.TEXT, "as published"),
        Field("owner", Form.ADDRESS, "who owns it"),
        Field("height", Form.INTEGER, "height of its publication"),
        Field("retired", Form.BOOLEAN, "whether it is off sale for good"),
        Field("parents", Form.LIST, "what it is made from: asset, relation and share_bp of each"),
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
    facts = facts_of(state, asset)
    ancestors, truncated = _ancestors(state, facts, prefix)
    return summary_form(state, asset, facts, prefix) | {
        "parents": [record_form(parent, prefix) for parent in facts.parents],
        "depth": facts.depth,
        "ancestors": ancestors,
        "truncated": truncated,
        "royalties": [record_form(each, prefix) for each in facts.royalties],
        "owner_share_bp": 10_000 - sum(each.share_bp for each in facts.royalties),
    }


def asset_count(state: StateReader) -> int:
    """How many assets there are; their numbers are those below."""
    count = found(state, COUNT_KEY, AssetCount)
    return count.assets if count is not None else 0


def _ancestors(state: StateReader, facts: Asset, prefix: str) -> tuple[list[Json], bool]:
    """(forms of all ancestors, breadth first; whether some were left out)."""
    queue = [(parent.asset, 1) for parent in facts.parents]
    forms: dict[AssetId, Json] = {}
    while queue:
        asset, generation = queue.pop(0)
        if asset in forms:
            continue
        if len(forms) == MAX_ANCESTORS:
            return list(forms.values()), True
        above = facts_of(state, asset)
        forms[asset] = summary_form(state, asset, above, prefix) | {
            "generation": generation,
            "parents": [record_form(parent, prefix) for parent in above.parents],
        }
        queue += [(parent.asset, generation + 1) for parent in above.parents]
    return list(forms.values()), False


METHODS = (asset_get, asset_list, asset_lineage)
