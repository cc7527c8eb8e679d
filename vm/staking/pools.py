"""What people stake with a validator that is not their own, and what everybody's stake has earned.  Spec: [STAKE-POOL].

Grains buy shares of the pool at its rate and shares are sold at it, both rounded down, so nobody gains by coming and
going. The rate begins at a grain for a share and only falls, when stake is taken away: a share is never worth more than
a grain, and nothing but stake raises what a pool holds, so nobody can make shares dear for those who come later.

What a validator's pool earns raises one number, the index: earnings of a share since the beginning. A delegation
remembers the index at which it was last paid, so an epoch costs the same for one delegation and for a million. Every
division floors and what it leaves stays in the pool.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from chain.codec import U63, Raw
from chain.doc import Doc
from chain.errors import Invalid
from chain.ints import add, share_bp, sub
from chain.ledger import EMPTY_POOL, Delegation, Namespace, StakePool, Validator, Weight, state_key
from chain.types import Address, Grains, Height, StateKey
from vm.context import Context
from vm.events import Happening
from vm.staking.past import remembering
from vm.staking.validators import load_validator

INDEX_ONE = 1 << 64
"""The index counts in parts of a grain this small."""


@dataclass(frozen=True, slots=True)
class RewardsShared(Happening):
    """The stakers' pool was shared out among the validators and those who stake with them."""

    validators: Annotated[int, U63, Doc("among how many")]
    amount_grains: Annotated[Grains, U63, Doc("how much; it can be claimed")]


@dataclass(frozen=True, slots=True)
class RewardsClaimed(Happening):
    """What a stake had earned was paid out."""

    staker: Annotated[Address, Raw(20), Doc("to whom")]
    operator: Annotated[Address, Raw(20), Doc("the validator it was earned with")]
    amount_grains: Annotated[Grains, U63, Doc("how much")]


def pool_of(context: Context, operator: Address) -> StakePool:
    """The pool of a validator; one with nothing in it is empty."""
    return context.state.load(state_key(Namespace.STAKE_POOL, operator), StakePool) or EMPTY_POOL


def put_pool(context: Context, operator: Address, pool: StakePool) -> None:
    """Nobody is left in it: what rounding left is the validator's, and an empty pool takes no room."""
    if not pool.shares:
        assert not pool.staked_grains, "the last share is worth everything"
        pool = replace(EMPTY_POOL, operator_grains=Grains(pool.operator_grains + pool.owed_grains))
    key = state_key(Namespace.STAKE_POOL, operator)
    if pool == EMPTY_POOL:
        context.state.delete(key)
    else:
        context.state.store(key, pool)


def delegation_key(operator: Address, staker: Address) -> StateKey:
    return state_key(Namespace.DELEGATION, operator + staker)


def delegation_of(context: Context, operator: Address, staker: Address) -> Delegation | None:
    return context.state.load(delegation_key(operator, staker), Delegation)


def shares_for(pool: StakePool, grains: int) -> int:
    """What grains buy of a pool.

    Raises: Invalid RANGE if so many shares cannot be counted, as in a pool that has lost nearly everything.
    """
    if pool.shares == pool.staked_grains:
        shares = grains
    elif pool.staked_grains:
        shares = grains * pool.shares // pool.staked_grains
    else:
        raise Invalid("RANGE", found="shares of a pool without stake", allowed="a pool not all lost")
    add(pool.shares, shares)
    return shares


def worth(pool: StakePool, shares: int) -> int:
    """Grains that shares of a pool stand for."""
    return shares * pool.staked_grains // pool.shares if shares else 0


def earned(pool: StakePool, delegation: Delegation) -> int:
    """Grains that a delegation has earned since it was last paid."""
    return delegation.shares * (pool.index - delegation.index) // INDEX_ONE


def join(context: Context, operator: Address, staker: Address, grains: int, until: int = 0) -> int:
    """Put locked coins, which the caller took from somewhere, into a pool; returns the shares they bought.

    With `until`, they came from another validator, for which they answer up to that height.  Raises: Invalid RANGE.
    """
    shares = shares_for(pool_of(context, operator), grains)
    resize(context, operator, staker, shares, grains, until)
    return shares


def leave(context: Context, operator: Address, staker: Address, shares: int) -> int:
    """Take shares out of a pool; returns the locked coins they were worth, which the caller puts somewhere."""
    grains = worth(pool_of(context, operator), shares)
    resize(context, operator, staker, -shares, -grains)
    return grains


def resize(
    context: Context, operator: Address, staker: Address, shares: int, grains: int, until: int = 0
) -> None:
    """Pay what a delegation has earned until now, then make it larger or smaller: the only place where one changes."""
    pool = pool_of(context, operator)
    old = delegation_of(context, operator, staker) or Delegation(0, pool.index, (), Height(0))
    due = earned(pool, old)
    pay(context, operator, staker, due)
    had = worth(pool, old.shares)
    pool = replace(
        pool,
        staked_grains=Grains(pool.staked_grains + grains),
        shares=pool.shares + shares,
        owed_grains=Grains(pool.owed_grains - due),
    )
    put_pool(context, operator, pool)
    key = delegation_key(operator, staker)
    if old.shares + shares:
        epoch = context.height // context.spec.pace.epoch_blocks
        past = remembering(old, epoch, had) if shares else old.past
        arrived_until = Height(max(old.arrived_until, until))
        context.state.store(key, Delegation(old.shares + shares, pool.index, past, arrived_until))
    else:
        context.state.delete(key)


def pay(context: Context, operator: Address, staker: Address, amount: int) -> None:
    """Pay earnings, which the caller took from a pool."""
    if amount:
        context.unlock(amount)
        context.credit(staker, amount)
        context.emit(RewardsClaimed(staker, operator, Grains(amount)))


def with_reward(pool: StakePool, own_grains: int, reward_grains: int, commission_bp: int) -> StakePool:
    """The pool after it earned something together with its validator's own stake."""
    others = reward_grains * pool.staked_grains // (own_grains + pool.staked_grains)
    others -= share_bp(others, commission_bp)
    return replace(
        pool,
        index=pool.index + (others * INDEX_ONE // pool.shares if pool.shares else 0),
        owed_grains=Grains(pool.owed_grains + others),
        operator_grains=Grains(pool.operator_grains + reward_grains - others),
    )


def weight_of(context: Context, validator: Validator, operator: Address) -> Weight:
    """A validator's stake together with what others stake with it."""
    return Weight(operator, Grains(add(validator.stake_grains, pool_of(context, operator).staked_grains)))


def share_rewards(context: Context, weights: tuple[Weight, ...]) -> None:
    """Share out the stakers' pool by the weights just frozen; what division leaves stays for the next epoch."""
    chain = context.chain
    total = sum(weight.stake_grains for weight in weights)
    if not total or not chain.staker_pool_grains:
        return
    shared = 0
    for weight in weights:
        part = chain.staker_pool_grains * weight.stake_grains // total
        if part:
            _reward(context, weight, part)
            shared += part
    left = Grains(sub(chain.staker_pool_grains, shared))
    context.put_chain(replace(chain, staker_pool_grains=left))
    context.lock(shared)
    context.emit(RewardsShared(len(weights), Grains(shared)))


def _reward(context: Context, weight: Weight, part: int) -> None:
    """A validator's part; a cap that governance has lowered since binds at once."""
    pool = pool_of(context, weight.address)
    own = weight.stake_grains - pool.staked_grains
    declared = load_validator(context, weight.address).commission_bp
    commission = min(declared, context.spec.staking.commission_cap_bp)
    put_pool(context, weight.address, with_reward(pool, own, part, commission))
