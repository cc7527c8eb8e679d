"""Proofs that the state holds an entry, or holds nothing, under a key; checked against a root alone.  Spec:
[STATE-PROOF].

A path lists (depth, sibling) from the leaf to the root. Depths are committed by the nodes, and must fall from
step to step, so a path has one reading. Absence is shown by another entry: the one that following the bits of
the missing key at every committed depth leads to. If the key were present, that search would end at it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from chain.codec import Blob, Nested, Raw, Record, Seq, Uint
from chain.state.nodes import EMPTY_ROOT, KEY_BITS, leaf_hash, node_hash
from chain.state.reader import MAX_VALUE_BYTES
from chain.types import Hash32, StateKey

MAX_PROOF_BYTES = MAX_VALUE_BYTES + 16 * 1024


@dataclass(frozen=True, slots=True)
class Step(Record):
    """One node on the way up: the bit it separates at and the other side."""

    depth: Annotated[int, Uint(KEY_BITS - 1)]
    sibling: Annotated[Hash32, Raw(32)]


@dataclass(frozen=True, slots=True)
class InclusionProof(Record):
    """Shows that a key holds `value`."""

    MAX_BYTES: ClassVar[int] = MAX_PROOF_BYTES

    value: Annotated[bytes, Blob(MAX_VALUE_BYTES)]
    path: Annotated[tuple[Step, ...], Seq(Nested(Step), KEY_BITS)]


@dataclass(frozen=True, slots=True)
class Witness(Record):
    """An entry other than the one asked for, with its path."""

    MAX_BYTES: ClassVar[int] = MAX_PROOF_BYTES

    key: Annotated[StateKey, Raw(32)]
    value: Annotated[bytes, Blob(MAX_VALUE_BYTES)]
    path: Annotated[tuple[Step, ...], Seq(Nested(Step), KEY_BITS)]


@dataclass(frozen=True, slots=True)
class AbsenceProof(Record):
    """Shows that a key holds nothing; without a witness it says that the whole state is empty."""

    MAX_BYTES: ClassVar[int] = MAX_PROOF_BYTES

    witness: Annotated[tuple[Witness, ...], Seq(Nested(Witness), 1)]


def verify_inclusion(root: Hash32, key: StateKey, proof: InclusionProof) -> bool:
    """Whether the state under `root` holds `proof.value` under `key`."""
    return _climb(key, proof.value, proof.path) == root


def verify_absence(root: Hash32, key: StateKey, proof: AbsenceProof) -> bool:
    """Whether the state under `root` holds nothing under `key`."""
    if not proof.witness:
        return root == EMPTY_ROOT
    (witness,) = proof.witness
    if witness.key == key:
        return False
    differing = int.from_bytes(key, "big") ^ int.from_bytes(witness.key, "big")
    if any(differing >> (KEY_BITS - 1 - step.depth) & 1 for step in witness.path):
        return False
    return _climb(witness.key, witness.value, witness.path) == root


def _climb(key: StateKey, value: bytes, path: Sequence[Step]) -> Hash32 | None:
    """The root that the path leads to; None if its depths do not fall."""
    return climb(int.from_bytes(key, "big"), leaf_hash(key, value), KEY_BITS, path)


def climb(number: int, start: Hash32, below: int, path: Sequence[Step]) -> Hash32 | None:
    """The root that a path leads to from the hash of everything that shares the first `below` bits of `number`.

    None unless the depths fall from step to step, beginning under `below`.
    """
    current = start
    for step in path:
        if step.depth >= below:
            return None
        below = step.depth
        if number >> (KEY_BITS - 1 - below) & 1:
            current = node_hash(below, step.sibling, current)
        else:
            current = node_hash(below, current, step.sibling)
    return current
