"""Seeded random matrices for attempts that nobody ordered, for self-tests and for calibration.  Spec: [POW-ENTRIES].

Any A and B will do for the lottery, so their only duty is to differ from attempt to attempt.
"""

from __future__ import annotations

import numpy as np
from blake3 import blake3

from chain.codec import pack
from chain.hashing import BulkTag, b3
from chain.types import Hash32
from compute.spec.arrays import Int8Array


def entries_key(seed: bytes, index: int) -> Hash32:
    """The key of the stream of matrix number `index` of a seed."""
    return b3(BulkTag.POW_ENTRIES, pack([seed, index]))


def seeded_entries(seed: bytes, index: int, rows: int, depth: int) -> Int8Array:
    """int8[rows, depth] with entries in [-63, 63]: stream bytes scaled to 127 values [POW-ENTRIES-1]."""
    stream = blake3(b"", key=entries_key(seed, index)).digest(length=rows * depth)
    scaled = np.frombuffer(stream, np.uint8).astype(np.uint16) * np.uint16(127) >> np.uint16(8)
    return (scaled.astype(np.int8) - np.int8(63)).reshape(rows, depth)
