"""Encoding rules over every wire and stored type of the program.  Spec: [ENC-*]."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain.codec import Record, pack, unpack
from chain.errors import Invalid
from tests.strategies import every_record, records

RECORDS = pytest.mark.parametrize("record", every_record(), ids=lambda r: f"{r.__module__}.{r.__name__}")
MUTATIONS_PER_VALUE = 30


@RECORDS
def test_round_trip(record: type[Record]) -> None:
    """A value decodes from its encoding, and encoding that gives the same bytes again."""

    @settings(max_examples=settings.default.max_examples // 2)
    @given(records(record))
    def check(value: Record) -> None:
        data = value.to_bytes()
        assert record.from_bytes(data) == value
        assert record.from_bytes(data).to_bytes() == data

    check()


@RECORDS
def test_every_other_encoding_is_refused(record: type[Record]) -> None:
    """Wider integers and headers, other types, other field counts, trailing or missing bytes: all Invalid."""

    @settings(max_examples=settings.default.max_examples // 8)
    @given(records(record), st.randoms(use_true_random=False))
    def check(value: Record, random: Any) -> None:
        data = value.to_bytes()
        others = [other for other in _other_encodings(value.to_wire()) if other != data]
        for other in random.sample(others, min(len(others), MUTATIONS_PER_VALUE)):
            with pytest.raises(Invalid):
                record.from_bytes(other)

    check()


@RECORDS
def test_decoding_is_total(record: type[Record]) -> None:
    """Hostile bytes give a value or Invalid, never another error; a value only if the bytes are its encoding."""

    @settings(max_examples=settings.default.max_examples // 3)
    @given(st.binary(max_size=64) | st.recursive(_ATOMS, _arrays, max_leaves=8).map(pack), st.data())
    def check(noise: bytes, data: st.DataObject) -> None:
        good = data.draw(records(record)).to_bytes()
        cut = data.draw(st.integers(0, len(good)))
        for hostile in (noise, good[:cut] + noise, good[:cut] + noise + good[cut + len(noise) :]):
            try:
                value = record.from_bytes(hostile)
            except Invalid:
                continue
            assert value.to_bytes() == hostile

    check()


_ATOMS = st.integers(-5, 1 << 63) | st.binary(max_size=40) | st.text(max_size=8) | st.none() | st.booleans()


def _arrays(items: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(items, max_size=14)


def _other_encodings(wire: list[Any]) -> Iterator[bytes]:
    """Byte strings that mean nearly the same as `wire` to a lenient msgpack decoder."""
    good = pack(wire)
    yield good + b"\xc0"
    yield good + good
    yield good[:-1]
    yield b""
    yield pack([wire])
    yield pack([*wire, 0])
    yield pack(wire[:-1])
    yield b"\xc7" + bytes([min(len(good), 255)]) + b"\x05" + good
    yield from _rewritten(wire)


def _rewritten(node: Any) -> Iterator[bytes]:
    """Encodings of `node` in which one node, itself or one below it, is written in another way."""
    match node:
        case int():
            yield from _other_integers(node)
        case bytes():
            size = len(node)
            yield b"\xc6" + struct.pack(">I", size) + node
            yield b"\xdb" + struct.pack(">I", size) + node
            yield b"\xc9" + struct.pack(">Ib", size, 5) + node
            if size < 1 << 16:
                yield b"\xc5" + struct.pack(">H", size) + node
        case str():
            data = node.encode()
            yield b"\xdb" + struct.pack(">I", len(data)) + data
            yield b"\xc6" + struct.pack(">I", len(data)) + data
        case list():
            items = [pack(item) for item in node]
            yield b"\xdd" + struct.pack(">I", len(items)) + b"".join(items)
            yield b"\xdc" + struct.pack(">H", len(items)) + b"".join(items)
            yield b"\x80" + b"".join(items)
            header = pack(node)[: len(pack(node)) - sum(map(len, items))]
            for at, item in enumerate(node):
                before, after = b"".join(items[:at]), b"".join(items[at + 1 :])
                for other in (*_rewritten(item), b"\xc0", b"\xc3", b"\xcb" + bytes(8)):
                    yield header + before + other + after


def _other_integers(number: int) -> Iterator[bytes]:
    for code, layout in ((0xCC, ">B"), (0xCD, ">H"), (0xCE, ">I"), (0xCF, ">Q")):
        if number < 1 << 8 * struct.calcsize(layout):
            yield bytes([code]) + struct.pack(layout, number)
    for code, layout in ((0xD0, ">b"), (0xD1, ">h"), (0xD2, ">i"), (0xD3, ">q")):
        if number < 1 << 8 * struct.calcsize(layout) - 1:
            yield bytes([code]) + struct.pack(layout, number)
    yield b"\xca" + struct.pack(">f", number)
    yield b"\xcb" + struct.pack(">d", number)
    yield pack(-number - 1)
    yield pack(str(number))
    if number in (0, 1):
        yield b"\xc3" if number else b"\xc2"


def test_unpack_gives_tuples_only() -> None:
    assert unpack(pack([1, [b"x", []]])) == (1, (b"x", ()))
