"""The committed state: pages in the store, the hashes above them in memory.  Spec: [STATE-ROOT],
[STATE-STORE].

`stage` computes what a block would change and leaves the tree alone, so a producer may stage and forget. The
importer writes `staged.writes` in the same atomic batch as the block and calls `apply` afterwards. If the
process dies in between, `load` rebuilds the same tree from the pages. Nothing is versioned: to leave a block,
stage its undo record.

Not safe for use from two threads at once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Self

from chain.errors import LocalFault
from chain.kv import KV
from chain.state.nodes import EMPTY_ROOT, KEY_BITS, nearest
from chain.state.pages import (
    EMPTY_PAGE,
    PAGE_ENTRIES,
    PAGE_PREFIX,
    Change,
    Page,
    bits_of,
    find_value,
    page_key,
    page_place,
    parse_page,
    replaced,
    stored_root,
)
from chain.state.places import ROOT_PLACE, PlaceHashes, apart
from chain.state.proofs import AbsenceProof, InclusionProof, Step, Witness
from chain.state.undo import Undo
from chain.types import Hash32, StateKey

DEFAULT_CACHE_BYTES = 128 << 20
"""The pages of a million accounts; of a larger state those used last."""
_PAGE_OVERHEAD_BYTES = 192
"""What a page in memory takes besides its bytes."""
MAX_LOCATED = 1 << 15
LOAD_PAGES = 1 << 12
"""Pages joined at a time when a tree is loaded."""


@dataclass(frozen=True, slots=True)
class Staged:
    """Everything one block would do to the state."""

    base_root: Hash32
    root: Hash32
    undo: Undo
    hashes: dict[int, bytes] = field(repr=False)
    """Of the changed pages and of every place above them; zeros where nothing is left."""
    pages: dict[int, bytes] = field(repr=False)
    """Changed pages by their places; empty ones are removed."""

    @property
    def writes(self) -> list[tuple[bytes, bytes | None]]:
        """For the store: pages set and pages removed."""
        return [(page_key(place), data or None) for place, data in self.pages.items()]


class StateTree:
    """The state at one block."""

    __slots__ = ("_cache", "_hashes", "_kv", "_located")

    def __init__(self, kv: KV, hashes: PlaceHashes, cache: PageCache) -> None:
        self._kv = kv
        self._hashes = hashes
        self._cache = cache
        self._located: dict[StateKey, int] = {}
        """Places of the pages of some keys: a block changes what it has read."""

    @classmethod
    def load(cls, kv: KV, *, cache_bytes: int = DEFAULT_CACHE_BYTES) -> Self:
        """Rebuild the tree from the pages in `kv`; the caller compares `root` with the head's.

        Raises:
            LocalFault: DB_CORRUPT if the pages are damaged or overlap.
        """
        hashes, cache = PlaceHashes(), PageCache(cache_bytes)
        pages = stored_pages(kv)
        while batch := list(islice(pages, LOAD_PAGES)):
            for place, data in batch:
                cache.put(place, data)
            rows = [(place, parse_page(place, data).root()) for place, data in batch]
            hashes.update(hashes.rehashed(rows))
        return cls(kv, hashes, cache)

    @property
    def root(self) -> Hash32:
        return self._hashes.root

    def get(self, key: StateKey, /) -> bytes | None:
        """The value under `key`; None if there is none."""
        return find_value(self._page(self._locate(key)), key)

    def items(self) -> Iterator[Change]:
        """Every entry by ascending key, as stored."""
        for place, data in stored_pages(self._kv):
            page = parse_page(place, data)
            yield from zip(page.keys, page.values, strict=True)

    def path_above(self, place: int) -> tuple[Step, ...]:
        """From everything that lies under `place` up to the root, the deepest step first."""
        path = []
        while place > ROOT_PLACE:
            sibling = self._hashes.get(place ^ 1)
            place >>= 1
            if sibling != EMPTY_ROOT:
                path.append(Step(bits_of(place), sibling))
        return tuple(path)

    def stage(self, changes: Mapping[StateKey, bytes | None]) -> Staged:
        """What `changes` (None deletes) would make of the state; changes nothing itself.

        Changes that put what is already there leave no trace. Staging `dict(staged.undo)` after `apply` leads
        back.
        """
        touched: dict[int, list[Change]] = {}
        for key in sorted(changes):
            touched.setdefault(self._locate(key), []).append((key, changes[key]))
        undo: list[Change] = []
        pages: dict[int, bytes] = {}
        rows: list[tuple[int, bytes]] = []
        for place, page_changes in touched.items():
            parts, page_undo = _changed(place, self._page(place), page_changes)
            if page_undo:
                undo += page_undo
                pages[place] = b""  # unless one of the parts has its place
                for at, data in parts:
                    pages[at] = data
                    rows.append((at, stored_root(data)))
        hashes = self._hashes.rehashed(rows)
        return Staged(
            base_root=self.root,
            root=Hash32(hashes.get(ROOT_PLACE, self.root)),
            undo=tuple(undo),
            hashes=hashes,
            pages=pages,
        )

    def apply(self, staged: Staged) -> None:
        """Move on to the staged state, whose writes the store now holds."""
        assert staged.base_root == self.root
        self._located.clear()
        self._hashes.update(staged.hashes)
        for place, data in staged.pages.items():
            self._cache.put(place, data)

    def prove(self, key: StateKey) -> InclusionProof | None:
        """A proof of the value under `key`; None if there is none."""
        place = self._locate(key)
        page = self._parsed(place)
        value = page.get(key)
        return None if value is None else InclusionProof(value, self._path(place, page, page.keys.index(key)))

    def prove_absent(self, key: StateKey) -> AbsenceProof | None:
        """A proof that nothing is under `key`; None if something is."""
        if self.root == EMPTY_ROOT:
            return AbsenceProof(())
        number = int.from_bytes(key, "big")
        place = ROOT_PLACE
        while self._hashes.is_cut(place):
            wanted = 2 * place + _bit(number, bits_of(place))
            place = wanted if self._hashes.get(wanted) != EMPTY_ROOT else wanted ^ 1
        page = self._parsed(place)
        at = nearest(page.numbers(), number)
        if page.keys[at] == key:
            return None
        return AbsenceProof((Witness(page.keys[at], page.values[at], self._path(place, page, at)),))

    def prove_either(self, key: StateKey) -> InclusionProof | AbsenceProof:
        """A proof of what is under `key`, be it a value or nothing."""
        proof = self.prove(key) or self.prove_absent(key)
        assert proof is not None
        return proof

    def _locate(self, key: StateKey) -> int:
        place = self._located.get(key)
        if place is None:
            place = self._hashes.locate(int.from_bytes(key, "big"))
            if len(self._located) >= MAX_LOCATED:
                self._located.clear()
            self._located[key] = place
        return place

    def _page(self, place: int) -> bytes:
        """The stored page at a place; empty if there is none."""
        data = self._cache.get(place)
        if data is None:
            if self._hashes.get(place) == EMPTY_ROOT:
                return b""
            data = self._kv.get(page_key(place))
            if data is None:
                raise LocalFault(
                    "DB_CORRUPT", found="a state page is gone", hint="Check the disk; then resynchronise."
                )
            self._cache.put(place, data)
        return data

    def _parsed(self, place: int) -> Page:
        data = self._page(place)
        return parse_page(place, data) if data else EMPTY_PAGE

    def _path(self, place: int, page: Page, at: int) -> tuple[Step, ...]:
        """Path of an entry of the page at `place`, up to the root."""
        return (*(Step(*step) for step in page.path(at)), *self.path_above(place))


class PageCache:
    """Pages read or written last, in the bytes of the store, bounded by an estimate of their memory."""

    __slots__ = ("_limit_bytes", "_pages", "_used_bytes", "get")

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._used_bytes = 0
        self._pages: OrderedDict[int, bytes] = OrderedDict()
        self.get = self._pages.get
        """The page at a place, if it is here; to be read again does not keep it longer."""

    def put(self, place: int, data: bytes) -> None:
        """Remember the page at `place`; an empty one only takes the old one's place away."""
        pages = self._pages
        old = pages.pop(place, None)
        if old is not None:
            self._used_bytes -= len(old) + _PAGE_OVERHEAD_BYTES
        if data:
            pages[place] = data
            self._used_bytes += len(data) + _PAGE_OVERHEAD_BYTES
        while self._used_bytes > self._limit_bytes:
            _, dropped = pages.popitem(last=False)
            self._used_bytes -= len(dropped) + _PAGE_OVERHEAD_BYTES


