"""The state tree on disk: crashes between two steps, damage, ground keys.  Spec: [STATE-STORE], [STATE-PAGE]."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.errors import LocalFault
from chain.hashing import Tag, h256
from chain.kv import KV, MemoryKV, Sync
from chain.leveldb import LevelKV
from chain.state import MAX_VALUE_BYTES, StateTree, decode_undo, encode_undo, verify_absence, verify_inclusion
from chain.state.nodes import leaf_hash, node_hash
from chain.state.pages import PAGE_ENTRIES, bits_of, page_key, page_place, parse_page
from chain.types import StateKey


def key_of(number: int) -> StateKey:
    return StateKey(h256(Tag.STATE_KEY, number.to_bytes(4, "big")))


def commit(store: KV, tree: StateTree, changes: dict[StateKey, bytes | None]) -> None:
    staged = tree.stage(changes)
    store.write(staged.writes, sync=Sync.DURABLE)
    tree.apply(staged)


def filled(store: KV, entries: int) -> StateTree:
    tree = StateTree.load(store)
    commit(store, tree, {key_of(number): b"value %d" % number for number in range(entries)})
    return tree


def test_leveldb_keeps_the_state(tmp_path: Path) -> None:
    store = LevelKV.open(tmp_path / "db")
    tree = filled(store, 500)
    commit(store, tree, {key_of(number): None for number in range(0, 500, 3)})
    root = tree.root
    store.close()
    store = LevelKV.open(tmp_path / "db")
    tree = StateTree.load(store)
    assert tree.root == root
    assert [tree.get(key_of(number)) for number in (0, 1)] == [None, b"value 1"]
    proof, absence = tree.prove(key_of(1)), tree.prove_absent(key_of(0))
    assert proof is not None
    assert absence is not None
    assert verify_inclusion(root, key_of(1), proof)
    assert verify_absence(root, key_of(0), absence)
    store.close()


def test_a_crash_after_the_write_is_as_good_as_apply() -> None:
    store = MemoryKV()
    tree = filled(store, 100)
    staged = tree.stage({key_of(number): b"new" for number in range(50, 150)})
    store.write(staged.writes, sync=Sync.DURABLE)
    assert StateTree.load(store).root == staged.root
    back = StateTree.load(store).stage(dict(staged.undo))
    assert back.root == tree.root


def test_a_crash_before_the_write_is_as_if_nothing_happened() -> None:
    store = MemoryKV()
    tree = filled(store, 100)
    tree.stage({key_of(number): b"new" for number in range(50, 150)})
    assert StateTree.load(store).root == tree.root


def test_a_producer_may_stage_and_forget() -> None:
    store = MemoryKV()
    tree = filled(store, 100)
    root = tree.root
    first = tree.stage({key_of(1): b"one"})
    second = tree.stage({key_of(1): None, key_of(500): b"two"})
    assert tree.root == root
    assert tree.get(key_of(1)) == b"value 1"
    store.write(second.writes, sync=Sync.DURABLE)
    tree.apply(second)
    with pytest.raises(AssertionError):
        tree.apply(first)


def test_what_changes_nothing_leaves_no_trace() -> None:
    store = MemoryKV()
    tree = filled(store, 20)
    staged = tree.stage({key_of(1): b"value 1", key_of(999): None})
    assert (staged.root, staged.writes, staged.undo) == (tree.root, [], ())


def test_large_values() -> None:
    store = MemoryKV()
    tree = StateTree.load(store, cache_bytes=1)
    largest = bytes(MAX_VALUE_BYTES)
    commit(store, tree, {key_of(number): largest[: MAX_VALUE_BYTES >> number] for number in range(20)})
    assert tree.get(key_of(0)) == largest
    proof = tree.prove(key_of(0))
    assert proof is not None
    assert verify_inclusion(tree.root, key_of(0), type(proof).from_bytes(proof.to_bytes()))
    assert StateTree.load(store).root == tree.root


def test_ground_keys_make_pages_deeper_not_larger() -> None:
    """[STATE-PAGE] Thousands of keys under one long prefix: the work per change stays that of one small page."""
    store = MemoryKV()
    tree = filled(store, 50)
    commit(store, tree, {StateKey(b"\x77" * 30 + number.to_bytes(2, "big")): b"x" for number in range(2000)})
    assert max(len(data) for _, data in store.iterate(b"p")) <= PAGE_ENTRIES * 50
    staged = tree.stage({StateKey(b"\x77" * 30 + b"\x01\x01"): b"y"})
    assert len(staged.writes) == 1
    assert StateTree.load(store).root == tree.root


@given(st.integers(0, 256), st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_page_names_keep_the_order_of_keys(bits: int, left: bytes, right: bytes) -> None:
    """Iterating the store in its own order walks the state by ascending key: snapshots rely on it."""
    one, other = int.from_bytes(left, "big"), int.from_bytes(right, "big")
    place = (1 << 256 | one) >> (256 - bits)
    assert page_place(page_key(place)) == place
    assert bits_of(place) == bits
    beside = (1 << 256 | other) >> max(0, 256 - bits - 3)
    apart = beside >> (bits_of(beside) - bits) != place
    if apart:
        assert (page_key(place) < page_key(beside)) == (left < right)


@pytest.mark.parametrize("harm", ["gone", "cut", "order", "elsewhere", "empty", "overlap", "name"])
def test_damaged_pages_are_never_taken_for_the_state(harm: str) -> None:
    store = MemoryKV()
    filled(store, 200)
    pages = list(store.iterate(b"p"))
    (name, data), (_, other_data) = pages[0], pages[1]
    size = 36 + int.from_bytes(data[32:36], "big")
    writes: dict[str, list[tuple[bytes, bytes | None]]] = {
        "gone": [(name, None)],
        "cut": [(name, data[:-1])],
        "order": [(name, data[size:] + data[:size])],
        "elsewhere": [(name, other_data)],
        "empty": [(name, b"")],
        "overlap": [(page_key(page_place(name) >> 1), data)],
        "name": [(b"p\xff", data)],
    }
    root = StateTree.load(store).root
    store.write(writes[harm], sync=Sync.DURABLE)
    if harm == "gone":  # nothing is wrong with what is left, but the head's root tells
        assert StateTree.load(store).root != root
        return
    with pytest.raises(LocalFault, match="DB_CORRUPT"):
        StateTree.load(store)


def test_a_page_that_vanishes_under_a_running_node_is_a_fault() -> None:
    store = MemoryKV()
    filled(store, 200)
    tree = StateTree.load(store, cache_bytes=0)
    place = page_place(next(store.iterate(b"p"))[0])
    key = parse_page(place, next(store.iterate(b"p"))[1]).keys[0]
    store.write([(page_key(place), None)], sync=Sync.DURABLE)
    with pytest.raises(LocalFault, match="DB_CORRUPT"):
        tree.get(key)


@pytest.mark.parametrize("text", ["", "01", "9101", "91919101", "919191c40178", "91c40178", "9191c40178"])
def test_a_damaged_undo_record_is_a_fault(text: str) -> None:
    data = bytes.fromhex(text)
    with pytest.raises(LocalFault, match="DB_CORRUPT"):
        decode_undo(data)


def test_a_long_undo_record() -> None:
    undo = tuple((key_of(number), None if number % 3 else b"old") for number in range(70_000))
    assert decode_undo(encode_undo(undo)) == undo


def test_golden_root() -> None:
    """Fixed for ever: two entries that part at bit 1."""
    low, high = StateKey(b"\x01" + bytes(31)), StateKey(b"\x41" + bytes(31))
    store = MemoryKV()
    tree = StateTree.load(store)
    commit(store, tree, {low: b"low", high: b"high"})
    assert tree.root == node_hash(1, leaf_hash(low, b"low"), leaf_hash(high, b"high"))
    assert tree.root.hex() == "6c97c6872599f59af8b841b39dcd2f529df66bbe453dea9c4c2ba0c325349e9d"
