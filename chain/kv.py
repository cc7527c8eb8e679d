"""The key-value store as the rest of the program sees it, and an ordered in-memory one.  Spec: [STATE-STORE].

Five methods, so that another engine can replace LevelDB. A batch is atomic: after a crash either all of it is
there or none of it; with `Sync.DURABLE` it is on the disk before `write` returns. Iteration sees the store as
it was when `iterate` was called, whatever is written meanwhile.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Protocol

Batch = Sequence[tuple[bytes, bytes | None]]
"""(key, value) pairs; a value of None deletes. A later pair for the same key wins."""


class Sync(Enum):
    """What `write` promises when it returns."""

    DURABLE = "on disk"
    BUFFERED = "in order after earlier batches; a power cut may lose it, a killed process does not"


class KV(Protocol):
    """An ordered map of byte strings that survives the process."""

    def get(self, key: bytes) -> bytes | None:
        """Value stored under `key`, or None."""

    def write(self, batch: Batch, *, sync: Sync) -> None:
        """Apply the whole batch or nothing."""

    def iterate(self, prefix: bytes, *, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Pairs whose key begins with `prefix` and is not below `start` (a whole key), in key order."""

    def close(self) -> None:
        """Release files and locks; the store must not be used afterwards."""


class MemoryKV:
    """A store that lives as long as the object: tests, simulations, dry runs."""

    __slots__ = ("_keys", "_values")

    def __init__(self) -> None:
        self._keys: list[bytes] = []
        self._values: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        return self._values.get(key)

    def write(self, batch: Batch, *, sync: Sync) -> None:
        del sync  # memory has no slower and no safer way to write
        for key, value in batch:
            if value is not None:
                if key not in self._values:
                    insort(self._keys, key)
                self._values[key] = value
            elif key in self._values:
                del self._values[key]
                del self._keys[bisect_left(self._keys, key)]

    def iterate(self, prefix: bytes, *, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        end = prefix_end(prefix)
        first = bisect_left(self._keys, max(prefix, start))
        last = len(self._keys) if end is None else bisect_left(self._keys, end)
        return iter([(key, self._values[key]) for key in self._keys[first:last]])

    def close(self) -> None:
        self._keys.clear()
        self._values.clear()


def prefix_end(prefix: bytes) -> bytes | None:
    """The smallest key above every key that begins with `prefix`; None if there is no such key."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None
