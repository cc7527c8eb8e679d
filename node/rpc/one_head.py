"""Reads that belong to one block, although other tasks run between them.  Spec: [STATE-READ].

A method that never waits sees one head: blocks are imported between its steps only where it lets go. One that reads
much lets other tasks run in between, and then a block may come; such a read is done again from its beginning.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from chain.errors import TileworkError, TooEarly
from node.rpc.backend import ChainView

T = TypeVar("T")
ATTEMPTS = 5
"""The longest reads take a fraction of the shortest time between blocks."""


async def at_one_head(chain: ChainView, read: Callable[[], Awaitable[T]]) -> T:
    """What `read` answers when no block came while it ran; a refusal counts as an answer.

    Raises: TooEarly STATE_MOVED if blocks come faster than they can be read, and what `read` raises.
    """
    for _ in range(ATTEMPTS):
        head = chain.head
        try:
            answer = await read()
        except TileworkError:
            if chain.head == head:
                raise
            continue
        if chain.head == head:
            return answer
    raise TooEarly(
        "STATE_MOVED",
        found=f"a new block during each of {ATTEMPTS} attempts",
        allowed="a read that begins and ends at one block",
        hint="Ask again, or for less at once.",
    )
