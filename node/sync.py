"""Catching up and serving others: status polls, headers after a locator, bodies by hash.

Gossip may lose anything; a periodic poll of every peer's head repairs what it lost. A peer that serves something
invalid is banned, one that serves nothing is left alone for this round, and neither stalls the others.
"""

from __future__ import annotations

import logging

import trio

from chain.blocks import Block, Header
from chain.errors import Invalid, Missing, TileworkError, TooEarly
from chain.types import BlockHash
from node.chain import Chain
from node.importer import Importer
from node.messages import (
    MAX_BODIES,
    MAX_BODIES_BYTES,
    MAX_HEADERS,
    Bodies,
    BodiesRequest,
    Headers,
    HeadersRequest,
    Status,
)
from node.ports import Clock
from p2p.interface import Network, PeerChange, PeerId
from p2p.wire import REQUESTS, RequestKind

log = logging.getLogger("tilework.sync")
_LOCATOR_DENSE = 10


class Sync:
    """Keeps this node's chain at the heaviest one any of its peers can show."""

    def __init__(self, network: Network, chain: Chain, importer: Importer, clock: Clock) -> None:
        self._network = network
        self._chain = chain
        self._importer = importer
        self._clock = clock
        self._wanted: dict[PeerId, None] = {}
        self._wake = trio.Event()
        self.active = False
        """Whether this node is taking over more than a couple of blocks from a peer right now."""
        network.on_request(RequestKind.STATUS, self._serve_status)
        network.on_request(RequestKind.HEADERS, self._serve_headers)
        network.on_request(RequestKind.BODIES, self._serve_bodies)
        network.on_peer(self._peer_changed)

    def request(self, peer: PeerId) -> None:
        """Ask for a round with this peer soon; never blocks."""
        self._wanted[peer] = None
        self._wake.set()

    async def run(self) -> None:
        """Run rounds as they are asked for, and poll every peer once per block time; until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._poll)
            while True:
                await self._wake.wait()
                self._wake = trio.Event()
                while self._wanted:
                    peer = next(iter(self._wanted))
                    del self._wanted[peer]
                    await self._round(peer)

    async def fetch_block(self, peer: PeerId, block: BlockHash) -> Block:
        """One block from one peer.  Raises: Missing, Invalid if the answer is something else."""
        blocks = await self._bodies(peer, (block,))
        if not blocks:
            raise Missing("BLOCK", found=block)
        return blocks[0]

    async def _poll(self) -> None:
        while True:
            for info in self._network.peers():
                self.request(info.peer_id)
            await self._clock.sleep_ms(self._chain.spec.pace.block_time_ms)

    async def _peer_changed(self, peer: PeerId, change: PeerChange) -> None:
        if change is PeerChange.CONNECTED:
            self.request(peer)

    async def _round(self, peer: PeerId) -> None:
        """Compare heads with a peer and take over what it has more of."""
        try:
            status = Status.from_bytes(await self._ask(peer, RequestKind.STATUS, b""))
            if status.genesis != self._chain.genesis.id:
                raise Invalid("OTHER_GENESIS", found=status.genesis, allowed=self._chain.genesis.id)
            if status.total_work > self._chain.total_work(self._chain.head.id) and not self._chain.meta(
                status.head
            ):
                self.active = status.height > self._chain.head.height + 2
                await self._catch_up(peer)
        except Invalid as error:
            log.warning("peer-lied peer=%s why=%s", peer, error)
            await self._network.ban(peer, error.code)
        except TileworkError as error:
            # The operator trusted a block that a heavier chain does not have: only the operator can put that right.
            level = logging.WARNING if error.code == "BLOCK_BEFORE_ANCHOR" else logging.DEBUG
            log.log(level, "sync-round-ended peer=%s why=%s", peer, error)
        except Exception:  # per-peer boundary: no peer's answer may end the node
            log.exception("sync-round-broke peer=%s", peer)
        finally:
            self.active = False

    async def _catch_up(self, peer: PeerId) -> None:
        """Take the peer's chain from the fork on; a long branch stays lighter than ours over many replies."""
        reached, last = 0, tuple[BlockHash, ...]()
        while True:
            request = HeadersRequest((*last, *self._locator()), MAX_HEADERS)
            reply = Headers.from_bytes(await self._ask(peer, RequestKind.HEADERS, request.to_bytes()))
            headers = [Header.from_bytes(data) for data in reply.headers]
            if not headers or headers[-1].height <= reached:
                return
            reached, last = headers[-1].height, (headers[-1].id,)
            missing = [header.id for header in headers if self._chain.meta(header.id) is None]
            while missing:
                blocks = await self._bodies(peer, tuple(missing[:MAX_BODIES]))
                if not blocks:
                    raise Missing("BLOCK", found=missing[0])
                for block in blocks:
                    try:
                        await self._importer.take(block)
                    except TooEarly:
                        return
                missing = missing[len(blocks) :]

    async def _bodies(self, peer: PeerId, hashes: tuple[BlockHash, ...]) -> list[Block]:
        reply = await self._ask(peer, RequestKind.BODIES, BodiesRequest(hashes).to_bytes())
        blocks = [Block.from_bytes(data) for data in Bodies.from_bytes(reply).blocks]
        for block, wanted in zip(blocks, hashes, strict=False):
            if block.id != wanted:
                raise Invalid("BODY_MISMATCH", found=block.id, allowed=wanted)
        return blocks[: len(hashes)]

    async def _ask(self, peer: PeerId, kind: RequestKind, data: bytes) -> bytes:
        return await self._network.request(peer, kind, data, timeout_s=REQUESTS[kind].timeout_s)

    def _locator(self) -> tuple[BlockHash, ...]:
        """Canonical hashes from the head back to genesis, dense at first, then at doubling distances."""
        hashes: list[BlockHash] = []
        height, step = int(self._chain.head.height), 1
        while height > 0 and len(hashes) < 60:
            found = self._chain.block_hash_at(height)
            assert found is not None
            hashes.append(found)
            if len(hashes) >= _LOCATOR_DENSE:
                step *= 2
            height -= step
        return (*hashes, self._chain.genesis.id)

    # -- serving ----------------------------------------------------------------------------------------------------

    async def _serve_status(self, peer: PeerId, data: bytes) -> bytes:
        if data:
            raise Invalid("STATUS_REQUEST", found=f"{len(data)} bytes", allowed="an empty request")
        head = self._chain.head
        return Status(
            self._chain.genesis.id, head.height, head.id, self._chain.total_work(head.id)
        ).to_bytes()

    async def _serve_headers(self, peer: PeerId, data: bytes) -> bytes:
        request = HeadersRequest.from_bytes(data)
        start = 0
        for known in request.locator:
            if self._chain.is_canonical(known):
                header = self._chain.header(known)
                assert header is not None
                start = header.height
                break
        found: list[bytes] = []
        for height in range(start + 1, start + 1 + request.limit):
            header = self._chain.header_at(height)
            if header is None:
                break
            found.append(header.to_bytes())
        return Headers(tuple(found)).to_bytes()

    async def _serve_bodies(self, peer: PeerId, data: bytes) -> bytes:
        found: list[bytes] = []
        room = MAX_BODIES_BYTES
        for wanted in BodiesRequest.from_bytes(data).hashes:
            block = self._chain.block_bytes(wanted)
            if block is None or len(block) > room:
                break
            room -= len(block) + 8
            found.append(block)
        return Bodies(tuple(found)).to_bytes()
