"""What people stake with a validator that is not their own, and what everybody's stake has earned.  Spec: [STAKE-POOL].

A delegation has as many shares as it has grains. What a validator's pool earns raises one number, the index: earnings
of a share since the beginning. A delegation remembers the index at which it was last paid, so an epoch costs the same
for one delegation and for a million. Every division floors and what it leaves stays in the pool.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from chain.codec import U63
from chain.doc import Doc
from chain.ints import add, share_bp, sub
from chain.ledger import EMPTY_POOL, Delegation, Namespace, StakePool, Validator, Weight, state_key
from chain.types import Address, Grains, StateKey
from vm.context import Context
from vm.events import Happening

INDEX_ONE = 1 << 64
"""The index counts in parts of a grain this small."""
COMMISSION_BP = 1_000
"""Part of what a validator earns with the stake of others that is its own."""


@dataclass(frozen=True, slots=True)
class RewardsShared(Happening):
    """The stakers' pool was shared out among the validators and those who stake with them."""

    validators: Annotated[int, U63, Doc("among how many")]
    amount_grains: Annotated[Grains, U63, Doc("how much; it can be claimed")]


def pool_of(context: Context, operator: Address) -> StakePool:
    """The pool of a validator; one with nothing in it is empty."""
    return context.state.load(state_key(Namespace.STAKE_POOL, operator), StakePool) or EMPTY_POOL


def put_pool(context: Context, operator: Address, pool: StakePool) -> None:
    """Nobody is left in it: what rounding left is the validator's, and an empty pool takes no room."""
    if not pool.staked_grains:
        pool = StakePool(Grains(0), 0, Grains(0), Grains(pool.operator_grains + pool.owed_grains))
    key = state_key(Namespace.STAKE_POOL, operator)
    if pool == EMPTY_POOL:
        context.state.delete(key)
    else:
        context.state.store(key, pool)


def delegation_key(operator: Address, staker: Address) -> StateKey:
    return state_key(Namespace.DELEGATION, operator + staker)


def delegation_of(context: Context, operator: Address, staker: Address) -> Delegation | None:
    return context.state.load(delegation_key(operator, staker), Delegation)


def earned(pool: StakePool, delegation: Delegation) -> int:
    """Grains that a delegation has earned since it was last paid."""
    return delegation.shares * (pool.index - delegation.index) // INDEX_ONE


def with_reward(pool: StakePool, own_grains: int, reward_grains: int) -> StakePool:
    """The pool after it earned something together with its validator's own stake."""
    others = reward_grains * pool.staked_grains // (own_grains + pool.staked_grains)
    others -= share_bp(others, COMMISSION_BP)
    return replace(
        pool,
        index=pool.index + (others * INDEX_ONE // pool.staked_grains if pool.staked_grains else 0),
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
            pool = pool_of(context, weight.address)
            own = weight.stake_grains - pool.staked_grains
            put_pool(context, weight.address, with_reward(pool, own, part))
            shared += part
    left = Grains(sub(chain.staker_pool_grains, shared))
    context.put_chain(replace(chain, staker_pool_grains=left))
    context.lock(shared)
    context.emit(RewardsShared(len(weights), Grains(shared)))
