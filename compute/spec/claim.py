"""What a miner fixes before the work: profile, shape, binding, and their key.  Spec: [POW-CLAIM-*]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from chain.codec import U63, Raw, Record, pack
from chain.errors import Invalid
from chain.hashing import BulkTag, b3
from chain.types import NO_JOB, Hash32, JobId
from compute.spec.profiles import Profile


@dataclass(frozen=True, slots=True)
class Binding(Record):
    """The job and step a product belongs to, or zeros; chosen before the work, unchangeable after the win."""

    job: Annotated[JobId, Raw(32)]
    step: Annotated[int, U63]


NO_BINDING = Binding(job=NO_JOB, step=0)


@dataclass(frozen=True, slots=True)
class Mu(Record):
    """Profile id, committed (padded) dimensions and binding [POW-CLAIM-1]."""

    profile_id: Annotated[int, U63]
    m: Annotated[int, U63]
    n: Annotated[int, U63]
    k: Annotated[int, U63]
    binding: Binding


def kappa_of(sigma: bytes, mu: Mu) -> Hash32:
    """The key of everything that follows: header bytes without the proof, and the claim [POW-CLAIM-2]."""
    return b3(BulkTag.POW_KAPPA, pack([sigma, mu.to_bytes()]))


def check_mu(mu: Mu, profile: Profile) -> None:
    """Refuse a claim that no attempt under `profile` could make.

    Checks: a) profile id  b) every dimension positive, in bounds, a whole number of tiles or segments  c) no step
    without a job.

    Raises:
        Invalid: WORK_PROFILE, WORK_SHAPE or WORK_STEP.
    """
    if mu.profile_id != profile.profile_id:
        raise Invalid("WORK_PROFILE", found=mu.profile_id, allowed=f"{profile.profile_id} ({profile.name})")
    for name, size, unit, maximum in (
        ("m", mu.m, profile.tile, profile.max_m),
        ("n", mu.n, profile.tile, profile.max_n),
        ("k", mu.k, profile.segment, profile.max_k),
    ):
        # Ragged cubes would be 64 to 1,024 times cheaper than whole ones [POW-SHAPE-1].
        if not unit <= size <= maximum or size % unit:
            raise Invalid(
                "WORK_SHAPE", found=f"{name} = {size}", allowed=f"multiples of {unit} up to {maximum}"
            )
    if mu.binding.job == NO_JOB and mu.binding.step != 0:
        raise Invalid("WORK_STEP", found=f"step {mu.binding.step} of no job", allowed="step 0")
