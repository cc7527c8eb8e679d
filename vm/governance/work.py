"""How many blocks of an epoch each miner has won: the power of the work house.  Spec: [GOV-WORK].

One record per epoch, written as blocks are credited to their miners and removed with the weights.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Annotated, ClassVar

from chain.codec import U63, Nested, Raw, Record, Seq
from chain.ledger import MAX_EPOCH_BLOCKS, Namespace, height_key
from chain.state.overlay import Overlay
from chain.types import Address


@dataclass(frozen=True, slots=True)
class BlocksWon(Record):
    """One miner's part of an epoch."""

    miner: Annotated[Address, Raw(20)]
    blocks: Annotated[int, U63]


@dataclass(frozen=True, slots=True)
class EpochWork(Record):
    """Everybody who won a block of an epoch, ascending by address."""

    MAX_BYTES: ClassVar[int] = 1 << 18

    miners: Annotated[tuple[BlocksWon, ...], Seq(Nested(BlocksWon), MAX_EPOCH_BLOCKS)]

    @property
    def blocks(self) -> int:
        """Of all miners together."""
        return sum(each.blocks for each in self.miners)

    def won_by(self, miner: Address) -> int:
        """Blocks of one miner."""
        return sum(each.blocks for each in self.miners if each.miner == miner)


NO_WORK = EpochWork(())


def work_of(state: Overlay, epoch: int) -> EpochWork:
    """What was won in an epoch; nothing in one that never was, or is forgotten."""
    if epoch < 0:
        return NO_WORK
    return state.load(height_key(Namespace.EPOCH_WORK, epoch), EpochWork) or NO_WORK


def count_block(state: Overlay, epoch: int, miner: Address) -> None:
    """One more block of this epoch is this miner's."""
    miners = list(work_of(state, epoch).miners)
    place = bisect_left(miners, miner, key=lambda each: each.miner)
    if place < len(miners) and miners[place].miner == miner:
        miners[place] = BlocksWon(miner, miners[place].blocks + 1)
    else:
        miners.insert(place, BlocksWon(miner, 1))
    state.store(height_key(Namespace.EPOCH_WORK, epoch), EpochWork(tuple(miners)))


def forget_work(state: Overlay, epoch: int) -> None:
    """No vote can count it any more."""
    if epoch >= 0:
        state.delete(height_key(Namespace.EPOCH_WORK, epoch))
