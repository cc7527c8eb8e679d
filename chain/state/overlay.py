"""Changes on top of a state that is itself left alone.  Spec: [STATE-DIFF].

A block runs on one overlay over the tree, each transaction on a child of it: `merge` keeps what the
transaction did, dropping the child undoes it.
"""

from __future__ import annotations

from chain.errors import Invalid
from chain.state.reader import MAX_VALUE_BYTES, StateReader
from chain.types import StateKey


class Overlay:
    """A writable view of `base`; reading falls through to it."""

    __slots__ = ("_base", "_changes")

    def __init__(self, base: StateReader) -> None:
        self._base = base
        self._changes: dict[StateKey, bytes | None] = {}

    def get(self, key: StateKey, /) -> bytes | None:
        if key in self._changes:
            return self._changes[key]
        return self._base.get(key)

    def put(self, key: StateKey, value: bytes) -> None:
        """Set `value` under `key`.  Raises: Invalid STATE_VALUE if it is too large."""
        if len(value) > MAX_VALUE_BYTES:
            raise Invalid(
                "STATE_VALUE", found=f"{len(value)} bytes", allowed=f"at most {MAX_VALUE_BYTES} bytes"
            )
        self._changes[key] = value

    def delete(self, key: StateKey) -> None:
        """Remove `key`; nothing happens if it is absent."""
        self._changes[key] = None

    def child(self) -> Overlay:
        """A nested overlay; its changes reach this one only by `merge`."""
        return Overlay(self)

    def merge(self, child: Overlay) -> None:
        """Take over the changes of a child of this overlay."""
        assert child._base is self
        self._changes.update(child._changes)

    def changes(self) -> dict[StateKey, bytes | None]:
        """What was put (a value) or deleted (None), by ascending key whatever the order of the writes."""
        return {key: self._changes[key] for key in sorted(self._changes)}
