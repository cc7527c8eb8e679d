"""One whole attempt, slow and obvious: what every engine must equal bit for bit.  Spec: [POW-ATTEMPT-*].

Commit A and B, then noise, then multiply, then ticket. The order is the security argument; never change it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chain.types import Hash32
from compute.spec.arrays import Int8Array, Int32Array, Int64Array, Uint32Array
from compute.spec.certificate import Certificate, build_certificate
from compute.spec.claim import NO_BINDING, Binding, Mu, kappa_of
from compute.spec.commit import Commitment, Side, commit, seed_a_of, seed_b_of
from compute.spec.noise import left_factor, right_factor
from compute.spec.padding import check_entries, pad, padded_mu
from compute.spec.profiles import LANES, Profile
from compute.spec.ticket import Cube, ticket_of, wins
from compute.spec.tiles import fold


@dataclass(frozen=True, slots=True)
class ReferenceAttempt:
    """Everything an attempt derives, in the order in which it is derived."""

    profile: Profile
    mu: Mu
    kappa: Hash32
    commitment_a: Commitment
    commitment_b: Commitment
    seed_b: Hash32
    seed_a: Hash32
    product: Int32Array
    """int32[rows, columns]: A * B without noise or padding."""
    transcripts: Uint32Array
    """uint32[m/t, n/t, k/S, 16]."""
    tickets: dict[Cube, Hash32]
    """One per cube, in the order of (i, j, s)."""

    def winners(self, target: int) -> list[Cube]:
        """The cubes that win, in the order of (i, j, s)."""
        return [cube for cube, ticket in self.tickets.items() if wins(ticket, target, self.profile)]

    def certificate(self, cube: Cube) -> Certificate:
        return build_certificate(self.mu, self.commitment_a, self.commitment_b, cube, self.profile)


def reference_attempt(
    sigma: bytes, profile: Profile, a: Int8Array, b_t: Int8Array, binding: Binding = NO_BINDING
) -> ReferenceAttempt:
    """One attempt at A * B with A int8[rows, depth] and B transposed int8[columns, depth], any shape within bounds.

    Raises:
        Invalid: WORK_RANGE if an entry is outside [-63, 63].
    """
    check_entries(a)
    check_entries(b_t)
    mu = padded_mu(profile, a.shape[0], b_t.shape[0], a.shape[1], binding)
    padded_a, padded_b = pad(a, mu.m, mu.k), pad(b_t, mu.n, mu.k)

    kappa = kappa_of(sigma, mu)
    commitment_b = commit(Side.B, kappa, padded_b, profile)
    seed_b = seed_b_of(kappa, commitment_b.root, mu.n)
    commitment_a = commit(Side.A, kappa, padded_a, profile)
    seed_a = seed_a_of(seed_b, commitment_a.root, mu.m)

    slices = mu.k // profile.noise_rank
    e_left = left_factor(seed_a, profile, 0, mu.m).astype(np.int64)
    e_right = right_factor(seed_a, profile, 0, slices).astype(np.int64)
    f_right = left_factor(seed_b, profile, 0, mu.n).astype(np.int64).T
    f_left = right_factor(seed_b, profile, 0, slices).astype(np.int64).T
    a_noised = padded_a + e_left @ e_right
    b_noised = padded_b.T + f_left @ f_right

    noised_product, transcripts = _multiply(a_noised, b_noised, profile)
    # [POW-DENOISE-1]  A B = A' B' - (A F_L) F_R - E_L (E_R B')
    product = noised_product - (padded_a @ f_left) @ f_right - e_left @ (e_right @ b_noised)

    tickets = {}
    for place in np.ndindex(transcripts.shape[:3]):
        cube = Cube(*place)
        tickets[cube] = ticket_of(seed_a, transcripts[place], cube)
    return ReferenceAttempt(
        profile=profile,
        mu=mu,
        kappa=kappa,
        commitment_a=commitment_a,
        commitment_b=commitment_b,
        seed_b=seed_b,
        seed_a=seed_a,
        product=product[: a.shape[0], : b_t.shape[0]].astype(np.int32),
        transcripts=transcripts,
        tickets=tickets,
    )


def _multiply(a: Int64Array, b: Int64Array, profile: Profile) -> tuple[Int64Array, Uint32Array]:
    """int64[m, n] = A' B' and the transcript of every cube, folded after each slice [POW-TILE-1]."""
    (m, k), n = a.shape, b.shape[1]
    tile, rank = profile.tile, profile.noise_rank
    product = np.zeros((m, n), np.int64)
    transcripts = np.zeros((m // tile, n // tile, k // profile.segment, LANES), np.uint32)
    for segment in range(k // profile.segment):
        partial = np.zeros((m, n), np.int64)
        for depth in range(segment * profile.segment, (segment + 1) * profile.segment, rank):
            partial += a[:, depth : depth + rank] @ b[depth : depth + rank]
            for i, j in np.ndindex(m // tile, n // tile):
                corner = partial[i * tile : (i + 1) * tile, j * tile : (j + 1) * tile]
                transcripts[i, j, segment] = fold(transcripts[i, j, segment], corner.astype(np.int32))
        product += partial
    return product, transcripts
