"""The proof in a block body: one winning cube, opened.  Spec: [POW-CERT-*].

Every byte follows from (sigma, mu, R_A, R_B, i, j, s): sibling count and order are fixed and the encoding is
canonical, so one winning cube has exactly one certificate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from chain.codec import U63, Blob, Raw, Record, Seq
from chain.hashing import Tag, h256
from chain.types import Hash32
from compute.spec.claim import Mu
from compute.spec.commit import Commitment, leaf_index, path_of
from compute.spec.profiles import PROFILES, Profile
from compute.spec.ticket import Cube

MAX_BLOCK_BYTES = max(profile.block_bytes for profile in PROFILES.values())
MAX_PATH_LENGTH = 16
"""Enough for every profile: 2^16 leaves of one operand."""
_SIBLING_BYTES = 34
_FIXED_BYTES = 256


@dataclass(frozen=True, slots=True)
class Certificate(Record):
    """Claim, roots, cube, its two committed blocks and their siblings [POW-CERT-1]."""

    mu: Mu
    root_a: Annotated[Hash32, Raw(32)]
    root_b: Annotated[Hash32, Raw(32)]
    tile_row: Annotated[int, U63]
    tile_column: Annotated[int, U63]
    segment: Annotated[int, U63]
    block_a: Annotated[bytes, Blob(MAX_BLOCK_BYTES)]
    block_b: Annotated[bytes, Blob(MAX_BLOCK_BYTES)]
    path_a: Annotated[tuple[Hash32, ...], Seq(Raw(32), MAX_PATH_LENGTH)]
    path_b: Annotated[tuple[Hash32, ...], Seq(Raw(32), MAX_PATH_LENGTH)]

    MAX_BYTES: ClassVar[int] = 2 * (MAX_BLOCK_BYTES + MAX_PATH_LENGTH * _SIBLING_BYTES) + _FIXED_BYTES

    @property
    def cube(self) -> Cube:
        return Cube(self.tile_row, self.tile_column, self.segment)

    @property
    def certificate_hash(self) -> Hash32:
        """What the header holds [POW-CERT-2]."""
        return h256(Tag.CERTIFICATE, self.to_bytes())


def build_certificate(
    mu: Mu, commitment_a: Commitment, commitment_b: Commitment, cube: Cube, profile: Profile
) -> Certificate:
    """Open one cube of an attempt; no secret and no choice enters."""
    index_a = leaf_index(cube.tile_row, cube.segment, mu.k, profile)
    index_b = leaf_index(cube.tile_column, cube.segment, mu.k, profile)
    return Certificate(
        mu=mu,
        root_a=commitment_a.root,
        root_b=commitment_b.root,
        tile_row=cube.tile_row,
        tile_column=cube.tile_column,
        segment=cube.segment,
        block_a=commitment_a.blocks[index_a].tobytes(),
        block_b=commitment_b.blocks[index_b].tobytes(),
        path_a=path_of(commitment_a, index_a),
        path_b=path_of(commitment_b, index_b),
    )
