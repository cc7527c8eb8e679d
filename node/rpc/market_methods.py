"""RPC methods around an asset: finding it, its price, its versions, what is said of it, what is made from it.

The state has no index for some of these, so their searches are bounded, and every answer says how far it looked.
Spec: [RPC-ASSET].
"""

from __future__ import annotations

import trio

from chain.bech32m import decode_address
from chain.errors import Policy
from chain.ints import u63
from chain.state import StateReader
from chain.types import Address, AssetId
from node.rpc.asset_forms import facts_of, found, known, offer_form, still, summary_form
from node.rpc.asset_methods import asset_count
from node.rpc.backend import ChainView, NodeBackend
from node.rpc.forms import Json, address_form, record_form
from node.rpc.one_head import at_one_head
from node.rpc.registry import Cost, Field, Form, Parameter, method
from vm.assets.limits import SLOTS
from vm.assets.opinion import Opinion, OpinionKind, opinion_key
from vm.assets.record import AssetNumber, Holding, Version, holding_key, number_key, version_key
from vm.assets.sales import Offer, offer_key, parts
from vm.kinds.attestations import AssetAttested

MAX_LISTED = 100
MIN_DIGITS = 8
"""Of an id that stands for the whole."""
MAX_NAMED = 5_000
"""Assets looked through for a name; with more of them on the chain, none is sure to mean only one."""
MAX_FOUND = 10
MAX_DESCENDANTS = 128
MAX_BLOCKS = 2_000
"""Blocks looked through for attestations."""
MAX_RECEIPTS = 20_000
"""Receipts looked through for attestations, give or take a block's."""


@method(
    "asset_find",
    "Assets that the first digits of an id mean, or the title of one of somebody's own.",
    parameters=(
        Parameter("text", Form.TEXT, f"at least {MIN_DIGITS} digits of an id, or a whole title"),
        Parameter("owner", Form.ADDRESS, "whose titles count; without it, none do", required=False),
    ),
    result=(
        Field("assets", Form.LIST, f"those it fits, as in asset_list, newest first, at most {MAX_FOUND}"),
        Field("complete", Form.BOOLEAN, f"whether all were looked at: false if more than {MAX_NAMED:,}"),
    ),
    cost=Cost.SCAN,
)
async def asset_find(node: NodeBackend, *, text: str, owner: str | None) -> Json:
    chain = node.chain
    prefix = chain.spec.address_prefix
    who = decode_address(prefix, owner) if owner is not None else None

    async def read() -> Json:
        state, fitting = chain.state, list[Json]()
        count = asset_count(state)
        first = max(0, count - MAX_NAMED)
        for number in range(count - 1, first - 1, -1):
            await trio.lowlevel.checkpoint()  # other tasks run between the records
            asset = still(state, number_key(number), AssetNumber).asset
            if len(fitting) < MAX_FOUND and _is_named(state, asset, text, who):
                fitting.append(summary_form(state, asset, facts_of(state, asset), prefix))
        return {"assets": fitting, "complete": first == 0}

    return await at_one_head(chain, read)


def _is_named(state: StateReader, asset: AssetId, text: str, owner: Address | None) -> bool:
    if len(text) >= MIN_DIGITS and asset.hex().startswith(text.lower()):
        return True
    if owner is None or known(state, holding_key(asset), Holding).owner != owner:
        return False
    return facts_of(state, asset).title == text


@method(
    "asset_quote",
    "What units of an offer cost in the next block, and who earns how much of it.",
    parameters=(
        Parameter("id", Form.HASH, "asset id"),
        Parameter("slot", Form.INTEGER, "which of its offers", required=False, default=0),
        Parameter("units", Form.INTEGER, "how many, at least 1", required=False, default=1),
    ),
    result=(
        Field("id", Form.HASH, "asset id"),
        Field("title", Form.TEXT, "its name for people"),
        Field("versions", Form.INTEGER, "how many there are; the newest has this number"),
        Field("offer", Form.OBJECT, "as in asset_get"),
        Field("units_left", Form.INTEGER, "how many can still be sold; null: any number"),
        Field("price_grains", Form.GRAINS, "of all the units"),
        Field("parts", Form.LIST, "asset, title, owner and amount_grains of everyone who earns; seller last"),
    ),
)
async def asset_quote(node: NodeBackend, *, id: str, slot: int, units: int) -> Json:
    chain, asset = node.chain, AssetId(bytes.fromhex(id))
    state, prefix, height = chain.state, chain.spec.address_prefix, chain.head.height + 1
    facts, holding = facts_of(state, asset), known(state, holding_key(asset), Holding)
    offers = [(each, found(state, offer_key(asset, each), Offer)) for each in range(SLOTS)]
    active = {
        each: offer
        for each, offer in offers
        if offer is not None and offer.terms_at(height).active and not holding.retired
    }
    if slot not in active:
        slots = ", ".join(map(str, active))
        raise Policy(
            "INACTIVE",
            found=f"slot {slot}",
            allowed=f"a slot with an active offer: {slots}" if slots else "an asset that is for sale",
            hint=f"See `tilework model show {asset.hex()}`.",
        )
    if not units:
        raise Policy("RPC_PARAMS", found="0 units", allowed="at least 1")
    offer = active[slot]
    terms = offer.terms_at(height)
    price = u63(terms.price_grains * units)
    return {
        "id": asset.hex(),
        "title": facts.title,
        "versions": holding.versions,
        "offer": offer_form(slot, offer, height, prefix),
        "units_left": max(0, terms.supply - offer.sold) if terms.supply else None,
        "price_grains": price,
        "parts": [
            {
                "asset": earning.hex(),
                "title": facts_of(state, earning).title,
                "owner": address_form(prefix, owner),
                "amount_grains": amount,
            }
            for earning, owner, amount in parts(chain.context(), asset, facts, price)
        ],
    }


