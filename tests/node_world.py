"""Whole nodes in one process: production code above the ports, an in-memory network, virtual time, work done inline.

Under trio's mock clock a network of nodes runs through minutes of chain time in seconds, the same way every time. The
work is real: every block carries a certificate that every node verifies.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import trio

from chain.blocks import Block
from chain.codec import Record
from chain.errors import LocalFault, TileworkError
from chain.keys import SigningKey
from chain.kv import KV, MemoryKV
from chain.tensors import DType, TensorInfo
from chain.types import NO_ADDRESS, NO_PERMIT, Address, Grains, Height, JobId, TensorRoot
from compute.engines.numpy_blocks import NumpyEngine
from compute.engines.select import AUTO
from compute.messages import (
    Bench,
    BenchDone,
    Command,
    Drop,
    Event,
    Failed,
    Load,
    Mine,
    Panel,
    Progress,
    Ready,
)
from compute.workbench import Workbench
from genesis.spec import ChainSpec
from node.app import Node, NodeSettings, open_chain
from node.journal import Journal
from node.mining.devices import Device
from p2p.memory import MemoryHub
from tests.builders import KIND_OF, funded_spec, key
from vm.envelope import Transaction
from vm.jobs.inputs import NO_SLOT
from vm.jobs.record import Job, Status, job_id, load_job
from vm.kinds.jobs import JobOpen
from vm.tensor.program import gemm_program

T = TypeVar("T")
ATTEMPT_S = 0.1
"""Virtual time of one attempt."""
SAY_S = 5.0
"""An idle worker shows life at this interval."""
PAYER = 7
"""Number of the person who pays for jobs; not a validator, runs no node."""


class VirtualClock:
    """Wall time that follows trio's mock clock."""

    def __init__(self, start_ms: int) -> None:
        self._start_ms = start_ms

    def now_ms(self) -> int:
        return self._start_ms + int(trio.current_time() * 1000)

    async def sleep_ms(self, duration_ms: int) -> None:
        await trio.sleep(duration_ms / 1000)


class InlineCpu:
    """Runs functions where they are called: a thread would let virtual time run away."""

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        await trio.lowlevel.checkpoint()
        return function(*arguments)


class SeededRng:
    """Bytes that depend on a name and a counter only."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0

    def bytes(self, count: int) -> bytes:
        self._count += 1
        return blake2b(f"{self._name}/{self._count}".encode(), digest_size=count).digest()


class InlineWorker:
    """The worker's workbench without a process; an attempt takes ATTEMPT_S of virtual time."""

    def __init__(self, engine: str = "numpy", stop_mining: Callable[[], bool] = lambda: False) -> None:
        self.engine = engine
        self.commands: list[Command] = []
        self._workbench = Workbench(NumpyEngine())
        self._broken = False
        self._events: deque[Event] = deque()
        self._order: Mine | None = None
        self._attempt = 0
        self._wake = trio.Event()
        self._paused = stop_mining

    async def start(self) -> Ready:
        return Ready(self.engine, "in the test's own process")

    async def send(self, command: Command) -> None:
        self.commands.append(command)
        try:
            self._take(command)
        except TileworkError as error:
            job = command.job if isinstance(command, Panel) else JobId(bytes(32))
            self._events.append(Failed(error.code, str(error), job))
        self._wake.set()

    async def receive(self) -> Event:
        while True:
            if self._broken:
                raise LocalFault("WORKER_LOST", found="a worker that was broken", allowed="a running worker")
            if self._events:
                await trio.lowlevel.checkpoint()
                return self._events.popleft()
            if self._order is None or self._paused():
                self._wake = trio.Event()
                with trio.move_on_after(SAY_S):
                    await self._wake.wait()
                    continue
                return Progress(template=0, attempts=0, macs=0, tickets=0, busy_ms=0)
            await trio.sleep(ATTEMPT_S)
            if self._order is None or self._broken:
                continue
            done = self._workbench.mine(self._order, self._attempt)
            self._attempt += 1
            if done.found is not None:
                self._events.append(done.found)
            busy_ms = int(ATTEMPT_S * 1000)
            return Progress(self._order.template, 1, done.macs, done.tickets, busy_ms)

    async def stop(self) -> None:
        self._order = None

    def break_down(self) -> None:
        """End as a process ends that crashes."""
        self._broken = True
        self._wake.set()

    def _take(self, command: Command) -> None:
        if isinstance(command, Load):
            self._workbench.load(command)
        elif isinstance(command, Drop):
            self._workbench.drop(command)
        elif isinstance(command, Mine):
            self._order = command
        elif isinstance(command, Panel):
            found, done = self._workbench.panel(command)
            if found is not None:
                self._events.append(found)
            self._events.append(done)
        elif isinstance(command, Bench):
            self._events.append(BenchDone(command.profile_id, 4_000_000))


