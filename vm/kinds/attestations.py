"""Attestations: ratings by users, measurements by jobs, findings by validators.  Spec: [ASSET-ATTEST]."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from chain.codec import U63, OneOf, Raw, Record, Text, Uint
from chain.doc import Doc
from chain.ledger import Namespace, Validator, state_key
from chain.types import NO_ASSET, NO_JOB, Address, AssetId, Hash32, Height, JobId
from vm.assets.act import EXISTS, OnAsset, made_by
from vm.assets.limits import MAX_METRIC_BYTES, SLOTS
from vm.assets.opinion import Opinion, OpinionKind, opinion_key
from vm.assets.record import Asset, AssetType, Version, asset_key
from vm.assets.sales import Grant, grant_key
from vm.events import Happening
from vm.kind import Kind
from vm.kinds.assets import ASSETS
from vm.letters import shown
from vm.rules import Refusal, check


@dataclass(frozen=True, slots=True)
class AssetAttest(Record):
    """Say something of a version; said again, it takes the place of what was said before."""

    asset: Annotated[AssetId, Raw(32), Doc("the asset")]
    version: Annotated[int, U63, Doc("number of the version")]
    kind: Annotated[OpinionKind, OneOf(OpinionKind), Doc("what is said")]
    slot: Annotated[int, Uint(SLOTS - 1), Doc("for a rating, the slot of a grant that the sender has or had")]
    evalset: Annotated[AssetId, Raw(32), Doc("the eval set that was used; zeros: none")]
    metric: Annotated[str, Text(MAX_METRIC_BYTES), Doc("what the score counts")]
    score: Annotated[int, U63, Doc("the score, in units of the metric")]
    evidence_root: Annotated[Hash32, Raw(32), Doc("commitment to the evidence; of a job, its result")]
    job: Annotated[JobId, Raw(32), Doc("for a measurement, the job that was given the version; zeros: none")]


@dataclass(frozen=True, slots=True)
class AssetAttested(Happening):
    """Somebody said something of a version."""

    asset: Annotated[AssetId, Raw(32), Doc("the asset")]
    version: Annotated[int, U63, Doc("number of the version")]
    kind: Annotated[OpinionKind, OneOf(OpinionKind), Doc("what was said")]
    who: Annotated[Address, Raw(20), Doc("who said it")]
    score: Annotated[int, U63, Doc("the score")]
    verified: Annotated[int, Uint(1), Doc("1: a settled job is behind it")]


class Attestation(OnAsset):
    """The version, and what entitles the sender."""

    @cached_property
    def attested(self) -> Version | None:
        return self.version(self.body.version)

    @property
    def stake_grains(self) -> int:
        key = state_key(Namespace.VALIDATOR, self.call.sender)
        validator = self.context.state.load(key, Validator)
        return validator.stake_grains if validator is not None else 0


def _version_exists(act: Attestation) -> Refusal | None:
    return Refusal(act.body.version, f"1..{act.holding.versions}") if act.attested is None else None


def _metric_readable(act: Attestation) -> Refusal | None:
    return None if shown(act.body.metric) else Refusal(repr(act.body.metric), "letters that a person can see")


def _measured_with(act: Attestation) -> Refusal | None:
    evalset: AssetId = act.body.evalset
    if evalset == NO_ASSET:
        return None
    facts = act.context.state.load(asset_key(evalset), Asset)
    wrong = facts is None or facts.type is not AssetType.EVAL_SET
    return Refusal(evalset, "zeros, or the id of an eval set on this chain") if wrong else None


def _job_fits(act: Attestation) -> Refusal | None:
    if act.body.job != NO_JOB and act.body.kind is not OpinionKind.EVAL:
        return Refusal(act.body.kind.name, "a job for measurements (EVAL) only")
    return None


def _has_used(act: Attestation) -> Refusal | None:
    if act.body.kind is not OpinionKind.RATING:
        return None
    key = grant_key(act.asset_id, act.body.slot, act.call.sender)
    found = act.context.state.load(key, Grant)
    return (
        Refusal(f"slot {act.body.slot}", "a slot from which the sender was granted something")
        if found is None
        else None
    )


def _receipt(act: Attestation) -> Refusal | None:
    if act.body.job == NO_JOB or act.attested is None:
        return None
    return made_by(act.context, act.body.job, act.attested.content_root, act.body.evidence_root)


def _bonded(act: Attestation) -> Refusal | None:
    if act.body.kind is OpinionKind.RATING or act.body.job != NO_JOB:
        return None
    minimum = act.context.spec.money.minimum_stake_grains
    if act.stake_grains < minimum:
        return Refusal(act.stake_grains, f"a stake of at least {minimum} grains, or a job")
    return None


def _attest(act: Attestation) -> None:
    context, body, who = act.context, act.body, act.call.sender
    verified = int(body.job != NO_JOB)
    opinion = Opinion(
        body.evalset, body.metric, body.score, body.evidence_root, body.job, verified, Height(context.height)
    )
    context.state.store(opinion_key(act.asset_id, body.version, body.kind, who), opinion)
    context.emit(AssetAttested(act.asset_id, body.version, body.kind, who, body.score, verified))


ATTEST = Kind(
    "asset.attest",
    ASSETS,
    AssetAttest,
    who="users rate; validators, and anyone with a settled job, measure; validators judge safety and licence",
    weight=2,
    max_bytes=1024,
    act=Attestation,
    checks=(
        EXISTS,
        check("NOT_FOUND", "the version exists", _version_exists),
        check("TEXT", "the metric is not empty and has only visible letters", _metric_readable),
        check("EVALSET", "the eval set, if one is named, is one", _measured_with),
        check("FORM", "only a measurement names a job", _job_fits),
        check("NO_GRANT", "who rates has, or had, a grant from the slot", _has_used),
        check(
            "RECEIPT", "the job is settled, was given the version and answered with the evidence", _receipt
        ),
        check("ROLE", "without a job, who measures or judges is a validator with the minimum stake", _bonded),
    ),
    effect=_attest,
    events=(AssetAttested,),
)
