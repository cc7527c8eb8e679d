"""RPC methods about jobs.  Spec: [RPC-JOB]."""

from __future__ import annotations

import trio

from chain.errors import Missing, Policy
from chain.ledger import Namespace, state_key
from chain.types import JobId
from node.rpc.backend import ChainView, NodeBackend
from node.rpc.forms import Json
from node.rpc.job_forms import job_form, job_summary
from node.rpc.one_head import at_one_head
from node.rpc.registry import Cost, Field, Form, Parameter, method
from vm.jobs.record import Job, Status

MAX_LISTED = 500
MAX_SEARCHED = 5_000
"""Jobs looked through for one list."""


@method(
    "job_get",
    "Everything about a job: shape, money, windows, committee, what happened so far, how it ended.",
    parameters=(Parameter("id", Form.HASH, "job id"),),
    result=(
        Field("id", Form.HASH, "job id"),
        Field(
            "status",
            Form.TEXT,
            "OPEN, CLAIMED, COMMITTED, SETTLED, CANCELLED, EXPIRED, LATE, VOID or SLASHED",
        ),
        Field("terminal", Form.BOOLEAN, "whether this status is an end"),
        Field("m, n, k, macs", Form.INTEGER, "shape of the product and its metered work"),
        Field("payer, provider", Form.ADDRESS, "who asked and who answered; null until claimed"),
        Field("escrow_grains", Form.GRAINS, "locked by the payer; also split into price, protocol and audit"),
        Field("bond_grains", Form.GRAINS, "locked by the provider"),
        Field("input_roots", Form.LIST, "roots of A and of B transposed"),
        Field("result_root", Form.HASH, "root of the result under the job's own key; null until committed"),
        Field("seats", Form.LIST, "committee members with their verdicts"),
        Field("windows", Form.OBJECT, "heights at which something may or must happen next"),
        Field("timeline", Form.LIST, "events of this job with their heights, oldest first"),
        Field("ending", Form.OBJECT, "the event that ended it, with every payment; null while it runs"),
        Field(
            "tickets_drawn",
            Form.INTEGER,
            "lottery tickets its product drew; null unless this node computed it",
        ),
    ),
    cost=Cost.SCAN,
)
async def job_get(node: NodeBackend, *, id: str) -> Json:
    identity = JobId(bytes.fromhex(id))

    async def read() -> Json:
        job = load(node.chain, identity)
        own = job.provider == node.address
        return await job_form(identity, job, node.chain) | {
            "tickets_drawn": node.tickets_drawn(identity) if own else None
        }

    return await at_one_head(node.chain, read)


@method(
    "job_list",
    "Jobs of this chain, newest first.",
    parameters=(
        Parameter("limit", Form.INTEGER, f"at most {MAX_LISTED}", required=False, default=50),
        Parameter("status", Form.TEXT, "only jobs in this status", required=False),
    ),
    result=(Field("jobs", Form.LIST, "id, status, shape, payer, provider, escrow and heights of each job"),),
    cost=Cost.SCAN,
)
async def job_list(node: NodeBackend, *, limit: int, status: str | None) -> Json:
    if limit > MAX_LISTED:
        raise Policy("RPC_LIMIT", found=limit, allowed=f"at most {MAX_LISTED}")
    if status is not None and status.upper() not in Status.__members__:
        raise Policy("JOB_STATUS", found=status, allowed=", ".join(Status.__members__))
    chain = node.chain

    async def read() -> Json:
        found: list[Json] = []
        for identity in chain.jobs(MAX_SEARCHED if status is not None else limit):
            await trio.lowlevel.checkpoint()  # other tasks run between the records
            job = load(chain, identity)
            if status is None or job.status == Status[status.upper()]:
                found.append(job_summary(identity, job, chain.spec.address_prefix))
            if len(found) >= limit:
                break
        return {"jobs": found}

    return await at_one_head(chain, read)


def load(chain: ChainView, identity: JobId) -> Job:
    """Raises: Missing JOB_UNKNOWN."""
    data = chain.state.get(state_key(Namespace.JOB, identity))
    if data is None:
        raise Missing(
            "JOB_UNKNOWN",
            found=identity,
            allowed="the id of a job on this chain",
            hint="See `tilework job list`.",
        )
    return Job.from_bytes(data)


METHODS = (job_get, job_list)
