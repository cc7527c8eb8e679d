"""Stake on its way back into a balance.  Spec: [STAKE-UNBOND].

The step on the agenda that pays it out names a record of whose it is, and how much of it. Until then it is locked,
counts in no weight, and answers for the validator it left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from chain.codec import U63, Raw, Record
from chain.doc import Doc
from chain.ints import add, ceil_div
from chain.ledger import AgendaItem, AgendaKind, Namespace, state_key
from chain.types import Address, Grains, StateKey
from vm.context import Context
from vm.events import Happening
from vm.jobs.lifecycle import weights_retention_epochs
from vm.staking.departures import departure_now, load_departure, numbers_of, put_departure


@dataclass(frozen=True, slots=True)
class Unbonded(Happening):
    """Withdrawn stake can be spent."""

    staker: Annotated[Address, Raw(20), Doc("by whom")]
    amount_grains: Annotated[Grains, U63, Doc("how much")]


@dataclass(frozen=True, slots=True)
class Unbonding(Record):
    """What one account has in one pool of what left a validator."""

    operator: Annotated[Address, Raw(20)]
    staker: Annotated[Address, Raw(20)]
    departure: Annotated[int, U63]
    """Number of the pool."""
    entered_grains: Annotated[Grains, U63]
    """When it entered; what is left of it, the pool says."""


def unbonding_key(operator: Address, staker: Address, departure: int) -> StateKey:
    return state_key(Namespace.UNBONDING, operator + staker + departure.to_bytes(8, "big"))


def unbonding_blocks(context: Context) -> int:
    """How long withdrawn stake stays locked: at least as long as weights frozen with it can still count."""
    retained = weights_retention_epochs(context.spec) * context.spec.pace.epoch_blocks
    return max(context.spec.staking.unbonding_blocks, retained)


def begin(context: Context, operator: Address, staker: Address, amount_grains: int, earliest: int = 0) -> int:
    """Pay locked coins, which the caller took from a stake, to their owner when the time has come; returns when.

    Not before the height `earliest`. For nothing, nothing is written down.
    """
    height = max(context.height + unbonding_blocks(context), earliest)
    if amount_grains:
        number, departure = departure_now(context, operator)
        entered = departure.unbonding.plus(amount_grains)
        put_departure(context, operator, number, replace(departure, unbonding=entered))
        key = unbonding_key(operator, staker, number)
        before = context.state.load(key, Unbonding)
        amount = add(before.entered_grains if before is not None else 0, amount_grains)
        context.state.store(key, Unbonding(operator, staker, number, Grains(amount)))
        context.schedule(height, AgendaKind.STAKE_UNBONDED, key, amount_grains)
    return height


def release(context: Context, item: AgendaItem) -> None:
    """The time has come; what answered for a redelegation in the meantime is not there any more."""
    record = context.state.load(StateKey(item.subject), Unbonding)
    if record is None:
        return
    amount = _take(context, record, min(item.number, record.entered_grains))
    context.unlock(amount)
    context.credit(record.staker, amount)
    context.emit(Unbonded(record.staker, Grains(amount)))


def seize(context: Context, operator: Address, staker: Address, wanted_grains: int) -> int:
    """Take back up to so many grains that an account is unbonding, the oldest first; returns the locked coins taken."""
    taken = 0
    for number in numbers_of(context, operator):
        if taken == wanted_grains:
            break
        record = context.state.load(unbonding_key(operator, staker, number), Unbonding)
        if record is None:
            continue
        part = load_departure(context, operator, number).unbonding
        if part.left_grains:
            needed = ceil_div((wanted_grains - taken) * part.entered_grains, part.left_grains)
            taken += _take(context, record, min(needed, record.entered_grains))
    return taken


def _take(context: Context, record: Unbonding, entered: int) -> int:
    """Let somebody out of a pool, or a part of what it has there; returns the locked coins it is worth."""
    departure = load_departure(context, record.operator, record.departure)
    amount = departure.unbonding.worth(entered)
    left = replace(departure, unbonding=departure.unbonding.minus(entered))
    put_departure(context, record.operator, record.departure, left)
    key = unbonding_key(record.operator, record.staker, record.departure)
    if record.entered_grains > entered:
        context.state.store(key, replace(record, entered_grains=Grains(record.entered_grains - entered)))
    else:
        context.state.delete(key)
    return amount


STEPS = {AgendaKind.STAKE_UNBONDED: release}
