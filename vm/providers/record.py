"""Who sells work: what a provider declares, what the chain counts of it, and the list of all.  Spec: [PROV-*].

Declared fields are for people and programs that choose a provider: nothing is paid for them. What is counted is a small
record of its own, because every claim and every end of a job writes it. It is there for whoever runs a job, on the list
or not, so that a number of open jobs never depends on when somebody registered.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from chain.codec import U63, BigUint, Nested, OneOf, Raw, Record, Seq, Text, Uint
from chain.doc import Doc
from chain.ledger import Namespace, state_key
from chain.tensors import DType
from chain.types import NO_ADDRESS, Address, AssetId, Grains, Height, StateKey
from vm.context import Context

MAX_ENDPOINTS = 4
MAX_ENDPOINT_BYTES = 128
MAX_CLASSES = 8
MAX_SERVED = 64
MAX_REGION_BYTES = 32


class ProviderStatus(IntEnum):
    """What a provider says of itself; whoever is EXITING is on the list no more."""

    ACTIVE = 1
    PAUSED = 2
    EXITING = 3


@dataclass(frozen=True, slots=True)
class WorkClass(Record):
    """A sort of work that a provider takes."""

    dtype: Annotated[DType, OneOf(DType), Doc("type of the given entries")]
    max_edge: Annotated[int, U63, Doc("longest edge of a matrix")]
    memory_bytes: Annotated[int, U63, Doc("memory of the device")]


@dataclass(frozen=True, slots=True)
class Served(Record):
    """A version that a provider has at hand."""

    asset: Annotated[AssetId, Raw(32), Doc("the asset")]
    version: Annotated[int, U63, Doc("number of the version")]


@dataclass(frozen=True, slots=True)
class Declaration(Record):
    """What a provider says of itself; nothing is paid for it, and nobody checks it but its customers."""

    endpoints: Annotated[
        tuple[str, ...], Seq(Text(MAX_ENDPOINT_BYTES), MAX_ENDPOINTS), Doc("where it can be reached")
    ]
    transport_key: Annotated[bytes, Raw(32), Doc("Ed25519 key of its endpoints; zeros: none")]
    exchange_key: Annotated[bytes, Raw(32), Doc("X25519 key to which secrets are sealed; zeros: none")]
    classes: Annotated[
        tuple[WorkClass, ...], Seq(Nested(WorkClass), MAX_CLASSES), Doc("sorts of work that it takes")
    ]
    price_per_gmac_grains: Annotated[Grains, U63, Doc("what it asks for 10⁹ multiply-accumulates")]
    versions: Annotated[
        tuple[Served, ...], Seq(Nested(Served), MAX_SERVED), Doc("versions that it has at hand")
    ]
    max_parallel: Annotated[int, U63, Doc("jobs that it runs at a time")]
    region: Annotated[str, Text(MAX_REGION_BYTES), Doc("where it stands; may be empty")]


@dataclass(frozen=True, slots=True)
class Provider(Record):
    """An entry in the list of providers."""

    declared: Annotated[Declaration, Nested(Declaration)]
    status: Annotated[ProviderStatus, OneOf(ProviderStatus)]
    registered_height: Annotated[Height, U63]
    deposit_grains: Annotated[Grains, U63]


@dataclass(frozen=True, slots=True)
class Activity(Record):
    """What the chain counts of somebody who runs jobs; of who is not listed, open jobs only [PROV-COUNT]."""

    open_jobs: Annotated[int, U63]
    """Claimed and not ended."""
    listed: Annotated[int, Uint(1)]
    number: Annotated[int, U63]
    """Its place in the list."""
    settled_macs: Annotated[int, BigUint(16)]
    """Of jobs that settled since the last heartbeat."""
    measured_macs: Annotated[int, BigUint(16)]
    """Per epoch: the moving average, brought up to date by a heartbeat [PROV-MEASURE]."""
    heartbeat_epoch: Annotated[int, U63]
    """Of the last heartbeat; registering counts as one."""


IDLE = Activity(0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class ProviderCount(Record):
    """How many providers are on the list; absent for none."""

    providers: Annotated[int, U63]


@dataclass(frozen=True, slots=True)
class ProviderNumber(Record):
    """The provider of a number: the list has no holes, so that it can be read page by page [PROV-LIST]."""

    provider: Annotated[Address, Raw(20)]


COUNT_KEY = state_key(Namespace.PROVIDER_INDEX, b"")
_COUNTED = b"\1"
"""Follows the address in the identifier of what is counted."""


def provider_key(address: Address) -> StateKey:
    return state_key(Namespace.PROVIDER, address)


def activity_key(address: Address) -> StateKey:
    return state_key(Namespace.PROVIDER, address + _COUNTED)


def number_key(number: int) -> StateKey:
    return state_key(Namespace.PROVIDER_INDEX, number.to_bytes(8, "big"))


def find_provider(context: Context, address: Address) -> Provider | None:
    """The entry of an account, if it is on the list."""
    return context.state.load(provider_key(address), Provider)


def activity_of(context: Context, address: Address) -> Activity:
    """What is counted of an account; of most there is nothing."""
    return context.state.load(activity_key(address), Activity) or IDLE


def put_activity(context: Context, address: Address, activity: Activity) -> None:
    """Remember what is counted, as long as there is something."""
    if activity == IDLE:
        context.state.delete(activity_key(address))
    else:
        context.state.store(activity_key(address), activity)


# -- jobs -------------------------------------------------------------------------------------------------------------


def count_claim(context: Context, address: Address) -> None:
    """One more open job."""
    activity = activity_of(context, address)
    put_activity(context, address, activity.but(open_jobs=activity.open_jobs + 1))


def count_end(context: Context, address: Address, settled_macs: int) -> None:
    """One open job less, with the work that it has settled; nobody had claimed it if there is no address."""
    if address == NO_ADDRESS:
        return
    activity = activity_of(context, address)
    assert activity.open_jobs, "every claim was counted"
    macs = activity.settled_macs + settled_macs if activity.listed else 0
    put_activity(context, address, activity.but(open_jobs=activity.open_jobs - 1, settled_macs=macs))


# -- the list ---------------------------------------------------------------------------------------------------------


def listed_count(context: Context) -> int:
    """How many are on the list."""
    count = context.state.load(COUNT_KEY, ProviderCount)
    return count.providers if count is not None else 0


def enlist(context: Context, address: Address, provider: Provider, epoch: int) -> None:
    """Put somebody at the end of the list."""
    number = listed_count(context)
    context.state.store(provider_key(address), provider)
    context.state.store(number_key(number), ProviderNumber(address))
    context.state.store(COUNT_KEY, ProviderCount(number + 1))
    activity = activity_of(context, address)
    put_activity(context, address, activity.but(listed=1, number=number, heartbeat_epoch=epoch))


def delist(context: Context, address: Address) -> None:
    """Take somebody without open jobs off the list; the last one on it takes the place."""
    number, last = activity_of(context, address).number, listed_count(context) - 1
    if number != last:
        moved = context.state.load(number_key(last), ProviderNumber)
        assert moved is not None, "the list has no holes"
        context.state.store(number_key(number), moved)
        put_activity(context, moved.provider, activity_of(context, moved.provider).but(number=number))
    context.state.delete(number_key(last))
    if last:
        context.state.store(COUNT_KEY, ProviderCount(last))
    else:
        context.state.delete(COUNT_KEY)
    context.state.delete(provider_key(address))
    put_activity(context, address, IDLE)
