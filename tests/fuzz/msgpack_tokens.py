"""Where the values of a msgpack frame begin and end, for edits that keep the rest of it readable."""

from __future__ import annotations

from dataclasses import dataclass

MAX_TOKENS = 4096
_FIXED = {0xC0: 0, 0xC1: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}
_FIXED |= {0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8, 0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17}
_SIZED = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
_EXTENSIONS = {0xC7: 1, 0xC8: 2, 0xC9: 4}
_NESTED = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}
"""Bytes of the count, values per item."""


@dataclass(frozen=True, slots=True)
class Token:
    """One value: its head at `start`, its contents from `body`, and what follows it at `end`."""

    start: int
    body: int
    end: int


def tokens(data: bytes) -> list[Token]:
    """Every value in `data`, outermost first, as far as it is well formed; never more than MAX_TOKENS."""
    found: list[Token] = []
    _walk(data, 0, found, depth=0)
    return found


def _walk(data: bytes, at: int, found: list[Token], depth: int) -> int:
    """Record the value at `at`; the place after it, or the end of the data if it does not fit."""
    if at >= len(data) or len(found) >= MAX_TOKENS or depth > 40:
        return len(data)
    place = len(found)
    found.append(Token(at, at, at))
    body, content, items = _head(data, at)
    end = min(body + content, len(data))
    for _ in range(min(items, MAX_TOKENS)):
        if end >= len(data):
            break
        end = _walk(data, end, found, depth + 1)
    found[place] = Token(at, min(body, len(data)), end)
    return end


def _head(data: bytes, at: int) -> tuple[int, int, int]:
    """(place after the head, bytes of contents, values nested inside)."""
    code = data[at]
    if code < 0x80 or code >= 0xE0:
        return at + 1, 0, 0
    if code < 0xA0:
        return at + 1, 0, (code & 15) * (2 if code < 0x90 else 1)
    if code < 0xC0:
        return at + 1, code & 31, 0
    if code in _FIXED:
        return at + 1, _FIXED[code], 0
    width = _SIZED.get(code) or _EXTENSIONS.get(code) or _NESTED[code][0]
    size = int.from_bytes(data[at + 1 : at + 1 + width], "big")
    if code in _SIZED:
        return at + 1 + width, size, 0
    if code in _EXTENSIONS:
        return at + 1 + width, size + 1, 0
    return at + 1 + width, 0, size * _NESTED[code][1]
