"""Which jobs are under way, found from the events of canonical blocks.

A node must never lose sight of a job somebody has put a bond on, however many new ones are opened meanwhile: opening
is cheap, missing a window is not.
"""

from __future__ import annotations

from chain.ledger import Namespace, state_key
from chain.types import BlockHash, JobId
from node.chain import Chain
from vm.jobs.record import Job, Status

_KEPT_BLOCKS = 64
"""A reorg deeper than this makes the watch read a whole job's life of blocks again."""
_UNDER_WAY = (Status.CLAIMED, Status.COMMITTED, Status.ESCALATED)


class JobWatch:
    """Follows one chain; ask it after every change of the head."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._jobs: dict[JobId, None] = {}
        self._seen: dict[int, BlockHash] = {}

    def under_way(self) -> list[JobId]:
        """Jobs claimed and not ended, the oldest claims first."""
        for height in range(self._last_common_height() + 1, self._chain.head.height + 1):
            self._read(height)
        for height in [height for height in self._seen if height <= self._chain.head.height - _KEPT_BLOCKS]:
            del self._seen[height]
        for identity in [identity for identity in self._jobs if not self._is_under_way(identity)]:
            del self._jobs[identity]
        return list(self._jobs)

    def _last_common_height(self) -> int:
        """The highest block read that is still canonical, else the last before any job under way can be claimed."""
        for height in sorted(self._seen, reverse=True):
            if self._chain.block_hash_at(height) == self._seen[height]:
                return height
            del self._seen[height]
        rules = self._chain.rules.jobs
        longest = rules.deadline_maximum_blocks + rules.settle_offset + rules.second_round_blocks
        return max(0, self._chain.head.height - longest)

    def _read(self, height: int) -> None:
        block = self._chain.block_hash_at(height)
        assert block is not None
        for receipt in self._chain.receipts(block)[1:]:
            for event in receipt.events:
                if event.name == "JobClaimed":
                    job = event.values[0]
                    assert isinstance(job, bytes)
                    self._jobs[JobId(job)] = None
        self._seen[height] = block

    def _is_under_way(self, identity: JobId) -> bool:
        data = self._chain.state.get(state_key(Namespace.JOB, identity))
        return data is not None and Job.from_bytes(data).status in _UNDER_WAY
