"""Blocks and transactions over gossip: validated before they are forwarded, batched before they are sent."""

from __future__ import annotations

import logging

import trio

from chain.blocks import Block, Header
from chain.errors import Invalid, Missing, TileworkError, TooEarly
from chain.types import TxId
from consensus.headers import check_header
from node.chain import Chain
from node.importer import Importer
from node.mempool import Mempool
from node.messages import MAX_BATCH_BYTES, TransactionBatch
from node.ports import Clock, Cpu
from node.sync import Sync
from p2p.interface import Network, PeerId, Verdict
from p2p.wire import Topic
from vm.execute import Parsed, parse

log = logging.getLogger("tilework.gossip")
_BATCH_MS = 50
"""Transactions wait this long for company: a gossip message costs milliseconds, whatever its size."""


class Gossip:
    """Announces our blocks and transactions and takes in those of others."""

    def __init__(
        self,
        network: Network,
        chain: Chain,
        importer: Importer,
        mempool: Mempool,
        sync: Sync,
        cpu: Cpu,
        clock: Clock,
    ) -> None:
        self._network = network
        self._chain = chain
        self._importer = importer
        self._mempool = mempool
        self._sync = sync
        self._cpu = cpu
        self._clock = clock
        self._outgoing: dict[TxId, bytes] = {}
        self._wake = trio.Event()
        network.on_gossip(Topic.BLOCKS, self._on_block)
        network.on_gossip(Topic.TXS, self._on_transactions)

    async def announce(self, block: Block) -> None:
        """Tell the network of a block we hold; the header carries the certificate's hash."""
        await self._network.broadcast(Topic.BLOCKS, block.header.to_bytes())

    def enqueue(self, transaction: TxId, data: bytes) -> None:
        """Send a transaction with the next batch."""
        self._outgoing[transaction] = data
        self._wake.set()

    async def run(self) -> None:
        """Send batches until cancelled."""
        while True:
            await self._wake.wait()
            await self._clock.sleep_ms(_BATCH_MS)
            self._wake = trio.Event()
            waiting, self._outgoing = list(self._outgoing.values()), {}
            for batch in _batches(waiting):
                await self._network.broadcast(Topic.TXS, batch.to_bytes())

    async def _on_block(self, peer: PeerId, data: bytes) -> Verdict:
        """Fetch, check and import an announced block; forward the announcement only then."""
        header = Header.from_bytes(data)
        if self._chain.meta(header.id) is not None:
            return Verdict.IGNORE
        parent = self._chain.header(header.parent)
        if parent is None:
            self._sync.request(peer)
            return Verdict.IGNORE
        # Before anything large is fetched.
        check_header(header, parent, self._chain.genesis, self._chain.spec)
        try:
            block = await self._sync.fetch_block(peer, header.id)
            await self._importer.take(block)
        except (Missing, TooEarly) as error:
            log.debug("announcement-unusable peer=%s why=%s", peer, error)
            return Verdict.IGNORE
        return Verdict.ACCEPT

    async def _on_transactions(self, peer: PeerId, data: bytes) -> Verdict:
        batch = TransactionBatch.from_bytes(data)
        if len(data) > MAX_BATCH_BYTES:
            raise Invalid("BATCH_SIZE", found=len(data), allowed=MAX_BATCH_BYTES)
        added = await self.take(batch)
        return Verdict.ACCEPT if added else Verdict.IGNORE

    async def take(self, batch: TransactionBatch) -> int:
        """Put a batch into the pool; returns how many were new.  Raises: Invalid if one can never be right."""
        parsed = await self._cpu.run(_parse_all, batch.transactions, self._chain.spec.chain_id)
        added = 0
        for raw, one in zip(batch.transactions, parsed, strict=True):
            if one.transaction.id in self._mempool:
                continue
            try:
                self._mempool.add_parsed(raw, one)
                added += 1
            except TileworkError as error:
                log.debug("transaction-unwanted id=%s why=%s", one.transaction.id.hex()[:16], error)
        return added


def _parse_all(transactions: tuple[bytes, ...], chain_id: bytes) -> list[Parsed]:
    return [parse(data, chain_id) for data in transactions]


def _batches(waiting: list[bytes]) -> list[TransactionBatch]:
    """Split into batches below the gossip limit; a transaction over it cannot exist (256 KiB proofs travel alone)."""
    batches: list[TransactionBatch] = []
    current: list[bytes] = []
    size = 0
    for data in waiting:
        if current and size + len(data) > MAX_BATCH_BYTES - 4096:
            batches.append(TransactionBatch(tuple(current)))
            current, size = [], 0
        current.append(data)
        size += len(data) + 8
    if current:
        batches.append(TransactionBatch(tuple(current)))
    return batches
