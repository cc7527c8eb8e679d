"""List commitments: every position provable, nothing else.  Spec: [HASH-LIST]."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chain.hashing import Tag, h256
from chain.merkle import list_path, list_root, verify_list_path
from chain.types import Hash32

LISTS = st.lists(st.binary(max_size=3), min_size=1, max_size=20)


def test_small_lists_by_hand() -> None:
    def leaf(item: bytes) -> bytes:
        return h256(Tag.TX_LEAF, item)

    def node(left: bytes, right: bytes) -> bytes:
        return h256(Tag.LIST_NODE, left + right)

    def root(count: int, top: bytes) -> Hash32:
        return h256(Tag.LIST_ROOT, count.to_bytes(8, "big") + top)

    a, b, c = leaf(b"a"), leaf(b"b"), leaf(b"c")
    assert list_root(Tag.TX_LEAF, []) == root(0, bytes(32))
    assert list_root(Tag.TX_LEAF, [b"a"]) == root(1, a)
    assert list_root(Tag.TX_LEAF, [b"a", b"b"]) == root(2, node(a, b))
    assert list_root(Tag.TX_LEAF, [b"a", b"b", b"c"]) == root(3, node(node(a, b), c))
    assert list_path(Tag.TX_LEAF, [b"a", b"b", b"c"], 2) == (node(a, b),)


@given(LISTS)
def test_every_item_proves_its_place_and_no_other(items: list[bytes]) -> None:
    root, count = list_root(Tag.TX_LEAF, items), len(items)
    for index, item in enumerate(items):
        path = list_path(Tag.TX_LEAF, items, index)
        assert verify_list_path(Tag.TX_LEAF, root, index, count, item, path)
        assert not verify_list_path(Tag.TX_LEAF, root, index, count, item + b"x", path)
        assert not verify_list_path(Tag.VOTE_LEAF, root, index, count, item, path)
        assert not verify_list_path(Tag.TX_LEAF, root, index, count, item, (*path, Hash32(bytes(32))))
        assert not verify_list_path(Tag.TX_LEAF, root, index, count, item, path[1:]) or not path
        for other_index in range(-1, count + 1):
            if other_index != index:
                accepted = verify_list_path(Tag.TX_LEAF, root, other_index, count, item, path)
                assert not accepted or items[other_index] == item
        for other_count in {0, count - 1, count + 1, 2 * count} - {count}:
            assert not verify_list_path(Tag.TX_LEAF, root, index, other_count, item, path)


@given(LISTS, st.data())
def test_two_lists_never_share_a_root(items: list[bytes], data: st.DataObject) -> None:
    """Repeating a tail of the list, the flaw of CVE-2012-2459, included."""
    tail = data.draw(st.integers(1, len(items)))
    root = list_root(Tag.TX_LEAF, items)
    assert list_root(Tag.TX_LEAF, items + items[-tail:]) != root
    assert list_root(Tag.TX_LEAF, items[:-1]) != root
    assert list_root(Tag.TX_LEAF, [*items, b""]) != root
    assert list_root(Tag.RECEIPT_LEAF, items) != root


def test_an_inner_node_is_not_an_item() -> None:
    """A list of one item that spells out two hashes is another list than those two items."""
    two = [b"a", b"b"]
    leaves = b"".join(h256(Tag.TX_LEAF, item) for item in two)
    assert list_root(Tag.TX_LEAF, [leaves]) != list_root(Tag.TX_LEAF, two)
