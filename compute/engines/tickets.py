"""Search for winning tickets over all transcripts of an attempt at once, on the host."""

from __future__ import annotations

import numpy as np
from blake3 import blake3

from chain.types import Hash32
from compute.engines.base import Winner
from compute.spec.arrays import Uint32Array
from compute.spec.profiles import Profile
from compute.spec.ticket import Cube

_TICKET_INPUT_BYTES = 64


def find_winners(
    seed_a: Hash32, transcripts: Uint32Array, target: int, profile: Profile
) -> tuple[Winner, ...]:
    """Winners, in the order of (i, j, s), among transcripts uint32[k/S, m/t, n/t, 16], which are overwritten."""
    segments, tile_rows, tile_columns, _ = transcripts.shape
    transcripts[..., 0] ^= np.arange(tile_rows, dtype=np.uint32)[None, :, None]
    transcripts[..., 1] ^= np.arange(tile_columns, dtype=np.uint32)[None, None, :]
    transcripts[..., 2] ^= np.arange(segments, dtype=np.uint32)[:, None, None]
    inputs = transcripts.astype("<u4", copy=False).tobytes()
    digests = b"".join(
        [
            blake3(inputs[start : start + _TICKET_INPUT_BYTES], key=seed_a).digest()
            for start in range(0, len(inputs), _TICKET_INPUT_BYTES)
        ]
    )
    limit = target * profile.cube_macs
    highest_words = np.frombuffer(digests, "<u8").reshape(-1, 4)[:, 3]
    # One machine word decides nearly every ticket; the few that pass are compared exactly.
    bound = np.uint64(min(limit >> 192, (1 << 64) - 1))
    winners = []
    for place in np.flatnonzero(highest_words <= bound):
        ticket = Hash32(digests[32 * place : 32 * place + 32])
        if int.from_bytes(ticket, "little") < limit:
            segment, tile_row, tile_column = np.unravel_index(place, (segments, tile_rows, tile_columns))
            winners.append(Winner(Cube(int(tile_row), int(tile_column), int(segment)), ticket))
    return tuple(sorted(winners, key=lambda winner: winner.cube))
