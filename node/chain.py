"""The chain as this node holds it: blocks, canonical index, state, and moving between branches.

Invariants: the head, its state pages, undo record, receipts and indexes change in one atomic durable batch per block;
the state tree in memory is always the head's; a reorg is a sequence of such batches, so a crash in its middle leaves a
consistent, shorter chain. Synchronous and for one task: the importer is the only writer.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from chain.blocks import Block, Header, Receipt
from chain.codec import pack, unpack
from chain.errors import Invalid, LocalFault, Missing, Policy
from chain.kv import KV, Sync
from chain.ledger import Namespace
from chain.state import StateReader, StateTree, decode_undo, encode_undo
from chain.state.overlay import Overlay
from chain.state.reader import state_key
from chain.state_proof import StateProof
from chain.types import ZERO_HASH, BlockHash, Hash32, Height, JobId, TxId
from compute.spec.claim import NO_BINDING
from consensus.transition import Outcome, Parent, check_commitments, run_block
from consensus.upgrades import UPGRADE_UNKNOWN, require_known
from consensus.work import block_work, check_binding
from genesis.build import genesis_header, genesis_state
from genesis.spec import ChainSpec
from node import tables
from node.checks import Checked
from node.tables import BlockMeta, Location, Standing
from vm.context import Context
from vm.governance.execution import governed_now

log = logging.getLogger("tilework.chain")
UNDO_BLOCKS = 4096
"""Undo records, 100 kB for a block of 1,000 transfers, are kept for so many blocks behind the head; a reorganisation
that would leave more is refused: no honest network produces one."""


@dataclass(frozen=True, slots=True)
class HeadChange:
    """What one import did: blocks that left the canonical chain, newest first, and blocks that joined, oldest first."""

    left: tuple[Block, ...]
    joined: tuple[Block, ...]


class Chain:
    """All blocks this node knows, with the most-work valid branch executed."""

    def __init__(
        self, kv: KV, spec: ChainSpec, genesis: Header, anchor: Header, tree: StateTree, head: Header
    ) -> None:
        self._kv = kv
        self._tree = tree
        self.spec = spec
        self.genesis = genesis
        self.anchor = anchor
        """The first block held whole, and never left: genesis, or the block of the snapshot this node began with."""
        self.head = head

    @classmethod
    def open(cls, kv: KV, spec: ChainSpec) -> Chain:
        """Open the database of this network, founding it if it is empty.

        Raises: LocalFault DB_OTHER_CHAIN, DB_SCHEMA, DB_CORRUPT.
        """
        tree = StateTree.load(kv)
        stored = kv.get(tables.META_GENESIS)
        if stored is None:
            genesis = _found(kv, spec, tree)
        else:
            genesis = Header.from_bytes(_need(kv, tables.header_key(stored)))
            if genesis.parent != BlockHash(spec.hash()):
                raise LocalFault(
                    "DB_OTHER_CHAIN",
                    found=f"data of chain {genesis.chain_id.decode()} (genesis {stored.hex()[:16]})",
                    allowed=f"data of chain {spec.chain_id.decode()}",
                    hint="Choose another --data directory, or the genesis file this one was made with.",
                )
            if kv.get(tables.META_SCHEMA) != tables.SCHEMA_VERSION:
                raise LocalFault("DB_SCHEMA", found=kv.get(tables.META_SCHEMA), allowed=tables.SCHEMA_VERSION)
        head = Header.from_bytes(_need(kv, tables.header_key(_need(kv, tables.META_HEAD))))
        if tree.root != head.state_root:
            raise LocalFault(
                "DB_CORRUPT",
                found=f"state root {tree.root.hex()[:16]}",
                allowed=f"{head.state_root.hex()[:16]} of head {head.height}",
                hint="The disk lost or changed data. Start with an empty --data directory; the node will sync again.",
            )
        anchored = kv.get(tables.META_ANCHOR)
        anchor = (
            Header.from_bytes(_need(kv, tables.header_key(anchored))) if anchored is not None else genesis
        )
        chain = cls(kv, spec, genesis, anchor, tree, head)
        chain._resume()
        return chain

    # -- reading ----------------------------------------------------------------------------------------------------

    @property
    def state(self) -> StateReader:
        """The state after the head."""
        return self._tree

    def context(self) -> Context:
        """A scratch context on the head's state, at the height of the next block; nothing it does is kept."""
        return Context.at(self.spec, Overlay(self._tree), Height(self.head.height + 1))

    @property
    def rules(self) -> ChainSpec:
        """The constants in force in the next block: those of the founding, as governance has changed them."""
        return self.context().spec

    @property
    def upgrade_needed(self) -> LocalFault | None:
        """Why this release can follow the head no further, if that is so."""
        context = self.context()
        try:
            require_known(governed_now(context), context.height)
        except LocalFault as fault:
            return fault
        return None

    def block(self, block: BlockHash) -> Block | None:
        data = self._kv.get(tables.block_key(block))
        return Block.from_bytes(data) if data is not None else None

    def block_bytes(self, block: BlockHash) -> bytes | None:
        return self._kv.get(tables.block_key(block))

    def meta(self, block: BlockHash) -> BlockMeta | None:
        data = self._kv.get(tables.meta_key(block))
        return BlockMeta.from_bytes(data) if data is not None else None

    def block_hash_at(self, height: int) -> BlockHash | None:
        """The canonical block at a height; None if there is none."""
        data = self._kv.get(tables.height_index_key(height)) if height >= 0 else None
        return BlockHash(data) if data is not None else None

    def header_at(self, height: int) -> Header | None:
        found = self.block_hash_at(height)
        return self.header(found) if found is not None else None

    def header(self, block: BlockHash) -> Header | None:
        data = self._kv.get(tables.header_key(block))
        return Header.from_bytes(data) if data is not None else None

    def total_work(self, block: BlockHash) -> int:
        meta = self.meta(block)
        return meta.total_work if meta is not None else 0

    def receipts(self, block: BlockHash) -> tuple[Receipt, ...]:
        """Receipts of a canonical block, the automatic steps' first; empty for other blocks."""
        data = self._kv.get(tables.receipts_key(block))
        return tuple(Receipt.from_bytes(item) for item in unpack(data)) if data is not None else ()

    def transaction(self, transaction: TxId) -> tuple[BlockHash, int, int, bytes, Receipt] | None:
        """(block, height, index, bytes, receipt) of a transaction in the canonical chain."""
        data = self._kv.get(tables.location_key(transaction))
        if data is None:
            return None
        place = Location.from_bytes(data)
        block = self.block(place.block)
        assert block is not None
        receipt = self.receipts(place.block)[place.index + 1]
        return place.block, block.header.height, place.index, block.transactions[place.index], receipt

    def jobs(self, limit: int) -> list[JobId]:
        """Ids of jobs opened in the canonical chain, newest first."""
        return [JobId(value) for _, value in islice(self._kv.iterate(b"j"), limit)]

    def is_canonical(self, block: BlockHash) -> bool:
        header = self.header(block)
        return header is not None and self.block_hash_at(header.height) == block

    def parent_of(self, header: Header) -> Parent:
        """What a transition on top of `header` needs to know of it."""
        meta = self.meta(header.id)
        assert meta is not None
        return Parent(header, meta.ticket, meta.binding)

    def prove(self, namespace: Namespace, identifier: bytes) -> StateProof:
        """A proof, for whoever trusts the head's header, of what the state after the head holds."""
        proof = self._tree.prove_either(state_key(namespace, identifier))
        return StateProof(self.head, namespace, identifier, proof)

    def stage_root(self, outcome: Outcome) -> Hash32:
        """State root that an outcome on top of the head would have."""
        return self._tree.stage(outcome.changes).root

    # -- writing ----------------------------------------------------------------------------------------------------

    def add(self, checked: Checked) -> HeadChange | None:
        """Take a block whose header, work and signatures are already checked.

        Returns what happened to the canonical chain, or None if the block was known or stays on a side branch.

        Raises:
            Invalid: the block, or a block before it, cannot be valid.
            Missing: BLOCK_PARENT; the parent is not here.
            Policy: BLOCK_BEFORE_ANCHOR; it leaves the chain before the block that this node began with.
            LocalFault: the disk failed, or UPGRADE_UNKNOWN; nothing of this block was taken.
        """
        block_id = checked.block_id
        if (known := self.meta(block_id)) is not None:
            if known.standing is Standing.INVALID:
                raise Invalid("BLOCK_KNOWN_INVALID", found=block_id, allowed="a block not refused before")
            return None
        parent = self.meta(checked.block.header.parent)
        if parent is None and self.is_canonical(checked.block.header.parent):
            raise Policy(  # [STATE-ANCHOR]
                "BLOCK_BEFORE_ANCHOR",
                found=f"a block of height {checked.block.header.height}",
                allowed=f"blocks after {self.anchor.height}, where this node began with a snapshot",
            )
        if parent is None:
            raise Missing("BLOCK_PARENT", found=checked.block.header.parent)
        if parent.standing is Standing.INVALID:
            raise Invalid("BLOCK_PARENT_INVALID", found=checked.block.header.parent, allowed="a valid parent")
        header = checked.block.header
        meta = BlockMeta(
            height=header.height,
            parent=header.parent,
            total_work=parent.total_work + block_work(header.target),
            ticket=checked.ticket,
            binding=checked.certificate.mu.binding,
            standing=Standing.STORED,
        )
        if header.parent == self.head.id:
            self._extend(checked, meta)
            return HeadChange((), (checked.block,))
        batch: list[tuple[bytes, bytes | None]] = [
            (tables.block_key(block_id), checked.block.to_bytes()),
            (tables.header_key(block_id), header.to_bytes()),
            (tables.meta_key(block_id), meta.to_bytes()),
        ]
        heavier = meta.total_work > self.total_work(self.head.id)  # ties keep the first seen [FORK-TIE]
        if heavier:
            batch.append((tables.META_GOAL, block_id + self.head.id))
        self._kv.write(batch, sync=Sync.DURABLE)
        return self._reorganise(block_id) if heavier else None

    def _resume(self) -> None:
        """Finish a reorganisation that a crash interrupted, or go back to where it began."""
        stored = self._kv.get(tables.META_GOAL) or b""
        for tip in (BlockHash(stored[:32]), BlockHash(stored[32:])):
            meta = self.meta(tip)
            if meta is None or meta.standing is not Standing.STORED:
                continue
            if meta.total_work > self.total_work(self.head.id):
                try:
                    self._reorganise(tip)
                except Invalid as error:
                    log.warning("branch-refused tip=%s why=%s", tip.hex()[:16], error)
                except LocalFault as fault:
                    if fault.code != UPGRADE_UNKNOWN:
                        raise

    def _extend(self, checked: Checked, meta: BlockMeta) -> None:
        """Run a child of the head and make it the head, in one batch."""
        block, block_id = checked.block, checked.block_id
        try:
            check_binding(self._tree, block.header, checked.certificate, self.spec)
            outcome = run_block(self.spec, self._tree, self.parent_of(self.head), checked.transactions())
            staged = self._tree.stage(outcome.changes)
            check_commitments(block.header, outcome, staged.root)
        except Invalid:
            refused = replace(meta, standing=Standing.INVALID).to_bytes()
            self._kv.write([(tables.meta_key(block_id), refused)], sync=Sync.BUFFERED)
            raise
        batch: list[tuple[bytes, bytes | None]] = [
            (tables.block_key(block_id), block.to_bytes()),
            (tables.header_key(block_id), block.header.to_bytes()),
            (tables.meta_key(block_id), replace(meta, standing=Standing.VALID).to_bytes()),
            (tables.height_index_key(block.header.height), block_id),
            (tables.undo_key(block_id), encode_undo(staged.undo)),
            (tables.receipts_key(block_id), pack(outcome.receipt_data)),
            (tables.META_HEAD, block_id),
            *staged.writes,
            *_indexes(block_id, block.header.height, outcome.receipts),
        ]
        settled = self.block_hash_at(block.header.height - UNDO_BLOCKS)
        if settled is not None:
            batch.append((tables.undo_key(settled), None))
        self._kv.write(batch, sync=Sync.DURABLE)
        self._tree.apply(staged)
        self.head = block.header

    def _retract(self) -> Block:
        """Undo the head in one batch; the block stays stored."""
        block_id = self.head.id
        block = self.block(block_id)
        parent = self.header(self.head.parent)
        meta = self.meta(block_id)
        assert block is not None
        assert parent is not None
        assert meta is not None
        staged = self._tree.stage(dict(decode_undo(_need(self._kv, tables.undo_key(block_id)))))
        if staged.root != parent.state_root:
            raise LocalFault(
                "DB_CORRUPT", found=f"undo of block {self.head.height}", allowed="its parent's state"
            )
        receipts = self.receipts(block_id)
        batch: list[tuple[bytes, bytes | None]] = [
            (tables.meta_key(block_id), replace(meta, standing=Standing.STORED).to_bytes()),
            (tables.height_index_key(self.head.height), None),
            (tables.undo_key(block_id), None),
            (tables.receipts_key(block_id), None),
            (tables.META_HEAD, parent.id),
            *staged.writes,
            *((key, None) for key, _ in _indexes(block_id, self.head.height, receipts)),
        ]
        self._kv.write(batch, sync=Sync.DURABLE)
        self._tree.apply(staged)
        self.head = parent
        return block

    def _reorganise(self, tip: BlockHash) -> HeadChange:
        """Move to the branch that ends in `tip`; if one of its blocks is invalid, return to where we were.

        So we do where it leads beyond an upgrade that this release does not know: what comes before that weighs less,
        or we would have moved there when it came.
        """
        branch = self._branch(tip)
        fork = branch[0].header.parent
        self._require_undo(branch[0].header.height)
        left: list[Block] = []
        while self.head.id != fork:
            left.append(self._retract())
        joined: list[Block] = []
        try:
            for block in branch:
                self._rerun(block)
                joined.append(block)
        except Invalid:
            for block in branch[len(joined) :]:
                self._mark_invalid(block.id)
            self._return(fork, left)
            raise
        except LocalFault as fault:
            if fault.code == UPGRADE_UNKNOWN:
                self._return(fork, left)
            raise
        return HeadChange(tuple(left), tuple(joined))

    def _return(self, fork: BlockHash, left: list[Block]) -> None:
        """Give a branch up again for the one that was left for it, newest block first."""
        while self.head.id != fork:
            self._retract()
        for block in reversed(left):
            self._rerun(block)

    def _branch(self, tip: BlockHash) -> list[Block]:
        """Blocks from the child of the last canonical ancestor up to `tip`, oldest first."""
        branch: list[Block] = []
        cursor = tip
        while not self.is_canonical(cursor):
            block = self.block(cursor)
            assert block is not None, "a stored block's ancestors are stored"
            branch.append(block)
            cursor = block.header.parent
        return branch[::-1]

    def _require_undo(self, height: int) -> None:
        """The canonical blocks from a height on can be left.  Raises: Invalid REORG_DEPTH."""
        first = self.block_hash_at(height)
        if first is not None and self._kv.get(tables.undo_key(first)) is None:
            raise Invalid(
                "REORG_DEPTH",
                found=f"a branch that leaves {self.head.height - height + 1} blocks",
                allowed=f"at most {UNDO_BLOCKS} behind the highest head",
            )

    def _rerun(self, block: Block) -> None:
        """Extend the head with a stored block, whose work and signatures were checked when it was stored."""
        meta = self.meta(block.id)
        assert meta is not None
        self._extend(Checked.trusted(block, meta.ticket, self.spec), meta)

    def _mark_invalid(self, block: BlockHash) -> None:
        meta = self.meta(block)
        assert meta is not None
        refused = replace(meta, standing=Standing.INVALID).to_bytes()
        self._kv.write([(tables.meta_key(block), refused)], sync=Sync.BUFFERED)


