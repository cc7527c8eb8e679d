"""Changes on top of a state that is itself left alone.  Spec: [STATE-DIFF].

A block runs on one overlay over the tree, each transaction on a child of it: `merge` keeps what the
transaction did, dropping the child undoes it.

Entries keep their decoded form beside their bytes: a transfer alone reads the record of its sender three times. A
record of a few numbers is encoded only when its bytes are asked for, at the end of a block as a rule: the counters of
the chain change with every transaction. Reads of the base are remembered too, so it must not change while an overlay
over it is in use.
"""

from __future__ import annotations

from typing import TypeVar

from chain.codec import Record
from chain.errors import Invalid
from chain.state.reader import MAX_VALUE_BYTES, StateReader
from chain.types import StateKey

R = TypeVar("R", bound=Record)
_Entry = tuple[bytes | None, Record | None]
"""The bytes under a key and the record that is the same, either once somebody asked for it; neither: nothing."""
_NOTHING: _Entry = None, None


class Overlay:
    """A writable view of `base`; reading falls through to it."""

    __slots__ = ("_base", "_changes", "_layers", "_parent", "_seen")

    def __init__(self, base: StateReader, parent: Overlay | None = None) -> None:
        """A view of `base`, on top of the changes of `parent`, if there is one."""
        self._base = base
        self._parent = parent
        self._changes: dict[StateKey, _Entry] = {}
        self._seen: dict[StateKey, _Entry] = parent._seen if parent else {}
        self._layers: tuple[dict[StateKey, _Entry], ...] = (
            (self._changes, *parent._layers) if parent else (self._changes, self._seen)
        )
        """Where an entry may be found before the base is asked: the first that has it is right."""

    def get(self, key: StateKey, /) -> bytes | None:
        for layer in self._layers:
            if key in layer:
                return _encoded(layer, key)
        data = self._base.get(key)
        self._seen[key] = data, None
        return data

    def load(self, key: StateKey, kind: type[R]) -> R | None:
        """The record under `key`, decoded; None if there is none.  Raises: Invalid ENC_* if it is of another kind."""
        for layer in self._layers:
            entry = layer.get(key)
            if entry is not None:
                record = entry[1]
                if type(record) is kind:
                    return record
                data = _encoded(layer, key)
                break
        else:
            layer, data = self._seen, self._base.get(key)
        found = kind.from_bytes(data) if data is not None else None
        layer[key] = data, found
        return found

    def put(self, key: StateKey, value: bytes) -> None:
        """Set `value` under `key`.  Raises: Invalid STATE_VALUE if it is too large."""
        self._put(key, value, None)

    def store(self, key: StateKey, record: Record) -> None:
        """Set a record under `key`.  Raises: Invalid STATE_VALUE, or ENC_* if a field is out of its bounds."""
        if record.is_sure():
            self._changes[key] = None, record
        else:
            self._put(key, record.to_bytes(), record)

    def delete(self, key: StateKey) -> None:
        """Remove `key`; nothing happens if it is absent."""
        self._changes[key] = _NOTHING

    def child(self) -> Overlay:
        """A nested overlay; its changes reach this one only by `merge`."""
        return Overlay(self._base, self)

    def merge(self, child: Overlay) -> None:
        """Take over the changes of a child of this overlay."""
        assert child._parent is self
        self._changes.update(child._changes)

    def changes(self) -> dict[StateKey, bytes | None]:
        """What was put (a value) or deleted (None), by ascending key whatever the order of the writes."""
        return {key: _encoded(self._changes, key) for key in sorted(self._changes)}

    def _put(self, key: StateKey, value: bytes, record: Record | None) -> None:
        if len(value) > MAX_VALUE_BYTES:
            raise Invalid(
                "STATE_VALUE", found=f"{len(value)} bytes", allowed=f"at most {MAX_VALUE_BYTES} bytes"
            )
        self._changes[key] = value, record


def _encoded(layer: dict[StateKey, _Entry], key: StateKey) -> bytes | None:
    """The bytes of an entry, which is there."""
    data, record = layer[key]
    if data is None and record is not None:
        data = record.to_bytes()
        layer[key] = data, record
    return data
