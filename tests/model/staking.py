"""Stake on the naive state: leaving, and taking it out.  Spec: [STAKE-*]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genesis.spec import ChainSpec
from tests.model.forms import require
from tests.model.state import UNBONDED

if TYPE_CHECKING:
    from tests.model.ledger import Model


def kept_epochs(spec: ChainSpec) -> int:
    """How long frozen weights are kept."""
    longest = spec.jobs.deadline_maximum_blocks + spec.jobs.settle_offset + spec.jobs.second_round_blocks
    return longest // spec.pace.epoch_blocks + 2


def retire(model: Model) -> None:
    """[STAKE-LEAVE]"""
    validators = model.state.validators
    for address in sorted(model.state.listed):
        if validators[address]["stake"] < model.spec.money.minimum_stake_grains:
            model.state.listed.remove(address)
            if validators[address]["stake"] == 0:
                del validators[address]


def undelegate(model: Model, sender: bytes, operator: bytes, shares: int) -> None:
    """[STAKE-UNBOND]"""
    validators = model.state.validators
    own = validators.get(sender) if sender == operator else None
    require(own is not None and 0 < shares <= own["stake"], "SHARES")
    assert own is not None
    own["stake"] -= shares
    if not own["stake"] and sender not in model.state.listed:
        del validators[sender]
    wait = kept_epochs(model.spec) * model.spec.pace.epoch_blocks
    model.schedule(model.height + wait, UNBONDED, sender, shares)
