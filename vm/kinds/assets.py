"""Assets: publish models, datasets, code and eval sets, pass them on, take them back.  Spec: [ASSET-*].

Offers and purchases are in vm/kinds/sales.py, what others say of an asset in vm/kinds/attestations.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from chain.codec import U63, Nested, OneOf, Raw, Record, Seq, Text, Uint
from chain.doc import Doc
from chain.ints import ceil_div
from chain.types import NO_JOB, Address, AssetId, Grains, Hash32, Height, JobId
from vm.act import Act, affords
from vm.assets.act import EXISTS, LIVE, OWNED, OnAsset, content_taken, made_by
from vm.assets.limits import (
    DEPOSIT_GRAINS,
    MAX_DEPTH,
    MAX_PARENTS,
    MAX_PAYEES,
    MAX_SHARES_BP,
    MAX_TITLE_BYTES,
    SLOTS,
)
from vm.assets.lineage import depth_below, flattened
from vm.assets.record import (
    Asset,
    AssetType,
    Derivatives,
    Holding,
    Parent,
    Relation,
    Royalty,
    Version,
    add_asset,
    add_version,
    asset_id,
    asset_key,
    holding_key,
    holding_of,
    next_number,
)
from vm.assets.sales import Offer, Revenue, offer_key, revenue_key
from vm.events import Happening
from vm.kind import Family, Kind
from vm.letters import shown
from vm.rules import Refusal, check

ASSETS = Family("asset", "Models, datasets, code, eval sets: publish, sell, buy, rate.")


@dataclass(frozen=True, slots=True)
class AssetPublish(Record):
    """Publish a model, a dataset, code or an eval set; a deposit is locked until it is retired."""

    type: Annotated[AssetType, OneOf(AssetType), Doc("what it is")]
    title: Annotated[str, Text(MAX_TITLE_BYTES), Doc("its name for people")]
    content_root: Annotated[Hash32, Raw(32), Doc("commitment to the content; on this chain once")]
    size_bytes: Annotated[int, U63, Doc("size of the content")]
    manifest_root: Annotated[Hash32, Raw(32), Doc("commitment to the table of layers, or to schema and rows")]
    licence_root: Annotated[Hash32, Raw(32), Doc("commitment to the licence text; zeros: none")]
    doc_root: Annotated[Hash32, Raw(32), Doc("commitment to its description; zeros: none")]
    consent_root: Annotated[Hash32, Raw(32), Doc("commitment to consents of people in the data; zeros: none")]
    derivatives: Annotated[Derivatives, OneOf(Derivatives), Doc("whether others may name it as a parent")]
    min_derivative_share_bp: Annotated[
        int, Uint(MAX_SHARES_BP), Doc("least share of a descendant's sales, in hundredths of a per cent")
    ]
    parents: Annotated[
        tuple[Parent, ...], Seq(Nested(Parent), MAX_PARENTS), Doc("what it is made from, each named once")
    ]


@dataclass(frozen=True, slots=True)
class AssetPublished(Happening):
    """Something was published."""

    asset: Annotated[AssetId, Raw(32), Doc("its id")]
    owner: Annotated[Address, Raw(20), Doc("who published it")]
    type: Annotated[AssetType, OneOf(AssetType), Doc("what it is")]
    content_root: Annotated[Hash32, Raw(32), Doc("its content")]
    deposit_grains: Annotated[Grains, U63, Doc("what was locked for it")]


@dataclass(frozen=True, slots=True)
class LineageAdded(Happening):
    """A publication names something that it is made from."""

    asset: Annotated[AssetId, Raw(32), Doc("the publication")]
    parent: Annotated[AssetId, Raw(32), Doc("what it is made from")]
    relation: Annotated[Relation, OneOf(Relation), Doc("how")]
    share_bp: Annotated[int, U63, Doc("the parent's part of every sale, in hundredths of a per cent")]


class Publication(Act[AssetPublish]):
    """The parents, and the table of royalties that follows from them."""

    @cached_property
    def found(self) -> list[Asset | None]:
        return [self.context.state.load(asset_key(parent.asset), Asset) for parent in self.body.parents]

    @property
    def lineage(self) -> list[tuple[Parent, Asset]]:
        """Every parent with its facts; all of them exist."""
        pairs = zip(self.body.parents, self.found, strict=True)
        return [(parent, facts) for parent, facts in pairs if facts is not None]

    @cached_property
    def royalties(self) -> tuple[Royalty, ...]:
        return flattened(self.lineage)

    @property
    def depth(self) -> int:
        return depth_below(facts for _, facts in self.lineage)


def _readable(act: Publication) -> Refusal | None:
    return None if shown(act.body.title) else Refusal(repr(act.body.title), "letters that a person can see")


def _new_content(act: Publication) -> Refusal | None:
    return content_taken(act.context, act.body.content_root)


def _parents_exist(act: Publication) -> Refusal | None:
    for parent, facts in zip(act.body.parents, act.found, strict=True):
        if facts is None:
            return Refusal(parent.asset, "the id of an asset on this chain")
    return None


def _parents_allow(act: Publication) -> Refusal | None:
    for parent, facts in act.lineage:
        if facts.derivatives is not Derivatives.ALLOWED or holding_of(act.context, parent.asset).retired:
            return Refusal(parent.asset, "parents that allow derivatives and are not retired")
    return None


def _named_once(act: Publication) -> Refusal | None:
    named = [parent.asset for parent in act.body.parents]
    return Refusal(f"{len(named)} parents", "each of them once") if len(set(named)) < len(named) else None


def _shares_suffice(act: Publication) -> Refusal | None:
    for parent, facts in act.lineage:
        if parent.share_bp < facts.min_derivative_share_bp:
            return Refusal(
                parent.share_bp, f"at least the {facts.min_derivative_share_bp} bp that it asks for"
            )
    total = sum(parent.share_bp for parent in act.body.parents)
    return Refusal(total, f"at most {MAX_SHARES_BP} bp for all parents") if total > MAX_SHARES_BP else None


def _not_too_deep(act: Publication) -> Refusal | None:
    return Refusal(act.depth, f"at most {MAX_DEPTH} generations") if act.depth > MAX_DEPTH else None


def _not_too_wide(act: Publication) -> Refusal | None:
    payees = len(act.royalties)
    return Refusal(payees, f"at most {MAX_PAYEES} payees") if payees > MAX_PAYEES else None


def _publish(act: Publication) -> None:
    context, body, call = act.context, act.body, act.call
    context.debit(call.sender, DEPOSIT_GRAINS)
    context.lock(DEPOSIT_GRAINS)
    identity, height = asset_id(call.sender, call.nonce, call.place), Height(context.height)
    facts = Asset(
        type=body.type,
        title=body.title,
        publisher=call.sender,
        height=height,
        number=next_number(context),
        licence_root=body.licence_root,
        doc_root=body.doc_root,
        consent_root=body.consent_root,
        derivatives=body.derivatives,
        min_derivative_share_bp=body.min_derivative_share_bp,
        depth=act.depth,
        parents=body.parents,
        royalties=act.royalties,
    )
    deposit = Grains(DEPOSIT_GRAINS)
    add_asset(context, identity, facts, Holding(call.sender, 1, 0, deposit, Height(0), 0))
    first = Version(0, body.content_root, body.size_bytes, body.manifest_root, NO_JOB, 0, height)
    add_version(context, identity, 1, first)
    context.emit(AssetPublished(identity, call.sender, body.type, body.content_root, deposit))
    for parent in body.parents:
        context.emit(LineageAdded(identity, parent.asset, parent.relation, parent.share_bp))


PUBLISH = Kind(
    "asset.publish",
    ASSETS,
    AssetPublish,
    who="anyone: the author",
    weight=3,
    weigh=lambda body: 3 + ceil_div(len(body.parents), 2),
    max_bytes=2048,
    deposit_grains=DEPOSIT_GRAINS,
    act=Publication,
    checks=(
        check("TEXT", "the title is not empty and has only visible letters", _readable),
        check("DUPLICATE", "nothing with this content was published before", _new_content),
        check("NOT_FOUND", "every parent exists", _parents_exist),
        check("LICENCE", "every parent allows derivatives and is not retired", _parents_allow),
        check("LINEAGE", "no parent is named twice", _named_once),
        check(
            "SHARE",
            f"parents get what they ask for, and at most {MAX_SHARES_BP:,} bp together",
            _shares_suffice,
        ),
        check("LINEAGE", f"at most {MAX_DEPTH} generations are above it", _not_too_deep),
        check("LINEAGE", f"a sale has at most {MAX_PAYEES} payees", _not_too_wide),
        affords(lambda act: DEPOSIT_GRAINS, "the sender has the deposit besides the fee"),
    ),
    effect=_publish,
    events=(AssetPublished, LineageAdded),
    pausable=True,
)


@dataclass(frozen=True, slots=True)
class AssetVersion(Record):
    """Add a version; earlier ones stay. With a settled job that made it of its parent, it counts as verified."""

    asset: Annotated[AssetId, Raw(32), Doc("the asset")]
    parent_version: Annotated[int, U63, Doc("number of the version that it is made from")]
    content_root: Annotated[Hash32, Raw(32), Doc("commitment to the content; on this chain once")]
    size_bytes: Annotated[int, U63, Doc("size of the content")]
    manifest_root: Annotated[Hash32, Raw(32), Doc("commitment to the table of layers, or to schema and rows")]
    job: Annotated[JobId, Raw(32), Doc("the job that made it of its parent; zeros: none")]


@dataclass(frozen=True, slots=True)
class VersionAdded(Happening):
    """An asset has a new version."""

    asset: Annotated[AssetId, Raw(32), Doc("the asset")]
    version: Annotated[int, U63, Doc("its number")]
    content_root: Annotated[Hash32, Raw(32), Doc("its content")]
    verified: Annotated[int, Uint(1), Doc("1: a settled job made it of its parent")]


def _parent_version_exists(act: OnAsset) -> Refusal | None:
    number = act.body.parent_version
    return Refusal(number, f"1..{act.holding.versions}") if act.version(number) is None else None


def _new_version_content(act: OnAsset) -> Refusal | None:
    return content_taken(act.context, act.body.content_root)


def _version_receipt(act: OnAsset) -> Refusal | None:
    parent = act.version(act.body.parent_version)
    if act.body.job == NO_JOB or parent is None:
        return None
    return made_by(act.context, act.body.job, parent.content_root, act.body.content_root)


def _add_version(act: OnAsset) -> None:
    context, body, number = act.context, act.body, act.holding.versions + 1
    verified = int(body.job != NO_JOB)
    version = Version(
        body.parent_version,
        body.content_root,
        body.size_bytes,
        body.manifest_root,
        body.job,
        verified,
        Height(context.height),
    )
    add_version(context, act.asset_id, number, version)
    context.state.store(holding_key(act.asset_id), act.holding.but(versions=number))
    context.emit(VersionAdded(act.asset_id, number, body.content_root, verified))


VERSION = Kind(
    "asset.version",
    ASSETS,
    AssetVersion,
    who="the owner",
    weight=2,
    max_bytes=1024,
    act=OnAsset,
    checks=(
        EXISTS,
        OWNED,
        LIVE,
        check("NOT_FOUND", "the parent version exists", _parent_version_exists),
        check("DUPLICATE", "nothing with this content was published before", _new_version_content),
        check(
            "RECEIPT",
            "the job is settled, was given the parent and answered with the content",
            _version_receipt,
        ),
    ),
    effect=_add_version,
    events=(VersionAdded,),
    pausable=True,
)


@dataclass(frozen=True, slots=True)
class AssetTransfer(Record):
    """Give an asset away: what it earns from now on and its deposit go with it, what was earned stays."""

    asset: Annotated[AssetId, Raw(32), Doc("the asset")]
    to: Annotated[Address, Raw(20), Doc("the new owner")]


@dataclass(frozen=True, slots=True)
class AssetTransferred(Happening):
    """An asset has a new owner."""

    asset: Annotated[AssetId, Raw(32), Doc("the asset")]
    sender: Annotated[Address, Raw(20), Doc("who owned it")]
    to: Annotated[Address, Raw(20), Doc("who owns it now")]


def _transfer(act: OnAsset) -> None:
    act.context.state.store(holding_key(act.asset_id), act.holding.but(owner=act.body.to))
    act.context.emit(AssetTransferred(act.asset_id, act.call.sender, act.body.to))


TRANSFER = Kind(
    "asset.transfer",
    ASSETS,
    AssetTransfer,
    who="the owner",
    weight=1,
    max_bytes=1024,
    act=OnAsset,
    checks=(EXISTS, OWNED),
    effect=_transfer,
    events=(AssetTransferred,),
)


@dataclass(frozen=True, slots=True)
class AssetRetire(Record):
    """Stop selling from a slot, or retire the asset; grants stay good, and the deposit comes back after the last."""

    asset: Annotated[AssetId, Raw(32), Doc("the asset")]
    slot: Annotated[int, Uint(SLOTS), Doc(f"the offer's slot; {SLOTS}: the asset itself, for good")]


@dataclass(frozen=True, slots=True)
class Retired(Happening):
    """An offer or an asset is not for sale any more."""

    asset: Annotated[AssetId, Raw(32), Doc("the asset")]
    slot: Annotated[int, U63, Doc(f"the offer's slot; {SLOTS}: the asset itself")]


@dataclass(frozen=True, slots=True)
class DepositReturned(Happening):
    """The deposit of a retired asset was paid back."""

    asset: Annotated[AssetId, Raw(32), Doc("the asset")]
    owner: Annotated[Address, Raw(20), Doc("who got it")]
    amount_grains: Annotated[Grains, U63, Doc("how much")]


class Retirement(OnAsset):
    """What is taken back [ASSET-RETIRE]."""

    @property
    def whole(self) -> bool:
        """The asset, not one of its offers."""
        return bool(self.body.slot == SLOTS)

    @cached_property
    def offer(self) -> Offer | None:
        return self.context.state.load(offer_key(self.asset_id, self.body.slot), Offer)

    @property
    def deposit_free(self) -> bool:
        """Whether every grant that ends has ended."""
        return self.holding.granted_until < self.context.height


def _offered(act: Retirement) -> Refusal | None:
    if act.whole or act.offer is not None:
        return None
    return Refusal(f"slot {act.body.slot}", "a slot with an offer")


def _something_left(act: Retirement) -> Refusal | None:
    held = act.holding
    if not held.retired or (act.whole and held.deposit_grains):
        return None
    return Refusal("retired", "an asset that is not, or that waits for its deposit")


def _grants_over(act: Retirement) -> Refusal | None:
    if act.holding.retired and not act.deposit_free:
        return Refusal(f"height {act.context.height}", f"from height {act.holding.granted_until + 1} on")
    return None


def _retire(act: Retirement) -> None:
    context, held = act.context, act.holding
    if not act.whole:
        assert act.offer is not None
        context.state.store(offer_key(act.asset_id, act.body.slot), act.offer.withdrawn(context.height))
        context.emit(Retired(act.asset_id, act.body.slot))
        return
    if not held.retired:
        context.emit(Retired(act.asset_id, SLOTS))
    deposit = held.deposit_grains if act.deposit_free else Grains(0)
    left = Grains(held.deposit_grains - deposit)
    context.state.store(holding_key(act.asset_id), held.but(retired=1, deposit_grains=left))
    if deposit:
        context.unlock(deposit)
        context.credit(held.owner, deposit)
        context.emit(DepositReturned(act.asset_id, held.owner, deposit))


RETIRE = Kind(
    "asset.retire",
    ASSETS,
    AssetRetire,
    who="the owner; again, once all grants have ended, if the deposit had to wait",
    weight=1,
    max_bytes=1024,
    act=Retirement,
    checks=(
        EXISTS,
        OWNED,
        check("NOT_FOUND", "the slot has an offer", _offered),
        check("BAD_STATE", "the asset is not retired, or waits for its deposit", _something_left),
        check("GRANTS_LIVE", "sent again, the last grant that ends has ended", _grants_over),
    ),
    effect=_retire,
    events=(Retired, DepositReturned),
)


@dataclass(frozen=True, slots=True)
class AssetClaim(Record):
    """Take what an asset has earned while the sender owned it."""

    asset: Annotated[AssetId, Raw(32), Doc("the asset that earned it: what was sold, or an ancestor of it")]


@dataclass(frozen=True, slots=True)
class RevenueClaimed(Happening):
    """Somebody took what an asset had earned."""

    asset: Annotated[AssetId, Raw(32), Doc("the asset")]
    owner: Annotated[Address, Raw(20), Doc("who took it")]
    amount_grains: Annotated[Grains, U63, Doc("how much")]


class Earnings(Act[AssetClaim]):
    """What waits for the sender."""

    @cached_property
    def accrued_grains(self) -> int:
        found = self.context.state.load(revenue_key(self.body.asset, self.call.sender), Revenue)
        return found.accrued_grains if found is not None else 0


def _something_earned(act: Earnings) -> Refusal | None:
    return (
        None
        if act.accrued_grains
        else Refusal("0 grains", "an asset that has earned something for the sender")
    )


def _claim(act: Earnings) -> None:
    context, sender, amount = act.context, act.call.sender, act.accrued_grains
    context.state.delete(revenue_key(act.body.asset, sender))
    context.unlock(amount)
    context.credit(sender, amount)
    context.emit(RevenueClaimed(act.body.asset, sender, Grains(amount)))


CLAIM = Kind(
    "asset.claim",
    ASSETS,
    AssetClaim,
    who="whoever owned the asset when it earned",
    weight=1,
    max_bytes=1024,
    act=Earnings,
    checks=(check("NOTHING", "something is there to be taken", _something_earned),),
    effect=_claim,
    events=(RevenueClaimed,),
)
