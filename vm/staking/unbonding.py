"""Stake on its way back into a balance.  Spec: [STAKE-UNBOND].

It is written nowhere but on the agenda: the step that pays it out carries whose it is and how much. Until then it is
locked, though it counts in no weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from chain.codec import U63, Raw
from chain.doc import Doc
from chain.ledger import AgendaItem, AgendaKind
from chain.types import Address, Grains
from vm.context import Context
from vm.events import Happening
from vm.jobs.lifecycle import weights_retention_epochs


@dataclass(frozen=True, slots=True)
class Unbonded(Happening):
    """Withdrawn stake can be spent."""

    staker: Annotated[Address, Raw(20), Doc("by whom")]
    amount_grains: Annotated[Grains, U63, Doc("how much")]


def unbonding_blocks(context: Context) -> int:
    """How long withdrawn stake stays locked: as long as weights frozen with it can still draw a committee."""
    return weights_retention_epochs(context) * context.spec.pace.epoch_blocks


def begin(context: Context, staker: Address, amount_grains: int) -> int:
    """Pay locked coins, which the caller took from a stake, to their owner when the time has come; returns when."""
    height = context.height + unbonding_blocks(context)
    context.schedule(height, AgendaKind.STAKE_UNBONDED, staker, amount_grains)
    return height


def release(context: Context, item: AgendaItem) -> None:
    """The time has come."""
    staker, amount_grains = Address(item.subject[:20]), item.number
    context.unlock(amount_grains)
    context.credit(staker, amount_grains)
    context.emit(Unbonded(staker, Grains(amount_grains)))


STEPS = {AgendaKind.STAKE_UNBONDED: release}