@method(
    "asset_versions",
    "Versions of an asset, newest first.",
    parameters=(
        Parameter("id", Form.HASH, "asset id"),
        Parameter("limit", Form.INTEGER, f"at most {MAX_LISTED}", required=False, default=20),
        Parameter("before", Form.INTEGER, "only versions below this number", required=False),
    ),
    result=(
        Field("versions", Form.LIST, "number, roots, size, parent, job, verified and height of each"),
        Field("count", Form.INTEGER, "how many there are"),
    ),
    cost=Cost.SCAN,
)
async def asset_versions(node: NodeBackend, *, id: str, limit: int, before: int | None) -> Json:
    _check_limit(limit)
    state, prefix, asset = node.chain.state, node.chain.spec.address_prefix, AssetId(bytes.fromhex(id))
    facts_of(state, asset)
    count = known(state, holding_key(asset), Holding).versions
    newest = count if before is None else min(count, before - 1)
    shown = range(newest, max(0, newest - limit), -1)
    return {
        "versions": [
            {"number": number, **record_form(known(state, version_key(asset, number), Version), prefix)}
            for number in shown
        ],
        "count": count,
    }


@method(
    "asset_attestations",
    f"What was said of an asset in the last blocks, newest first: at most {MAX_BLOCKS:,} of them are looked through.",
    parameters=(
        Parameter("id", Form.HASH, "asset id"),
        Parameter("limit", Form.INTEGER, f"at most {MAX_LISTED}", required=False, default=20),
    ),
    result=(
        Field("attestations", Form.LIST, "who, kind, version, metric, score, verified and more of each"),
        Field("since_height", Form.INTEGER, "the first block that was looked through"),
        Field("complete", Form.BOOLEAN, "whether there can be no others"),
    ),
    cost=Cost.SCAN,
)
async def asset_attestations(node: NodeBackend, *, id: str, limit: int) -> Json:
    _check_limit(limit)
    chain, asset = node.chain, AssetId(bytes.fromhex(id))

    async def read() -> Json:
        published = facts_of(chain.state, asset).height
        said, since = await _attested(chain, asset, published, limit)
        return {
            "attestations": [_opinion_form(chain, event) for event in said],
            "since_height": since,
            "complete": since <= published and len(said) < limit,
        }

    return await at_one_head(chain, read)


async def _attested(
    chain: ChainView, asset: AssetId, published: int, limit: int
) -> tuple[list[AssetAttested], int]:
    """(the newest attestation of each account, version and kind; the lowest height that was looked at)."""
    said: dict[tuple[int, OpinionKind, Address], AssetAttested] = {}
    since, receipts = chain.head.height + 1, 0
    for height in range(chain.head.height, max(published - 1, chain.head.height - MAX_BLOCKS), -1):
        block = chain.block_hash_at(height)
        if len(said) >= limit or receipts >= MAX_RECEIPTS or block is None:
            break
        await trio.lowlevel.checkpoint()  # other tasks run between the blocks
        since = height
        for receipt in reversed(chain.receipts(block)):
            receipts += 1
            for event in reversed(receipt.events):
                if event.name == AssetAttested.__name__ and event.values[0] == asset:
                    heard = AssetAttested.from_wire(event.values)
                    said.setdefault((heard.version, heard.kind, heard.who), heard)
    return list(said.values())[:limit], since


def _opinion_form(chain: ChainView, event: AssetAttested) -> Json:
    """An attestation as it stands now."""
    key = opinion_key(event.asset, event.version, event.kind, event.who)
    opinion = still(chain.state, key, Opinion)
    prefix = chain.spec.address_prefix
    return {
        "who": address_form(prefix, event.who),
        "kind": event.kind.name,
        "version": event.version,
        **record_form(opinion, prefix),
    }


@method(
    "asset_descendants",
    "What is made from an asset, oldest first.",
    parameters=(Parameter("id", Form.HASH, "asset id"),),
    result=(
        Field("descendants", Form.LIST, "each once: summary, generation, parents as published"),
        Field(
            "complete",
            Form.BOOLEAN,
            f"whether all were found: at most {MAX_DESCENDANTS} are, among the {MAX_NAMED:,} assets after it",
        ),
    ),
    cost=Cost.SCAN,
)
async def asset_descendants(node: NodeBackend, *, id: str) -> Json:
    chain, root = node.chain, AssetId(bytes.fromhex(id))
    prefix = chain.spec.address_prefix

    async def read() -> Json:
        state = chain.state
        first = facts_of(state, root).number + 1
        count = asset_count(state)
        last = min(count, first + MAX_NAMED)
        generation, forms = {root: 0}, list[Json]()
        for number in range(
            first, last
        ):  # whoever names a parent is younger, so one pass finds all generations
            await trio.lowlevel.checkpoint()
            asset = still(state, number_key(number), AssetNumber).asset
            facts = facts_of(state, asset)
            above = [generation[each.asset] for each in facts.parents if each.asset in generation]
            if not above:
                continue
            if len(forms) == MAX_DESCENDANTS:
                return {"descendants": forms, "complete": False}
            generation[asset] = min(above) + 1
            parents = [record_form(parent, prefix) for parent in facts.parents]
            summary = summary_form(state, asset, facts, prefix)
            forms.append(summary | {"generation": generation[asset], "parents": parents})
        return {"descendants": forms, "complete": last == count}

    return await at_one_head(chain, read)


def _check_limit(limit: int) -> None:
    if limit > MAX_LISTED:
        raise Policy("RPC_LIMIT", found=limit, allowed=f"at most {MAX_LISTED}")


METHODS = (asset_find, asset_quote, asset_versions, asset_attestations, asset_descendants)
