"""What one family of kinds remembers beside the rest of the state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Item = dict[str, Any]
Entry = tuple[str, int, bytes, list[Any]]
"""What it is, for people; namespace, identifier and value of a state entry."""


class Books:
    """Plain dicts; a subclass keeps them and says what they stand for."""

    @property
    def locked(self) -> int:
        """Coins that are in these books and in nobody's balance."""
        return 0

    def entries(self) -> Iterator[Entry]:
        """Every state entry of the family."""
        return iter(())
