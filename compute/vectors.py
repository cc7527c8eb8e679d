"""Golden vectors of the work: every stage of one attempt per profile, made by the specification alone.  Spec: [POW-*].

Whoever writes another implementation, or another engine, compares stage by stage and sees where it goes wrong first.
Nothing here depends on the machine or the day: the same release writes the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chain.codec import pack
from chain.types import Hash32, JobId
from compute.entries import seeded_entries
from compute.spec.arrays import Int8Array, Int32Array, Int64Array, Uint32Array
from compute.spec.claim import NO_BINDING, Binding
from compute.spec.commit import Commitment, Side, leaf_index, path_of
from compute.spec.noise import left_factor, noise, permutations
from compute.spec.padding import pad
from compute.spec.profiles import CPU, DEV, GPU, LANES, PROFILES, TEST, Profile
from compute.spec.reference import ReferenceAttempt, reference_attempt
from compute.spec.ticket import Cube, ticket_input
from compute.spec.tiles import fold

FORMAT = "tilework work vectors 1"
SOURCE = "Made by `tilework work vectors` from the reference in compute/spec; rules in docs/spec/work.md."
SIGMA = b"golden header bytes without the proof 343"
"""The first such number under which every profile has a winner at its easiest target."""
SEED = bytes(range(32))

FIELDS = (
    ("profile profile_id noise_rank tile segment", "[POW-PROFILE]", "the constants"),
    ("sigma", "[POW-CLAIM-2]", "header bytes without the proof; here any bytes"),
    ("mu", "[POW-CLAIM-1]", "canonical encoding of the claim"),
    ("rows columns depth", "[POW-PAD-1]", "the product before padding"),
    ("seed", "[POW-ENTRIES-1]", "A is matrix 0 of this seed, B transposed is matrix 1"),
    ("a_sha256 b_t_sha256", "[POW-ENTRIES-1]", "SHA-256 of A and of B transposed, unpadded int8"),
    ("kappa_input kappa", "[POW-CLAIM-2]", "the hashed bytes; the key of everything below"),
    ("leaf_key_a node_key_a leaf_key_b node_key_b", "[POW-COMMIT-2]", "keys of leaves and nodes"),
    ("leaves_a leaves_b", "[POW-COMMIT-2]", "every leaf hash, in leaf order"),
    ("root_a root_b", "[POW-COMMIT-2]", "R_A and R_B"),
    ("seed_b_input seed_b", "[POW-SEED-1]", "the hashed bytes; s_B"),
    ("seed_a_input seed_a", "[POW-SEED-2]", "the hashed bytes; s_A"),
    ("left_e_row_1", "[POW-NOISE-1]", "row 1 of E_L, int8"),
    ("permutation_e_first_slice", "[POW-NOISE-2]", "of E, one byte per place"),
    ("permutation_f_last_slice", "[POW-NOISE-2]", "of F, last slice of the depth"),
    ("noise_e_row_1_first_slice", "[POW-NOISE-4]", "r entries of E, int8"),
    ("noise_f_row_1_last_slice", "[POW-NOISE-4]", "r entries of F transposed, int8"),
    ("a_noised_sha256 b_t_noised_sha256", "[POW-NOISE-4]", "SHA-256 of A' and B' transposed, padded int8"),
    ("cubes", "[POW-TILE-2]", "of three cubes: the transcript after every slice, 64 bytes each; SHA-256 of the "
     "last partial sums, int32; the 64 hashed bytes [POW-TICKET-1]; the ticket"),
    ("transcripts_sha256", "[POW-TILE-2]", "SHA-256 of all transcripts in the order of (i, j, s)"),
    ("tickets", "[POW-TICKET-2]", "every ticket by its cube i,j,s"),
    ("target", "[POW-TARGET-2]", "the profile's easiest target"),
    ("bound", "[POW-TARGET-1]", "target * t * t * S: tickets below it, read little-endian, win"),
    ("winners", "[POW-TARGET-1]", "the cubes that win"),
    ("opened", "[POW-CERT-1]", "the cube that the certificate opens: the first winner"),
    ("path_a path_b", "[POW-COMMIT-3]", "siblings of its leaves, lowest first"),
    ("certificate_bytes certificate_sha256", "[POW-CERT-1]", "size and SHA-256 of the certificate"),
    ("certificate_hash", "[POW-CERT-2]", "what the header holds"),
    ("certificate", "[POW-CERT-1]", "the certificate itself"),
    ("noised_product_sha256", "[POW-DENOISE-1]", "SHA-256 of A' B', padded int32 little-endian"),
    ("product_sha256", "[POW-DENOISE-1]", "SHA-256 of A B, unpadded int32 little-endian"),
    ("a b_t", "[POW-ENTRIES-1]", "only `test`: A and B transposed, unpadded int8"),
    ("opened_a_noised opened_b_t_noised", "[POW-NOISE-4]", "only `test`: the opened cube's t x S blocks, int8"),
    ("product", "[POW-DENOISE-1]", "only `test`: A B, unpadded int32 little-endian"),
)  # fmt: skip
"""Fields of a case, in their order: names, rule, meaning. Matrices are row-major."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What one case multiplies: A int8[rows, depth] and B transposed int8[columns, depth]."""

    a: Int8Array
    b_t: Int8Array
    binding: Binding


