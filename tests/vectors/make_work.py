"""Golden vectors of the work, made by the reference: `python -m tests.vectors.make_work` rewrites work.json.

One case per profile. Every engine must reproduce them bit for bit; another implementation can check itself against
them step by step.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from chain.types import JobId
from compute.entries import seeded_entries
from compute.spec.claim import NO_BINDING, Binding
from compute.spec.noise import noise, permutations
from compute.spec.profiles import PROFILES, TEST, Profile
from compute.spec.reference import reference_attempt
from compute.spec.ticket import Cube

PATH = Path(__file__).with_name("work.json")
SEED = bytes(range(32))
SIGMA = b"golden header bytes without the proof"
# (rows, columns, depth) before padding: ragged where that is cheap, so that padding is part of the vectors.
SHAPES = {"test": (40, 33, 100), "dev": (64, 70, 512), "cpu": (64, 128, 256), "gpu": (32, 64, 4096)}


def build() -> list[dict[str, Any]]:
    return [build_case(profile) for profile in PROFILES.values()]


def inputs(profile: Profile) -> tuple[Any, Any, Binding]:
    """A, B transposed and the binding of a profile's case."""
    rows, columns, depth = SHAPES[profile.name]
    binding = Binding(job=JobId(b"\x07" * 32), step=3) if profile is TEST else NO_BINDING
    return seeded_entries(SEED, 0, rows, depth), seeded_entries(SEED, 1, columns, depth), binding


def build_case(profile: Profile) -> dict[str, Any]:
    a, b_t, binding = inputs(profile)
    attempt = reference_attempt(SIGMA, profile, a, b_t, binding)
    winners = attempt.winners(profile.max_target)
    first_cube = next(iter(attempt.tickets))
    last_slice = attempt.mu.k // profile.noise_rank - 1
    opened = attempt.certificate(winners[0] if winners else first_cube)
    case = {
        "profile": profile.name,
        "sigma": SIGMA.hex(),
        "mu": attempt.mu.to_bytes().hex(),
        "rows": a.shape[0],
        "columns": b_t.shape[0],
        "depth": a.shape[1],
        "seed": SEED.hex(),
        "a_sha256": sha256(a),
        "b_t_sha256": sha256(b_t),
        "kappa": attempt.kappa.hex(),
        "root_a": attempt.commitment_a.root.hex(),
        "root_b": attempt.commitment_b.root.hex(),
        "seed_b": attempt.seed_b.hex(),
        "seed_a": attempt.seed_a.hex(),
        "permutation_e_first_slice": permutations(attempt.seed_a, profile, 0, 1)
        .astype(np.uint8)
        .tobytes()
        .hex(),
        "noise_e_row_1_first_slice": noise(attempt.seed_a, profile, 1, 1, 0, 1).tobytes().hex(),
        "noise_f_row_1_last_slice": noise(attempt.seed_b, profile, 1, 1, last_slice, 1).tobytes().hex(),
        "first_transcript": attempt.transcripts[0, 0, 0].astype("<u4").tobytes().hex(),
        "tickets": {place_of(cube): ticket.hex() for cube, ticket in attempt.tickets.items()},
        "target": f"{profile.max_target:064x}",
        "winners": [place_of(cube) for cube in winners],
        "product_sha256": sha256(attempt.product.astype("<i4")),
        "certificate_sha256": hashlib.sha256(opened.to_bytes()).hexdigest(),
        "certificate_hash": opened.certificate_hash.hex(),
    }
    if profile is TEST:
        case["certificate"] = opened.to_bytes().hex()
    return case


def place_of(cube: Cube) -> str:
    return f"{cube.tile_row},{cube.tile_column},{cube.segment}"


def sha256(array: np.ndarray[Any, Any]) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()


if __name__ == "__main__":
    PATH.write_text(json.dumps(build(), indent=1) + "\n", encoding="ascii")
