"""Names of what transactions create.  Spec: [TX-OBJECT]."""

from __future__ import annotations

from chain.codec import pack
from chain.hashing import Tag, h256
from chain.types import Address, Hash32


def object_id(tag: Tag, sender: Address, nonce: int, place: int | None = None) -> Hash32:
    """By sender and nonce, which occur together once, and by the place in a batch, if it was made in one."""
    return h256(tag, pack([sender, nonce] if place is None else [sender, nonce, place]))
