"""Changes to bytes: blind ones, and ones that know msgpack.  Everything follows from the random generator given."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from random import Random

from tests.fuzz.msgpack_tokens import tokens

MAX_BYTES = 1 << 17
"""Inputs grow no further: what larger ones do is asked by tests of their own."""
INTERESTING = (0, 1, 2, 15, 16, 31, 32, 63, 64, 127, 128, 255, 256, 1023, 1024, 65535, 65536, 1 << 24)
INTERESTING += ((1 << 31) - 1, 1 << 31, (1 << 32) - 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
ODD_VALUES = (
    b"\xc0",
    b"\xc1",
    b"\xc2",
    b"\xc3",
    b"\xca" + bytes(4),
    b"\xcb\x7f\xf8" + bytes(6),
    b"\xcb\x7f\xf0" + bytes(6),
    b"\xff",
    b"\xd3\x80" + bytes(7),
    b"\xcf" + b"\xff" * 8,
    b"\xcf\x7f" + b"\xff" * 7,
    b"\x00",
    b"\x80",
    b"\x90",
    b"\x91\x90",
    b"\x91" * 20 + b"\x90",
    b"\xa0",
    b"\xa2\xff\xfe",
    b"\xa3\xed\xa0\x80",
    b"\xc4\x00",
    b"\xc4\x20" + bytes(32),
    b"\xc7\x00\x05",
    b"\xd6\xff" + bytes(4),
    b"\xd7\xff" + b"\xff" * 8,
    b"\xdd\xff\xff\xff\xff",
    b"\xdc\xff\xff" * 50,
    b"\xc6\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xc9\xff\xff\xff\xff\x01",
)

Mutation = Callable[[bytes, bytes, Random, Sequence[bytes]], bytes]
"""(input, another input, generator, words of the target) to a changed input."""


def mutated(data: bytes, other: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    """`data` after one to six changes; `other` lends pieces."""
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        data = random.choice(MUTATIONS)(data, other, random, words)[:MAX_BYTES]
    return data


def _flip(data: bytes, other: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8))):
        if changed:
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _set(data: bytes, other: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + random.randbytes(1) + data[at + 1 :]


def _cut(data: bytes, other: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    first, last = _range(data, random)
    return data[:first] + data[last:]


def _repeat(data: bytes, other: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    first, last = _range(data, random)
    return data[:last] + data[first:last] * random.choice((1, 2, 20)) + data[last:]


def _insert(data: bytes, other: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + random.randbytes(random.choice((1, 2, 4, 32))) + data[at:]


def _splice(data: bytes, other: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    first, last = _range(other, random)
    at, end = _range(data, random)
    return data[:at] + other[first:last] + data[end if random.random() < 0.5 else at :]


def _truncate(data: bytes, other: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _number(data: bytes, other: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    """A length or count, whatever stands there."""
    layout = random.choice((">B", ">H", ">I", ">Q", "<H", "<I", "<Q"))
    size = struct.calcsize(layout)
    at = random.randrange(len(data) + 1)
    number = (random.choice(INTERESTING) + random.choice((-1, 0, 0, 1))) % (1 << 8 * size)
    return data[:at] + struct.pack(layout, number) + data[at + size :]


def _word(data: bytes, other: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    if not words:
        return _flip(data, other, random, words)
    at, end = _range(data, random)
    return data[:at] + random.choice(words) + data[end if random.random() < 0.5 else at :]


def _token_odd(data: bytes, other: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    """Another kind of value in the place of one."""
    token = random.choice(tokens(data) or [None])
    return data if token is None else data[: token.start] + random.choice(ODD_VALUES) + data[token.end :]


def _token_other(data: bytes, other: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    """A whole value of another input in the place of one."""
    mine, theirs = tokens(data), tokens(other)
    if not mine or not theirs:
        return data
    token, taken = random.choice(mine), random.choice(theirs)
    return data[: token.start] + other[taken.start : taken.end] + data[token.end :]


def _token_twice(data: bytes, other: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    mine = tokens(data)
    if not mine:
        return data
    token = random.choice(mine)
    return data[: token.end] + data[token.start : token.end] + data[token.end :]


def _token_swap(data: bytes, other: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    mine = tokens(data)
    if len(mine) < 3:
        return data
    first, second = sorted(random.sample(mine, 2), key=lambda token: token.start)
    if second.start < first.end:
        return data
    return (
        data[: first.start]
        + data[second.start : second.end]
        + data[first.end : second.start]
        + data[first.start : first.end]
        + data[second.end :]
    )


def _token_head(data: bytes, other: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    """The count or length of a value, without its contents: one off, or a longer form of the same."""
    mine = tokens(data)
    if not mine:
        return data
    token = random.choice(mine)
    code = data[token.start]
    count = int.from_bytes(data[token.start + 1 : token.body], "big")
    if token.body - token.start > 1:
        width = token.body - token.start - 1
        number = (count + random.choice((-1, 1, 1 << 15, 1 << 31))) % (1 << 8 * width)
        return data[: token.start + 1] + number.to_bytes(width, "big") + data[token.body :]
    if 0x90 <= code < 0xA0:
        head = random.choice((bytes([0x90 + (code + 1) % 16]), b"\xdc" + struct.pack(">H", code & 15)))
        return data[: token.start] + head + data[token.body :]
    if code < 0x80:
        return data[: token.start] + b"\xcc" + data[token.start :]
    return data[: token.start] + bytes([(code + 1) & 255]) + data[token.body :]


def _token_grow(data: bytes, other: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    """An array with one item more than it says, and it says so."""
    arrays = [token for token in tokens(data) if 0x90 <= data[token.start] < 0x9F]
    if not arrays:
        return data
    token = random.choice(arrays)
    item = random.choice((*ODD_VALUES, data[token.start : token.end]))
    head = bytes([data[token.start] + 1])
    return data[: token.start] + head + data[token.body : token.end] + item + data[token.end :]


MUTATIONS: tuple[Mutation, ...] = (
    _flip,
    _set,
    _cut,
    _repeat,
    _insert,
    _splice,
    _truncate,
    _number,
    _word,
    _word,
    _token_odd,
    _token_odd,
    _token_other,
    _token_other,
    _token_twice,
    _token_swap,
    _token_head,
    _token_grow,
)


def _range(data: bytes, random: Random) -> tuple[int, int]:
    first = random.randrange(len(data) + 1)
    length = min(random.choice((1, 2, 8, 64, len(data))), len(data) - first)
    return first, first + length
