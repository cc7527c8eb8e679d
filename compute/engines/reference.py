"""The reference engine: the specification itself, slow and obvious.  Spec: [POW-ATTEMPT-*].

It answers whoever asks what the right result is, and it mines where nothing else works.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compute.engines.base import (
    Attempt,
    Capabilities,
    Engine,
    Order,
    Output,
    PreparedB,
    Progress,
    Stage,
    Winner,
    unobserved,
)
from compute.spec.arrays import Int8Array, Int32Array
from compute.spec.claim import Mu, kappa_of
from compute.spec.commit import Side, commit, seed_b_of
from compute.spec.padding import pad
from compute.spec.profiles import LANES, Profile
from compute.spec.reference import reference_attempt


@dataclass(frozen=True)
class ReferencePreparedB(PreparedB):
    """B as it was given; the reference derives everything again in every attempt."""

    sigma: bytes
    b_t: Int8Array


class ReferenceEngine(Engine):
    """`compute.spec.reference` behind the interface of an engine."""

    name = "reference"

    def probe(self) -> Capabilities:
        return Capabilities(usable=True, detail=f"the specification in NumPy {np.__version__}, int64")

    def prepare_b(
        self, sigma: bytes, profile: Profile, mu: Mu, b_t: Int8Array, progress: Progress = unobserved
    ) -> ReferencePreparedB:
        kappa = kappa_of(sigma, mu)
        commitment = commit(Side.B, kappa, pad(b_t, mu.n, mu.k), profile)
        progress(Stage.COMMIT)
        return ReferencePreparedB(
            profile=profile,
            mu=mu,
            kappa=kappa,
            commitment=commitment,
            seed_b=seed_b_of(kappa, commitment.root, mu.n),
            columns=b_t.shape[0],
            sigma=sigma,
            b_t=b_t,
        )

    def run(self, order: Order) -> Attempt:
        prepared = order.prepared
        assert isinstance(prepared, ReferencePreparedB)
        profile, mu = prepared.profile, prepared.mu
        attempt = reference_attempt(prepared.sigma, profile, order.a, prepared.b_t, mu.binding)
        order.progress(Stage.PRODUCT)
        return Attempt(
            prepared=prepared,
            commitment_a=attempt.commitment_a,
            product=attempt.product if order.output is Output.PRODUCT else None,
            winners=tuple(Winner(cube, attempt.tickets[cube]) for cube in attempt.winners(order.target)),
            tickets=len(attempt.tickets),
            macs=mu.m * mu.n * mu.k,
        )

    def plain(self, a: Int8Array, b_t: Int8Array) -> Int32Array:
        return (a.astype(np.int64) @ b_t.T.astype(np.int64)).astype(np.int32)

    def memory_needed(self, profile: Profile, mu: Mu, output: Output) -> int:
        operands, products = 34 * (mu.m + mu.n) * mu.k, 40 * mu.m * mu.n
        return operands + products + mu.m * mu.n * mu.k // profile.cube_macs * (LANES * 4 + 512)

    def idle_shape(self, profile: Profile) -> tuple[int, int, int]:
        return 2 * profile.tile, 2 * profile.tile, profile.segment