@dataclass
class World:
    """Some nodes on one hub."""

    directory: Path
    nursery: trio.Nursery
    spec: ChainSpec
    hub: MemoryHub = field(default_factory=MemoryHub)
    nodes: dict[str, Node] = field(default_factory=dict)
    stores: dict[str, KV] = field(default_factory=dict)
    workers: dict[str, list[InlineWorker]] = field(default_factory=dict)
    """Every worker a node ever had, the newest last."""
    worker_kinds: dict[tuple[str, str], type[InlineWorker]] = field(default_factory=dict)
    """Workers that misbehave, by device and engine."""
    mining_stopped: bool = False
    _scopes: dict[str, tuple[trio.CancelScope, trio.Event]] = field(default_factory=dict)

    async def start(
        self,
        number: int,
        *,
        kv: KV | None = None,
        data: str | None = None,
        connect: bool = True,
        **settings: Any,
    ) -> Node:
        """Start node `number` (operator key `number`), by default on an empty store and an empty directory."""
        name = f"node-{number}"
        self.stores[name] = kv if kv is not None else MemoryKV()
        chosen = NodeSettings(self.directory / (data or name), self.spec, key(number), **settings)
        chain = open_chain(self.stores[name], self.spec)
        node = Node(
            chosen,
            chain=chain,
            journal=Journal(self.stores[name]),
            network=self.hub.join(name),
            worker=lambda device, engine, excluded: self._worker(name, device, excluded),
            clock=VirtualClock(self.spec.genesis_time_ms),
            cpu=InlineCpu(),
            rng=SeededRng(name),
        )
        scope, stopped = trio.CancelScope(), trio.Event()

        async def life(*, task_status: Any) -> None:
            try:
                with scope:
                    await node.run(task_status=task_status)
            finally:
                stopped.set()

        await self.nursery.start(life)
        self.nodes[name] = node
        self._scopes[name] = (scope, stopped)
        if connect:
            await self.hub.connect_all()
        return node

    def _worker(self, name: str, device: Device, excluded: frozenset[str]) -> InlineWorker:
        engine = next(iter(device.engines(AUTO, excluded)), "")
        kind = self.worker_kinds.get((device.name, engine), InlineWorker)
        made = kind(engine, lambda: self.mining_stopped)
        self.workers.setdefault(name, []).append(made)
        return made

    async def stop(self, number: int) -> None:
        """Stop a node at once, as a killed process stops: nothing is said to anybody."""
        name = f"node-{number}"
        scope, stopped = self._scopes.pop(name)
        scope.cancel()
        await stopped.wait()
        del self.nodes[name]

    async def until(self, condition: Callable[[], bool], *, limit_s: float = 600) -> None:
        """Let virtual time pass until something is true; fail after `limit_s` of it."""
        with trio.fail_after(limit_s):
            while not condition():
                await trio.sleep(0.05)

    async def agreed(self) -> None:
        """Stop making blocks and wait until every node has the same head."""
        self.mining_stopped = True
        await self.until(lambda: len({node.chain.head.id for node in self.nodes.values()}) == 1)

    async def submit(self, node: Node, signer: SigningKey, body: Record, **changes: Any) -> None:
        """Sign with the next nonce and hand to a node."""
        fields = {
            "version": 1,
            "chain_id": self.spec.chain_id,
            "kind": KIND_OF[type(body)],
            "sender": signer.address,
            "nonce": node.mempool.next_nonce(signer.address),
            "max_fee_grains": Grains(10**9),
            "tip_grains": Grains(0),
            "valid_until": Height(10_000),
            "body": body.to_bytes(),
            "authorisations": (),
        }
        await node.submit(Transaction(**(fields | changes)).signed(signer).to_bytes())

    async def open_job(
        self, node: Node, a: np.ndarray[Any, Any], b: np.ndarray[Any, Any], provider: Address = NO_ADDRESS
    ) -> JobId:
        """Hand two matrices to a node and open a job on them in the payer's name."""
        b_t = np.ascontiguousarray(b.T)
        roots = tuple(
            TensorRoot(node.blobs.put(TensorInfo(*m.shape, DType.INT8), m.astype(np.int8).tobytes()))
            for m in (a, b_t)
        )
        program = gemm_program(a.shape[0], b.shape[1], a.shape[1])
        body = JobOpen(program, roots, Grains(10**9), Grains(10**12), 30, provider, NO_PERMIT, NO_SLOT)
        identity = job_id(key(PAYER).address, node.mempool.next_nonce(key(PAYER).address))
        await self.submit(node, key(PAYER), body)
        return identity

    def job(self, node: Node, identity: JobId) -> Job | None:
        """The job as a node's head has it."""
        return load_job(node.chain.context(), identity) if identity in node.chain.jobs(100) else None

    async def until_status(self, node: Node, identity: JobId, *statuses: Status) -> Job:
        def reached() -> bool:
            job = self.job(node, identity)
            return job is not None and job.status in statuses

        await self.until(reached)
        found = self.job(node, identity)
        assert found is not None
        return found


def canonical_blocks(node: Node) -> list[Block]:
    """Every block of a node's chain after genesis, in order."""
    found = []
    for height in range(1, node.chain.head.height + 1):
        block_hash = node.chain.block_hash_at(height)
        assert block_hash is not None
        block = node.chain.block(block_hash)
        assert block is not None
        found.append(block)
    return found


def network_spec(*, expected_attempts: int = 8) -> ChainSpec:
    """The test preset; a block takes about `expected_attempts` idle attempts (64 cubed each) of all miners together."""
    spec = funded_spec(validators=(0, 1, 2, 3))
    target = (1 << 256) // (64**3 * expected_attempts)
    return replace(spec, genesis_target=min(target, spec.genesis_target))


@asynccontextmanager
async def world(directory: Path, spec: ChainSpec | None = None) -> Any:
    """A world that ends with its block; every node is stopped then."""
    async with trio.open_nursery() as nursery:
        yield World(directory, nursery, spec or network_spec())
        nursery.cancel_scope.cancel()


async def four_nodes(
    built: World, ready: Callable[[World], Awaitable[None]] | None = None, miners: Sequence[int] = (0, 1)
) -> None:
    """Four validators, the first two of them mining and providing."""
    for number in range(4):
        await built.start(number, mine=number in miners, provide=number in miners)
    if ready is not None:
        await ready(built)
