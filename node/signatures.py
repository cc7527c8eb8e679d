"""Checking the signatures of many transactions on all cores; libsodium releases the interpreter lock meanwhile.

Chunks of a block go to threads, never single signatures: handing one over costs about as much as half of its check.
Nothing else of the node runs beside them: a thread that executes Python would keep the lock from them for
milliseconds at a time, so the transition begins when they are done.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from vm.envelope import check_signatures
from vm.execute import Parsed

CORES = len(os.sched_getaffinity(0))
CHUNK = 64
"""The least that is worth a thread, in signatures: about 4 ms of work."""
CHUNKS_PER_THREAD = 4
"""More than one, so that no thread idles long behind one that was interrupted."""


def check_authorisations(parsed: Sequence[Parsed], threads: int = CORES) -> None:
    """Every transaction carries the signatures it must.  Raises: Invalid BAD_AUTH of the first that does not."""
    size = max(CHUNK, -(-len(parsed) // (threads * CHUNKS_PER_THREAD)))
    chunks = [parsed[first : first + size] for first in range(0, len(parsed), size)]
    if threads == 1 or len(chunks) == 1:
        _check_chunk(parsed)
        return
    with ThreadPoolExecutor(threads) as pool:
        for result in [pool.submit(_check_chunk, chunk) for chunk in chunks]:
            result.result()


def _check_chunk(parsed: Sequence[Parsed]) -> None:
    for each in parsed:
        check_signatures(each.transaction, each.id)
