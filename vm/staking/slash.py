"""Taking a part of everybody's stake that stood behind what a validator did.  Spec: [STAKE-SLASH].

No transaction slashes a validator yet: evidence will.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from chain.codec import U63, Raw
from chain.doc import Doc
from chain.types import Address, Grains
from vm.context import Context
from vm.events import Happening
from vm.staking.departures import slash_departed
from vm.staking.pools import pool_of, put_pool
from vm.staking.validators import forget_if_empty, load_validator, put_validator


@dataclass(frozen=True, slots=True)
class StakeSlashed(Happening):
    """A part of a validator's stake, and of the stake of others with it, was taken away and destroyed."""

    operator: Annotated[Address, Raw(20), Doc("the validator")]
    own_grains: Annotated[Grains, U63, Doc("of its own stake")]
    delegated_grains: Annotated[Grains, U63, Doc("of what others stake with it")]
    unbonding_grains: Annotated[Grains, U63, Doc("of what was on its way out, whosever it was")]


def slash(
    context: Context, operator: Address, numerator: int, denominator: int, infraction_height: int
) -> int:
    """Destroy a part of a validator's stake, of what others stake with it, and of what has left since.

    Returns how much. What moved to other validators since is collected later, see vm/staking/liability.py.
    """
    assert 0 <= numerator <= denominator
    validator, pool = load_validator(context, operator), pool_of(context, operator)
    own = validator.stake_grains * numerator // denominator
    delegated = pool.staked_grains * numerator // denominator
    put_validator(context, operator, replace(validator, stake_grains=Grains(validator.stake_grains - own)))
    put_pool(context, operator, replace(pool, staked_grains=Grains(pool.staked_grains - delegated)))
    epoch = infraction_height // context.spec.pace.epoch_blocks
    departed = slash_departed(context, operator, epoch, numerator, denominator)
    burned = own + delegated + departed
    context.unlock(burned)
    context.burn(burned)
    context.emit(StakeSlashed(operator, Grains(own), Grains(delegated), Grains(departed)))
    forget_if_empty(context, operator)
    return burned
