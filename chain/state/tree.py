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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

from chain.errors import LocalFault
from chain.kv import KV
from chain.state.nodes import EMPTY_ROOT, KEY_BITS, nearest, node_hash, subtree_path
from chain.state.pages import (
    EMPTY_PAGE,
    PAGE_ENTRIES,
    PAGE_PREFIX,
    Change,
    Page,
    bits_of,
    page_key,
    page_place,
    parse_page,
)
from chain.state.proofs import AbsenceProof, InclusionProof, Step, Witness
from chain.state.undo import Undo
from chain.types import Hash32, StateKey

DEFAULT_CACHE_BYTES = 64 << 20
ROOT_PLACE = 1


@dataclass(frozen=True, slots=True)
class Staged:
    """Everything one block would do to the state."""

    base_root: Hash32
    root: Hash32
    writes: list[tuple[bytes, bytes | None]]
    """For the store: pages set and pages removed."""
    undo: Undo
    hashes: dict[int, Hash32] = field(repr=False)
    emptied: list[int] = field(repr=False)
    """Places below which nothing is left."""
    pages: dict[int, Page] = field(repr=False)


class StateTree:
    """The state at one block."""

    __slots__ = ("_cache", "_hashes", "_kv", "_spare")

    def __init__(self, kv: KV, hashes: dict[int, Hash32], cache_bytes: int) -> None:
        self._kv = kv
        self._hashes = hashes
        self._cache = _PageCache(cache_bytes)
        self._spare = KEY_BITS
        """Bits of a key below the place that was looked up last."""

    @classmethod
    def load(cls, kv: KV, *, cache_bytes: int = DEFAULT_CACHE_BYTES) -> Self:
        """Rebuild the tree from the pages in `kv`; the caller compares `root` with the head's.

        Raises:
            LocalFault: DB_CORRUPT if the pages are damaged or overlap.
        """
        hashes = {place: parse_page(place, data).root() for place, data in stored_pages(kv)}
        try:
            complete(hashes)
        except ValueError as error:
            raise LocalFault(
                "DB_CORRUPT",
                found=str(error),
                hint="Check the disk; then let the node fetch the state again.",
            ) from error
        return cls(kv, hashes, cache_bytes)

    @property
    def root(self) -> Hash32:
        return self._hashes.get(ROOT_PLACE, EMPTY_ROOT)

    def get(self, key: StateKey, /) -> bytes | None:
        """The value under `key`; None if there is none."""
        return self._page(self._locate(key)).get(key)

    def items(self) -> Iterator[Change]:
        """Every entry by ascending key, as stored."""
        for place, data in stored_pages(self._kv):
            page = parse_page(place, data)
            yield from ((page.key(at), page.value(at)) for at in range(len(page.keys)))

    def path_above(self, place: int) -> tuple[Step, ...]:
        """From everything that lies under `place` up to the root, the deepest step first."""
        path = []
        while place > ROOT_PLACE:
            sibling = self._hashes.get(place ^ 1)
            place >>= 1
            if sibling is not None:
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
        pages: dict[int, Page] = {}
        for place, page_changes in touched.items():
            page, page_undo = self._page(place).changed(page_changes)
            if page_undo:
                undo += page_undo
                pages[place] = EMPTY_PAGE
                _cut(place, page, pages)
        fresh = self._rehashed(pages)
        emptied = [place for place, value in fresh.items() if value is None]
        hashes = {place: value for place, value in fresh.items() if value is not None}
        return Staged(
            base_root=self.root,
            root=hashes.get(ROOT_PLACE, EMPTY_ROOT) if fresh else self.root,
            writes=[(page_key(place), page.to_bytes() or None) for place, page in pages.items()],
            undo=tuple(undo),
            hashes=hashes,
            emptied=emptied,
            pages=pages,
        )

    def apply(self, staged: Staged) -> None:
        """Move on to the staged state, whose writes the store now holds."""
        assert staged.base_root == self.root
        self._hashes.update(staged.hashes)
        for place in staged.emptied:
            self._hashes.pop(place, None)
        for place, page in staged.pages.items():
            self._cache.put(place, page)

    def prove(self, key: StateKey) -> InclusionProof | None:
        """A proof of the value under `key`; None if there is none."""
        place = self._locate(key)
        value = self._page(place).get(key)
        return None if value is None else InclusionProof(value, self._path(place, int.from_bytes(key, "big")))

    def prove_absent(self, key: StateKey) -> AbsenceProof | None:
        """A proof that nothing is under `key`; None if something is."""
        if self.root == EMPTY_ROOT:
            return AbsenceProof(())
        number = int.from_bytes(key, "big")
        place = ROOT_PLACE
        while self._is_cut(place):
            wanted = 2 * place + _bit(number, bits_of(place))
            place = wanted if wanted in self._hashes else wanted ^ 1
        page = self._page(place)
        at = nearest(page.keys, number)
        if page.keys[at] == number:
            return None
        return AbsenceProof((Witness(page.key(at), page.value(at), self._path(place, page.keys[at])),))

    def prove_either(self, key: StateKey) -> InclusionProof | AbsenceProof:
        """A proof of what is under `key`, be it a value or nothing."""
        proof = self.prove(key) or self.prove_absent(key)
        assert proof is not None
        return proof

    def _locate(self, key: StateKey) -> int:
        """The place of the page that holds `key`, or would: the deepest on its way that, or whose sibling, has a hash.

        A place has a hash if one below it has, so the search may begin anywhere on the way: it begins at the depth
        where the last one ended, because pages of digests lie nearly level, and a page that is in the cache is the end.
        """
        number = int.from_bytes(key, "big") | 1 << KEY_BITS
        hashes = self._hashes
        spare = self._spare
        place = number >> spare
        if place in self._cache:
            return place
        while place > ROOT_PLACE and place not in hashes and place ^ 1 not in hashes:
            spare += 1
            place >>= 1
        while (2 * place in hashes) or (2 * place + 1 in hashes):
            spare -= 1
            place = number >> spare
        self._spare = spare
        return place

    def _is_cut(self, place: int) -> bool:
        """Whether pages lie below `place` and not at it."""
        return 2 * place in self._hashes or 2 * place + 1 in self._hashes

    def _page(self, place: int) -> Page:
        if place not in self._hashes:
            return EMPTY_PAGE
        page = self._cache.get(place)
        if page is None:
            data = self._kv.get(page_key(place))
            if data is None:
                raise LocalFault(
                    "DB_CORRUPT", found="a state page is gone", hint="Check the disk; then resynchronise."
                )
            page = parse_page(place, data)
            self._cache.put(place, page)
        return page

    def _rehashed(self, pages: Mapping[int, Page]) -> dict[int, Hash32 | None]:
        """New hashes of the changed pages and of every place above them; None where nothing is left."""
        fresh: dict[int, Hash32 | None] = {
            place: page.root() if page.keys else None for place, page in pages.items()
        }
        known = self._hashes.get
        for place in _ancestors(fresh):
            left, right = 2 * place, 2 * place + 1
            left_hash = fresh[left] if left in fresh else known(left)
            right_hash = fresh[right] if right in fresh else known(right)
            fresh[place] = _join(place, left_hash, right_hash)
        return fresh

    def _path(self, place: int, number: int) -> tuple[Step, ...]:
        """Path of the entry `number` in the page at `place`, up to the root."""
        page = self._page(place)
        within = subtree_path(page.keys, page.leaves, page.keys.index(number))
        return (*(Step(*step) for step in within), *self.path_above(place))


