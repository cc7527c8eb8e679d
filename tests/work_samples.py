"""Small matrices and attempts that the tests of the work share."""

from __future__ import annotations

from functools import cache

import numpy as np

from chain.types import JobId
from compute.spec.arrays import Int8Array
from compute.spec.certificate import Certificate
from compute.spec.claim import Binding
from compute.spec.profiles import TEST
from compute.spec.reference import ReferenceAttempt, reference_attempt

SIGMA = b"header bytes without the proof"
BINDING = Binding(job=JobId(b"\x05" * 32), step=2)


def random_matrix(rows: int, depth: int, seed: int = 0) -> Int8Array:
    """int8[rows, depth], uniform in [-63, 63]."""
    return np.random.default_rng(seed).integers(-63, 64, (rows, depth), dtype=np.int8)


@cache
def sample_attempt() -> ReferenceAttempt:
    """A reference attempt of 5 by 6 tiles and 3 segments: 90 tickets, odd levels in both trees, several winners."""
    return reference_attempt(SIGMA, TEST, random_matrix(75, 190, 1), random_matrix(96, 190, 2), BINDING)


@cache
def sample_certificate() -> Certificate:
    """A winner of the sample attempt whose leaves have siblings on both sides."""
    attempt = sample_attempt()
    cube = next(
        cube for cube in attempt.winners(TEST.max_target) if cube.tile_row > 0 and 0 < cube.tile_column < 4
    )
    return attempt.certificate(cube)
