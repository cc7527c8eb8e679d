"""The hash of every place of the tree that holds something, in memory.  Spec: [STATE-ROOT], [STATE-PAGE].

A place is a heap index: the root is 1, the children of i are 2i and 2i+1; the bits below the leading one are the prefix
that all keys under it share. Places down to some depth lie in one block of memory, 32 bytes each, zeros for nothing;
two children are neighbours, so one cache line says what a node joins. That depth follows the state: it grows when more
than a few places lie deeper. Those few are in a dictionary, which also holds the long branches of ground keys.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Mapping
from itertools import pairwise

from chain.state.nodes import EMPTY_ROOT, KEY_BITS, new_node
from chain.types import Hash32

ROOT_PLACE = 1
FIRST_DENSE_BITS = 10
DEEP_SHARE = 4
"""The block of memory is doubled when one in so many of its deepest places has something below it."""
_EMPTY = bytes(32)
_EMPTY_PAIR = bytes(64)


class PlaceHashes:
    """A map from places to hashes; not in it means that nothing lies under the place."""

    __slots__ = ("_deep", "_dense", "_end", "_spare")

    def __init__(self) -> None:
        self._end = 2 << FIRST_DENSE_BITS
        """First place that is not in the block of memory."""
        self._dense = _zeros(self._end)
        self._deep: dict[int, bytes] = {}
        self._spare = KEY_BITS
        """Bits of a key below the place that was looked for last."""

    @property
    def root(self) -> Hash32:
        return self.get(ROOT_PLACE)

    def get(self, place: int) -> Hash32:
        """The hash of a place; zeros if nothing is there."""
        if place < self._end:
            return Hash32(self._dense[place << 5 : (place << 5) + 32])
        return Hash32(self._deep.get(place, EMPTY_ROOT))

    def is_cut(self, place: int) -> bool:
        """Whether what lies under `place` lies in places below it, as far as they have hashes."""
        if 2 * place < self._end:
            return self._dense[place << 6 : (place << 6) + 64] != _EMPTY_PAIR
        return 2 * place in self._deep or 2 * place + 1 in self._deep

    def locate(self, number: int) -> int:
        """The deepest place on the way to a key that has a hash, or whose sibling has one; the root if none.

        A place has a hash if one below it has, so the search may begin anywhere on the way: it begins where
        the last one ended, because places of digests end nearly at one depth.
        """
        number |= 1 << KEY_BITS
        spare = self._spare
        if not self.is_cut(number >> spare):
            while spare < KEY_BITS and not self.is_cut(number >> spare + 1):
                spare += 1
        else:
            spare -= 1
            while self.is_cut(number >> spare):
                spare -= 1
        self._spare = spare
        return number >> spare

    def rehashed(self, rows: Iterable[tuple[int, bytes]]) -> dict[int, bytes]:
        """New hashes of some places, and what they make of all places above them; changes nothing itself.

        The places come by ascending keys, each `apart` from the one before. Each climbs alone to where the way of the
        next one meets its own; there the left side waits for the right one, so every node is joined once.
        """
        found: dict[int, bytes] = {}
        waiting: list[
            tuple[int, bytes]
        ] = []  # (right sibling of a finished left side, its hash), the deepest last
        place, digest = 0, _EMPTY
        for following, following_digest in rows:
            found[following] = following_digest
            if place:
                meeting = _meeting(place, following)
                while waiting and waiting[-1][0] >> 1 > meeting:
                    place, digest = self._closed(place, digest, waiting, found)
                left = place >> (place.bit_length() - meeting.bit_length() - 1)
                waiting.append((left + 1, self._climbed(place, digest, left, found)))
            place, digest = following, following_digest
        while waiting:
            place, digest = self._closed(place, digest, waiting, found)
        if place:
            self._climbed(place, digest, ROOT_PLACE, found)
        return found

    def update(self, hashes: Mapping[int, bytes]) -> None:
        """Take over what `rehashed` gave."""
        dense, end, deep = self._dense, self._end, self._deep
        for place, digest in hashes.items():
            if place < end:
                dense[place << 5 : (place << 5) + 32] = digest
            elif digest != _EMPTY:
                deep[place] = digest
            else:
                deep.pop(place, None)
        while len(self._deep) * DEEP_SHARE > self._end:
            self._double()

    def _closed(
        self, place: int, digest: bytes, waiting: list[tuple[int, bytes]], found: dict[int, bytes]
    ) -> tuple[int, bytes]:
        """Climb to the right side that a left one waits for, and join them."""
        right, left_digest = waiting.pop()
        digest = self._climbed(place, digest, right, found)
        place = right >> 1
        found[place] = digest = _joined(place, left_digest, digest)
        return place, digest

    def _climbed(self, place: int, digest: bytes, top: int, found: dict[int, bytes]) -> bytes:
        """The hash of `top` once that of `place` below it has changed, and nothing else under `top`.

        Spells `_joined` out: a block goes through this loop ten times per key it touches.
        """
        depth = place.bit_length() - 1
        dense, end = self._dense, self._end
        while place > top:
            beside = place ^ 1
            if place < end:
                sibling = dense[beside << 5 : (beside << 5) + 32]
            else:
                sibling = self._deep.get(beside, EMPTY_ROOT)
            depth -= 1
            if sibling != _EMPTY:
                if digest != _EMPTY:
                    node = new_node[depth]()
                    node.update(sibling + digest if place & 1 else digest + sibling)
                    digest = node.digest()
                else:
                    digest = sibling
            place >>= 1
            found[place] = digest
        return digest

    def _double(self) -> None:
        """Take one more depth into the block of memory."""
        larger = _zeros(2 * self._end)
        larger[: len(self._dense)] = self._dense[:]
        self._dense, self._end = larger, 2 * self._end
        for place in [place for place in self._deep if place < self._end]:
            larger[place << 5 : (place << 5) + 32] = self._deep.pop(place)


def root_over(hashes: Mapping[int, bytes]) -> Hash32:
    """The root over places that hold entries.  Raises: ValueError if one of them lies above another."""
    ascending = sorted(hashes, key=lambda place: place << KEY_BITS + 1 - place.bit_length())
    for left, right in pairwise(ascending):
        if not apart(left, right):
            raise ValueError(f"place {left:b} above place {right:b}")
    rows = [(place, hashes[place]) for place in ascending]
    return Hash32(PlaceHashes().rehashed(rows).get(ROOT_PLACE, EMPTY_ROOT))


def apart(left: int, right: int) -> bool:
    """Whether all keys under `left` come before all keys under `right`."""
    longer = left.bit_length() - right.bit_length()
    return left + 1 <= right << longer if longer > 0 else left + 1 << -longer <= right


def _zeros(places: int) -> mmap.mmap:
    """Memory of the system's own: zero without being written, in large pages where there are any."""
    memory = mmap.mmap(-1, 32 * places, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def _meeting(left: int, right: int) -> int:
    """The deepest place above both."""
    longer = left.bit_length() - right.bit_length()
    if longer > 0:
        left >>= longer
    else:
        right >>= -longer
    return left >> (left ^ right).bit_length()


def _joined(place: int, left: bytes, right: bytes) -> bytes:
    """Hash of `place` from its halves; a node exists only where both sides hold something."""
    if left == _EMPTY:
        return right
    if right == _EMPTY:
        return left
    node = new_node[place.bit_length() - 1]()
    node.update(left + right)
    return node.digest()
