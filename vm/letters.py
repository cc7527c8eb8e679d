"""Which texts may stand where people read them.  Spec: [TX-TEXT]."""

from __future__ import annotations

_HIDDEN = (
    *range(0x20),
    *range(0x7F, 0xA0),
    *range(0x200B, 0x2010),
    *range(0x2028, 0x202F),
    *range(0x2066, 0x2070),
)
_INVISIBLE = frozenset(map(chr, _HIDDEN))
"""Control characters, and those that reorder or hide others; a fixed list, because tables of Unicode change."""


def shown(text: str) -> bool:
    """Whether a person sees all of a text, and in its order."""
    return bool(text) and _INVISIBLE.isdisjoint(text)
