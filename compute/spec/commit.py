"""Commitment to A and to B transposed before any noise exists.  Spec: [POW-COMMIT-*], [POW-SEED-*].

A leaf is one t x S block, in row-major order (block row, then segment): one ticket opens exactly one leaf of each side.
Leaf, node and side each hash under their own key, derived from kappa, so that no digest can stand in another place and
no commitment serves two headers. An odd node is promoted; the leaf count follows from the shape, so a path has one
possible length.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np

from chain.codec import pack
from chain.hashing import BulkTag, b3, b3_keyed
from chain.types import Hash32
from compute.spec.arrays import Int8Array
from compute.spec.profiles import Profile


class Side(Enum):
    """Which operand: the value holds the tags of its leaves and nodes."""

    A = (BulkTag.POW_LEAF_A, BulkTag.POW_NODE_A)
    B = (BulkTag.POW_LEAF_B, BulkTag.POW_NODE_B)

    def leaf_key(self, kappa: Hash32) -> Hash32:
        return b3(self.value[0], kappa)

    def node_key(self, kappa: Hash32) -> Hash32:
        return b3(self.value[1], kappa)


class Blocks(Protocol):
    """int8[t * S] blocks by leaf number: an array int8[leaf count, t * S], or whatever cuts them when asked."""

    def __getitem__(self, index: int, /) -> Int8Array: ...


@dataclass(frozen=True, slots=True)
class Commitment:
    """One committed operand: its blocks and every level of its tree, leaves first."""

    blocks: Blocks
    levels: tuple[tuple[Hash32, ...], ...]

    @property
    def root(self) -> Hash32:
        return self.levels[-1][0]


def leaf_count(rows: int, depth: int, profile: Profile) -> int:
    """Leaves of a matrix of padded shape [rows, depth]."""
    return (rows // profile.tile) * (depth // profile.segment)


def leaf_index(block_row: int, segment: int, depth: int, profile: Profile) -> int:
    """Place of a block in leaf order."""
    return block_row * (depth // profile.segment) + segment


def blocks_of(matrix: Int8Array, profile: Profile) -> Int8Array:
    """int8[leaf count, t * S]: the blocks of a padded matrix in leaf order [POW-COMMIT-1]."""
    rows, depth = matrix.shape
    tile, segment = profile.tile, profile.segment
    grid = matrix.reshape(rows // tile, tile, depth // segment, segment).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(grid).reshape(-1, tile * segment)


def commit(side: Side, kappa: Hash32, matrix: Int8Array, profile: Profile) -> Commitment:
    """Commit to int8[rows, depth], already padded [POW-COMMIT-2]."""
    blocks = blocks_of(matrix, profile)
    leaf_key = side.leaf_key(kappa)
    leaves = tuple(b3_keyed(leaf_key, memoryview(block)) for block in blocks)
    return Commitment(blocks=blocks, levels=tree_of(side, kappa, leaves))


def tree_of(side: Side, kappa: Hash32, leaves: Sequence[Hash32]) -> tuple[tuple[Hash32, ...], ...]:
    """Every level of the tree over digests in leaf order, the leaves first."""
    node_key = side.node_key(kappa)
    levels = [tuple(leaves)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        pairs = [b3_keyed(node_key, below[at] + below[at + 1]) for at in range(0, len(below) - 1, 2)]
        levels.append((*pairs, below[-1]) if len(below) % 2 else tuple(pairs))
    return tuple(levels)


def path_of(commitment: Commitment, index: int) -> tuple[Hash32, ...]:
    """The siblings of leaf `index`, lowest first [POW-COMMIT-3]."""
    siblings = []
    for level in commitment.levels[:-1]:
        if index ^ 1 < len(level):
            siblings.append(level[index ^ 1])
        index //= 2
    return tuple(siblings)


def path_length(index: int, count: int) -> int:
    """The one possible number of siblings of leaf `index` among `count`."""
    return sum(1 for _ in _turns(index, count))


def root_of_path(
    side: Side, kappa: Hash32, block: bytes, index: int, count: int, path: tuple[Hash32, ...]
) -> Hash32:
    """The root that `block` at `index` among `count` leaves and its siblings lead to.

    The path has `path_length(index, count)` siblings: the caller has checked it.
    """
    node_key = side.node_key(kappa)
    digest = b3_keyed(side.leaf_key(kappa), block)
    for is_right, sibling in zip(_turns(index, count), path, strict=True):
        digest = b3_keyed(node_key, sibling + digest if is_right else digest + sibling)
    return digest


def seed_b_of(kappa: Hash32, root_b: Hash32, n: int) -> Hash32:
    """s_B: the noise of B; before s_A, so that under one header B' serves many A [POW-SEED-1]."""
    return b3(BulkTag.POW_SEED_B, pack([kappa, root_b, n]))


def seed_a_of(seed_b: Hash32, root_a: Hash32, m: int) -> Hash32:
    """s_A: the noise of A and the key of every ticket [POW-SEED-2]."""
    return b3(BulkTag.POW_SEED_A, pack([seed_b, root_a, m]))


def _turns(index: int, count: int) -> Iterator[bool]:
    """For each level where the node has a sibling, lowest first: is the node the right one of the two?"""
    while count > 1:
        if index ^ 1 < count:
            yield index % 2 == 1
        index //= 2
        count = (count + 1) // 2
