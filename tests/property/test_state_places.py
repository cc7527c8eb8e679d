"""Hashes of places against the definition, whatever lies in the block of memory and what beside it.

Spec: [STATE-ROOT], [STATE-PAGE].
"""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.hashing import Tag, h256
from chain.state.nodes import EMPTY_ROOT, KEY_BITS, node_hash
from chain.state.places import FIRST_DENSE_BITS, PlaceHashes, apart, root_over
from chain.types import Hash32

EMPTY = bytes(EMPTY_ROOT)


def cut(numbers: random.Random, place: int, leaves: int, deepest: int) -> list[int]:
    """Some places under one, none above another, by ascending keys."""
    if leaves <= 1 or place.bit_length() > deepest:
        return [place] if leaves else []
    left = numbers.choice([0, leaves // 2, leaves, numbers.randint(0, leaves)])
    return cut(numbers, 2 * place, left, deepest) + cut(numbers, 2 * place + 1, leaves - left, deepest)


def reference(hashes: dict[int, bytes], place: int) -> bytes:
    """The definition: a node exists only where both sides hold something."""
    if place in hashes:
        return hashes[place]
    if not any(each >> (each.bit_length() - place.bit_length()) == place for each in hashes if each > place):
        return EMPTY
    left, right = reference(hashes, 2 * place), reference(hashes, 2 * place + 1)
    if EMPTY in (left, right):
        return right if left == EMPTY else left
    return node_hash(place.bit_length() - 1, left, right)


@given(st.integers(0, 1 << 30), st.integers(1, 40), st.sampled_from([4, 9, 14, 40, KEY_BITS]))
def test_changes_make_what_the_definition_says(seed: int, leaves: int, deepest: int) -> None:
    numbers = random.Random(seed)
    places = cut(numbers, 1, leaves, deepest)
    model = {place: bytes(h256(Tag.STATE_LEAF, b"%d" % place)) for place in places}
    hashes = PlaceHashes()
    hashes.update(hashes.rehashed(model.items()))
    assert hashes.root == reference(model, 1) == root_over({k: Hash32(v) for k, v in model.items()})
    changed = {place: numbers.choice([EMPTY, b"x" * 32]) for place in places if numbers.random() < 0.5}
    before = hashes.root
    fresh = hashes.rehashed(changed.items())
    assert hashes.root == before, "it changes nothing itself"
    hashes.update(fresh)
    left = {place: value for place, value in (model | changed).items() if value != EMPTY}
    for place in {each >> up for each in places for up in range(each.bit_length())}:
        assert hashes.get(place) == reference(left, place)
    for place in left:
        spare = KEY_BITS + 1 - place.bit_length()
        inside = (place << spare) + numbers.getrandbits(KEY_BITS) % (1 << spare)
        assert hashes.locate(inside - (1 << KEY_BITS)) == place


def test_the_block_of_memory_grows_with_the_state() -> None:
    bits = FIRST_DENSE_BITS + 3
    places = range(1 << bits, 2 << bits)
    hashes = PlaceHashes()
    grown = {}
    for first in range(0, len(places), 1000):
        batch = [
            (place, bytes(h256(Tag.STATE_LEAF, b"%d" % place))) for place in places[first : first + 1000]
        ]
        grown |= batch
        hashes.update(hashes.rehashed(batch))
    assert [hashes.get(place) for place in places] == list(grown.values())
    level = list(grown.values())
    for depth in reversed(range(bits)):
        level = [node_hash(depth, *pair) for pair in zip(level[::2], level[1::2], strict=True)]
        assert [hashes.get(place) for place in range(1 << depth, 2 << depth)] == level


def test_places_that_overlap_have_no_root() -> None:
    digest = Hash32(b"x" * 32)
    assert apart(0b100, 0b101)
    assert apart(0b1011, 0b11)
    assert not apart(0b10, 0b100)
    assert not apart(0b100, 0b10)
    assert not apart(0b101, 0b100)
    with pytest.raises(ValueError, match="above"):
        root_over({0b10: digest, 0b1011: digest})
