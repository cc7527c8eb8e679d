"""Reading a snapshot back, believing nothing: each part is checked as it is read.  Spec: [STATE-SNAPSHOT]."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from blake3 import blake3

from chain.blocks import Block, Header
from chain.errors import Invalid, Missing
from chain.state.chunks import MAX_CHUNK_BYTES, verified
from chain.state.pages import Page
from chain.state.places import root_over
from chain.types import BlockHash, Hash32
from consensus.headers import check_header
from genesis.spec import ChainSpec
from node.snapshot.manifest import HEADERS, Manifest, check_digest, read_part


def check_trust(manifest: Manifest, trusted: BlockHash) -> None:
    """Raises: Invalid SNAPSHOT_BLOCK if the snapshot is of another block than the trusted one."""
    if manifest.header.id != trusted:
        raise Invalid(
            "SNAPSHOT_BLOCK",
            found=f"a snapshot of block {manifest.header.height} {manifest.header.id.hex()}",
            allowed=f"one of block {trusted.hex()}",
        )


def headers(directory: Path, manifest: Manifest, spec: ChainSpec | None) -> Iterator[Header]:
    """All headers from genesis to the snapshot's block, each the parent of the next by its hash.

    With the network's constants every header is checked by its rules too: time, target, network.

    Raises: Invalid SNAPSHOT_HEADERS, SNAPSHOT_FILE, HDR_*.
    """
    last: Header | None = None
    genesis: Header | None = None
    for header in _stored_headers(directory, manifest):
        if last is None:
            genesis = header
            if header.id != manifest.genesis or header.height != 0:
                raise _broken(f"genesis {header.id.hex()}", manifest.genesis.hex())
        elif header.parent != last.id or header.height != last.height + 1:
            raise _broken(f"height {header.height} on {header.parent.hex()}", last.id.hex())
        elif spec is not None and genesis is not None:
            check_header(header, last, genesis, spec)
        yield header
        last = header
    if last != manifest.header:
        raise _broken(f"an end at height {last.height if last else 'none'}", manifest.header.id.hex())


def block(directory: Path, manifest: Manifest) -> Block:
    """The block after which the state is.  Raises: Invalid SNAPSHOT_FILE, SNAPSHOT_BLOCK, ENC_*."""
    found = Block.from_bytes(read_part(directory, manifest.block, Block.MAX_BYTES))
    if found.header != manifest.header:
        raise Invalid(
            "SNAPSHOT_BLOCK", found=f"block {found.id.hex()}", allowed=f"block {manifest.header.id.hex()}"
        )
    return found


def chunks(directory: Path, manifest: Manifest) -> Iterator[tuple[int, Page]]:
    """(place, entries) of every range of the state; together they are the whole state, once this has ended.

    Raises: Invalid SNAPSHOT_FILE or SNAPSHOT_CHUNK, which name the file; SNAPSHOT_RANGES if ranges lack or overlap.
    """
    root = manifest.header.state_root
    places: dict[int, Hash32] = {}
    for part in manifest.chunks:
        data = read_part(directory, part.file, MAX_CHUNK_BYTES)
        try:
            page = verified(root, part.place, data, part.path)
        except Invalid as error:
            raise Invalid(
                "SNAPSHOT_CHUNK", found=f"{part.file.name}: {error.found}", allowed=error.allowed
            ) from error
        if len(page.keys) != part.entries or part.place in places:
            raise Invalid(
                "SNAPSHOT_CHUNK",
                found=f"{part.file.name}: {len(page.keys)} entries",
                allowed=f"{part.entries} entries, each range once",
            )
        places[part.place] = page.root()
        yield part.place, page
    try:
        reached = root_over(places)
    except ValueError as error:
        raise Invalid("SNAPSHOT_RANGES", found=str(error), allowed="ranges that do not overlap") from error
    if reached != root:
        raise Invalid(
            "SNAPSHOT_RANGES", found=f"{len(manifest.chunks)} ranges of more", allowed="ranges of all keys"
        )


def _stored_headers(directory: Path, manifest: Manifest) -> Iterator[Header]:
    """Headers of the file; its digest is known to be right once this has ended."""
    digest, size_bytes = blake3(), 0
    try:
        with (directory / HEADERS).open("rb") as file:
            while framed := _frame(file):
                digest.update(framed)
                size_bytes += len(framed)
                yield _decoded(framed[2:])
    except FileNotFoundError as error:
        raise Missing("FILE", found=f"no file {HEADERS}", hint="Copy the snapshot again.") from error
    check_digest(manifest.headers, size_bytes, Hash32(digest.digest()))


def _decoded(data: bytes) -> Header:
    try:
        return Header.from_bytes(data)
    except Invalid as error:
        raise _broken(f"{error.code} {error.found}", str(error.allowed)) from error


def _frame(file: BinaryIO) -> bytes:
    """Length and header; nothing at the end of the file."""
    head = file.read(2)
    size_bytes = int.from_bytes(head, "big")
    data = file.read(min(size_bytes, Header.MAX_BYTES))
    if head and (len(head) < 2 or len(data) < size_bytes):
        raise _broken("a header cut short or too long", f"at most {Header.MAX_BYTES} bytes")
    return head + data


def _broken(found: str, allowed: str) -> Invalid:
    return Invalid("SNAPSHOT_HEADERS", found=f"{HEADERS}: {found}", allowed=allowed)
