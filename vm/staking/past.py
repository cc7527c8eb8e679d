"""What a delegation was worth when an epoch began.  Spec: [STAKE-PAST].

Votes count by the weights frozen when voting starts, and stake moves while people vote. A delegation remembers its last
changes; what it had before the oldest of them is not known any more and counts as nothing. It remembers grains, for the
shares of a pool can be worth less later; what was slashed before a delegation changed counts no more either.
"""

from __future__ import annotations

from chain.ledger import MAX_PAST_STAKES, Delegation, PastStake
from chain.types import Grains


def remembering(delegation: Delegation, epoch: int, worth_grains: int) -> tuple[PastStake, ...]:
    """The past of a delegation that is about to change in this epoch; a new one had nothing until now."""
    past = delegation.past
    if past and past[-1].epoch == epoch:
        return past
    past = (*past, PastStake(epoch, Grains(worth_grains)))
    if len(past) > MAX_PAST_STAKES:
        return PastStake(past[1].epoch, Grains(0)), *past[2:]
    return past


def grains_at(delegation: Delegation, epoch: int, worth_grains: int) -> int:
    """What it was worth when an epoch began, this one or an earlier one; given what it is worth now."""
    for each in delegation.past:
        if epoch <= each.epoch:
            return each.stake_grains
    return worth_grains
