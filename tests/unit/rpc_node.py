"""A whole node in memory for tests of its surface: real chain, pool, blobs and rules, mined by the reference.

Only the network is quiet and nobody runs in the background: a test mines, claims and commits step by step.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Thread

import numpy as np
import trio

from chain.blocks import Block
from chain.codec import Record
from chain.errors import Missing
from chain.keys import SigningKey
from chain.kv import MemoryKV
from chain.tensors import DType, TensorInfo, row_root
from chain.types import NO_PERMIT, Address, Grains, Hash32, Height, JobId, TensorRoot, TxId
from compute.entries import seeded_entries
from compute.spec.profiles import PROFILES
from compute.spec.reference import reference_attempt
from genesis.presets import preset
from genesis.spec import GRAINS_PER_TILE, Allocation, ChainSpec, FoundingValidator
from node.blobs import BlobStore
from node.chain import Chain
from node.checks import check_block
from node.importer import Importer
from node.mempool import Mempool
from node.mining.desk import WorkDesk
from node.mining.lent import LentDevices
from node.mining.status import SlotStatus, State
from node.ports import SystemRng, WallClock
from node.producer import build_template
from node.rpc.server import serve_rpc
from p2p.memory import MemoryHub
from tests.node_world import InlineCpu
from vm.envelope import TRANSACTION_VERSION, Transaction
from vm.jobs.committee import attest_commitment
from vm.jobs.inputs import NO_SLOT
from vm.jobs.record import Status, Verdict, job_id, load_job
from vm.kinds.audits import JobAttest, Phase
from vm.kinds.jobs import JobClaim, JobCommit, JobOpen
from vm.tensor.program import Op, gemm_program, resolve
from vm.tensor.trace import TraceRecord, result_path, trace_key, trace_root

ALICE, BOB, OPERATOR = (SigningKey(bytes([number]) * 32) for number in (1, 2, 3))
VALIDATORS = tuple(SigningKey(bytes([number]) * 32) for number in range(10, 15))
PREFIX = "tiletest"
MAX_FEE = Grains(10**7)


def test_spec() -> ChainSpec:
    """The test preset with two users, an operator that can post bonds, and five validators."""
    return replace(
        preset("test"),
        allocations=tuple(
            Allocation(key.address, Grains(1_000 * GRAINS_PER_TILE)) for key in (ALICE, BOB, OPERATOR)
        ),
        validators=tuple(
            FoundingValidator(key.public_key, Grains(1_000 * GRAINS_PER_TILE)) for key in VALIDATORS
        ),
    )


test_spec.__test__ = False  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Roles:
    """What the node was started to do."""

    mine: bool = True
    provide: bool = True
    validate: bool = False
    ask_per_gmac_grains: int = 5


class MemoryNode:
    """Implements node.rpc.backend.NodeBackend."""

    def __init__(self, directory: Path) -> None:
        self.chain = Chain.open(MemoryKV(), test_spec())
        self.mempool = Mempool(self.chain)
        self.blobs = BlobStore(directory / "blobs")
        self.net = MemoryHub().join("node-0")
        self.settings = Roles()
        self.address: Address = OPERATOR.address
        self.syncing = False
        self.macs_per_second = 12_345
        self.engine = "numpy"
        self.devices = (SlotStatus("cpu", "", "numpy", State.RUNNING, 12_345, 7, 1),)
        importer = Importer(self.chain, self.mempool, InlineCpu(), WallClock())
        self.work = WorkDesk(
            self.chain, self.mempool, importer, WallClock(), OPERATOR.address, self._announced
        )
        self.lent = LentDevices(SystemRng())
        self.announced: list[Block] = []
        self.instant = False
        """Mine a block as soon as a transaction is submitted, and serve every job to its end."""
        self.elsewhere: dict[TensorRoot, bytes] = {}
        """Tensors that only peers hold."""

    async def _announced(self, block: Block) -> None:
        self.announced.append(block)

    def tickets_drawn(self, job: JobId) -> int:
        return 7

    async def submit(self, data: bytes) -> TxId:
        identity = self.mempool.add(data)
        if self.instant:
            self.mine()
            for job in self.chain.jobs(1):
                if load_job(self.chain.context(), job).status == Status.OPEN:
                    self.serve_job(job)
        return identity

    async def fetch(self, root: TensorRoot, info: TensorInfo, key: bytes | None = None) -> None:
        if root not in self.elsewhere:
            raise Missing("BLOB", found=root)
        assert self.blobs.put(info, self.elsewhere[root], key) == root

    def mine(self, blocks: int = 1) -> None:
        """Extend the chain with what waits in the pool; attempts are repeated until one wins."""
        for _ in range(blocks):
            profile = PROFILES[self.chain.spec.profile_id]
            now_ms = self.chain.head.time_ms + self.chain.spec.pace.block_time_ms
            for number in range(1_000):
                template = build_template(self.chain, self.mempool, OPERATOR.address, number, now_ms)
                seed = template.header.height.to_bytes(8, "big") + number.to_bytes(24, "big")
                entries = seeded_entries(seed, 0, 64, 64)
                attempt = reference_attempt(template.header.sigma(), profile, entries, entries)
                winners = attempt.winners(template.header.target)
                if winners:
                    block = template.sealed(attempt.certificate(winners[0]).to_bytes())
                    checked = check_block(block, self.chain.head, self.chain.genesis, self.chain.spec)
                    change = self.chain.add(checked)
                    assert change is not None
                    self.mempool.head_changed(change)
                    break

    def signed(self, key: SigningKey, kind: str, body: Record) -> Transaction:
        """A transaction with plenty of fee and the next nonce."""
        return Transaction(
            version=TRANSACTION_VERSION,
            chain_id=self.chain.spec.chain_id,
            kind=kind,
            sender=key.address,
            nonce=self.mempool.next_nonce(key.address),
            max_fee_grains=MAX_FEE,
            tip_grains=Grains(0),
            valid_until=Height(self.chain.head.height + 1_000),
            body=body.to_bytes(),
            authorisations=(),
        ).signed(key)

    def send(self, key: SigningKey, kind: str, body: Record) -> TxId:
        return self.mempool.add(self.signed(key, kind, body).to_bytes())

    def open_job(self, a: np.ndarray, b: np.ndarray) -> JobId:
        """Alice orders A @ B; the matrices are in this node's store."""
        b_t = np.ascontiguousarray(b.T)
        infos = tuple(TensorInfo(*matrix.shape, DType.INT8) for matrix in (a, b_t))
        roots = tuple(
            self.blobs.put(info, matrix.astype(np.int8).tobytes())
            for info, matrix in zip(infos, (a, b_t), strict=True)
        )
        program = gemm_program(a.shape[0], b.shape[1], a.shape[1])
        identity = job_id(ALICE.address, self.mempool.next_nonce(ALICE.address))
        body = JobOpen(
            program, roots, Grains(10**9), Grains(10**12), 30, Address(bytes(20)), NO_PERMIT, NO_SLOT
        )
        self.send(ALICE, "job.open", body)
        return identity

    def claim_and_commit(self, identity: JobId, result: np.ndarray) -> TensorRoot:
        """The operator claims the job, a block later commits `result`, and the blocks are mined."""
        self.send(OPERATOR, "job.claim", JobClaim(identity, Grains(self.settings.ask_per_gmac_grains)))
        self.mine()
        info = TensorInfo(*result.shape, DType.INT32)
        key = trace_key(identity, OPERATOR.address)
        data = result.astype("<i4").tobytes()
        root = row_root(info, data, key)
        self.elsewhere[root] = data
        program = gemm_program(info.rows, info.columns, 1)
        record = TraceRecord(0, Op.GEMM, resolve(program).output, root)
        body = JobCommit(identity, trace_root(key, [record]), root, result_path(key, [record]))
        self.send(OPERATOR, "job.commit", body)
        self.mine()
        return root

    def serve_job(self, identity: JobId) -> None:
        """Compute an open job and let its committee approve, until it settles."""
        job = load_job(self.chain.context(), identity)
        a, b_t = (
            np.frombuffer(self.blobs.data(root), np.int8).reshape(info.rows, info.columns).astype(np.int32)
            for root, info in zip(job.input_roots, job.program.inputs, strict=True)
        )
        self.claim_and_commit(identity, a @ b_t.T)
        rules = self.chain.spec.jobs
        committed = self.chain.head.height
        self.mine(rules.draw_offset)
        self._attest(identity, Phase.COMMIT)
        self.mine(committed + rules.reveal_offset - 1 - self.chain.head.height)
        self._attest(identity, Phase.REVEAL)
        self.mine(committed + rules.settle_offset - self.chain.head.height)

    def _attest(self, identity: JobId, phase: Phase) -> None:
        members = {seat.member for seat in load_job(self.chain.context(), identity).seats}
        salt, nothing = bytes(31) + b"\1", Hash32(bytes(32))
        for key in VALIDATORS:
            if key.address in members:
                sealed = attest_commitment(identity, key.address, Verdict.OK, salt, nothing)
                body = (
                    JobAttest(identity, 1, phase, sealed, Verdict.NONE, bytes(32), nothing, Grains(0))
                    if phase is Phase.COMMIT
                    else JobAttest(identity, 1, phase, nothing, Verdict.OK, salt, nothing, Grains(0))
                )
                self.send(key, "job.attest", body)


@contextmanager
def served(node: MemoryNode) -> Iterator[str]:
    """The URL of the node's RPC, served by a trio run in a thread of its own."""
    urls: list[str] = []
    ready, stop = Event(), trio.Event()
    token: list[trio.lowlevel.TrioToken] = []

    async def main() -> None:
        token.append(trio.lowlevel.current_trio_token())
        async with trio.open_nursery() as nursery:
            urls.append(await nursery.start(serve_rpc, node, "127.0.0.1", 0))
            ready.set()
            await stop.wait()
            nursery.cancel_scope.cancel()

    thread = Thread(target=trio.run, args=(main,), daemon=True)
    thread.start()
    ready.wait(20)
    try:
        yield urls[0]
    finally:
        token[0].run_sync_soon(stop.set)
        thread.join(20)
