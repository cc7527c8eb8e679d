"""A node's database made from a snapshot whose block its operator trusts.  Spec: [STATE-ANCHOR]."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chain.blocks import Block, Header
from chain.errors import Invalid, LocalFault, Policy
from chain.kv import KV, MemoryKV, Sync
from chain.state import StateTree
from chain.state.pages import page_key
from chain.state.tree import cut_pages
from chain.types import BlockHash
from consensus.work import block_work
from genesis.build import genesis_header, genesis_state
from genesis.spec import ChainSpec
from node import tables
from node.checks import check_block
from node.snapshot import check
from node.snapshot.manifest import Manifest, read_manifest
from node.tables import BlockMeta, Standing

HEADERS_PER_BATCH = 5_000
Rows = list[tuple[bytes, bytes | None]]


@dataclass(frozen=True, slots=True)
class _Ancestry:
    """What the headers of a snapshot say together."""

    genesis: Header
    parent: Header
    """Of the snapshot's block."""
    total_work: int


def restore(
    directory: Path, data_dir: Path, spec: ChainSpec, trusted: BlockHash, open_store: Callable[[Path], KV]
) -> Manifest:
    """Make the database of a new node, which begins after the trusted block.

    It is built beside its place and moved there at the end: whatever goes wrong, there is a whole database or none.

    Raises:
        Policy: SNAPSHOT_TARGET if the node has a database already.
        Invalid: SNAPSHOT_*, HDR_*, WORK_*, BLOCK_*, ROOT_* for a snapshot that is not what it should be.
        LocalFault: DB_*, FILE_WRITE.
    """
    target, partial = data_dir / "db", data_dir / "db.partial"
    if target.exists():
        raise Policy("SNAPSHOT_TARGET", found=f"a database in {data_dir}", allowed="a directory without one")
    manifest = read_manifest(directory)
    check.check_trust(manifest, trusted)
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        kv = open_store(partial)
        try:
            _fill(kv, directory, manifest, spec)
        finally:
            kv.close()
        partial.rename(target)
    except OSError as error:
        raise LocalFault(
            "FILE_WRITE",
            found=f"{data_dir}: {error.strerror}",
            allowed="a place with room that we may write to",
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return manifest


def _fill(kv: KV, directory: Path, manifest: Manifest, spec: ChainSpec) -> None:
    """Write everything a chain needs to go on from the snapshot's block; the names of head and genesis come last."""
    ancestry = _write_headers(kv, directory, manifest, spec)
    block = check.block(directory, manifest)
    checked = check_block(block, ancestry.parent, ancestry.genesis, spec)
    meta = BlockMeta(
        height=manifest.header.height,
        parent=manifest.header.parent,
        total_work=ancestry.total_work,
        ticket=checked.ticket,
        binding=checked.certificate.mu.binding,
        standing=Standing.VALID,
    )
    for place, page in check.chunks(directory, manifest):
        pages = cut_pages(place, page)
        kv.write([(page_key(at), cut.to_bytes()) for at, cut in pages.items()], sync=Sync.DURABLE)
    root = StateTree.load(kv).root
    if root != manifest.header.state_root:
        raise LocalFault(
            "DB_CORRUPT", found=f"state root {root.hex()}", allowed=manifest.header.state_root.hex()
        )
    kv.write(_heading(ancestry.genesis, block, meta), sync=Sync.DURABLE)


def _write_headers(kv: KV, directory: Path, manifest: Manifest, spec: ChainSpec) -> _Ancestry:
    """Store every header under its id and its height, and add up their work."""
    founded = _genesis_of(spec)
    rows: Rows = []
    recent: list[Header] = []
    total_work = 0
    for header in check.headers(directory, manifest, spec):
        if not recent and header != founded:
            raise Invalid(
                "SNAPSHOT_GENESIS",
                found=f"a snapshot of the network with genesis {header.id.hex()}",
                allowed=f"genesis {founded.id.hex()}",
                hint="Name the genesis file of the snapshot's network.",
            )
        total_work += block_work(header.target) if header.height else 0
        recent = [*recent[-1:], header]
        identity = header.id
        rows += [(tables.header_key(identity), header.to_bytes())]
        rows += [(tables.height_index_key(header.height), identity)]
        if len(rows) >= 2 * HEADERS_PER_BATCH:
            kv.write(rows, sync=Sync.DURABLE)
            rows = []
    kv.write(rows, sync=Sync.DURABLE)
    if len(recent) < 2:
        raise Invalid("SNAPSHOT_HEADERS", found="no header after genesis", allowed="height 1 or more")
    return _Ancestry(founded, recent[0], total_work)


def _heading(genesis: Header, block: Block, meta: BlockMeta) -> Rows:
    """The block the chain goes on from, and the entries that make this a database."""
    return [
        (tables.block_key(block.id), block.to_bytes()),
        (tables.meta_key(block.id), meta.to_bytes()),
        (tables.META_SCHEMA, tables.SCHEMA_VERSION),
        (tables.META_GENESIS, genesis.id),
        (tables.META_ANCHOR, block.id),
        (tables.META_HEAD, block.id),
    ]


def _genesis_of(spec: ChainSpec) -> Header:
    """The genesis header that a chain spec leads to."""
    return genesis_header(spec, StateTree.load(MemoryKV()).stage(genesis_state(spec)).root)
