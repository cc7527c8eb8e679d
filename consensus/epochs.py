"""Epoch boundaries: freezing the weights from which committees are drawn.  Spec: [EPOCH-*]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from chain.codec import U63, Raw
from chain.doc import Doc
from chain.ledger import AgendaItem, AgendaKind, Namespace, WeightSnapshot, height_key
from chain.types import Address, Grains
from vm.context import Context
from vm.events import Happening
from vm.governance.work import forget_work
from vm.jobs.lifecycle import weights_retention_epochs
from vm.staking.pools import share_rewards, weight_of
from vm.staking.validators import forget_if_empty, load_validator, put_addresses, validator_addresses


@dataclass(frozen=True, slots=True)
class ValidatorLeft(Happening):
    """A validator's stake had fallen below the minimum, or it is in jail: it is drawn for no committee any more."""

    validator: Annotated[Address, Raw(20), Doc("the account")]
    stake_grains: Annotated[Grains, U63, Doc("what is left of its stake")]


@dataclass(frozen=True, slots=True)
class EpochStarted(Happening):
    """The weights of an epoch are frozen."""

    epoch: Annotated[int, U63, Doc("its number")]
    validators: Annotated[int, U63, Doc("how many have weight")]
    stake_grains: Annotated[Grains, U63, Doc("their stake together")]


def start_epoch(context: Context) -> None:
    """At the first block of an epoch, freeze every validator's stake before any transaction runs [EPOCH-FREEZE]."""
    length = context.spec.pace.epoch_blocks
    if context.height % length:
        return
    epoch = context.height // length
    _retire(context)
    weights = tuple(weight_of(context, load_validator(context, v), v) for v in validator_addresses(context))
    context.state.put(height_key(Namespace.WEIGHTS, epoch), WeightSnapshot(epoch, weights).to_bytes())
    past = epoch - 1  # scheduled one epoch late, so that the snapshot of genesis goes like the others
    context.schedule(
        (past + weights_retention_epochs(context.spec)) * length, AgendaKind.WEIGHTS_PRUNED, b"", past
    )
    share_rewards(context, weights)
    context.emit(EpochStarted(epoch, len(weights), Grains(sum(w.stake_grains for w in weights))))


def _retire(context: Context) -> None:
    """Whoever has too little stake or is in jail leaves the list [STAKE-LEAVE], [STAKE-JAIL]."""
    listed = validator_addresses(context)
    leaving = {}
    for address in listed:
        validator = load_validator(context, address)
        if validator.jailed or validator.stake_grains < context.spec.money.minimum_stake_grains:
            leaving[address] = validator.stake_grains
    if leaving:
        put_addresses(context, tuple(address for address in listed if address not in leaving))
    for address, stake_grains in leaving.items():
        forget_if_empty(context, address)
        context.emit(ValidatorLeft(address, stake_grains))


def prune_weights(context: Context, item: AgendaItem) -> None:
    """Forget a snapshot no job and no vote can refer to any more, and the work that was voted with beside it."""
    context.state.delete(height_key(Namespace.WEIGHTS, item.number))
    forget_work(context.state, item.number - 1)


STEPS = {AgendaKind.WEIGHTS_PRUNED: prune_weights}
