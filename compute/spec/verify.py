"""Verification of a certificate on any CPU: replay of one cube.  Spec: [POW-VERIFY-*].

That the header names this certificate's hash is checked with the header, what the binding means with the job.
"""

from __future__ import annotations

import numpy as np

from chain.errors import Invalid
from chain.types import Hash32
from compute.spec.certificate import Certificate
from compute.spec.claim import check_mu, kappa_of
from compute.spec.commit import Side, leaf_count, leaf_index, path_length, root_of_path, seed_a_of, seed_b_of
from compute.spec.noise import noise
from compute.spec.padding import check_entries
from compute.spec.profiles import Profile
from compute.spec.ticket import ticket_of, wins
from compute.spec.tiles import cube_transcript


def verify_certificate(sigma: bytes, target: int, certificate: Certificate, profile: Profile) -> Hash32:
    """Return the ticket that `certificate` proves under the header bytes `sigma`; refuse it if it does not win.

    Checks, cheapest first [POW-VERIFY-1]: a) profile, shape, binding  b) target  c) cube inside the product  d) block
    sizes  e) path lengths  f) Merkle paths  g) entry ranges  h) replay of the cube.

    Raises:
        Invalid: WORK_PROFILE, WORK_SHAPE, WORK_STEP, WORK_TARGET_RANGE, WORK_INDEX, WORK_BLOCK_SIZE,
            WORK_PATH_LENGTH, WORK_PATH_A, WORK_PATH_B, WORK_RANGE or WORK_TARGET; permanent.
    """
    mu, cube = certificate.mu, certificate.cube
    check_mu(mu, profile)
    if not 1 <= target <= profile.max_target:
        raise Invalid("WORK_TARGET_RANGE", found=target, allowed=f"1..{profile.max_target}")
    for name, found, count in (
        ("tile row", cube.tile_row, mu.m // profile.tile),
        ("tile column", cube.tile_column, mu.n // profile.tile),
        ("segment", cube.segment, mu.k // profile.segment),
    ):
        if not 0 <= found < count:
            raise Invalid("WORK_INDEX", found=f"{name} {found}", allowed=f"0..{count - 1}")
    for block in (certificate.block_a, certificate.block_b):
        if len(block) != profile.block_bytes:
            raise Invalid("WORK_BLOCK_SIZE", found=len(block), allowed=profile.block_bytes)
    index_a = leaf_index(cube.tile_row, cube.segment, mu.k, profile)
    index_b = leaf_index(cube.tile_column, cube.segment, mu.k, profile)
    leaves_a, leaves_b = leaf_count(mu.m, mu.k, profile), leaf_count(mu.n, mu.k, profile)
    for path, length in (
        (certificate.path_a, path_length(index_a, leaves_a)),
        (certificate.path_b, path_length(index_b, leaves_b)),
    ):
        if len(path) != length:
            raise Invalid("WORK_PATH_LENGTH", found=len(path), allowed=length)

    kappa = kappa_of(sigma, mu)
    root_a = root_of_path(Side.A, kappa, certificate.block_a, index_a, leaves_a, certificate.path_a)
    if root_a != certificate.root_a:
        raise Invalid("WORK_PATH_A", found=root_a, allowed=certificate.root_a)
    root_b = root_of_path(Side.B, kappa, certificate.block_b, index_b, leaves_b, certificate.path_b)
    if root_b != certificate.root_b:
        raise Invalid("WORK_PATH_B", found=root_b, allowed=certificate.root_b)

    block_shape = (profile.tile, profile.segment)
    block_a = np.frombuffer(certificate.block_a, np.int8).reshape(block_shape)
    block_b = np.frombuffer(certificate.block_b, np.int8).reshape(block_shape)
    check_entries(block_a)
    check_entries(block_b)

    seed_b = seed_b_of(kappa, certificate.root_b, mu.n)
    seed_a = seed_a_of(seed_b, certificate.root_a, mu.m)
    first_slice = cube.segment * profile.slices
    noise_a = noise(seed_a, profile, cube.tile_row * profile.tile, profile.tile, first_slice, profile.slices)
    noise_b = noise(
        seed_b, profile, cube.tile_column * profile.tile, profile.tile, first_slice, profile.slices
    )
    ticket = ticket_of(seed_a, cube_transcript(block_a + noise_a, block_b + noise_b, profile), cube)
    if not wins(ticket, target, profile):
        raise Invalid(
            "WORK_TARGET", found=ticket, allowed=f"below {target} * {profile.cube_macs}, little-endian"
        )
    return ticket
