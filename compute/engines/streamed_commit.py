"""Commitment to a matrix, a row of blocks at a time: it can be withdrawn, and keeps no copy.  Spec: [POW-COMMIT-2]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chain.hashing import b3_keyed
from chain.types import Hash32
from compute.engines.base import Progress, Stage
from compute.spec.arrays import Int8Array
from compute.spec.commit import Commitment, Side, tree_of
from compute.spec.profiles import Profile

_BATCH_BYTES = 8 << 20
"""Hashed between two calls of `progress`: some 3 ms."""


@dataclass(frozen=True, slots=True)
class CutBlocks:
    """Blocks of a padded matrix, cut when a certificate asks for one; the matrix must stay as it is."""

    padded: Int8Array
    """int8[rows, k]."""
    profile: Profile

    def __getitem__(self, index: int) -> Int8Array:
        tile, segment = self.profile.tile, self.profile.segment
        block_row, place = divmod(index, self.padded.shape[1] // segment)
        rows = self.padded[block_row * tile : (block_row + 1) * tile]
        return np.ascontiguousarray(rows[:, place * segment : (place + 1) * segment]).reshape(-1)


def commit_streamed(
    side: Side, kappa: Hash32, padded: Int8Array, profile: Profile, progress: Progress
) -> Commitment:
    """The commitment of compute.spec.commit.commit to contiguous int8[rows, k], already padded."""
    tile, segment = profile.tile, profile.segment
    segments, leaf_key = padded.shape[1] // segment, side.leaf_key(kappa)
    by_leaf = np.empty((segments, tile, segment), np.int8)
    octets = by_leaf.data.cast("B")
    starts = range(0, len(octets), profile.block_bytes)
    leaves: list[Hash32] = []
    pending = 0
    for block_row in padded.reshape(-1, tile, segments, segment):
        np.copyto(by_leaf, block_row.transpose(1, 0, 2))
        leaves += [b3_keyed(leaf_key, octets[start : start + profile.block_bytes]) for start in starts]
        pending += len(octets)
        if pending >= _BATCH_BYTES:
            pending = 0
            progress(Stage.COMMIT)
    levels = tree_of(side, kappa, leaves)
    progress(Stage.COMMIT)
    return Commitment(blocks=CutBlocks(padded, profile), levels=levels)
