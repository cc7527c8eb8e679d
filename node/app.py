"""The node: every part, wired together.  `Node` takes its adapters as arguments; `run_node` chooses the real ones."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import trio

from chain.errors import TileworkError
from chain.hashing import Tag, h256
from chain.keys import SigningKey, self_check
from chain.kv import KV
from chain.tensors import TensorInfo
from chain.types import Address, JobId, TensorRoot, TxId
from compute.engines.select import AUTO
from compute.spec.profiles import PROFILES
from genesis.build import check_spec
from genesis.spec import ChainSpec
from node.auditor import Auditor
from node.blobs import BlobStore
from node.chain import Chain
from node.collector import freeze_start
from node.duties import Duties
from node.faults import Fault, fault_named
from node.gossip import Gossip
from node.importer import Importer
from node.journal import Journal
from node.mempool import Mempool
from node.messages import MAX_POOL_REPLY_BYTES, PoolRequest, TransactionBatch
from node.mining.desk import LocalSource, WorkDesk
from node.mining.devices import Device, cpu_devices
from node.mining.lent import LentDevices
from node.mining.miner import Miner
from node.mining.slot import MakeWorker
from node.mining.status import SlotStatus
from node.ports import Clock, Cpu, Rng, SystemRng, ThreadCpu, WallClock
from node.provider import Provider
from node.signals import stop_on_signal
from node.sync import Sync
from node.tensors import TensorExchange
from p2p.dialer import Dialer
from p2p.interface import Network, PeerId, StartSignal
from p2p.wire import REQUESTS, RequestKind

log = logging.getLogger("tilework.node")
_RESTART_MS = 5_000
_POOL_POLL_MS = 5_000


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """What an operator decides; see `tilework node run --help`."""

    data_dir: Path
    spec: ChainSpec
    key: SigningKey
    listen: str = "127.0.0.1:0"
    join: tuple[str, ...] = ()
    rpc: str = "127.0.0.1:8645"
    mine: bool = True
    engine: str = AUTO
    devices: tuple[Device, ...] = cpu_devices(1)
    provide: bool = True
    ask_per_gmac_grains: int = 1_000_000
    validate: bool = True
    fault: str = ""


class Node:
    """One node on given adapters."""

    def __init__(
        self,
        settings: NodeSettings,
        *,
        chain: Chain,
        journal: Journal,
        network: Network,
        worker: MakeWorker,
        clock: Clock,
        cpu: Cpu,
        rng: Rng,
    ) -> None:
        fault = fault_named(settings.fault, settings.spec)
        key = settings.key
        self.settings = settings
        self.chain = chain
        self.net = network
        self.clock = clock
        self.mempool = Mempool(chain)
        self._journal = journal
        self.blobs = BlobStore(settings.data_dir / "tensors")
        self.importer = Importer(chain, self.mempool, cpu, clock)
        self.sync = Sync(network, chain, self.importer, clock)
        self.gossip = Gossip(network, chain, self.importer, self.mempool, self.sync, cpu, clock)
        self.exchange = TensorExchange(network, self.blobs, cpu)
        self.duties = Duties(chain, self.mempool, key, self.submit)
        self.work = WorkDesk(chain, self.mempool, self.importer, clock, key.address, self.gossip.announce)
        self.lent = LentDevices(rng)
        self._dialer = Dialer(network, settings.join)
        self._make_worker = worker
        self._rng = rng
        self.miner: Miner | None = None
        self._auditor = Auditor(
            chain, self.importer, self.mempool, self.duties, self.blobs, self.exchange, key, cpu
        )
        self._cpu = cpu
        self._fault: Fault = fault
        network.on_request(RequestKind.TXPOOL, self._serve_pool)

    @property
    def address(self) -> Address:
        """The operator's account: earns coinbases, posts bonds, sits on committees."""
        return self.settings.key.address

    @property
    def syncing(self) -> bool:
        """Whether the chain is being caught up with; a height that a peer only claims does not count."""
        return self.sync.active

    @property
    def macs_per_second(self) -> int:
        """Rate of this node's devices together, in multiply-accumulates per second; 0 without any."""
        return self.miner.macs_per_second if self.miner is not None else 0

    @property
    def engine(self) -> str:
        """The engines that run; empty until one has passed its self-test."""
        return self.miner.engine if self.miner is not None else ""

    @property
    def devices(self) -> tuple[SlotStatus, ...]:
        """What multiplies on this node, with its state; empty if it neither mines nor provides."""
        return self.miner.devices if self.miner is not None else ()

    def tickets_drawn(self, job: JobId) -> int:
        """Lottery tickets a job's product has drawn on this node."""
        work = self.miner.job_work.get(job) if self.miner is not None else None
        return work.tickets if work is not None else 0

    async def submit(self, data: bytes) -> TxId:
        """Take a transaction and pass it on.  Raises: Invalid, Policy."""
        identity = self.mempool.add(data)
        self._journal.record(identity, data)
        self.gossip.enqueue(identity, data)
        return identity

    async def fetch(self, root: TensorRoot, info: TensorInfo, key: bytes | None) -> None:
        """Get a tensor from peers into the store.  Raises: Missing BLOB."""
        await self.exchange.fetch(root, info, key)

    async def run(
        self,
        serve: Callable[[Node], Awaitable[None]] | None = None,
        *,
        task_status: StartSignal = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Run every part until cancelled; `serve` is the RPC server, started once the network listens.

        Raises: LocalFault (in a group) if the disk fails, or a port is taken.
        """
        async with trio.open_nursery() as nursery:
            await nursery.start(self.net.run)
            for address in self.net.listen_addresses():
                log.info("listening address=%s", address)
            nursery.start_soon(self.importer.until_broken)
            nursery.start_soon(self._dialer.run)
            nursery.start_soon(self.sync.run)
            nursery.start_soon(self.gossip.run)
            nursery.start_soon(self._poll_pools)
            nursery.start_soon(self._keep_journal)
            if self.settings.mine or self.settings.provide:
                nursery.start_soon(self._supervise, "worker", self._work)
            if self.settings.validate:
                nursery.start_soon(self._supervise, "auditor", self._auditor.run)
            if serve is not None:
                nursery.start_soon(serve, self)
            task_status.started()

    async def _supervise(self, name: str, part: Callable[[], Awaitable[None]]) -> None:
        """Keep a part running: its failure costs seconds and a log entry, not the node."""
        while True:
            try:
                await part()
            except* TileworkError as faults:
                for fault in faults.exceptions:
                    log.error("part-stopped part=%s why=%s", name, fault)
            except* Exception:  # worker supervisor: one of three places that catch everything
                log.exception("part-broke part=%s", name)
            await self.clock.sleep_ms(_RESTART_MS)

    async def _work(self) -> None:
        """The miner with its workers, and the provider on top of it."""
        self.miner = Miner(
            LocalSource(self.work, self.address),
            self.settings.devices,
            self._make_worker,
            PROFILES[self.chain.spec.profile_id],
            self.chain.spec.pace.block_time_ms,
            self.clock,
            self._cpu,
            self._rng,
            engine=self.settings.engine,
            idle_mining=self.settings.mine,
            lent=self.lent,
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.miner.run)
            if self.settings.provide:
                nursery.start_soon(self._provider(self.miner).run)

    def _provider(self, miner: Miner) -> Provider:
        return Provider(
            self.chain,
            self.importer,
            self.mempool,
            self.duties,
            miner,
            self.blobs,
            self.exchange,
            self.address,
            self.clock,
            self._cpu,
            ask_per_gmac_grains=self.settings.ask_per_gmac_grains,
            fault=self._fault,
        )

    async def _keep_journal(self) -> None:
        """Take back what was waiting before a restart, then drop entries as the chain takes them up."""
        for identity, data in self._journal.restore(self.mempool):
            self.gossip.enqueue(identity, data)
        version = self.importer.heads.version
        while True:
            version = await self.importer.heads.after(version)
            self._journal.prune(self.mempool)

    async def _poll_pools(self) -> None:
        """Ask peers for waiting transactions now and then: gossip may lose them, and a late joiner never heard."""
        request = PoolRequest(MAX_POOL_REPLY_BYTES).to_bytes()
        while True:
            for peer in self.net.peers():
                await self._poll_pool(peer.peer_id, request)
            await self.clock.sleep_ms(_POOL_POLL_MS)

    async def _poll_pool(self, peer: PeerId, request: bytes) -> None:
        try:
            timeout_s = REQUESTS[RequestKind.TXPOOL].timeout_s
            reply = await self.net.request(peer, RequestKind.TXPOOL, request, timeout_s=timeout_s)
            await self.gossip.take(TransactionBatch.from_bytes(reply))
        except TileworkError as error:
            log.debug("pool-poll-failed peer=%s why=%s", peer, error)

    async def _serve_pool(self, peer: PeerId, data: bytes) -> bytes:
        limit_bytes = PoolRequest.from_bytes(data).limit_bytes
        return TransactionBatch(tuple(self.mempool.waiting(limit_bytes)[:4096])).to_bytes()


def network_seed(key: SigningKey) -> bytes:
    """The secret of a node's network identity, derived from its operator key, so its address survives restarts."""
    return h256(Tag.NODE_IDENTITY, key.seed())


def open_chain(kv: KV, spec: ChainSpec) -> Chain:
    """Check the spec and this machine's signature library, then open the chain.  Raises: Policy, LocalFault."""
    check_spec(spec)
    self_check()
    return Chain.open(kv, spec)


def run_node(settings: NodeSettings) -> None:
    """Run a node on this machine until SIGINT or SIGTERM.  Raises: Policy, LocalFault."""
    from chain.leveldb import LevelKV
    from node.rpc.server import serve_rpc
    from node.worker_process import worker_processes
    from p2p.addresses import ListenOn
    from p2p.host import Libp2pNetwork
    from p2p.keys import NodeSeed

    listen, rpc = ListenOn.parse(settings.listen), ListenOn.parse(settings.rpc)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    kv = LevelKV.open(settings.data_dir / "db")
    try:
        chain = open_chain(kv, settings.spec)
        network = Libp2pNetwork(NodeSeed(network_seed(settings.key)), chain.genesis.id.hex()[:16], listen)
        node = Node(
            settings,
            chain=chain,
            journal=Journal(kv),
            network=network,
            worker=worker_processes(settings.spec.profile_id),
            clock=WallClock(),
            cpu=ThreadCpu(),
            rng=SystemRng(),
        )

        async def serve(running: Node) -> None:
            await serve_rpc(running, rpc.host, rpc.port)

        async def main() -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stop_on_signal, nursery.cancel_scope)
                await node.run(serve)

        freeze_start()
        log.info("starting chain=%s genesis=%s", settings.spec.chain_id.decode(), chain.genesis.id.hex()[:16])
        trio.run(main)
        log.info("stopped height=%d", chain.head.height)
    finally:
        kv.close()
