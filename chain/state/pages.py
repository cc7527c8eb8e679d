"""Pages: runs of neighbouring entries, the unit in which the state lies on disk.  Spec: [STATE-PAGE].

A page holds every entry whose key begins with its bit prefix. A page that outgrows `PAGE_ENTRIES` is cut in
two by the next bit, so pages adapt to the size of the state, and whoever grinds keys into one place makes
pages deeper, not larger. Layout is local: two nodes with different cuts have the same root.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from chain.errors import LocalFault
from chain.state.nodes import (
    EMPTY_ROOT,
    KEY_BITS,
    closed,
    leaf_hash,
    new_leaf,
    subtree_path,
    subtree_root,
)
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
    """Entries by ascending key."""

    keys: Sequence[StateKey]
    values: Sequence[bytes]

    def get(self, key: StateKey) -> bytes | None:
        at = bisect_left(self.keys, key)
        return self.values[at] if at < len(self.keys) and self.keys[at] == key else None

    def root(self) -> Hash32:
        return subtree_root(self.numbers(), self._leaves())

    def path(self, index: int) -> list[tuple[int, Hash32]]:
        """(depth, sibling) of an entry within this page, the deepest first."""
        return subtree_path(self.numbers(), self._leaves(), index)

    def _leaves(self) -> list[Hash32]:
        return [leaf_hash(key, value) for key, value in zip(self.keys, self.values, strict=True)]

    def numbers(self) -> list[int]:
        """The keys as integers."""
        return [int.from_bytes(key, "big") for key in self.keys]

    def to_bytes(self) -> bytes:
        """key | u32 length | value, one after the other."""
        return b"".join(
            [
                part
                for key, value in zip(self.keys, self.values, strict=True)
                for part in (key, len(value).to_bytes(4, "big"), value)
            ]
        )

    def changed(self, changes: Sequence[Change]) -> tuple[Page, list[Change]]:
        """(the page after `changes`, previous values of what really changed)."""
        keys, values = list(self.keys), list(self.values)
        undo: list[Change] = []
        for key, value in changes:
            at = bisect_left(keys, key)
            present = at < len(keys) and keys[at] == key
            old = values[at] if present else None
            if old == value:
                continue
            undo.append((key, old))
            if value is None:
                del keys[at], values[at]
            elif present:
                values[at] = value
            else:
                keys.insert(at, key)
                values.insert(at, value)
        return Page(keys, values), undo

    def halves(self, place: int) -> tuple[Page, Page]:
        """The pages of the left and the right child of `place`, which holds this one."""
        middle = (2 * place + 1) << (KEY_BITS - bits_of(place) - 1) & (1 << KEY_BITS) - 1
        at = bisect_left(self.keys, middle.to_bytes(KEY_BYTES, "big"))
        return Page(self.keys[:at], self.values[:at]), Page(self.keys[at:], self.values[at:])


EMPTY_PAGE = Page((), ())


def find_value(data: bytes, key: StateKey) -> bytes | None:
    """What a stored page holds under a key; straight from its bytes, as most pages are read for one entry."""
    at, size = 0, len(data)
    while at < size:
        body = at + HEAD_BYTES
        end = body + int.from_bytes(data[at + KEY_BYTES : body], "big")
        if data.startswith(key, at):
            return data[body:end]
        at = end
    return None


def replaced(data: bytes, key: StateKey, value: bytes | None) -> tuple[bytes, bytes | None]:
    """(a stored page with another value under a key that it has, or without it; what was there, None if nothing)."""
    at, size = 0, len(data)
    while at < size:
        body = at + HEAD_BYTES
        end = body + int.from_bytes(data[at + KEY_BYTES : body], "big")
        if data.startswith(key, at):
            entry = b"" if value is None else key + len(value).to_bytes(4, "big") + value
            return data[:at] + entry + data[end:], data[body:end]
        at = end
    return data, None


def stored_root(data: bytes) -> bytes:
    """The root over the entries of a stored page.

    What `Page.root` does, in one pass over the bytes: a block asks for that of every page it touches.
    """
    open_nodes: list[tuple[int, bytes]] = []
    current = b""
    at, size, last = 0, len(data), 0
    while at < size:
        body = at + HEAD_BYTES
        end = body + int.from_bytes(data[at + KEY_BYTES : body], "big")
        key = data[at : at + KEY_BYTES]
        number = int.from_bytes(key, "big")
        if at:
            depth = KEY_BITS - (last ^ number).bit_length()
            while open_nodes and open_nodes[-1][0] > depth:
                current = closed(open_nodes, current)
            open_nodes.append((depth, current))
        leaf = new_leaf()
        leaf.update(key)
        leaf.update(data[body:end])
        current = leaf.digest()
        at, last = end, number
    while open_nodes:
        current = closed(open_nodes, current)
    return current or EMPTY_ROOT


def parse_page(place: int, data: bytes) -> Page:
    """Read back a stored page.

    Raises:
        LocalFault: DB_CORRUPT if lengths, order or prefix of the entries do not fit.
    """
    keys: list[StateKey] = []
    values: list[bytes] = []
    size = len(data)
    at, last = 0, b""
    while at < size:
        body = at + HEAD_BYTES
        end = body + int.from_bytes(data[at + KEY_BYTES : body], "big")
        key = data[at : at + KEY_BYTES]
        if end > size or body > size or key <= last:
            raise _corrupt(f"entry at byte {at} of state page {page_key(place).hex()}")
        keys.append(StateKey(key))
        values.append(data[body:end])
        at, last = end, key
    if not keys:
        raise _corrupt(f"an empty state page {page_key(place).hex()}")
    spare = KEY_BITS - bits_of(place)
    prefix = place ^ 1 << bits_of(place)
    for key in (keys[0], last):  # those between them have the prefix if these have it
        if int.from_bytes(key, "big") >> spare != prefix:
            raise _corrupt(f"entry {key.hex()} in state page {page_key(place).hex()}")
    return Page(keys, values)


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
