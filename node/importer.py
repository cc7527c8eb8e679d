"""One door for blocks: whoever brings one, it is checked, added in order, and told to all who follow the head."""

from __future__ import annotations

import logging
from typing import NoReturn

import trio

from chain.blocks import Block
from chain.errors import Invalid, LocalFault, Missing
from consensus.headers import check_clock
from consensus.upgrades import UPGRADE_UNKNOWN
from node.chain import Chain, HeadChange
from node.checks import check_block
from node.collector import collection_paused
from node.feed import Feed
from node.mempool import Mempool
from node.ports import Clock, Cpu

log = logging.getLogger("tilework.chain")


class Importer:
    """Serialises imports; checks run on the Cpu port, the state transition on the main task."""

    def __init__(self, chain: Chain, mempool: Mempool, cpu: Cpu, clock: Clock) -> None:
        self._chain = chain
        self._mempool = mempool
        self._cpu = cpu
        self._clock = clock
        self._lock = trio.Lock()
        self.heads = Feed()
        self._fault: LocalFault | None = None
        self._broken = trio.Event()
        self._tell_upgrade()

    async def until_broken(self) -> NoReturn:
        """Wait for ever, or until the disk fails.  Raises: LocalFault DB_*, which the node must stop with."""
        await self._broken.wait()
        assert self._fault is not None
        raise self._fault

    def knows(self, block: Block) -> bool:
        return self._chain.meta(block.id) is not None

    async def take(self, block: Block) -> HeadChange | None:
        """Import a block; returns what it did to the canonical chain, None if it changed nothing.

        Raises:
            Invalid: it can never be right.
            Missing: BLOCK_PARENT; bring its ancestors first.
            TooEarly: HDR_FUTURE; bring it again later.
            LocalFault: the disk failed, or UPGRADE_UNKNOWN: this release may not judge it.
        """
        if self.knows(block):
            return None
        parent = self._chain.header(block.header.parent)
        if parent is None:
            raise Missing("BLOCK_PARENT", found=block.header.parent)
        check_clock(block.header, self._clock.now_ms(), self._chain.spec)
        known = self._mempool.known(block.transactions)
        with collection_paused():
            checked = await self._cpu.run(
                check_block, block, parent, self._chain.genesis, self._chain.spec, known
            )
        async with self._lock:
            try:
                with collection_paused():
                    change = self._chain.add(checked)
            except Invalid as error:
                log.warning(
                    "block-refused height=%d id=%s why=%s", block.header.height, block.id.hex()[:16], error
                )
                raise
            except LocalFault as fault:
                if fault.code != UPGRADE_UNKNOWN:
                    self._fault = fault
                    self._broken.set()
                raise
            if change is not None:
                self._mempool.head_changed(change)
                if change.left:
                    log.info("reorg left=%d joined=%d", len(change.left), len(change.joined))
                head = self._chain.head
                log.info(
                    "head height=%d id=%s txs=%d", head.height, head.id.hex()[:16], len(block.transactions)
                )
                self._tell_upgrade()
                self.heads.publish()
        return change

    def _tell_upgrade(self) -> None:
        """The node goes on serving what it has; only its operator can bring it further."""
        fault = self._chain.upgrade_needed
        if fault is not None:
            log.error("upgrade-needed height=%d why=%s", self._chain.head.height, fault)
