"""What the kinds about one asset look up, and the checks they share."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from chain.types import Address, AssetId, Hash32, JobId
from vm.act import Act
from vm.assets.record import (
    Asset,
    ContentUse,
    Holding,
    Version,
    asset_key,
    content_key,
    find_version,
    holding_of,
)
from vm.context import Context
from vm.jobs.record import Status, find_job
from vm.rules import Refusal, check


class OnAsset(Act[Any]):
    """The asset that a body names as `asset`."""

    @property
    def asset_id(self) -> AssetId:
        asset: AssetId = self.body.asset
        return asset

    @cached_property
    def facts(self) -> Asset:
        facts = self.context.state.load(asset_key(self.asset_id), Asset)
        assert facts is not None, "EXISTS comes first"
        return facts

    @cached_property
    def holding(self) -> Holding:
        return holding_of(self.context, self.asset_id)

    def version(self, number: int) -> Version | None:
        return find_version(self.context, self.asset_id, number)


def exists(context: Context, asset: AssetId) -> bool:
    return context.state.get(asset_key(asset)) is not None


def content_taken(context: Context, content_root: Hash32) -> Refusal | None:
    """Content is published once."""
    use = context.state.load(content_key(content_root), ContentUse)
    if use is None:
        return None
    return Refusal(content_root, f"content other than that of version {use.version} of {use.asset.hex()}")


def made_by(context: Context, job: JobId, given: Hash32, result: Hash32) -> Refusal | None:
    """Whether a settled job was given one root and answered with another [ASSET-RECEIPT]."""
    found = find_job(context, job)
    if found is None or found.status is not Status.SETTLED:
        return Refusal(job, "a settled job")
    inputs: set[bytes] = set(found.input_roots)
    answer: bytes = found.result_root
    if given not in inputs or result != answer:
        return Refusal(found.result_root, "a job that was given the one root and answered with the other")
    return None


def _exists(act: OnAsset) -> Refusal | None:
    return (
        None
        if exists(act.context, act.asset_id)
        else Refusal(act.asset_id, "the id of an asset on this chain")
    )


def _owned(act: OnAsset) -> Refusal | None:
    owner: Address = act.holding.owner
    return Refusal(act.call.sender, owner) if owner != act.call.sender else None


def _live(act: OnAsset) -> Refusal | None:
    return Refusal("retired", "an asset that is not retired") if act.holding.retired else None


EXISTS = check("NOT_FOUND", "the asset exists", _exists)
OWNED = check("NOT_OWNER", "the sender owns the asset", _owned)
LIVE = check("BAD_STATE", "the asset is not retired", _live)
