"""What a delegation had when an epoch began.  Spec: [STAKE-PAST].

Votes count by the weights frozen when voting starts, and stake moves while people vote. A delegation remembers its last
changes; what it had before the oldest of them is not known any more and counts as nothing, so an answer is exact or 0.
"""

from __future__ import annotations

from chain.ledger import MAX_PAST_SHARES, Delegation, PastShares


def remembering(delegation: Delegation, epoch: int) -> tuple[PastShares, ...]:
    """The past of a delegation that is about to change in this epoch; a new one had nothing until now."""
    past = delegation.past
    if past and past[-1].epoch == epoch:
        return past
    past = (*past, PastShares(epoch, delegation.shares))
    if len(past) > MAX_PAST_SHARES:
        return PastShares(past[1].epoch, 0), *past[2:]
    return past


def shares_at(delegation: Delegation, epoch: int) -> int:
    """How many shares it had when an epoch began, this one or an earlier one."""
    for each in delegation.past:
        if epoch <= each.epoch:
            return each.shares
    return delegation.shares
