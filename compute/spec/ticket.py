"""The ticket of one cube and when it wins.  Spec: [POW-TICKET-*], [POW-TARGET-*]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chain.hashing import b3_keyed
from chain.types import Hash32
from compute.spec.arrays import Uint32Array
from compute.spec.profiles import Profile


@dataclass(frozen=True, slots=True, order=True)
class Cube:
    """Place of a cube: tile row i, tile column j, segment s."""

    tile_row: int
    tile_column: int
    segment: int


def ticket_input(transcript: Uint32Array, cube: Cube) -> bytes:
    """The 64 bytes that are hashed: T with i, j, s in its first three words, little-endian, and nothing else.

    Anything more would be a free bit between the last multiplication and the ticket, and so a way to draw again
    without working [POW-TICKET-1].
    """
    words = transcript.copy()
    words[:3] ^= np.array([cube.tile_row, cube.tile_column, cube.segment], np.uint32)
    return words.astype("<u4").tobytes()


def ticket_of(seed_a: Hash32, transcript: Uint32Array, cube: Cube) -> Hash32:
    """One BLAKE3 block keyed by s_A [POW-TICKET-2]."""
    return b3_keyed(seed_a, ticket_input(transcript, cube))


def wins(ticket: Hash32, target: int, profile: Profile) -> bool:
    """True if the ticket, read little-endian, is below target * t * t * S [POW-TARGET-1].

    A ticket stands for t * t * S multiply-accumulates, so a block takes 2^256 / target of them whatever the shape.
    """
    return int.from_bytes(ticket, "little") < target * profile.cube_macs