_SHAPES = {TEST: (40, 33, 100), DEV: (64, 70, 512), CPU: (64, 128, 256), GPU: (32, 64, 4096)}
"""(rows, columns, depth) before padding: ragged where that is cheap, so that padding is part of the vectors."""


def inputs(profile: Profile) -> Inputs:
    """The matrices and the binding of a profile's case."""
    rows, columns, depth = _SHAPES[profile]
    binding = Binding(job=JobId(b"\x07" * 32), step=3) if profile is TEST else NO_BINDING
    return Inputs(seeded_entries(SEED, 0, rows, depth), seeded_entries(SEED, 1, columns, depth), binding)


def build_case(profile: Profile) -> dict[str, Any]:
    """Every stage of the profile's attempt as text: bytes in hex, targets as 64 hexadecimal digits."""
    given = inputs(profile)
    attempt = reference_attempt(SIGMA, profile, given.a, given.b_t, given.binding)
    noised = _Noised.of(attempt, given)
    opened = attempt.winners(profile.max_target)[0]
    case = (
        _claim_stage(attempt, given)
        | _commit_stage(attempt)
        | _noise_stage(attempt, noised)
        | _ticket_stage(attempt, noised, opened)
        | _certificate_stage(attempt, opened)
        | {
            "noised_product_sha256": sha256(noised.product.astype("<i4")),
            "product_sha256": sha256(attempt.product.astype("<i4")),
        }
    )
    if profile is TEST:
        block_a, block_b = noised.blocks(opened, profile)
        case |= {
            "a": given.a.tobytes().hex(),
            "b_t": given.b_t.tobytes().hex(),
            "opened_a_noised": block_a.tobytes().hex(),
            "opened_b_t_noised": block_b.tobytes().hex(),
            "product": attempt.product.astype("<i4").tobytes().hex(),
        }
    return case


