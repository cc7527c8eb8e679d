"""What people, validators and jobs say of a version.  Spec: [ASSET-ATTEST]."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from chain.codec import U63, Raw, Record, Text, Uint
from chain.ledger import Namespace, state_key
from chain.types import Address, AssetId, Hash32, Height, JobId, StateKey
from vm.assets.limits import MAX_METRIC_BYTES


class OpinionKind(IntEnum):
    """What is said: a user's rating, a measurement, a finding on safety, a finding on the licence."""

    RATING = 1
    EVAL = 2
    SAFETY = 3
    LICENCE = 4


@dataclass(frozen=True, slots=True)
class Opinion(Record):
    """The one live attestation of an account on a version, by kind; `verified`: a settled job is behind it."""

    evalset: Annotated[AssetId, Raw(32)]
    metric: Annotated[str, Text(MAX_METRIC_BYTES)]
    score: Annotated[int, U63]
    evidence_root: Annotated[Hash32, Raw(32)]
    job: Annotated[JobId, Raw(32)]
    verified: Annotated[int, Uint(1)]
    height: Annotated[Height, U63]


def opinion_key(asset: AssetId, version: int, kind: OpinionKind, who: Address) -> StateKey:
    return state_key(Namespace.ATTESTATION, asset + version.to_bytes(8, "big") + bytes([kind]) + who)
