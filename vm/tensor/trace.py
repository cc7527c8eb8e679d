"""The trace of a run: one record per step, under one root keyed by job and provider.  Spec: [JOB-TRACE].

Because the key names job and provider, a trace or a result copied from somebody else opens nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from chain.codec import OneOf, Raw, Record, Uint, pack
from chain.hashing import Tag, h256
from chain.merkle import list_path, list_root, verify_list_path
from chain.tensors import TensorInfo
from chain.types import Address, Hash32, JobId, TensorRoot
from vm.tensor.program import MAX_STEPS, Op


@dataclass(frozen=True, slots=True)
class TraceRecord(Record):
    """What one step claims to have produced."""

    step: Annotated[int, Uint(MAX_STEPS)]
    op: Annotated[Op, OneOf(Op)]
    output: TensorInfo
    root: Annotated[TensorRoot, Raw(32)]


def trace_key(job: JobId, provider: Address) -> Hash32:
    """The key under which a provider's produced tensors and trace records of one job are hashed."""
    return h256(Tag.TRACE_KEY, pack([job, provider]))


def trace_root(key: Hash32, records: Sequence[TraceRecord]) -> Hash32:
    """Root over the records in program order; the number of records is bound."""
    return list_root(Tag.TRACE_LEAF, [key + record.to_bytes() for record in records])


def result_path(key: Hash32, records: Sequence[TraceRecord]) -> tuple[Hash32, ...]:
    """Merkle path of the last record, which carries the result root."""
    leaves = [key + record.to_bytes() for record in records]
    return tuple(list_path(Tag.TRACE_LEAF, leaves, len(leaves) - 1))


def verify_result(root: Hash32, key: Hash32, record: TraceRecord, count: int, path: Sequence[Hash32]) -> bool:
    """Whether `record` is the last of `count` records under `root`."""
    return verify_list_path(Tag.TRACE_LEAF, root, count - 1, count, key + record.to_bytes(), path)
