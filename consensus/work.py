"""The work rule of a block: its certificate, its binding, and its weight in fork choice.  Spec: [WORK-*]."""

from __future__ import annotations

from chain.blocks import Header, certificate_hash
from chain.errors import Invalid
from chain.ledger import Namespace, state_key
from chain.state.reader import StateReader
from chain.types import NO_JOB, Hash32
from compute.spec.certificate import Certificate
from compute.spec.padding import round_up
from compute.spec.profiles import PROFILES
from compute.spec.verify import verify_certificate
from genesis.spec import ChainSpec
from vm.jobs.record import Job, Status
from vm.tensor.program import resolve


def check_work(header: Header, certificate: bytes, spec: ChainSpec) -> tuple[Certificate, Hash32]:
    """Verify the proof of work of a block by itself; returns the certificate and its ticket.

    Checks: a) the header commits to these bytes  b) canonical decoding  c) every rule of the work proof.

    Raises:
        Invalid: WORK_COMMITMENT, ENC_* or WORK_*.
    """
    committed = certificate_hash(certificate)
    if header.certificate_hash != committed or not certificate:  # [WORK-COMMIT]
        raise Invalid("WORK_COMMITMENT", found=committed, allowed=header.certificate_hash)
    proof = Certificate.from_bytes(certificate)
    return proof, verify_certificate(header.sigma(), header.target, proof, PROFILES[spec.profile_id])


def check_binding(state: StateReader, header: Header, certificate: Certificate, spec: ChainSpec) -> None:
    """A bound block names a job that its miner had claimed in the parent's state, with the job's shape [WORK-BIND].

    Raises: Invalid WORK_BINDING.
    """
    mu = certificate.mu
    if mu.binding.job == NO_JOB:
        return
    data = state.get(state_key(Namespace.JOB, mu.binding.job))
    job = Job.from_bytes(data) if data is not None else None
    if job is None or job.status != Status.CLAIMED or job.provider != header.miner or mu.binding.step != 0:
        raise Invalid("WORK_BINDING", found=mu.binding.job, allowed="a job its miner has claimed, step 0")
    shape, profile = resolve(job.program), PROFILES[spec.profile_id]
    width, depth = round_up(shape.n, profile.tile), round_up(shape.k, profile.segment)
    if (mu.n, mu.k) != (width, depth) or mu.m > round_up(shape.m, profile.tile):
        raise Invalid(
            "WORK_BINDING", found=f"{mu.m}x{mu.n}x{mu.k}", allowed=f"a row panel of x{width}x{depth}"
        )


def block_work(target: int) -> int:
    """Expected MACs behind a block: floor(2^256 / (target + 1)) [WORK-CHAIN]."""
    return (1 << 256) // (target + 1)