def build_files() -> dict[str, bytes]:
    """Name to content: one JSON file per profile, an index with digests, and a page that explains them."""
    files = {f"{profile.name}.json": _json(build_case(profile)) for profile in PROFILES.values()}
    index = {
        "format": FORMAT,
        "source": SOURCE,
        "files": {
            name: {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
            for name, content in files.items()
        },
        "fields": {
            name: {"rule": rule, "meaning": meaning}
            for names, rule, meaning in FIELDS
            for name in names.split()
        },
    }
    return {"README.md": _readme().encode("ascii"), "index.json": _json(index)} | files


def place_of(cube: Cube) -> str:
    """A cube as the vectors name it: i,j,s."""
    return f"{cube.tile_row},{cube.tile_column},{cube.segment}"


def sha256(array: npt.NDArray[Any]) -> str:
    """Hex digest of an array's bytes."""
    return hashlib.sha256(array.tobytes()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Noised:
    """A' int8[m, k], B' transposed int8[n, k] and their product int64[m, n]."""

    a: Int8Array
    b_t: Int8Array
    product: Int64Array

    @classmethod
    def of(cls, attempt: ReferenceAttempt, given: Inputs) -> _Noised:
        profile, mu = attempt.profile, attempt.mu
        slices = mu.k // profile.noise_rank
        a = pad(given.a, mu.m, mu.k) + noise(attempt.seed_a, profile, 0, mu.m, 0, slices)
        b_t = pad(given.b_t, mu.n, mu.k) + noise(attempt.seed_b, profile, 0, mu.n, 0, slices)
        return cls(a, b_t, a.astype(np.int64) @ b_t.astype(np.int64).T)

    def blocks(self, cube: Cube, profile: Profile) -> tuple[Int8Array, Int8Array]:
        """int8[t, S] of A' and of B' transposed: what a cube multiplies."""
        tile, depth = (
            profile.tile,
            slice(cube.segment * profile.segment, (cube.segment + 1) * profile.segment),
        )
        rows = slice(cube.tile_row * tile, (cube.tile_row + 1) * tile)
        columns = slice(cube.tile_column * tile, (cube.tile_column + 1) * tile)
        return self.a[rows, depth], self.b_t[columns, depth]


def _claim_stage(attempt: ReferenceAttempt, given: Inputs) -> dict[str, Any]:
    profile, mu = attempt.profile, attempt.mu
    return {
        "profile": profile.name,
        "profile_id": profile.profile_id,
        "noise_rank": profile.noise_rank,
        "tile": profile.tile,
        "segment": profile.segment,
        "sigma": SIGMA.hex(),
        "mu": mu.to_bytes().hex(),
        "rows": given.a.shape[0],
        "columns": given.b_t.shape[0],
        "depth": given.a.shape[1],
        "seed": SEED.hex(),
        "a_sha256": sha256(given.a),
        "b_t_sha256": sha256(given.b_t),
        "kappa_input": pack([SIGMA, mu.to_bytes()]).hex(),
        "kappa": attempt.kappa.hex(),
    }


def _commit_stage(attempt: ReferenceAttempt) -> dict[str, Any]:
    kappa, mu = attempt.kappa, attempt.mu
    root_a, root_b = attempt.commitment_a.root, attempt.commitment_b.root
    return {
        "leaf_key_a": Side.A.leaf_key(kappa).hex(),
        "node_key_a": Side.A.node_key(kappa).hex(),
        "leaf_key_b": Side.B.leaf_key(kappa).hex(),
        "node_key_b": Side.B.node_key(kappa).hex(),
        "leaves_a": _hexes(attempt.commitment_a.levels[0]),
        "leaves_b": _hexes(attempt.commitment_b.levels[0]),
        "root_a": root_a.hex(),
        "root_b": root_b.hex(),
        "seed_b_input": pack([kappa, root_b, mu.n]).hex(),
        "seed_b": attempt.seed_b.hex(),
        "seed_a_input": pack([attempt.seed_b, root_a, mu.m]).hex(),
        "seed_a": attempt.seed_a.hex(),
    }


def _noise_stage(attempt: ReferenceAttempt, noised: _Noised) -> dict[str, Any]:
    profile, seed_a, seed_b = attempt.profile, attempt.seed_a, attempt.seed_b
    last_slice = attempt.mu.k // profile.noise_rank - 1
    return {
        "left_e_row_1": left_factor(seed_a, profile, 1, 1).tobytes().hex(),
        "permutation_e_first_slice": _permutation(seed_a, profile, 0),
        "permutation_f_last_slice": _permutation(seed_b, profile, last_slice),
        "noise_e_row_1_first_slice": noise(seed_a, profile, 1, 1, 0, 1).tobytes().hex(),
        "noise_f_row_1_last_slice": noise(seed_b, profile, 1, 1, last_slice, 1).tobytes().hex(),
        "a_noised_sha256": sha256(noised.a),
        "b_t_noised_sha256": sha256(noised.b_t),
    }


def _ticket_stage(attempt: ReferenceAttempt, noised: _Noised, opened: Cube) -> dict[str, Any]:
    profile, cubes = attempt.profile, list(attempt.tickets)
    shown = dict.fromkeys([cubes[0], opened, cubes[-1]])
    return {
        "cubes": {place_of(cube): _cube_stages(attempt, noised, cube) for cube in shown},
        "transcripts_sha256": sha256(attempt.transcripts.astype("<u4")),
        "tickets": {place_of(cube): ticket.hex() for cube, ticket in attempt.tickets.items()},
        "target": f"{profile.max_target:064x}",
        "bound": f"{profile.max_target * profile.cube_macs:064x}",
        "winners": [place_of(cube) for cube in attempt.winners(profile.max_target)],
    }


def _cube_stages(attempt: ReferenceAttempt, noised: _Noised, cube: Cube) -> dict[str, Any]:
    block_a, block_b = noised.blocks(cube, attempt.profile)
    transcripts, partial = transcript_steps(block_a, block_b, attempt.profile)
    return {
        "transcript_after_each_slice": [words.astype("<u4").tobytes().hex() for words in transcripts],
        "last_partial_sha256": sha256(partial.astype("<i4")),
        "ticket_input": ticket_input(transcripts[-1], cube).hex(),
        "ticket": attempt.tickets[cube].hex(),
    }


def transcript_steps(
    a_noised: Int8Array, b_noised: Int8Array, profile: Profile
) -> tuple[list[Uint32Array], Int32Array]:
    """The transcript uint32[16] after each slice of a cube, and its last partial sums int32[t, t] [POW-TILE-2].

    The cube is given by its noised int8[t, S] blocks of A' and of B' transposed.
    """
    rank = profile.noise_rank
    left, right = a_noised.astype(np.int32), b_noised.astype(np.int32)
    partial = np.zeros((profile.tile, profile.tile), np.int32)
    transcripts = [np.zeros(LANES, np.uint32)]
    for start in range(0, profile.segment, rank):
        partial += left[:, start : start + rank] @ right[:, start : start + rank].T
        transcripts.append(fold(transcripts[-1], partial))
    return transcripts[1:], partial


def _certificate_stage(attempt: ReferenceAttempt, opened: Cube) -> dict[str, Any]:
    certificate = attempt.certificate(opened)
    encoded = certificate.to_bytes()

    def path(commitment: Commitment, block_row: int) -> list[str]:
        index = leaf_index(block_row, opened.segment, attempt.mu.k, attempt.profile)
        return _hexes(path_of(commitment, index))

    return {
        "opened": place_of(opened),
        "path_a": path(attempt.commitment_a, opened.tile_row),
        "path_b": path(attempt.commitment_b, opened.tile_column),
        "certificate_bytes": len(encoded),
        "certificate_sha256": hashlib.sha256(encoded).hexdigest(),
        "certificate_hash": certificate.certificate_hash.hex(),
        "certificate": encoded.hex(),
    }


def _permutation(seed: Hash32, profile: Profile, place: int) -> str:
    return permutations(seed, profile, place, 1).astype(np.uint8).tobytes().hex()


def _hexes(digests: tuple[Hash32, ...]) -> list[str]:
    return [digest.hex() for digest in digests]


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode("ascii")


def _readme() -> str:
    rows = "\n".join(f"| {_quoted(names)} | {rule} | {meaning} |" for names, rule, meaning in FIELDS)
    return f"""\
# Golden vectors of the work

{SOURCE}

One file per profile, each with every stage of one attempt, in order. Bytes are in hex, targets and bounds are 64
hexadecimal digits, big-endian.
`tilework work verify FILE` accepts each of these files: it holds a whole certificate.

| field | rule | what |
|---|---|---|
{rows}
"""


def _quoted(names: str) -> str:
    return ", ".join(f"`{name}`" for name in names.split())