def stored_pages(kv: KV) -> Iterator[tuple[int, bytes]]:
    """(place, bytes) of every page in a store, by ascending keys.

    Raises: LocalFault DB_CORRUPT if one is misnamed or lies above another.
    """
    last = 0
    for key, data in kv.iterate(PAGE_PREFIX):
        place = page_place(key)
        if last and not apart(last, place):
            raise LocalFault(
                "DB_CORRUPT",
                found=f"state page {page_key(last).hex()} above another page",
                hint="Check the disk; then let the node fetch the state again.",
            )
        last = place
        yield place, data


def _changed(
    place: int, data: bytes, changes: Sequence[Change]
) -> tuple[Sequence[tuple[int, bytes]], Sequence[Change]]:
    """(what comes in the place of a stored page, by ascending keys; previous values of what really changed)."""
    if len(changes) == 1:  # nearly always: a block touches few of the pages
        ((key, value),) = changes
        after, old = replaced(data, key, value)
        if old is not None:
            return ((place, after),), ((key, old),) if old != value else ()
    page, undo = (parse_page(place, data) if data else EMPTY_PAGE).changed(changes)
    if len(page.keys) <= PAGE_ENTRIES:
        return ((place, page.to_bytes()),), undo
    return [(at, part.to_bytes()) for at, part in cut_pages(place, page).items()], undo


def cut_pages(place: int, page: Page) -> dict[int, Page]:
    """The pages, by their places and ascending keys, in which the entries of `page` are stored."""
    if len(page.keys) <= PAGE_ENTRIES:
        return {place: page} if page.keys else {}
    left, right = page.halves(place)
    return cut_pages(2 * place, left) | cut_pages(2 * place + 1, right)


def _bit(number: int, depth: int) -> int:
    return number >> (KEY_BITS - 1 - depth) & 1
