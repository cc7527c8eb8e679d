"""A provider's proof of life: a small product that it can only know if it follows this chain.  Spec: [PROV-HEARTBEAT].

The entries are drawn from the ticket of the last block before the epoch and from the provider's address, so nobody can
answer early or copy. Every node computes the product again: 64³ multiply-accumulates, a quarter of a millisecond.
"""

from __future__ import annotations

import numpy as np
from blake3 import blake3

from chain.codec import pack
from chain.hashing import Tag, b3_keyed, h256
from chain.types import Address, Hash32
from vm.context import Context

EDGE = 64
_SQUARE = EDGE * EDGE
SMOOTHING = 4
"""The moving average takes a quarter of the newest figure."""


def epoch_of(context: Context) -> int:
    """The epoch of the block."""
    return context.height // context.spec.pace.epoch_blocks


def blocks_into_epoch(context: Context) -> int:
    """0 in the first block of an epoch."""
    return context.height % context.spec.pace.epoch_blocks


def challenge(context: Context, provider: Address) -> Hash32 | None:
    """What this provider's entries are drawn from in this epoch.

    None if the ticket has left the ring; also, outside of a block, as long as it has not entered it [STF-PARENT].
    """
    last = epoch_of(context) * context.spec.pace.epoch_blocks - 1
    for ticket in context.tickets:
        if ticket.height == last:
            return h256(Tag.HEARTBEAT, pack([ticket.ticket, provider]))
    return None


def answer(seed: Hash32) -> Hash32:
    """The digest of the product of two int8[64, 64] drawn from a challenge, keyed by it."""
    entries = np.frombuffer(blake3(b"", key=seed).digest(length=2 * _SQUARE), np.int8).astype(np.int32)
    left, right = entries[:_SQUARE].reshape(EDGE, EDGE), entries[_SQUARE:].reshape(EDGE, EDGE)
    return b3_keyed(seed, (left @ right).astype("<i4").tobytes())


def averaged(measured_macs: int, settled_macs: int, epochs: int) -> int:
    """The moving average after one more heartbeat: MACs settled per epoch since the last one [PROV-MEASURE]."""
    newest = settled_macs // epochs
    return ((SMOOTHING - 1) * measured_macs + newest) // SMOOTHING
