"""The table of contents of a snapshot, and the files beside it.  Spec: [STATE-SNAPSHOT].

A manifest is JSON for people and programs. Nothing in it is believed: every file is checked against the header of the
block, and the header against the block id that the reader trusts. File names follow from the numbers of the parts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from blake3 import blake3

from chain.blocks import Header
from chain.errors import Invalid
from chain.state.chunks import MAX_CHUNK_BYTES
from chain.state.nodes import KEY_BITS
from chain.state.pages import bits_of
from chain.state.proofs import Step
from chain.types import BlockHash, Hash32
from node.cli.files import read_bounded

FORMAT = "tilework-snapshot-1"
MANIFEST, HEADERS, BLOCK = "manifest.json", "headers.bin", "block.bin"
MAX_MANIFEST_BYTES = 64 << 20
"""About 1.5 kB per chunk of 4 MiB: states up to 170 GB."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file as it must be."""

    name: str
    size_bytes: int
    blake3: Hash32


@dataclass(frozen=True, slots=True)
class ChunkPart:
    """A file with a range of the state."""

    file: FilePart
    place: int
    entries: int
    path: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot says it holds."""

    chain_id: str
    genesis: BlockHash
    header: Header
    headers: FilePart
    block: FilePart
    chunks: tuple[ChunkPart, ...]

    @property
    def entries(self) -> int:
        return sum(chunk.entries for chunk in self.chunks)

    @property
    def size_bytes(self) -> int:
        """Length of all files but the manifest."""
        return sum(part.size_bytes for part in (self.headers, self.block, *(c.file for c in self.chunks)))


def chunk_name(number: int) -> str:
    return f"chunk-{number:06}.bin"


def part_of(name: str, data: bytes) -> FilePart:
    """The entry of a file with this content."""
    return FilePart(name, len(data), Hash32(blake3(data).digest()))


def read_part(directory: Path, part: FilePart, maximum: int) -> bytes:
    """The content of a file of the snapshot.  Raises: Invalid SNAPSHOT_FILE, Missing FILE, LocalFault FILE_READ."""
    if part.size_bytes > maximum:
        raise Invalid(
            "SNAPSHOT_FILE", found=f"{part.name} of {part.size_bytes} bytes", allowed=f"{maximum} bytes"
        )
    data = read_bounded(directory / part.name, maximum, hint="The snapshot is not complete: copy it again.")
    check_digest(part, len(data), Hash32(blake3(data).digest()))
    return data


def check_digest(part: FilePart, size_bytes: int, digest: Hash32) -> None:
    """Compare a file with its entry.  Raises: Invalid SNAPSHOT_FILE, naming the file."""
    if (size_bytes, digest) != (part.size_bytes, part.blake3):
        raise Invalid(
            "SNAPSHOT_FILE",
            found=f"{part.name} of {size_bytes} bytes, BLAKE3 {digest.hex()}",
            allowed=f"{part.size_bytes} bytes, {part.blake3.hex()}",
            hint="Copy this file again.",
        )


def to_json(manifest: Manifest) -> bytes:
    """The text of a manifest; one line per chunk."""
    header = manifest.header
    form = {
        "format": FORMAT,
        "chain_id": manifest.chain_id,
        "genesis": manifest.genesis.hex(),
        "height": header.height,
        "block": header.id.hex(),
        "state_root": header.state_root.hex(),
        "header": header.to_bytes().hex(),
        "entries": manifest.entries,
        "files": [_part_form(manifest.headers), _part_form(manifest.block)],
    }
    head = json.dumps(form, indent=1).removesuffix("\n}")
    lines = ",\n".join(f"  {json.dumps(_chunk_form(chunk))}" for chunk in manifest.chunks)
    return f'{head},\n "chunks": [\n{lines}\n ]\n}}\n'.encode("ascii")


def read_manifest(directory: Path) -> Manifest:
    """The manifest of a snapshot.  Raises: Missing FILE, Policy FILE_SIZE, Invalid SNAPSHOT_FORM."""
    hint = "Name the directory that `tilework snapshot export` wrote."
    return parse_manifest(read_bounded(directory / MANIFEST, MAX_MANIFEST_BYTES, hint=hint))


def parse_manifest(data: bytes) -> Manifest:
    """Raises: Invalid SNAPSHOT_FORM if it is malformed, or says one thing twice in two ways."""
    try:
        form = json.loads(data)
        manifest = _manifest(form)
    except (ValueError, KeyError, TypeError, RecursionError, Invalid) as error:
        raise Invalid(
            "SNAPSHOT_FORM", found=f"{MANIFEST}: {type(error).__name__} {str(error)[:120]}", allowed=FORMAT
        ) from error
    if to_json(manifest) != data:
        raise Invalid(
            "SNAPSHOT_FORM", found=f"{MANIFEST} with fields that contradict each other", allowed="as exported"
        )
    return manifest


def _manifest(form: Mapping[str, Any]) -> Manifest:
    headers, block = form["files"]
    return Manifest(
        chain_id=_typed(form["chain_id"], str),
        genesis=BlockHash(_digest(form["genesis"])),
        header=Header.from_bytes(bytes.fromhex(form["header"])),
        headers=_part(headers, HEADERS),
        block=_part(block, BLOCK),
        chunks=tuple(_chunk(number, each) for number, each in enumerate(form["chunks"])),
    )


def _chunk(number: int, form: Mapping[str, Any]) -> ChunkPart:
    bits = _typed(form["prefix"], str)
    if len(bits) > KEY_BITS or set(bits) - set("01"):
        raise ValueError(f"prefix {bits[:80]}")
    steps = tuple(Step(_typed(depth, int), _digest(sibling)) for depth, sibling in form["path"])
    if len(steps) > KEY_BITS or any(not 0 <= step.depth < KEY_BITS for step in steps):
        raise ValueError("a path beyond the key")
    return ChunkPart(
        _part(form, chunk_name(number), MAX_CHUNK_BYTES),
        int(f"1{bits}", 2),
        _typed(form["entries"], int),
        steps,
    )


def _part(form: Mapping[str, Any], name: str, maximum: int = 1 << 62) -> FilePart:
    size_bytes = _typed(form["bytes"], int)
    if not 0 <= size_bytes <= maximum:
        raise ValueError(f"{name} of {size_bytes} bytes")
    return FilePart(name, size_bytes, _digest(form["blake3"]))


def _part_form(part: FilePart) -> dict[str, Any]:
    return {"file": part.name, "bytes": part.size_bytes, "blake3": part.blake3.hex()}


def _chunk_form(chunk: ChunkPart) -> dict[str, Any]:
    bits = bits_of(chunk.place)
    return {
        **_part_form(chunk.file),
        "prefix": f"{chunk.place:b}"[1 : 1 + bits],
        "entries": chunk.entries,
        "path": [[step.depth, step.sibling.hex()] for step in chunk.path],
    }


def _digest(text: str) -> Hash32:
    data = bytes.fromhex(text)
    if len(data) != 32:
        raise ValueError("a digest that has not 32 bytes")
    return Hash32(data)


def _typed(value: Any, kind: type[T]) -> T:
    if type(value) is not kind:
        raise TypeError(f"{type(value).__name__} where {kind.__name__} was expected")
    typed: T = value
    return typed
