"""The hashes of the state tree, defined without any storage.  Spec: [STATE-ROOT].

A Merkle crit-bit trie: a binary tree in which every inner node separates the keys below it at the first bit
in which they differ, and commits to the number of that bit.

    empty tree          32 zero bytes
    leaf(key, value)    h256(STATE_LEAF, key | value)
    node(depth, l, r)   h256(STATE_NODE, depth as one byte | l | r)    depth = first bit in which both sides differ

The root depends on the entries alone: not on their history, not on how pages cut the tree. Bit 0 is the
highest bit of the first byte of a key; keys are handled as 256-bit integers, which have the same order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from chain.hashing import Tag
from chain.types import ZERO_HASH, Hash32

KEY_BITS = 256
EMPTY_ROOT = Hash32(ZERO_HASH)

new_leaf = hashlib.blake2b(digest_size=32, person=Tag.STATE_LEAF.value).copy
new_node = [
    hashlib.blake2b(bytes([depth]), digest_size=32, person=Tag.STATE_NODE.value).copy
    for depth in range(KEY_BITS)
]
"""Hash states that have taken in the tag and the depth: a block hashes tens of thousands of nodes."""


def leaf_hash(key: bytes, value: bytes) -> Hash32:
    state = new_leaf()
    state.update(key)
    state.update(value)
    return Hash32(state.digest())


def node_hash(depth: int, left: bytes, right: bytes) -> Hash32:
    state = new_node[depth]()
    state.update(left + right)
    return Hash32(state.digest())


def first_difference(left: int, right: int) -> int:
    """Number of the first bit in which two different keys differ."""
    return KEY_BITS - (left ^ right).bit_length()


def subtree_root(keys: Sequence[int], leaves: Sequence[Hash32]) -> Hash32:
    """Root over ascending `keys` with their leaf hashes; one pass, one hash per inner node."""
    if not keys:
        return EMPTY_ROOT
    open_nodes: list[tuple[int, bytes]] = []
    current: bytes = leaves[0]
    for i in range(1, len(keys)):
        depth = KEY_BITS - (keys[i - 1] ^ keys[i]).bit_length()
        while open_nodes and open_nodes[-1][0] > depth:
            current = closed(open_nodes, current)
        open_nodes.append((depth, current))
        current = leaves[i]
    while open_nodes:
        current = closed(open_nodes, current)
    return Hash32(current)


def closed(open_nodes: list[tuple[int, bytes]], right: bytes) -> bytes:
    """The hash of the last of some nodes whose left sides are known, once its right side is; takes it from the list."""
    depth, left = open_nodes.pop()
    node = new_node[depth]()
    node.update(left + right)
    return node.digest()


def subtree_path(keys: Sequence[int], leaves: Sequence[Hash32], index: int) -> list[tuple[int, Hash32]]:
    """(depth, sibling) of the entry at `index` within its subtree, the deepest first."""
    path = []
    low, high = 0, len(keys)
    while high - low > 1:
        middle, depth = split_point(keys, low, high)
        if index < middle:
            path.append((depth, subtree_root(keys[middle:high], leaves[middle:high])))
            high = middle
        else:
            path.append((depth, subtree_root(keys[low:middle], leaves[low:middle])))
            low = middle
    path.reverse()
    return path


def nearest(keys: Sequence[int], key: int) -> int:
    """Index of the entry that following the bits of `key` at every inner node leads to; `keys` is not empty."""
    low, high = 0, len(keys)
    while high - low > 1:
        middle, depth = split_point(keys, low, high)
        if key >> (KEY_BITS - 1 - depth) & 1:
            low = middle
        else:
            high = middle
    return low


def split_point(keys: Sequence[int], low: int, high: int) -> tuple[int, int]:
    """(index of the first key of the right side, depth) of the node over keys[low:high]."""
    depth = first_difference(keys[low], keys[high - 1])
    middle = low + 1
    while not keys[middle] >> (KEY_BITS - 1 - depth) & 1:
        middle += 1
    return middle, depth
