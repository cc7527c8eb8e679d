"""Stake on the naive state: validators, pools, earnings, leaving, jail and slashes.  Spec: [STAKE-*]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genesis.spec import ChainSpec
from tests.model import departures
from tests.model.forms import U63_MAX, Refused, in_range, require

if TYPE_CHECKING:
    from tests.model.ledger import Model

MAX_VALIDATORS = 1024
OPERATOR_CHANGES = 13
"""An automatic step."""


def kept_epochs(spec: ChainSpec) -> int:
    """How long frozen weights are kept."""
    job = spec.jobs.deadline_maximum_blocks + spec.jobs.settle_offset + spec.jobs.second_round_blocks
    return max(job, spec.governance.voting_blocks) // spec.pace.epoch_blocks + 2


def unbonding_end(model: Model) -> int:
    kept = kept_epochs(model.spec) * model.spec.pace.epoch_blocks
    return model.height + max(model.spec.staking.unbonding_blocks, kept)


# -- validators -----------------------------------------------------------------------------------------------------


def enlist(model: Model, address: bytes, key: bytes, stake: int, terms: tuple[int, int, bytes]) -> None:
    """A new one."""
    commission, max_change, meta = terms
    model.state.validators[address] = {
        "public_key": key,
        "stake": stake,
        "registered": model.height,
        "commission": commission,
        "max_change": max_change,
        "meta": meta,
        "announced": [],
        "jailed_until": 0,
        "tombstoned": 0,
    }
    model.state.listed.add(address)


def found(model: Model, address: bytes, key: bytes, stake: int) -> None:
    """By genesis."""
    rules = model.spec.staking
    terms = min(1_000, rules.commission_cap_bp), rules.commission_change_bp, bytes(32)
    enlist(model, address, key, stake, terms)


def jailed(model: Model, operator: bytes) -> bool:
    validator = model.state.validators[operator]
    return bool(validator["jailed_until"] or validator["tombstoned"])


def register(
    model: Model, sender: bytes, key: bytes, amount: int, commission: int, max_change: int, meta: bytes
) -> None:
    """[STAKE-REGISTER]"""
    state, rules = model.state, model.spec.staking
    known, listed = state.validators.get(sender), sender in state.listed
    total = in_range(amount + (known["stake"] if known else 0))
    require(not (known and known["tombstoned"]), "TOMBSTONED")
    require(amount > 0 and total >= model.spec.money.minimum_stake_grains, "MIN_STAKE")
    if known is None:
        require(commission <= rules.commission_cap_bp, "COMMISSION")
        require(max_change <= rules.commission_change_bp, "COMMISSION")
    adds = listed or (known is not None and jailed(model, sender))
    require(adds or len(state.listed) < MAX_VALIDATORS, "VALIDATORS_FULL")
    model.debit(sender, amount)
    if known is None:
        enlist(model, sender, key, total, (commission, max_change, meta))
        return
    known["stake"] = total
    if not adds:
        known |= {"public_key": key, "registered": model.height}
        state.listed.add(sender)


def update(model: Model, sender: bytes, commission: int, max_change: int, meta: bytes) -> None:
    """[STAKE-TERMS]"""
    rules, mine = model.spec.staking, model.state.validators.get(sender)
    if mine is None:
        raise Refused("NOT_FOUND")
    announces = [commission, max_change] != [mine["commission"], mine["max_change"]]
    require(not (announces and mine["announced"]), "PENDING")
    require(commission <= rules.commission_cap_bp, "COMMISSION")
    require(max_change <= rules.commission_change_bp, "COMMISSION")
    rise = commission - mine["commission"]
    require(rise <= mine["max_change"] and rise <= rules.commission_change_bp, "CHANGE_RATE")
    mine["meta"] = meta
    if announces:
        mine["announced"] = [[commission, max_change, model.height + rules.notice_blocks]]
        model.schedule(model.height + rules.notice_blocks, OPERATOR_CHANGES, sender)


def take_effect(model: Model, operator: bytes) -> None:
    mine = model.state.validators.get(operator, {"announced": []})
    for commission, max_change, height in mine["announced"]:
        if height == model.height:
            mine |= {"commission": commission, "max_change": max_change, "announced": []}


def unjail(model: Model, sender: bytes) -> None:
    """[STAKE-JAIL]"""
    state = model.state
    require(sender in state.validators, "NOT_FOUND")
    mine = state.validators[sender]
    require(jailed(model, sender), "BAD_STATE")
    require(not mine["tombstoned"], "TOMBSTONED")
    require(model.height >= mine["jailed_until"], "JAILED")
    require(mine["stake"] >= model.spec.money.minimum_stake_grains, "MIN_STAKE")
    require(sender in state.listed or len(state.listed) < MAX_VALIDATORS, "VALIDATORS_FULL")
    mine["jailed_until"] = 0
    state.listed.add(sender)


def retire(model: Model) -> None:
    """[STAKE-LEAVE]"""
    for address in sorted(model.state.listed):
        poor = model.state.validators[address]["stake"] < model.spec.money.minimum_stake_grains
        if poor or jailed(model, address):
            model.state.listed.remove(address)
    forget(model)


def forget(model: Model) -> None:
    """Records that decide about nothing; looked for everywhere, after everything that may leave one."""
    state, leaving = model.state, departures.books_of(model).pools
    for operator, mine in list(state.validators.items()):
        others = operator in state.pools and state.pools[operator]["shares"]
        stays = mine["stake"] or others or operator in leaving or operator in state.listed
        if not stays and not jailed(model, operator):
            del state.validators[operator]


# -- pools ----------------------------------------------------------------------------------------------------------


def weight(model: Model, operator: bytes) -> int:
    """Its own stake, and that of others."""
    total: int = model.state.validators[operator]["stake"]
    return total + (model.state.pools[operator]["staked"] if operator in model.state.pools else 0)


def pool_of(model: Model, operator: bytes) -> dict[str, int]:
    """Also an empty one; `tidy` removes it again."""
    empty = {"staked": 0, "shares": 0, "index": 0, "owed": 0, "operator": 0}
    return model.state.pools.setdefault(operator, empty)


def share(model: Model, weights: list[tuple[bytes, int]]) -> None:
    """[STAKE-REWARD]"""
    available, total = model.state.staker_pool, sum(weight for _, weight in weights)
    for operator, stake in weights:
        part = available * stake // total
        if part:
            pool = pool_of(model, operator)
            gross = part * pool["staked"] // stake
            rate = min(model.state.validators[operator]["commission"], model.spec.staking.commission_cap_bp)
            net = gross - gross * rate // 10_000
            if pool["shares"]:
                pool["index"] += (net << 64) // pool["shares"]
            pool["owed"] += net
            pool["operator"] += part - net
            model.state.staker_pool -= part


def require_room(model: Model, operator: bytes, amount: int) -> None:
    """Under the cap, and shares that can be counted [STAKE-DELEGATE], [STAKE-POOL]."""
    frozen = [stake for _, stake in model.state.weights[model.height // model.spec.pace.epoch_blocks]]
    cap = sum(frozen) * model.spec.staking.share_cap_bp // 10_000
    most = max(cap, 2 * sum(frozen) // max(1, len(frozen)))
    require(weight(model, operator) + amount <= most, "CAPPED")
    pool = model.state.pools.get(operator, {"staked": 0, "shares": 0})
    require(pool["staked"] > 0 or pool["shares"] == 0, "RANGE")
    require(pool["shares"] + bought(pool, amount) <= U63_MAX, "RANGE")


def bought(pool: dict[str, int], amount: int) -> int:
    return amount * pool["shares"] // pool["staked"] if pool["staked"] else amount


def worth(pool: dict[str, int], shares: int) -> int:
    return shares * pool["staked"] // pool["shares"] if shares else 0


def join(model: Model, operator: bytes, sender: bytes, amount: int, until: int = 0) -> None:
    pool = pool_of(model, operator)
    mine = model.state.delegations.setdefault((operator, sender), new_delegation(pool["index"]))
    pay(model, operator, sender)
    remember(model, operator, mine)
    mine["shares"] += bought(pool, amount)
    mine["until"] = max(mine["until"], until)
    pool["shares"] += bought(pool, amount)
    pool["staked"] += amount


def leave(model: Model, operator: bytes, staker: bytes, shares: int) -> int:
    """What they were worth."""
    state = model.state
    pool, mine = state.pools[operator], state.delegations[operator, staker]
    pay(model, operator, staker)
    remember(model, operator, mine)
    amount = worth(pool, shares)
    mine["shares"] -= shares
    pool["staked"] -= amount
    pool["shares"] -= shares
    if not mine["shares"]:
        del state.delegations[operator, staker]
    tidy(model, operator)
    return amount


def new_delegation(index: int) -> dict[str, Any]:
    return {"shares": 0, "index": index, "past": [], "until": 0}


def remember(model: Model, operator: bytes, mine: dict[str, Any]) -> None:
    """[STAKE-PAST]"""
    epoch, past = model.height // model.spec.pace.epoch_blocks, mine["past"]
    if epoch not in [since for since, _ in past]:
        past.append([epoch, worth(model.state.pools[operator], mine["shares"])])
    if len(past) == 9:
        del past[0]
        past[0][1] = 0


def grains_when(model: Model, operator: bytes, staker: bytes, epoch: int) -> int:
    """[STAKE-PAST]: what a delegation had when an epoch began."""
    mine = model.state.delegations.get((operator, staker))
    if mine is None:
        return 0
    later = [grains for since, grains in mine["past"] if since >= epoch]
    return int(later[0] if later else worth(model.state.pools[operator], mine["shares"]))


def pay(model: Model, operator: bytes, staker: bytes) -> int:
    """What a delegation has earned."""
    pool, mine = model.state.pools[operator], model.state.delegations[operator, staker]
    due: int = mine["shares"] * (pool["index"] - mine["index"]) >> 64
    mine["index"] = pool["index"]
    pool["owed"] -= due
    model.credit(staker, due)
    return due


def tidy(model: Model, operator: bytes) -> None:
    """A pool in which nobody is left."""
    pool = model.state.pools[operator]
    if not pool["shares"]:
        pool |= {"index": 0, "owed": 0, "operator": pool["operator"] + pool["owed"]}
        if not pool["operator"]:
            del model.state.pools[operator]


# -- staking with others --------------------------------------------------------------------------------------------


def delegate(model: Model, sender: bytes, operator: bytes, amount: int) -> None:
    """[STAKE-DELEGATE]"""
    require(operator != sender, "SELF")
    require(operator in model.state.listed, "NOT_FOUND")
    require(not jailed(model, operator), "JAILED")
    require(amount >= max(1, model.spec.money.dust_grains), "DUST")
    require(model.account(sender)["balance"] >= amount, "BALANCE")
    require_room(model, operator, amount)
    model.debit(sender, amount)
    join(model, operator, sender, amount)


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


def undelegate(model: Model, sender: bytes, operator: bytes, shares: int) -> None:
    """[STAKE-UNBOND]"""
    state, height = model.state, unbonding_end(model)
    if sender == operator:
        own = state.validators.get(sender, {"stake": 0})
        require(0 < shares <= own["stake"], "SHARES")
        own["stake"] -= shares
        amount = shares
    else:
        mine = state.delegations.get((operator, sender), {"shares": 0})
        require(0 < shares <= mine["shares"], "SHARES")
        height = max(height, mine["until"])
        amount = leave(model, operator, sender, shares)
    departures.unbond(model, operator, sender, amount, height)
    forget(model)


def redelegate(model: Model, sender: bytes, source: bytes, target: bytes, shares: int) -> None:
    """[STAKE-REDELEGATE]"""
    state = model.state
    require(len({sender, source, target}) == 3, "SELF")
    require(target in state.listed, "NOT_FOUND")
    require(not jailed(model, target), "JAILED")
    mine = state.delegations.get((source, sender), {"shares": 0, "until": 0})
    require(0 < shares <= mine["shares"], "SHARES")
    require(model.height >= mine["until"], "REDELEGATING")
    amount = worth(state.pools[source], shares)
    require(amount >= max(1, model.spec.money.dust_grains), "DUST")
    require_room(model, target, amount)
    leave(model, source, sender, shares)
    join(model, target, sender, amount, unbonding_end(model))
    departures.move(model, source, target, sender, amount, unbonding_end(model))


def answered(model: Model, key: bytes, number: int) -> None:
    """[STAKE-LIABLE]"""
    operator, staker, owed = departures.moved_on(model, key, number)
    taken, mine = 0, model.state.delegations.get((operator, staker))
    if owed and mine is not None and model.state.pools[operator]["staked"]:
        pool = model.state.pools[operator]
        needed = -(-owed * pool["shares"] // pool["staked"])
        taken = leave(model, operator, staker, min(needed, mine["shares"]))
    if owed > taken:
        taken += departures.seize(model, operator, staker, owed - taken)
    model.state.burned += taken


# -- what no transaction does ---------------------------------------------------------------------------------------


def jail(model: Model, operator: bytes, until: int, forever: int) -> None:
    """[STAKE-JAIL]"""
    mine = model.state.validators[operator]
    mine["jailed_until"] = max(mine["jailed_until"], until)
    mine["tombstoned"] |= forever


def slash(model: Model, operator: bytes, n: int, d: int, height: int) -> None:
    """[STAKE-SLASH]"""
    mine, pool = model.state.validators[operator], model.state.pools.get(operator, {"staked": 0})
    own, others = mine["stake"] * n // d, pool["staked"] * n // d
    mine["stake"] -= own
    pool["staked"] -= others
    epoch = height // model.spec.pace.epoch_blocks
    model.state.burned += own + others + departures.slash(model, operator, epoch, n, d)
    forget(model)


def step(model: Model, kind: int, subject: bytes, number: int) -> None:
    """One of the steps of staking."""
    if kind == OPERATOR_CHANGES:
        take_effect(model, subject)
    elif kind == departures.STAKE_UNBONDED:
        departures.unbonded(model, subject, number)
    else:
        answered(model, subject, number)
    forget(model)


STEPS = (OPERATOR_CHANGES, departures.STAKE_UNBONDED, departures.REDELEGATION_ENDS)
EFFECTS = {
    "stake.delegate": delegate,
    "stake.undelegate": undelegate,
    "stake.redelegate": redelegate,
    "stake.claim": claim,
    "stake.update": update,
    "stake.unjail": unjail,
}
DEEDS = {"jail": jail, "slash": slash}
"""What happens to a validator without a transaction."""
