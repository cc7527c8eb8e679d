"""What the state remembers of a model, dataset or other published thing, and of its versions.  Spec: [ASSET-STATE].

The facts of a publication never change and are read by descendants; what does change (owner, newest version, deposit)
is a small record of its own, because a sale looks it up for every payee.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from chain.codec import U63, Nested, OneOf, Raw, Record, Seq, Text, Uint
from chain.doc import Doc
from chain.hashing import Tag
from chain.ledger import Namespace, state_key
from chain.types import Address, AssetId, Grains, Hash32, Height, JobId, StateKey
from vm.assets.limits import MAX_PARENTS, MAX_PAYEES, MAX_SHARES_BP, MAX_TITLE_BYTES
from vm.context import Context
from vm.naming import object_id


class AssetType(IntEnum):
    """What is published."""

    MODEL = 1
    ADAPTER = 2
    DATASET = 3
    CODE = 4
    EVAL_SET = 5


class Relation(IntEnum):
    """What a descendant has from a parent."""

    FINE_TUNED = 1
    ADAPTED = 2
    QUANTISED = 3
    DISTILLED = 4
    MERGED = 5
    TRAINED_ON = 6
    DERIVED = 7


class Derivatives(IntEnum):
    """Whether descendants may name it as a parent."""

    FORBIDDEN = 0
    ALLOWED = 1


@dataclass(frozen=True, slots=True)
class Parent(Record):
    """Something that a publication is made from, and its part of every sale."""

    asset: Annotated[AssetId, Raw(32), Doc("the parent")]
    relation: Annotated[Relation, OneOf(Relation), Doc("what is taken from it")]
    share_bp: Annotated[int, Uint(MAX_SHARES_BP), Doc("its part of every sale, in hundredths of a per cent")]


@dataclass(frozen=True, slots=True)
class Royalty(Record):
    """A part of every sale that goes to the owner of another asset."""

    asset: Annotated[AssetId, Raw(32)]
    share_bp: Annotated[int, Uint(MAX_SHARES_BP, 1)]


@dataclass(frozen=True, slots=True)
class Asset(Record):
    """The facts of a publication; `number` counts publications from 0, `depth` is 0 without parents."""

    type: Annotated[AssetType, OneOf(AssetType)]
    title: Annotated[str, Text(MAX_TITLE_BYTES)]
    publisher: Annotated[Address, Raw(20)]
    height: Annotated[Height, U63]
    number: Annotated[int, U63]
    licence_root: Annotated[Hash32, Raw(32)]
    doc_root: Annotated[Hash32, Raw(32)]
    consent_root: Annotated[Hash32, Raw(32)]
    derivatives: Annotated[Derivatives, OneOf(Derivatives)]
    min_derivative_share_bp: Annotated[int, Uint(MAX_SHARES_BP)]
    depth: Annotated[int, U63]
    parents: Annotated[tuple[Parent, ...], Seq(Nested(Parent), MAX_PARENTS)]
    royalties: Annotated[tuple[Royalty, ...], Seq(Nested(Royalty), MAX_PAYEES)]


@dataclass(frozen=True, slots=True)
class Holding(Record):
    """What changes about an asset; `granted_until` is the last height at which a grant that expires is still good.

    `permits` counts those that have not expired; while there is one, the content is guarded [ASSET-PERMIT].
    """

    owner: Annotated[Address, Raw(20)]
    versions: Annotated[int, U63]
    retired: Annotated[int, Uint(1)]
    deposit_grains: Annotated[Grains, U63]
    granted_until: Annotated[Height, U63]
    permits: Annotated[int, U63]


@dataclass(frozen=True, slots=True)
class Version(Record):
    """One version, number 1 the publication, whose `parent` is 0. `verified`: a settled job made it of its parent."""

    parent: Annotated[int, U63]
    content_root: Annotated[Hash32, Raw(32)]
    size_bytes: Annotated[int, U63]
    manifest_root: Annotated[Hash32, Raw(32)]
    job: Annotated[JobId, Raw(32)]
    verified: Annotated[int, Uint(1)]
    height: Annotated[Height, U63]


@dataclass(frozen=True, slots=True)
class ContentUse(Record):
    """Which version published a content root."""

    asset: Annotated[AssetId, Raw(32)]
    version: Annotated[int, U63]


@dataclass(frozen=True, slots=True)
class AssetCount(Record):
    """How many assets there are; each also has an entry under its number, so that they can be listed."""

    assets: Annotated[int, U63]


@dataclass(frozen=True, slots=True)
class AssetNumber(Record):
    """The asset of a number."""

    asset: Annotated[AssetId, Raw(32)]


COUNT_KEY = state_key(Namespace.ASSET_NUMBER, b"")


def asset_id(publisher: Address, nonce: int, place: int | None = None) -> AssetId:
    """Named by the publishing transaction's sender and nonce, and its place in a batch [ASSET-ID]."""
    return AssetId(object_id(Tag.ASSET_ID, publisher, nonce, place))


def asset_key(asset: AssetId) -> StateKey:
    return state_key(Namespace.ASSET, asset)


def holding_key(asset: AssetId) -> StateKey:
    return state_key(Namespace.ASSET_HOLDING, asset)


def version_key(asset: AssetId, number: int) -> StateKey:
    return state_key(Namespace.ASSET_VERSION, asset + number.to_bytes(8, "big"))


def content_key(content_root: Hash32) -> StateKey:
    return state_key(Namespace.CONTENT, content_root)


def number_key(number: int) -> StateKey:
    return state_key(Namespace.ASSET_NUMBER, number.to_bytes(8, "big"))


def holding_of(context: Context, asset: AssetId) -> Holding:
    """The holding of an asset that exists."""
    holding = context.state.load(holding_key(asset), Holding)
    assert holding is not None, "every asset has a holding"
    return holding


def find_version(context: Context, asset: AssetId, number: int) -> Version | None:
    return context.state.load(version_key(asset, number), Version)


def add_version(context: Context, asset: AssetId, number: int, version: Version) -> None:
    """Remember a version, and that its content is taken."""
    context.state.store(version_key(asset, number), version)
    context.state.store(content_key(version.content_root), ContentUse(asset, number))


def next_number(context: Context) -> int:
    """Number of the next asset."""
    count = context.state.load(COUNT_KEY, AssetCount)
    return count.assets if count is not None else 0


def add_asset(context: Context, asset: AssetId, facts: Asset, holding: Holding) -> None:
    """Remember a publication under its id and its number."""
    context.state.store(asset_key(asset), facts)
    context.state.store(holding_key(asset), holding)
    context.state.store(number_key(facts.number), AssetNumber(asset))
    context.state.store(COUNT_KEY, AssetCount(facts.number + 1))
