"""Stake on the naive state: delegating, earning, leaving, taking it out.  Spec: [STAKE-*]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genesis.spec import ChainSpec
from tests.model.forms import require
from tests.model.state import UNBONDED

if TYPE_CHECKING:
    from tests.model.ledger import Model


def kept_epochs(spec: ChainSpec) -> int:
    """How long frozen weights are kept."""
    job = spec.jobs.deadline_maximum_blocks + spec.jobs.settle_offset + spec.jobs.second_round_blocks
    return max(job, spec.governance.voting_blocks) // spec.pace.epoch_blocks + 2


def retire(model: Model) -> None:
    """[STAKE-LEAVE]"""
    validators = model.state.validators
    for address in sorted(model.state.listed):
        if validators[address]["stake"] < model.spec.money.minimum_stake_grains:
            model.state.listed.remove(address)
            if validators[address]["stake"] == 0:
                del validators[address]


def weight(model: Model, operator: bytes) -> int:
    """Its own stake, and that of others."""
    total: int = model.state.validators[operator]["stake"]
    return total + (model.state.pools[operator]["staked"] if operator in model.state.pools else 0)


def share(model: Model, weights: list[tuple[bytes, int]]) -> None:
    """[STAKE-REWARD]"""
    available, total = model.state.staker_pool, sum(weight for _, weight in weights)
    for operator, stake in weights:
        part = available * stake // total
        if part:
            pool = model.state.pools.setdefault(operator, {"staked": 0, "index": 0, "owed": 0, "operator": 0})
            gross = part * pool["staked"] // stake
            net = gross - gross * 1_000 // 10_000
            if pool["staked"]:
                pool["index"] += (net << 64) // pool["staked"]
            pool["owed"] += net
            pool["operator"] += part - net
            model.state.staker_pool -= part


def delegate(model: Model, sender: bytes, operator: bytes, amount: int) -> None:
    """[STAKE-DELEGATE]"""
    state, money = model.state, model.spec.money
    require(operator != sender, "SELF")
    require(operator in state.listed, "NOT_FOUND")
    require(amount >= max(1, money.dust_grains), "DUST")
    require(model.account(sender)["balance"] >= amount, "BALANCE")
    frozen = [stake for _, stake in state.weights[model.height // model.spec.pace.epoch_blocks]]
    most = max(sum(frozen) * 2_000 // 10_000, 2 * sum(frozen) // max(1, len(frozen)))
    require(weight(model, operator) + amount <= most, "CAPPED")
    model.debit(sender, amount)
    pool = state.pools.setdefault(operator, {"staked": 0, "index": 0, "owed": 0, "operator": 0})
    mine = state.delegations.setdefault((operator, sender), new_delegation(pool["index"]))
    pay(model, operator, sender)
    remember(model, mine)
    mine["shares"] += amount
    pool["staked"] += amount


def new_delegation(index: int) -> dict[str, Any]:
    return {"shares": 0, "index": index, "past": []}


def remember(model: Model, mine: dict[str, Any]) -> None:
    """[STAKE-PAST]"""
    epoch, past = model.height // model.spec.pace.epoch_blocks, mine["past"]
    if epoch not in [since for since, _ in past]:
        past.append([epoch, mine["shares"]])
    if len(past) == 9:
        del past[0]
        past[0][1] = 0


def pay(model: Model, operator: bytes, staker: bytes) -> int:
    """What a delegation has earned."""
    pool, mine = model.state.pools[operator], model.state.delegations[operator, staker]
    due: int = mine["shares"] * (pool["index"] - mine["index"]) >> 64
    mine["index"] = pool["index"]
    pool["owed"] -= due
    model.credit(staker, due)
    return due


def claim(model: Model, sender: bytes, operator: bytes) -> None:
    """[STAKE-CLAIM]"""
    pools = model.state.pools
    if sender == operator:
        require(operator in pools and pools[operator]["operator"] > 0, "NO_REWARD")
        model.credit(sender, pools[operator]["operator"])
        pools[operator]["operator"] = 0
        tidy(model, operator)
    else:
        require((operator, sender) in model.state.delegations, "NO_REWARD")
        require(pay(model, operator, sender) > 0, "NO_REWARD")


def tidy(model: Model, operator: bytes) -> None:
    """A pool in which nobody is left."""
    pool = model.state.pools[operator]
    if not pool["staked"]:
        pool |= {"index": 0, "owed": 0, "operator": pool["operator"] + pool["owed"]}
        if not pool["operator"]:
            del model.state.pools[operator]


def undelegate(model: Model, sender: bytes, operator: bytes, shares: int) -> None:
    """[STAKE-UNBOND]"""
    state = model.state
    if sender == operator:
        own = state.validators.get(sender, {"stake": 0})
        require(0 < shares <= own["stake"], "SHARES")
        own["stake"] -= shares
        if not own["stake"] and sender not in state.listed:
            del state.validators[sender]
    else:
        mine = state.delegations.get((operator, sender), {"shares": 0})
        require(0 < shares <= mine["shares"], "SHARES")
        pay(model, operator, sender)
        remember(model, mine)
        mine["shares"] -= shares
        state.pools[operator]["staked"] -= shares
        if not mine["shares"]:
            del state.delegations[operator, sender]
        tidy(model, operator)
    kept = kept_epochs(model.spec) * model.spec.pace.epoch_blocks
    wait = max(kept, model.spec.staking.unbonding_blocks)
    model.schedule(model.height + wait, UNBONDED, sender, shares)


EFFECTS = {"stake.delegate": delegate, "stake.undelegate": undelegate, "stake.claim": claim}
