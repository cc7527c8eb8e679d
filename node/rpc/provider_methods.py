"""RPC methods about providers and permits: the list page by page, one provider, one permit.  Spec: [RPC-PROVIDER]."""

from __future__ import annotations

from chain.bech32m import decode_address
from chain.errors import Missing, Policy
from chain.types import Address, PermitId
from node.heartbeat import due_challenge
from node.rpc.asset_forms import found, known
from node.rpc.backend import NodeBackend
from node.rpc.forms import Json, address_form, record_form
from node.rpc.registry import Cost, Field, Form, Parameter, method
from vm.assets.permits import Permit, permit_key
from vm.context import Context
from vm.providers.heartbeat import epoch_of
from vm.providers.record import (
    Provider,
    ProviderNumber,
    activity_of,
    find_provider,
    listed_count,
    number_key,
)

MAX_LISTED = 100
_PROVIDER = (
    Field("address", Form.ADDRESS, "the account"),
    Field("status", Form.TEXT, "ACTIVE or PAUSED"),
    Field("price_per_gmac_grains", Form.GRAINS, "what it asks for 10⁹ multiply-accumulates"),
    Field("max_parallel", Form.INTEGER, "jobs that it runs at a time"),
    Field("open_jobs", Form.INTEGER, "jobs that it has claimed and that have not ended"),
    Field("room", Form.INTEGER, "jobs that it has room for"),
    Field("region", Form.TEXT, "where it stands, as it says"),
    Field(
        "measured_macs", Form.INTEGER, "multiply-accumulates that it settles in an epoch, a moving average"
    ),
    Field("heartbeat_epoch", Form.INTEGER, "epoch of its last heartbeat, or of its registration"),
)


@method(
    "provider_list",
    "Providers by their number; pages, until `next` is null. Who leaves is replaced by the last on the list.",
    parameters=(
        Parameter("first", Form.INTEGER, "number of the first", required=False, default=0),
        Parameter("limit", Form.INTEGER, f"at most {MAX_LISTED}", required=False, default=50),
    ),
    result=(
        Field("providers", Form.LIST, "of each " + ", ".join(field.name for field in _PROVIDER)),
        Field("count", Form.INTEGER, "how many are on the list"),
        Field("next", Form.INTEGER, "number with which the next page begins; null if this is the last one"),
        Field("epoch", Form.INTEGER, "epoch of the next block"),
    ),
    cost=Cost.SCAN,
)
async def provider_list(node: NodeBackend, *, first: int, limit: int) -> Json:
    if not 1 <= limit <= MAX_LISTED:
        raise Policy("RPC_LIMIT", found=limit, allowed=f"1..{MAX_LISTED}")
    context = node.chain.context()
    count = listed_count(context)
    end = min(count, first + limit)
    listed = [
        known(context.state, number_key(number), ProviderNumber).provider for number in range(first, end)
    ]
    return {
        "providers": [_summary(context, each, _entry(context, each)) for each in listed],
        "count": count,
        "next": end if end < count else None,
        "epoch": epoch_of(context),
    }


@method(
    "provider_get",
    "Everything about a provider: what it declares, what is counted of it, and which heartbeat is due.",
    parameters=(Parameter("address", Form.ADDRESS, "the account"),),
    result=(
        *_PROVIDER,
        Field("endpoints", Form.LIST, "where it can be reached"),
        Field("transport_key, exchange_key", Form.HASH, "Ed25519 and X25519 keys; zeros: none"),
        Field("classes", Form.LIST, "dtype, max_edge and memory_bytes of the work that it takes"),
        Field("versions", Form.LIST, "asset and version of what it has at hand"),
        Field("number", Form.INTEGER, "its place in the list"),
        Field("registered_height", Form.INTEGER, "since when it is on the list"),
        Field("deposit_grains", Form.GRAINS, "locked until it leaves"),
        Field("settled_macs", Form.INTEGER, "of jobs that settled since its last heartbeat"),
        Field("challenge", Form.HASH, "what a heartbeat in the next block answers to; null: none is due"),
    ),
)
async def provider_get(node: NodeBackend, *, address: str) -> Json:
    context = node.chain.context()
    prefix = context.spec.address_prefix
    who = decode_address(prefix, address)
    entry, counted = _entry(context, who), activity_of(context, who)
    due = due_challenge(context, who)
    return {
        **record_form(entry.declared, prefix),
        **_summary(context, who, entry),
        "number": counted.number,
        "registered_height": entry.registered_height,
        "deposit_grains": entry.deposit_grains,
        "settled_macs": counted.settled_macs,
        "challenge": due.hex() if due is not None else None,
    }


@method(
    "permit_get",
    "A permit on a dataset: what may run on it, for whom, with which provider, how often.",
    parameters=(Parameter("id", Form.HASH, "permit id"),),
    result=(
        Field("id", Form.HASH, "permit id"),
        Field("asset", Form.HASH, "the dataset"),
        Field("grantor", Form.ADDRESS, "who set it, and gets the deposit back"),
        Field("grantee", Form.ADDRESS, "who may open jobs under it; null: anyone"),
        Field("code", Form.LIST, "digests of programs, or ids of assets whose content is one"),
        Field("providers", Form.LIST, "who alone may run it; empty: anyone"),
        Field("min_bond_grains", Form.GRAINS, "least bond of the provider"),
        Field("dtype", Form.INTEGER, "element type of a class that the provider has declared; 0: any"),
        Field("max_runs, runs", Form.INTEGER, "how many jobs may be claimed under it, and how many were"),
        Field("output", Form.TEXT, "what may leave the provider: HASH, METRICS or DELTA"),
        Field("expiry", Form.INTEGER, "last height at which it holds"),
        Field("revoked", Form.BOOLEAN, "whether its dataset's owner has ended it before"),
        Field("usable", Form.BOOLEAN, "whether a run is left"),
        Field("deposit_grains", Form.GRAINS, "locked until it has expired"),
    ),
)
async def permit_get(node: NodeBackend, *, id: str) -> Json:
    chain, named = node.chain, PermitId(bytes.fromhex(id))
    permit = found(chain.state, permit_key(named), Permit)
    if permit is None:
        raise Missing("PERMIT_UNKNOWN", found=id, allowed="the id of a permit that has not expired")
    form = record_form(permit, chain.spec.address_prefix)
    return {"id": named.hex(), **form, "revoked": bool(permit.revoked), "usable": permit.usable}


def _entry(context: Context, who: Address) -> Provider:
    """Raises: Missing PROVIDER_UNKNOWN."""
    entry = find_provider(context, who)
    if entry is None:
        raise Missing(
            "PROVIDER_UNKNOWN",
            found=address_form(context.spec.address_prefix, who),
            allowed="an account on the list of providers",
            hint="See `tilework provider list`.",
        )
    return entry


def _summary(context: Context, who: Address, entry: Provider) -> Json:
    declared, counted = entry.declared, activity_of(context, who)
    return {
        "address": address_form(context.spec.address_prefix, who),
        "status": entry.status.name,
        "price_per_gmac_grains": declared.price_per_gmac_grains,
        "max_parallel": declared.max_parallel,
        "open_jobs": counted.open_jobs,
        "room": max(0, declared.max_parallel - counted.open_jobs),
        "region": declared.region,
        "measured_macs": counted.measured_macs,
        "heartbeat_epoch": counted.heartbeat_epoch,
    }


METHODS = (provider_list, provider_get, permit_get)
