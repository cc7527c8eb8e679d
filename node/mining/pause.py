"""Pauses between attempts at something that keeps failing."""

from __future__ import annotations


class GrowingPause:
    """Each twice as long as the one before, up to a bound."""

    def __init__(self, first_ms: int, longest_ms: int) -> None:
        self._first_ms = first_ms
        self._longest_ms = longest_ms
        self.next_ms = first_ms

    def take(self) -> int:
        """How long to pause now, in ms."""
        pause_ms, self.next_ms = self.next_ms, min(2 * self.next_ms, self._longest_ms)
        return pause_ms

    def restart(self) -> None:
        """It worked: the next pause is the shortest again."""
        self.next_ms = self._first_ms
