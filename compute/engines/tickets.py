"""Search for winning tickets over all transcripts of an attempt at once, on the host."""

from __future__ import annotations

import numpy as np

from chain.types import Hash32
from compute.engines.base import Winner
from compute.engines.blake3_lanes import last_words
from compute.spec.arrays import Uint32Array
from compute.spec.profiles import LANES, Profile
from compute.spec.ticket import Cube, ticket_of, wins


def find_winners(
    seed_a: Hash32, transcripts: Uint32Array, target: int, profile: Profile
) -> tuple[Winner, ...]:
    """Winners, in the order of (i, j, s), among transcripts uint32[k/S, m/t, n/t, 16]."""
    grid = transcripts.shape[:3]
    inputs = transcripts.copy()
    inputs[..., 0] ^= np.arange(grid[1], dtype=np.uint32)[None, :, None]
    inputs[..., 1] ^= np.arange(grid[2], dtype=np.uint32)[None, None, :]
    inputs[..., 2] ^= np.arange(grid[0], dtype=np.uint32)[:, None, None]
    # One machine word decides nearly every ticket; the few that pass are hashed again and compared exactly.
    bound = np.uint64(min(target * profile.cube_macs >> 192, (1 << 64) - 1))
    winners = []
    for place in np.flatnonzero(last_words(seed_a, inputs.reshape(-1, LANES)) <= bound):
        s, i, j = (int(index) for index in np.unravel_index(place, grid))
        cube = Cube(i, j, s)
        ticket = ticket_of(seed_a, transcripts[s, i, j], cube)
        if wins(ticket, target, profile):
            winners.append(Winner(cube, ticket))
    return tuple(sorted(winners, key=lambda winner: winner.cube))
