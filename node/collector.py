"""When Python looks for garbage in circles: between blocks, not inside them.

Left alone it looks every 700 new objects, dozens of times per block, and again and again through everything a node
loaded at its start; that is a fifth of the cost of a block of transfers, and what a block leaves behind is freed
without it.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_pauses = 0


def freeze_start() -> None:
    """What exists now, once a process is set up, is taken to stay and is not looked at again."""
    gc.collect()
    gc.freeze()


@contextmanager
def collection_paused() -> Iterator[None]:
    """No search for garbage inside; one through what is new at the end of the outermost pause.

    For the main task, which may pause several times at once.
    """
    global _pauses
    _pauses += 1
    gc.disable()
    try:
        yield
    finally:
        _pauses -= 1
        if not _pauses:
            gc.enable()
            gc.collect(0)
