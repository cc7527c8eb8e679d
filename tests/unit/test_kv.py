"""The store contract, held by both stores.  Spec: [STATE-STORE]."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.kv import KV, MemoryKV, Sync, prefix_end
from chain.leveldb import LevelKV


@pytest.fixture(params=["memory", "leveldb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KV]:
    opened: KV = MemoryKV() if request.param == "memory" else LevelKV.open(tmp_path / "db")
    yield opened
    opened.close()


def put(store: KV, *keys: bytes) -> None:
    store.write([(key, b"value of " + key) for key in keys], sync=Sync.BUFFERED)


def keys(store: KV, prefix: bytes, start: bytes = b"") -> list[bytes]:
    return [key for key, _ in store.iterate(prefix, start=start)]


def test_write_read_delete(store: KV) -> None:
    assert store.get(b"a") is None
    store.write([(b"a", b"1"), (b"b", b""), (b"c", b"3")], sync=Sync.DURABLE)
    store.write([(b"a", None), (b"absent", None), (b"c", b"4")], sync=Sync.BUFFERED)
    assert [store.get(key) for key in (b"a", b"b", b"c", b"absent")] == [None, b"", b"4", None]


def test_the_last_pair_of_a_batch_wins(store: KV) -> None:
    store.write([(b"a", b"1"), (b"a", None), (b"b", None), (b"b", b"2"), (b"b", b"3")], sync=Sync.DURABLE)
    assert list(store.iterate(b"")) == [(b"b", b"3")]


def test_iteration_is_in_key_order_within_the_prefix(store: KV) -> None:
    put(store, b"b\xff\xff", b"b", b"a", b"b\x00", b"c", b"", b"b\xff")
    assert keys(store, b"b") == [b"b", b"b\x00", b"b\xff", b"b\xff\xff"]
    assert keys(store, b"b\xff") == [b"b\xff", b"b\xff\xff"]
    assert keys(store, b"") == [b"", b"a", b"b", b"b\x00", b"b\xff", b"b\xff\xff", b"c"]
    assert keys(store, b"x") == []


def test_iteration_can_start_inside_the_prefix(store: KV) -> None:
    put(store, b"a", b"b1", b"b2", b"b3", b"c")
    assert keys(store, b"b", b"b2") == [b"b2", b"b3"]
    assert keys(store, b"b", b"a") == [b"b1", b"b2", b"b3"]
    assert keys(store, b"b", b"b9") == []


def test_iteration_sees_the_moment_it_was_asked_for(store: KV) -> None:
    put(store, b"a", b"b")
    rows = store.iterate(b"")
    store.write([(b"a", None), (b"c", b"new")], sync=Sync.BUFFERED)
    assert [key for key, _ in rows] == [b"a", b"b"]


@given(st.binary(max_size=4), st.binary(max_size=5))
def test_prefix_end_is_the_first_key_above(prefix: bytes, key: bytes) -> None:
    end = prefix_end(prefix)
    below = end is None or key < end
    assert (key >= prefix and below) == key.startswith(prefix)
