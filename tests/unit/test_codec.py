"""What the encoding accepts and refuses, value by value.  Spec: [ENC-*]."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any, ClassVar

import pytest

from chain.codec import BigUint, Blob, OneOf, Raw, Record, Seq, Text, Uint, WireType, layout, pack, unpack
from chain.errors import Invalid
from chain.ints import U63_MAX
from tests.outside import outside


class Colour(IntEnum):
    RED = 1
    GREEN = 3


@dataclass(frozen=True, slots=True)
class Inner(Record):
    number: Annotated[int, Uint()]


@dataclass(frozen=True, slots=True)
class Sample(Record):
    MAX_BYTES: ClassVar[int] = 200

    name: Annotated[str, Text(8)]
    total: Annotated[int, BigUint(16)]
    inner: Inner
    numbers: Annotated[tuple[int, ...], Seq(Uint(300), 4)]


SAMPLE = Sample("tile", 5, Inner(7), (1, 200, 300))
GOLDEN = "94a474696c65c4100000000000000000000000000000000591079301ccc8cd012c"


def test_golden_encoding() -> None:
    """Fixed for ever, byte by byte."""
    assert SAMPLE.to_bytes().hex() == GOLDEN
    assert Sample.from_bytes(bytes.fromhex(GOLDEN)) == SAMPLE
    assert [name for name, _ in layout(Sample)] == ["name", "total", "inner", "numbers"]


def test_a_record_longer_than_its_bound_is_not_even_decoded() -> None:
    with pytest.raises(Invalid, match="ENC_SIZE: found 201 bytes, allowed at most 200 bytes"):
        Sample.from_bytes(bytes(201))


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Uint(), [0, U63_MAX], [-1, U63_MAX + 1, True, False, 1.0, b"\1", "1", None]),
        (Uint(9, 2), [2, 9], [1, 10]),
        (Raw(3), [b"abc"], [b"ab", b"abcd", "abc", bytearray(b"abc"), 3, None]),
        (Blob(3), [b"", b"abc"], [b"abcd", "abc", None]),
        (Text(4), ["", "abcd", "éé"], ["abcde", "ééé", b"abc", "\ud800", None]),
        (Seq(Uint(), 3, 1), [(1,), (1, 2, 3)], [(), (1, 2, 3, 4), [1], (True,), None]),
        (OneOf(Colour), [Colour.RED, Colour.GREEN], [0, 2, 4]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, WireType) else "",
)
def test_bounds_of_wire_types(kind: WireType, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        assert kind.decode(unpack(pack(kind.encode(value)))) == value
    for value in bad:
        with pytest.raises(Invalid):
            kind.encode(value)
        with pytest.raises(Invalid):
            kind.decode(value)


def test_big_integers_have_a_fixed_width() -> None:
    kind = BigUint(4)
    assert kind.encode(1) == bytes([0, 0, 0, 1])
    assert kind.decode(b"\xff" * 4) == (1 << 32) - 1
    for value in (-1, 1 << 32, True, b"1234"):
        with pytest.raises(Invalid, match="ENC_INT"):
            kind.encode(value)
    for wire in (1, b"\1", bytes(5)):
        with pytest.raises(Invalid, match="ENC_BYTES"):
            kind.decode(wire)


def test_a_record_stands_only_where_its_class_is_asked_for() -> None:
    with pytest.raises(Invalid, match="ENC_RECORD: found Sample, allowed Inner"):
        Sample("tile", 5, SAMPLE, ()).to_bytes()  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Numeral(Record):
    value: Annotated[int, Uint()]


@dataclass(frozen=True, slots=True)
class Bytes(Record):
    value: Annotated[bytes, Blob(1 << 16)]


@dataclass(frozen=True, slots=True)
class Words(Record):
    value: Annotated[str, Text(1024)]


def test_outside_msgpack_vectors() -> None:
    """Of all encodings of a value, exactly the shortest one of the right type is accepted as a field."""
    accepted = 0
    for cases in json.loads(outside("msgpack/msgpack-test-suite.json").read_text()).values():
        for case in cases:
            for text in case["msgpack"]:
                data = b"\x91" + bytes.fromhex(text.replace("-", ""))
                outcomes = {record: _decoded(record, data) for record in (Numeral, Bytes, Words)}
                taken = {record: value.value for record, value in outcomes.items() if value is not None}
                assert taken == _expected(case, text), (case, text)
                accepted += len(taken)
    assert accepted > 20


def _decoded(record: type[Record], data: bytes) -> Any:
    try:
        return record.from_bytes(data)
    except Invalid:
        return None


NEVER = ("d0", "d1", "d2", "d3", "ca", "cb")
"""First bytes of signed integers and floats, which never carry a non-negative integer."""


def _expected(case: dict[str, Any], text: str) -> dict[type[Record], Any]:
    if text != min(case["msgpack"], key=lambda other: (other[:2] in NEVER, len(other))):
        return {}
    if "binary" in case:
        return {Bytes: bytes.fromhex(case["binary"].replace("-", ""))}
    if "string" in case:
        return {Words: case["string"]}
    number = int(case["bignum"]) if "bignum" in case else case.get("number")
    if isinstance(number, int) and 0 <= number <= U63_MAX:
        return {Numeral: number}
    return {}


@pytest.mark.parametrize(
    "data",
    [
        b"\xdd\xff\xff\xff\xff",  # array that claims 2^32 items
        b"\xc6\xff\xff\xff\xff",  # bytes that claim 4 GiB
        b"\xdb\xff\xff\xff\xff",  # text that claims 4 GiB
        b"\x91" * 5000 + b"\xc0",  # nesting
        b"\x81\x01\x02",  # map
        b"\xd6\xff\x5a\x4a\xf6\xa5",  # timestamp
        b"\xa2\xff\xfe",  # text that is not UTF-8
        b"\xc1",  # never used
        b"",
        b"\x01\x02",  # two values
    ],
)
def test_hostile_frames_are_refused(data: bytes) -> None:
    with pytest.raises(Invalid, match="ENC_MSGPACK"):
        unpack(data)
