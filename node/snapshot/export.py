"""Writing a snapshot from the database of a stopped node.  Spec: [STATE-SNAPSHOT]."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from blake3 import blake3

from chain.blocks import Header
from chain.errors import LocalFault, Policy
from chain.kv import KV
from chain.state import StateTree
from chain.state.chunks import cut_chunks
from chain.state.pages import parse_page
from chain.types import Hash32
from node import tables
from node.snapshot.manifest import (
    BLOCK,
    HEADERS,
    MANIFEST,
    ChunkPart,
    FilePart,
    Manifest,
    chunk_name,
    part_of,
    to_json,
)


def export(kv: KV, directory: Path) -> Manifest:
    """Write the state after the head of a database, with all headers and the head's block, to a new directory.

    The directory appears when it is complete, and not at all if anything fails.

    Raises:
        Policy: SNAPSHOT_TARGET (something is there already), SNAPSHOT_GENESIS (no block yet).
        LocalFault: DB_CORRUPT, FILE_WRITE.
    """
    if directory.exists():
        raise Policy(
            "SNAPSHOT_TARGET", found=f"{directory} exists", allowed="a directory that does not exist"
        )
    partial = directory.with_name(f"{directory.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        manifest = _write_all(kv, partial)
        partial.rename(directory)
    except OSError as error:
        raise LocalFault(
            "FILE_WRITE",
            found=f"{directory}: {error.strerror}",
            allowed="a place with room that we may write to",
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return manifest


def _write_all(kv: KV, directory: Path) -> Manifest:
    """Every file; the manifest last."""
    genesis, head = _need(kv, tables.META_GENESIS), _need(kv, tables.META_HEAD)
    header = Header.from_bytes(_need(kv, tables.header_key(head)))
    if header.height == 0:
        raise Policy(
            "SNAPSHOT_GENESIS",
            found="a database that holds no block but genesis",
            allowed="height 1 or more",
            hint="The genesis file alone founds a node at height 0.",
        )
    tree = StateTree.load(kv)
    if tree.root != header.state_root:
        raise LocalFault("DB_CORRUPT", found=f"state root {tree.root.hex()}", allowed=header.state_root.hex())
    manifest = Manifest(
        chain_id=header.chain_id.decode(errors="replace"),
        genesis=genesis,  # type: ignore[arg-type]
        header=header,
        headers=_write_headers(kv, header.height, directory),
        block=_written(directory, BLOCK, _need(kv, tables.block_key(head))),
        chunks=_write_chunks(kv, tree, directory),
    )
    _written(directory, MANIFEST, to_json(manifest))
    return manifest


def _write_headers(kv: KV, height: int, directory: Path) -> FilePart:
    """All canonical headers from genesis on, each with its length as two bytes, big-endian, before it."""
    digest, size_bytes = blake3(), 0
    with (directory / HEADERS).open("wb") as file:
        for number in range(height + 1):
            block = _need(kv, tables.height_index_key(number))
            data = _need(kv, tables.header_key(block))
            framed = len(data).to_bytes(2, "big") + data
            file.write(framed)
            digest.update(framed)
            size_bytes += len(framed)
        file.flush()
        os.fsync(file.fileno())
    return FilePart(HEADERS, size_bytes, Hash32(digest.digest()))


def _write_chunks(kv: KV, tree: StateTree, directory: Path) -> tuple[ChunkPart, ...]:
    parts = []
    for number, chunk in enumerate(cut_chunks(kv, tree)):
        file = _written(directory, chunk_name(number), chunk.data)
        entries = len(parse_page(chunk.place, chunk.data).keys)
        parts.append(ChunkPart(file, chunk.place, entries, chunk.path))
    return tuple(parts)


def _written(directory: Path, name: str, data: bytes) -> FilePart:
    """A file, on the disk when this returns."""
    with (directory / name).open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return part_of(name, data)


def _need(kv: KV, key: bytes) -> bytes:
    data = kv.get(key)
    if data is None:
        raise LocalFault(
            "DB_CORRUPT",
            found=f"no entry {key[:12].hex()}",
            hint="Name the data directory of a node that has run.",
        )
    return data
