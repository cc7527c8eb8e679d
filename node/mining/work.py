"""What a miner works on and where it comes from: the node in the same process, or one that is asked over RPC."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from chain.types import BlockHash

WORK_RULES = 1
"""Version of docs/spec/work.md that a node and its miners must share."""


@dataclass(frozen=True, slots=True)
class Work:
    """One block template as a miner sees it."""

    version: int
    """Names the template at its node; never used twice, also across restarts of the node."""
    sigma: bytes
    """The header without its certificate hash: what attempts are made over."""
    target: int
    profile_id: int
    height: int
    parent: BlockHash
    block_time_ms: int


class Outcome(Enum):
    """What became of a win; the values are what the RPC says."""

    ACCEPTED = "accepted"
    STALE = "stale"
    """The head has moved, or another win of the same height came first."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Submission:
    """The answer to a win."""

    outcome: Outcome
    reason: str = ""
    """Code and text of a refusal."""
    block: BlockHash | None = None
    """The block it became; None unless accepted."""


class WorkSource(Protocol):
    """Hands out the newest work and takes wins."""

    async def newest(self, after: int = 0) -> Work | None:
        """The newest work, as soon as its version is not `after`; None if there is none any more, and workers should
        rest until the next call returns."""

    async def submit(self, version: int, certificate: bytes) -> Submission:
        """Hand in a win.  Raises: LocalFault if it could not be delivered."""
