"""Telling tasks that something happened, without queues that can fill: a task that was busy sees the latest state."""

from __future__ import annotations

import trio


class Feed:
    """A counter one can wait on."""

    def __init__(self) -> None:
        self.version = 0
        self._changed = trio.Event()

    def publish(self) -> None:
        """Something happened."""
        self.version += 1
        self._changed.set()
        self._changed = trio.Event()

    async def after(self, version: int) -> int:
        """Wait until the version is not `version` any more and return the new one."""
        while self.version == version:
            await self._changed.wait()
        return self.version
