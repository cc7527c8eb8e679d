"""One product in row panels: which rows are to do, who made which, and the check before anybody is paid for it."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

import numpy as np

from chain.errors import LocalFault
from compute.messages import Load
from compute.spec.arrays import Int8Array
from compute.spec.freivalds import find_wrong_row
from compute.spec.padding import row_panels
from node.feed import Feed

_M = TypeVar("_M")
_ENTRY_BYTES = 4


class Rows(Generic[_M]):
    """int32[rows, columns] little-endian, row-major, filled panel by panel by any number of makers."""

    def __init__(self, rows: int, columns: int) -> None:
        self._columns = columns
        self._todo = deque([(0, rows)])
        self._made: dict[int, tuple[int, _M]] = {}
        self._missing = rows
        self._changed = Feed()
        self.data = bytearray(rows * columns * _ENTRY_BYTES)

    @property
    def is_complete(self) -> bool:
        return not self._missing

    async def take(self, limit: int) -> tuple[int, int] | None:
        """Up to `limit` rows to make, as (first, count); waits for rows to come back, None once all are made."""
        while not self._todo:
            if self.is_complete:
                return None
            await self._changed.after(self._changed.version)
        first, count = self._todo.popleft()
        _, taken = next(iter(row_panels(count, limit)))
        if taken < count:
            self._todo.appendleft((first + taken, count - taken))
        return first, taken

    def give_back(self, first: int, count: int) -> None:
        """Rows that somebody else has to make."""
        self._todo.append((first, count))
        self._changed.publish()

    def put(self, first: int, count: int, product: bytes, maker: _M) -> None:
        """Rows that are made.  Raises: LocalFault WORK_PRODUCT if they are not `count` whole rows."""
        row_bytes = self._columns * _ENTRY_BYTES
        if len(product) != count * row_bytes:
            raise LocalFault(
                "WORK_PRODUCT",
                found=f"a panel of {len(product)} bytes",
                allowed=f"{count} rows of {row_bytes} bytes",
            )
        self.data[first * row_bytes : (first + count) * row_bytes] = product
        self._made[first] = (count, maker)
        self._missing -= count
        self._changed.publish()

    def reopen(self, row: int) -> _M:
        """Open every panel again of the maker of a wrong row; who that was."""
        first = max(start for start in self._made if start <= row)
        culprit = self._made[first][1]
        for start, (count, maker) in list(self._made.items()):
            if maker == culprit:
                del self._made[start]
                self._missing += count
                self.give_back(start, count)
        return culprit


def wrong_row(a: Load, b: Load, product: bytearray, seed: bytes) -> int | None:
    """The first wrong row of A times B, found by the check that a committee makes, or None [FREIVALDS-2].

    `b` is B transposed; `seed` must be unknown to the workers.
    """
    claimed = np.frombuffer(product, "<i4").reshape(a.rows, b.rows)
    return find_wrong_row(_entries(a), _entries(b), claimed, seed)


def _entries(matrix: Load) -> Int8Array:
    return np.frombuffer(matrix.data, np.int8).reshape(matrix.rows, matrix.columns)
