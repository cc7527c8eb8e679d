"""Pages: runs of neighbouring entries, the unit in which the state lies on disk.  Spec: [STATE-PAGE].

A page holds every entry whose key begins with its bit prefix. A page that outgrows `PAGE_ENTRIES` is cut in
two by the next bit, so pages adapt to the size of the state, and whoever grinds keys into one place makes
pages deeper, not larger. Layout is local: two nodes with different cuts have the same root.

A place in the binary tree over all prefixes is a heap index: the root is 1, the children of i are 2i and
2i+1; the bits below the leading one are the prefix.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from chain.errors import LocalFault
from chain.state.nodes import KEY_BITS, leaf_hash, subtree_root
from chain.types import Hash32, StateKey

PAGE_PREFIX = b"p"
PAGE_ENTRIES = 4
"""Halves the bytes hashed and rewritten per touched key against 8, for 40 MB more memory per million entries for the
hashes above pages (measured in tests/bench/bench_ledger.py)."""
KEY_BYTES = 32
HEAD_BYTES = KEY_BYTES + 4
"""Key and length of the value, before the value."""


Change = tuple[StateKey, bytes | None]
"""A key with its new value, or None to delete it."""


@dataclass(frozen=True, slots=True)
class Page:
    """Entries by ascending key; `entries` holds key | u32 length | value, `leaves` their hashes."""

    keys: Sequence[int]
    entries: Sequence[bytes]
    leaves: Sequence[Hash32]

    def get(self, key: StateKey) -> bytes | None:
        number = int.from_bytes(key, "big")
        at = bisect_left(self.keys, number)
        if at < len(self.keys) and self.keys[at] == number:
            return self.value(at)
        return None

    def key(self, index: int) -> StateKey:
        return StateKey(self.entries[index][:KEY_BYTES])

    def value(self, index: int) -> bytes:
        return self.entries[index][HEAD_BYTES:]

    def root(self) -> Hash32:
        return subtree_root(self.keys, self.leaves)

    def to_bytes(self) -> bytes:
        return b"".join(self.entries)

    def size_bytes(self) -> int:
        """Estimate of the memory it takes, for the bound of the cache."""
        return sum(map(len, self.entries)) + 256 * len(self.entries) + 256

    def changed(self, changes: Sequence[Change]) -> tuple[Page, list[Change]]:
        """(the page after `changes`, previous values of what really changed)."""
        keys, entries, leaves = list(self.keys), list(self.entries), list(self.leaves)
        undo: list[Change] = []
        for key, value in changes:
            number = int.from_bytes(key, "big")
            at = bisect_left(keys, number)
            present = at < len(keys) and keys[at] == number
            old = entries[at][HEAD_BYTES:] if present else None
            if old == value:
                continue
            undo.append((key, old))
            if value is None:
                del keys[at], entries[at], leaves[at]
                continue
            entry, leaf = key + len(value).to_bytes(4, "big") + value, leaf_hash(key, value)
            if present:
                entries[at], leaves[at] = entry, leaf
            else:
                keys.insert(at, number)
                entries.insert(at, entry)
                leaves.insert(at, leaf)
        return Page(keys, entries, leaves), undo

    def halves(self, place: int) -> tuple[Page, Page]:
        """The pages of the left and the right child of `place`, which holds this one."""
        middle = (2 * place + 1) << (KEY_BITS - bits_of(place) - 1) & (1 << KEY_BITS) - 1
        at = bisect_left(self.keys, middle)
        return (
            Page(self.keys[:at], self.entries[:at], self.leaves[:at]),
            Page(self.keys[at:], self.entries[at:], self.leaves[at:]),
        )


EMPTY_PAGE = Page((), (), ())


def parse_page(place: int, data: bytes) -> Page:
    """Read back a stored page.

    Raises:
        LocalFault: DB_CORRUPT if lengths, order or prefix of the entries do not fit.
    """
    keys: list[int] = []
    entries: list[bytes] = []
    leaves: list[Hash32] = []
    spare = KEY_BITS - bits_of(place)
    prefix = place ^ 1 << bits_of(place)
    size = len(data)
    at, last = 0, -1
    while at < size:
        body = at + HEAD_BYTES
        end = body + int.from_bytes(data[at + KEY_BYTES : body], "big")
        key = data[at : at + KEY_BYTES]
        number = int.from_bytes(key, "big")
        if end > size or body > size or number <= last or number >> spare != prefix:
            raise _corrupt(f"entry at byte {at} of state page {page_key(place).hex()}")
        keys.append(number)
        entries.append(data[at:end])
        leaves.append(leaf_hash(key, data[body:end]))
        at, last = end, number
    if not keys:
        raise _corrupt(f"an empty state page {page_key(place).hex()}")
    return Page(keys, entries, leaves)


def page_key(place: int) -> bytes:
    """Store key of the page at `place`: prefix bits, left aligned, then their number; in the order of the keys."""
    bits = bits_of(place)
    size = (bits + 7) >> 3
    prefix = (place ^ 1 << bits) << (8 * size - bits)
    return PAGE_PREFIX + prefix.to_bytes(size, "big") + bits.to_bytes(2, "big")


def page_place(key: bytes) -> int:
    """The inverse of `page_key`.  Raises: LocalFault DB_CORRUPT."""
    prefix, bits = key[len(PAGE_PREFIX) : -2], int.from_bytes(key[-2:], "big")
    place = 1 << bits | int.from_bytes(prefix, "big") >> (
        8 * len(prefix) - bits if 8 * len(prefix) >= bits else 0
    )
    if bits > KEY_BITS or page_key(place) != key:
        raise _corrupt(f"state page named {key.hex()}")
    return place


def bits_of(place: int) -> int:
    """Length of the prefix of `place` in bits."""
    return place.bit_length() - 1


def _corrupt(found: str) -> LocalFault:
    return LocalFault(
        "DB_CORRUPT", found=found, hint="Check the disk; then let the node fetch the state again."
    )
