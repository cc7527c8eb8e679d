"""The undo record of a block: what the state held before it, stored in the block's own batch.  Spec: [STATE-UNDO]."""

from __future__ import annotations

from chain.codec import pack, unpack
from chain.errors import Invalid, LocalFault
from chain.state.pages import KEY_BYTES, Change
from chain.types import StateKey

Undo = tuple[Change, ...]
"""(key, previous value; None if the key was absent), by ascending key."""

GROUP = 1 << 15
"""Entries per inner array: no array of the encoding may be longer than 2^16."""


def encode_undo(undo: Undo) -> bytes:
    """Record for the store."""
    entries = [[key] if value is None else [key, value] for key, value in undo]
    return pack([entries[at : at + GROUP] for at in range(0, len(entries), GROUP)])


def decode_undo(data: bytes) -> Undo:
    """Read a record back.  Raises: LocalFault DB_CORRUPT; it was written by ourselves."""
    try:
        groups = unpack(data)
        undo = tuple(
            (StateKey(entry[0]), entry[1] if len(entry) == 2 else None) for g in groups for entry in g
        )
    except (Invalid, TypeError, IndexError, KeyError) as error:
        raise _corrupt() from error
    if any(
        type(key) is not bytes or len(key) != KEY_BYTES or not isinstance(old, bytes | None)
        for key, old in undo
    ):
        raise _corrupt()
    return undo


def _corrupt() -> LocalFault:
    return LocalFault(
        "DB_CORRUPT", found="an unreadable undo record", hint="Check the disk; then resynchronise."
    )
