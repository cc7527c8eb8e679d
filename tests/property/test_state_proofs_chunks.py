"""Chunks over random states: together the whole state, each alone what the root says, nothing else.

Spec: [STATE-CHUNK].
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain.errors import Invalid
from chain.kv import MemoryKV, Sync
from chain.state import StateTree
from chain.state.chunks import Chunk, cut_chunks, verified
from chain.state.nodes import KEY_BITS
from chain.state.pages import bits_of, page_key
from chain.state.proofs import Step
from chain.state.tree import cut_pages
from chain.types import Hash32, StateKey

KEYS = st.builds(
    lambda head, tail: StateKey((head + bytes(32))[: 32 - len(tail)] + tail),
    st.sampled_from([b"", b"\xff" * 30, b"\x80", b"\x12\x34", b"\x12\x35", bytes(31)]),
    st.binary(min_size=1, max_size=3),
)
STATES = st.dictionaries(KEYS, st.binary(max_size=12), max_size=200)


def filled(entries: dict[StateKey, bytes]) -> tuple[MemoryKV, StateTree]:
    kv = MemoryKV()
    tree = StateTree.load(kv)
    staged = tree.stage(dict(entries))
    kv.write(staged.writes, sync=Sync.DURABLE)
    tree.apply(staged)
    return kv, tree


def of(chunk: Chunk, root: Hash32) -> bool:
    """Whether the root has this chunk."""
    try:
        verified(root, chunk.place, chunk.data, chunk.path)
    except Invalid:
        return False
    return True


@settings(max_examples=80, deadline=None)
@given(STATES, st.integers(1, 6_000))
def test_chunks_are_the_state_and_build_it_again(entries: dict[StateKey, bytes], limit: int) -> None:
    kv, tree = filled(entries)
    found: dict[StateKey, bytes] = {}
    copy = MemoryKV()
    for chunk in cut_chunks(kv, tree, limit):
        page = verified(tree.root, chunk.place, chunk.data, chunk.path)
        assert len(chunk.data) <= limit or len(cut_pages(chunk.place, page)) == 1
        found |= zip(page.keys, page.values, strict=True)
        copy.write(
            [(page_key(at), cut.to_bytes()) for at, cut in cut_pages(chunk.place, page).items()],
            sync=Sync.DURABLE,
        )
    assert found == entries
    assert list(found) == sorted(entries)
    assert StateTree.load(copy).root == tree.root


@settings(max_examples=60, deadline=None)
@given(STATES.filter(lambda entries: len(entries) > 20), st.data())
def test_a_changed_chunk_is_refused(entries: dict[StateKey, bytes], data: st.DataObject) -> None:
    kv, tree = filled(entries)
    chunk = data.draw(st.sampled_from(list(cut_chunks(kv, tree, 500))))
    bit = data.draw(st.integers(0, 8 * len(chunk.data) - 1))
    changed = bytearray(chunk.data)
    changed[bit >> 3] ^= 1 << (bit & 7)
    assert not of(Chunk(chunk.place, bytes(changed), chunk.path), tree.root)
    size = 36 + int.from_bytes(chunk.data[32:36], "big")
    assert not of(Chunk(chunk.place, chunk.data[size:], chunk.path), tree.root)
    for at, step in enumerate(chunk.path):
        for other in (Step(step.depth, Hash32(bytes(32))), Step(step.depth ^ 1, step.sibling)):
            path = (*chunk.path[:at], other, *chunk.path[at + 1 :])
            assert not of(Chunk(chunk.place, chunk.data, path), tree.root)


def test_half_of_a_range_is_not_all_of_it() -> None:
    """A wider prefix than the path allows would hide the other half: its separation lies inside the range."""
    entries = {StateKey(bytes([first]) + bytes(31)): b"v" for first in range(0, 256, 4)}
    kv, tree = filled(entries)
    for chunk in cut_chunks(kv, tree, 700):
        assert of(chunk, tree.root)
        if chunk.place > 1:
            assert not of(Chunk(chunk.place >> 1, chunk.data, chunk.path), tree.root)


@pytest.mark.parametrize("place", [0, -1, 1 << (KEY_BITS + 1)])
def test_a_place_outside_the_tree_is_refused(place: int) -> None:
    with pytest.raises(Invalid, match="STATE_CHUNK"):
        verified(Hash32(bytes(32)), place, b"", ())


def test_a_chunk_may_be_one_entry_with_all_bits_of_its_key() -> None:
    entries = {StateKey(bytes(31) + bytes([last])): b"v" for last in range(40)}
    kv, tree = filled(entries)
    chunks = list(cut_chunks(kv, tree, 1))
    assert max(bits_of(chunk.place) for chunk in chunks) > 250
    assert all(of(chunk, tree.root) for chunk in chunks)
    key = StateKey(bytes(32))
    proof = tree.prove(key)
    assert proof is not None
    whole = Chunk(1 << KEY_BITS | int.from_bytes(key, "big"), key + (1).to_bytes(4, "big") + b"v", proof.path)
    assert of(whole, tree.root)
