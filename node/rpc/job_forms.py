"""The JSON face of a job: its record, what follows from it, and what happened to it so far.  Spec: [RPC-JOB]."""

from __future__ import annotations

import trio

from chain.types import NO_PERMIT, JobId
from genesis.spec import JobRules
from node.rpc.backend import ChainView
from node.rpc.forms import Json, address_form, event_form
from vm.jobs.record import Job, Status, Verdict
from vm.tensor.program import resolve

MAX_BOUND_BLOCKS = 64
"""Blocks searched for ones won by the job's own product; their number stands in the record."""
_ENDINGS = ("JobSettled", "JobRefunded", "JobSlashed")


def job_summary(identity: JobId, job: Job, prefix: str) -> Json:
    """One line of a list of jobs."""
    shape = resolve(job.program)
    return {
        "id": identity.hex(),
        "status": Status(job.status).name,
        "m": shape.m,
        "n": shape.n,
        "k": shape.k,
        "macs": job.macs,
        "payer": address_form(prefix, job.payer),
        "provider": address_form(prefix, job.provider),
        "escrow_grains": job.escrow_grains,
        "opened_height": job.opened_height,
        "closed_height": _reached(job.closed_height),
    }


async def job_form(identity: JobId, job: Job, chain: ChainView) -> Json:
    """Every field of a job with what follows from it; heights and roots not reached yet are null."""
    prefix = chain.spec.address_prefix
    timeline = await _timeline(identity, job, chain)
    committed = bool(job.committed_height)
    return {
        **job_summary(identity, job, prefix),
        "terminal": Status(job.status).terminal,
        "input_roots": [root.hex() for root in job.input_roots],
        "price_per_gmac_grains": job.price_per_gmac_grains,
        "deadline_blocks": job.deadline_blocks,
        "chosen_provider": address_form(prefix, job.chosen_provider),
        "permit": job.permit.hex() if job.permit != NO_PERMIT else None,
        "escrow_price_grains": job.escrow_price_grains,
        "escrow_protocol_grains": job.escrow_protocol_grains,
        "escrow_audit_grains": job.escrow_audit_grains,
        "bid_per_gmac_grains": job.bid_per_gmac_grains or None,
        "bond_grains": job.bond_grains,
        "claimed_height": _reached(job.claimed_height),
        "weights_epoch": job.weights_epoch if job.claimed_height else None,
        "committed_height": _reached(job.committed_height),
        "trace_root": job.trace_root.hex() if committed else None,
        "result_root": job.result_root.hex() if committed else None,
        "beacon": job.beacon.hex() if job.seats else None,
        "round": job.round,
        "seats": [
            {
                "member": address_form(prefix, seat.member),
                "committed": any(seat.commitment),
                "verdict": Verdict(seat.verdict).name,
                "evidence_root": seat.evidence_root.hex() if seat.verdict else None,
            }
            for seat in job.seats
        ],
        "ok_verdicts": sum(seat.verdict == Verdict.OK for seat in job.seats),
        "quorum": chain.rules.jobs.quorum,
        "attest_fees_grains": job.attest_fees_grains,
        "bound_blocks": job.bound_blocks,
        "windows": _windows(job, chain.rules.jobs),
        "ending": next((entry for entry in timeline if entry["event"] in _ENDINGS), None),
        "timeline": timeline,
    }


def _windows(job: Job, rules: JobRules) -> Json:
    """Heights at which something may or must happen next, as far as they are fixed."""
    if job.status == Status.OPEN:
        return {
            "cancellable_from": job.opened_height + rules.minimum_open_blocks,
            "expires_at": job.opened_height + rules.open_expiry_blocks,
        }
    if job.status == Status.CLAIMED:
        return {"commit_until": job.commit_deadline}
    if job.status != Status.COMMITTED:
        return {}
    base = job.committed_height
    return {
        "drawn_at": base + rules.draw_offset,
        "attest_commit_until": base + rules.reveal_offset - 1,
        "reveal_until": base + rules.reveal_end_offset - 1,
        "settles_at": base + rules.settle_offset,
    }


async def _timeline(identity: JobId, job: Job, chain: ChainView) -> list[Json]:
    """Events of this job in the canonical chain, oldest first; other tasks run between the blocks."""
    timeline: list[Json] = []
    for height in _heights(job, chain):
        await trio.lowlevel.checkpoint()
        block = chain.block_hash_at(height)
        for receipt in chain.receipts(block) if block is not None else ():
            for event in receipt.events:
                if identity in event.values:
                    form = event_form(event, chain.spec.address_prefix)
                    del form["job"]
                    timeline.append({"height": height, **form})
    return timeline


def _heights(job: Job, chain: ChainView) -> list[int]:
    """Heights at which a job can have events, without reading every block of its life."""
    rules, last = chain.rules.jobs, job.closed_height or chain.head.height
    found = {int(height) for height in (job.opened_height, job.claimed_height, job.closed_height) if height}
    if job.bound_blocks:  # a bound block takes effect in its child
        found.update(range(job.claimed_height + 1, (job.committed_height or last) + 2)[:MAX_BOUND_BLOCKS])
    if job.committed_height:
        found.update(range(job.committed_height, job.committed_height + rules.reveal_end_offset))
    return sorted(height for height in found if height <= last)


def _reached(height: int) -> int | None:
    return height or None
