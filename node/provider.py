"""The provider: claims open jobs it can serve, computes them through the miner's worker, commits the result.

Driven by the state alone: at every head it looks at the jobs and does what is due, so a restart resumes where the chain
says it stopped.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import trio

from chain.errors import Missing, TileworkError
from chain.types import NO_ADDRESS, NO_PERMIT, Address, Grains, Hash32, JobId, TensorRoot
from compute.messages import MAX_MATRIX_BYTES, Load
from compute.spec.padding import round_up
from compute.spec.profiles import PROFILES
from node.blobs import BlobStore
from node.chain import Chain
from node.duties import Duties
from node.faults import Fault
from node.heartbeat import beat
from node.importer import Importer
from node.job_watch import JobWatch
from node.mempool import Mempool
from node.mining.miner import Miner
from node.ports import Clock, Cpu
from node.tensors import TensorExchange, first_malformed_row
from vm.assets.permits import find_permit
from vm.jobs import money
from vm.jobs.inputs import refused_run
from vm.jobs.record import Job, Status, load_job
from vm.kinds.jobs import JobClaim, JobCommit
from vm.tensor.program import resolve
from vm.tensor.trace import TraceRecord, result_path, trace_key, trace_root

log = logging.getLogger("tilework.provider")
_LOOK_BACK_JOBS = 256
"""Open jobs are looked for among so many of the newest; those we have claimed are never out of sight."""
_STAGGER_MS = 150
"""Providers that see a job at the same moment wait different times before claiming, so that few fees are lost."""


JobStep = Callable[[JobId, Job], Awaitable[None]]


class Provider:
    """Sells this node's multiplications."""

    def __init__(
        self,
        chain: Chain,
        importer: Importer,
        mempool: Mempool,
        duties: Duties,
        miner: Miner,
        blobs: BlobStore,
        exchange: TensorExchange,
        address: Address,
        clock: Clock,
        cpu: Cpu,
        *,
        ask_per_gmac_grains: int,
        fault: Fault,
    ) -> None:
        self._chain = chain
        self._profile = PROFILES[chain.spec.profile_id]
        self._importer = importer
        self._mempool = mempool
        self._duties = duties
        self._miner = miner
        self._blobs = blobs
        self._exchange = exchange
        self._address = address
        self._clock = clock
        self._cpu = cpu
        self._ask = ask_per_gmac_grains
        self._fault = fault
        self._watch = JobWatch(chain)
        self._busy: set[JobId] = set()
        self._asked: set[JobId] = set()
        self._results: dict[JobId, tuple[TensorRoot, JobCommit]] = {}

    async def run(self) -> None:
        """Look at the jobs whenever the head moves, until cancelled."""
        version = -1
        async with trio.open_nursery() as nursery:
            while True:
                version = await self._importer.heads.after(version)
                context = self._chain.context()
                await beat(context, self._address, self._duties)
                for identity in dict.fromkeys((*self._watch.under_way(), *self._chain.jobs(_LOOK_BACK_JOBS))):
                    job = load_job(context, identity)
                    if identity in self._busy:
                        continue
                    if job.status == Status.OPEN and self._wants(job):
                        self._start(nursery, self._claim, identity, job)
                    elif job.status == Status.CLAIMED and job.provider == self._address:
                        self._start(nursery, self._work, identity, job)

    def _start(self, nursery: trio.Nursery, act: JobStep, identity: JobId, job: Job) -> None:
        self._busy.add(identity)
        nursery.start_soon(self._guarded, act, identity, job)

    async def _guarded(self, act: JobStep, identity: JobId, job: Job) -> None:
        """One step of one job; its failure is logged and tried again at a later head."""
        try:
            await act(identity, job)
        except Missing as error:
            # Anybody may open what nobody serves: no reason to fill a log.
            log.debug("job-waits job=%s why=%s", identity.hex()[:16], error)
        except TileworkError as error:
            log.warning("job-step-failed job=%s why=%s", identity.hex()[:16], error)
        finally:
            self._busy.discard(identity)

    def _wants(self, job: Job) -> bool:
        """Asked of us, at our price, and something we can finish: a claim is a promise."""
        return (
            job.payer != self._address
            and job.chosen_provider in (NO_ADDRESS, self._address)
            and job.price_per_gmac_grains >= self._ask
            and self._fits(job)
            and self._is_in_time(job)
        )

    def _fits(self, job: Job) -> bool:
        """Small enough for the active profile and for a worker."""
        shape = resolve(job.program)
        return (
            round_up(shape.n, self._profile.tile) <= self._profile.max_n
            and round_up(shape.k, self._profile.segment) <= self._profile.max_k
            and all(info.total_bytes <= MAX_MATRIX_BYTES for info in job.program.inputs)
        )

    def _is_in_time(self, job: Job) -> bool:
        """Whether it and everything promised before take less than half its deadline at the measured rate."""
        work_macs = self._work_macs(job) + sum(self._work_macs(other) for other in self._promised())
        work_ms = work_macs * 1000 // max(1, self._miner.macs_per_second)
        return 2 * work_ms <= job.deadline_blocks * self._chain.spec.pace.block_time_ms

    def _promised(self) -> list[Job]:
        """Jobs whose product we still owe: claimed by us, or with our claim waiting for a block."""
        context = self._chain.context()
        self._asked = {identity for identity in self._asked if self._duties.pending((identity, "claim"))}
        owed = dict.fromkeys((*self._watch.under_way(), *self._asked))
        jobs = [load_job(context, identity) for identity in owed if identity not in self._results]
        return [
            job
            for job in jobs
            if job.status == Status.OPEN or (job.status == Status.CLAIMED and job.provider == self._address)
        ]

    def _work_macs(self, job: Job) -> int:
        """What a job's product costs with its padding."""
        shape, profile = resolve(job.program), self._profile
        rows, columns = round_up(shape.m, profile.tile), round_up(shape.n, profile.tile)
        return rows * columns * round_up(shape.k, profile.segment)

    async def _claim(self, identity: JobId, job: Job) -> None:
        """Hold and range-check the inputs first: claiming asserts both."""
        if self._duties.pending((identity, "claim")):
            return
        bond = money.bond(self._chain.rules.jobs, job.escrow_grains)
        context = self._chain.context()
        if context.account(self._address).balance_grains < 2 * bond:
            return
        if job.permit != NO_PERMIT:
            permit = find_permit(context, job.permit)
            if refused_run(context, permit, self._address, bond) is not None:
                return
        for root, info in zip(job.input_roots, job.program.inputs, strict=True):
            await self._exchange.fetch(root, info)
            if first_malformed_row(info, self._blobs.data(root)) is not None:
                log.warning("job-inputs-out-of-range job=%s root=%s", identity.hex()[:16], root.hex()[:16])
                return
        if job.chosen_provider == NO_ADDRESS:
            await self._clock.sleep_ms(_STAGGER_MS * ((identity[0] ^ self._address[0]) % 4))
        if (
            self._claimed_by_another(identity)
            or load_job(self._chain.context(), identity).status != Status.OPEN
            or not self._is_in_time(job)  # more may have been promised meanwhile
        ):
            return
        self._asked.add(identity)
        await self._duties.perform((identity, "claim"), "job.claim", JobClaim(identity, Grains(self._ask)))

    def _claimed_by_another(self, identity: JobId) -> bool:
        for _, parsed in self._mempool.candidates():
            if isinstance(parsed.body, JobClaim) and parsed.body.job == identity:
                return parsed.transaction.sender != self._address
        return False

    async def _work(self, identity: JobId, job: Job) -> None:
        """Compute the product once, keep it to serve it, and commit to it until the commitment is in the chain."""
        if identity not in self._results:
            self._results[identity] = await self._compute(identity, job)
        await self._duties.perform((identity, "commit"), "job.commit", self._results[identity][1])

    async def _compute(self, identity: JobId, job: Job) -> tuple[TensorRoot, JobCommit]:
        shape = resolve(job.program)
        for root, info in zip(job.input_roots, job.program.inputs, strict=True):
            await self._exchange.fetch(root, info)
        a, b = (
            Load(Hash32(root), info.rows, info.columns, self._blobs.data(root))
            for root, info in zip(job.input_roots, job.program.inputs, strict=True)
        )
        started_ms = self._clock.now_ms()
        product = await self._miner.multiply(identity, a, b)
        committed = self._fault.applied_to(product)
        key = trace_key(identity, self._address)
        root = await self._cpu.run(self._blobs.put, shape.output, committed, key)
        steps = len(job.program.steps)
        records = [TraceRecord(steps - 1, job.program.steps[-1].op, shape.output, root)]
        commit = JobCommit(identity, trace_root(key, records), root, result_path(key, records))
        work = self._miner.job_work[identity]
        log.info(
            "job-computed job=%s shape=%dx%dx%d ms=%d panels=%d tickets=%d winners=%d",
            identity.hex()[:16],
            shape.m,
            shape.n,
            shape.k,
            self._clock.now_ms() - started_ms,
            work.panels,
            work.tickets,
            work.winners,
        )
        return root, commit