class _PageCache:
    """Pages used last, bounded by an estimate of their memory."""

    __slots__ = ("_limit_bytes", "_pages", "_used_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._used_bytes = 0
        self._pages: OrderedDict[int, tuple[Page, int]] = OrderedDict()

    def __contains__(self, place: int) -> bool:
        return place in self._pages

    def get(self, place: int) -> Page | None:
        found = self._pages.get(place)
        if found is None:
            return None
        self._pages.move_to_end(place)
        return found[0]

    def put(self, place: int, page: Page) -> None:
        """Remember the page at `place`; an empty one only takes the old one's place away."""
        old = self._pages.pop(place, None)
        if old is not None:
            self._used_bytes -= old[1]
        if page.keys:
            size_bytes = page.size_bytes()
            self._pages[place] = page, size_bytes
            self._used_bytes += size_bytes
        while self._used_bytes > self._limit_bytes:
            _, (_, dropped_bytes) = self._pages.popitem(last=False)
            self._used_bytes -= dropped_bytes


def stored_pages(kv: KV) -> Iterator[tuple[int, bytes]]:
    """(place, bytes) of every page in a store, by ascending keys.  Raises: LocalFault DB_CORRUPT."""
    return ((page_place(key), data) for key, data in kv.iterate(PAGE_PREFIX))


def complete(hashes: dict[int, Hash32]) -> Hash32:
    """Add the hashes of all places above to those of places that hold entries; returns the root over them.

    Raises: ValueError if one of the places lies above another.
    """
    above = _ancestors(hashes)
    for place in above:
        if place in hashes:
            raise ValueError(f"state page {page_key(place).hex()} above another page")
    for place in above:
        joined = _join(place, hashes.get(2 * place), hashes.get(2 * place + 1))
        assert joined is not None
        hashes[place] = joined
    return hashes.get(ROOT_PLACE, EMPTY_ROOT)


def cut_pages(place: int, page: Page) -> dict[int, Page]:
    """The pages, by their places, in which the entries of `page` are stored."""
    pages: dict[int, Page] = {}
    _cut(place, page, pages)
    return pages


def _cut(place: int, page: Page, pages: dict[int, Page]) -> None:
    """Put `page` into `pages`, cut by further bits until every part is small enough."""
    if len(page.keys) <= PAGE_ENTRIES:
        if page.keys:
            pages[place] = page
        return
    left, right = page.halves(place)
    _cut(2 * place, left, pages)
    _cut(2 * place + 1, right, pages)


def _ancestors(places: Mapping[int, object]) -> list[int]:
    """All places above `places`, the deepest first."""
    above: dict[int, None] = {}
    for place in places:
        place >>= 1
        while place and place not in above:
            above[place] = None
            place >>= 1
    return sorted(above, reverse=True)


def _join(place: int, left: Hash32 | None, right: Hash32 | None) -> Hash32 | None:
    """Hash of `place` from its halves; a node exists only where both sides hold something."""
    if left is None or right is None:
        return left or right
    return node_hash(place.bit_length() - 1, left, right)


def _bit(number: int, depth: int) -> int:
    return number >> (KEY_BITS - 1 - depth) & 1
