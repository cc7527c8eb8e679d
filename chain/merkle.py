"""Commitment to a list of byte strings: transactions, receipts, votes.  Spec: [HASH-LIST].

    leaf = h256(leaf tag, item)          node = h256(LIST_NODE, left | right)
    root = h256(LIST_ROOT, count as 8 bytes big-endian | top)

A node without a right neighbour moves up unchanged; it is never paired with itself, which in another chain
gave two lists one root (CVE-2012-2459). The root binds the count, leaves carry the tag of their list, and
inner nodes have a tag of their own, so one root belongs to one list. The top of an empty list is 32 zero
bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

from chain.hashing import Tag, h256
from chain.types import ZERO_HASH, Hash32


def list_root(leaf_tag: Tag, items: Sequence[bytes]) -> Hash32:
    """The commitment to `items` in their order."""
    level = _hashed(leaf_tag, items)
    while len(level) > 1:
        level = _level_above(level)
    return _bind_count(len(items), level[0] if level else Hash32(ZERO_HASH))


def list_path(leaf_tag: Tag, items: Sequence[bytes], index: int) -> tuple[Hash32, ...]:
    """Siblings from the item at `index` up to the top, the deepest first."""
    assert 0 <= index < len(items)
    level = _hashed(leaf_tag, items)
    siblings = []
    while len(level) > 1:
        if index ^ 1 < len(level):
            siblings.append(level[index ^ 1])
        level = _level_above(level)
        index >>= 1
    return tuple(siblings)


def verify_list_path(
    leaf_tag: Tag, root: Hash32, index: int, count: int, item: bytes, path: Sequence[Hash32]
) -> bool:
    """Whether `item` stands at `index` of the list of `count` items under `root`.

    Index and count fix how many siblings there are and on which side each one stands, so no other path fits.
    """
    if not 0 <= index < count:
        return False
    node = h256(leaf_tag, item)
    siblings = iter(path)
    width = count
    while width > 1:
        if index ^ 1 < width:
            sibling = next(siblings, None)
            if sibling is None:
                return False
            node = h256(Tag.LIST_NODE, sibling + node if index & 1 else node + sibling)
        index >>= 1
        width = (width + 1) >> 1
    return next(siblings, None) is None and _bind_count(count, node) == root


def _hashed(tag: Tag, items: Sequence[bytes]) -> list[Hash32]:
    """`h256` of every item; spelled out, because a block hashes each of its transactions six times."""
    begin = tag.begin
    digests = []
    for item in items:
        state = begin()
        state.update(item)
        digests.append(Hash32(state.digest()))
    return digests


def _level_above(level: list[Hash32]) -> list[Hash32]:
    pairs = [left + right for left, right in zip(level[::2], level[1::2], strict=False)]
    above = _hashed(Tag.LIST_NODE, pairs)
    if len(level) & 1:
        above.append(level[-1])
    return above


def _bind_count(count: int, top: Hash32) -> Hash32:
    return h256(Tag.LIST_ROOT, count.to_bytes(8, "big") + top)
