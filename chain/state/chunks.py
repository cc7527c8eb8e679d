"""Chunks: the state cut into ranges of keys, each verifiable alone against the state root.  Spec: [STATE-CHUNK].

A chunk holds every entry whose key begins with its bits, as a page does, only more of them. Its place is the heap index
of these bits. Since all separations above a chunk happen at earlier bits than its own, a path from the chunk's root to
the state root shows that nothing was added to the range and nothing left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chain.errors import Invalid, LocalFault
from chain.kv import KV
from chain.state.nodes import KEY_BITS
from chain.state.pages import PAGE_ENTRIES, Page, bits_of, parse_page
from chain.state.places import ROOT_PLACE
from chain.state.proofs import Step, climb
from chain.state.reader import MAX_VALUE_BYTES
from chain.state.tree import StateTree, stored_pages
from chain.types import Hash32

CHUNK_BYTES = 4 << 20
"""A chunk is as large as this allows; only a single page may be larger."""
MAX_CHUNK_BYTES = 2 * PAGE_ENTRIES * MAX_VALUE_BYTES
"""Whatever a file claims, no more is read into memory at a time."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """All entries under `place`: key | u32 length | value, by ascending key; `path` leads to the state root."""

    place: int
    data: bytes
    path: tuple[Step, ...]


def cut_chunks(kv: KV, tree: StateTree, limit_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
    """The whole state, in the order of the keys; `tree` is the one in `kv`, and neither may change meanwhile."""
    sizes = _sizes(kv)
    place, parts = 0, list[bytes]()
    for page, data in stored_pages(kv):
        above = _chunk_place(page, sizes, limit_bytes)
        if above != place and parts:
            yield Chunk(place, b"".join(parts), tree.path_above(place))
            parts = []
        place = above
        parts.append(data)
    if parts:
        yield Chunk(place, b"".join(parts), tree.path_above(place))


def verified(root: Hash32, place: int, data: bytes, path: Sequence[Step]) -> Page:
    """The entries of a chunk, once they are shown to be all that the state under `root` has in its range.

    Raises:
        Invalid: STATE_CHUNK if entries are malformed, out of range or out of order, or the path leads elsewhere.
    """
    if not ROOT_PLACE <= place < 1 << (KEY_BITS + 1):
        raise Invalid("STATE_CHUNK", found="a place outside the tree", allowed=f"1..2^{KEY_BITS + 1}-1")
    if len(data) > MAX_CHUNK_BYTES:
        raise Invalid("STATE_CHUNK", found=f"{len(data)} bytes", allowed=f"at most {MAX_CHUNK_BYTES}")
    try:
        page = parse_page(place, data)
    except LocalFault as fault:
        raise Invalid(
            "STATE_CHUNK", found=fault.found, allowed="entries of the range, by their keys"
        ) from fault
    reached = climb(int.from_bytes(page.keys[0], "big"), page.root(), bits_of(place), path)
    if reached != root:
        raise Invalid(
            "STATE_CHUNK",
            found=f"entries that lead to {reached.hex() if reached is not None else 'no root'}",
            allowed=f"state root {root.hex()}",
        )
    return page


def _sizes(kv: KV) -> dict[int, int]:
    """Bytes of the entries under every place that has any."""
    sizes: dict[int, int] = {}
    for page, data in stored_pages(kv):
        place = page
        while place:
            sizes[place] = sizes.get(place, 0) + len(data)
            place >>= 1
    return sizes


def _chunk_place(page: int, sizes: dict[int, int], limit_bytes: int) -> int:
    """The highest place above a page that holds no more than allowed; the page itself if none."""
    place = page
    while place > ROOT_PLACE and sizes[place >> 1] <= limit_bytes:
        place >>= 1
    return place