def _found(kv: KV, spec: ChainSpec, tree: StateTree) -> Header:
    """Write the genesis block and its state in one batch."""
    staged = tree.stage(genesis_state(spec))
    genesis = genesis_header(spec, staged.root)
    meta = BlockMeta(
        height=Height(0),
        parent=genesis.parent,
        total_work=0,
        ticket=Hash32(ZERO_HASH),
        binding=NO_BINDING,
        standing=Standing.VALID,
    )
    batch: list[tuple[bytes, bytes | None]] = [
        (tables.META_SCHEMA, tables.SCHEMA_VERSION),
        (tables.META_GENESIS, genesis.id),
        (tables.META_HEAD, genesis.id),
        (tables.block_key(genesis.id), Block(genesis, b"", (), ()).to_bytes()),
        (tables.header_key(genesis.id), genesis.to_bytes()),
        (tables.meta_key(genesis.id), meta.to_bytes()),
        (tables.height_index_key(0), genesis.id),
        *staged.writes,
    ]
    kv.write(batch, sync=Sync.DURABLE)
    tree.apply(staged)
    return genesis


def _indexes(block: BlockHash, height: int, receipts: tuple[Receipt, ...]) -> Iterator[tuple[bytes, bytes]]:
    """Index entries of a canonical block; the same function names them when the block leaves the chain."""
    opened = 0
    for index, receipt in enumerate(receipts[1:]):
        yield tables.location_key(receipt.transaction), Location(block, index).to_bytes()
        for event in receipt.events:
            if event.name == "JobOpened":
                job = event.values[0]
                assert isinstance(job, bytes)
                yield tables.job_index_key(height, opened), job
                opened += 1


def _need(kv: KV, key: bytes) -> bytes:
    data = kv.get(key)
    if data is None:
        raise LocalFault(
            "DB_CORRUPT", found=f"no entry {key[:12].hex()}", hint="Start with an empty --data directory."
        )
    return data
