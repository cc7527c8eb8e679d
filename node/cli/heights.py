"""Heights with the time at which they are expected, by the network's target block time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.amounts import span

if TYPE_CHECKING:
    from node.wallet import Situation


@dataclass(frozen=True, slots=True)
class Heights:
    """What turns a height into words: where the chain is, and how fast it should go."""

    now: int
    block_time_ms: int

    @staticmethod
    def of(situation: Situation) -> Heights:
        return Heights(situation.height, situation.spec.pace.block_time_ms)

    def at(self, height: int) -> str:
        """A height with its distance: height 103, in about 3 min."""
        if height == self.now:
            return f"height {height}, now"
        distance = f"about {self.blocks(abs(height - self.now))}"
        return f"height {height}, {f'in {distance}' if height > self.now else f'{distance} ago'}"

    def blocks(self, count: int) -> str:
        """How long so many blocks should take."""
        return span(count * self.block_time_ms // 1_000)
