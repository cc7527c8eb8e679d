"""RPC methods about stake: validators, and what one account has staked.  Spec: [RPC-STAKE].

Nothing here looks through all accounts. There are at most as many validators as the list has places, and an account's
delegations are looked up under each of them. When what is unbonding is paid out stands on the agenda alone: it is read
there, for the heights at which stake that leaves now and before is paid out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from chain.bech32m import decode_address
from chain.errors import Missing, Policy
from chain.ledger import (
    MAX_VALIDATORS,
    AgendaItem,
    AgendaKind,
    Validator,
    agenda_key,
)
from chain.types import Address, Grains, StateKey
from node.rpc.backend import ChainView, NodeBackend
from node.rpc.forms import Json, address_form, record_form
from node.rpc.one_head import at_one_head
from node.rpc.registry import Cost, Field, Form, Parameter, method
from vm.jobs.lifecycle import load_weights
from vm.staking.departures import load_departure
from vm.staking.pools import delegation_of, earned, pool_of, worth
from vm.staking.unbonding import Unbonding, unbonding_blocks
from vm.staking.validators import find_validator, validator_addresses

if TYPE_CHECKING:
    from vm.context import Context

MAX_STEPS = 20_000
"""Steps of the agenda looked at for one answer."""

_VALIDATOR = (
    Field("address", Form.ADDRESS, "the account"),
    Field("listed", Form.BOOLEAN, "whether it is on the list of validators"),
    Field("since_height", Form.INTEGER, "height of its registration; null if it is no validator"),
    Field("stake_grains", Form.GRAINS, "its own stake"),
    Field("delegated_grains", Form.GRAINS, "what others stake with it"),
    Field("weight_grains", Form.GRAINS, "its weight in this epoch"),
    Field("share_bp", Form.INTEGER, "its part of all weight, in hundredths of a per cent"),
    Field("owed_grains", Form.GRAINS, "earned by itself and not claimed"),
    Field("owed_to_stakers_grains", Form.GRAINS, "earned by those who stake with it and not claimed"),
    Field(
        "commission_bp", Form.INTEGER, "what it keeps of what the stake of others earns; null if it is none"
    ),
    Field("max_change_bp", Form.INTEGER, "by how much it may raise that at a time; null if it is none"),
    Field(
        "announced", Form.OBJECT, "commission_bp, max_change_bp, height from which they hold; null for none"
    ),
    Field("meta_root", Form.HASH, "of what it says about itself; null for nothing"),
    Field("jailed", Form.BOOLEAN, "whether it is in jail"),
    Field("jailed_until", Form.INTEGER, "height from which it may come out; null if not in jail or for ever"),
    Field("tombstoned", Form.BOOLEAN, "whether it is in jail for ever"),
)


@dataclass(frozen=True, slots=True)
class Standings:
    """What is the same for all validators at one head: who is listed, and the weights of the epoch."""

    context: Context
    prefix: str
    epoch: int
    listed: dict[Address, None]
    """In their order, and quick to ask."""
    weights: dict[Address, Grains]
    total_grains: int

    @staticmethod
    def of(chain: ChainView) -> Standings:
        context = chain.context()
        epoch = chain.head.height // chain.spec.pace.epoch_blocks
        frozen = load_weights(context, epoch).weights
        weights = {each.address: each.stake_grains for each in frozen}
        listed, total = dict.fromkeys(validator_addresses(context)), sum(weights.values())
        return Standings(context, chain.spec.address_prefix, epoch, listed, weights, total)

    @property
    def next_epoch_height(self) -> int:
        return (self.epoch + 1) * self.context.spec.pace.epoch_blocks

    def form(self, address: Address) -> Json:
        """One validator; an account that never was one has zeros."""
        own = find_validator(self.context, address)
        pool, weight = pool_of(self.context, address), self.weights.get(address, 0)
        return {
            "address": address_form(self.prefix, address),
            "listed": address in self.listed,
            "since_height": own.registered_height if own is not None else None,
            "stake_grains": own.stake_grains if own is not None else 0,
            "delegated_grains": pool.staked_grains,
            "weight_grains": weight,
            "share_bp": weight * 10_000 // self.total_grains if weight else 0,
            "owed_grains": pool.operator_grains,
            "owed_to_stakers_grains": pool.owed_grains,
            **_terms_form(own),
        }

    def delegation_form(self, operator: Address, staker: Address) -> Json | None:
        """What an account stakes with a validator; null for nothing."""
        held, pool = delegation_of(self.context, operator, staker), pool_of(self.context, operator)
        if held is None:
            return None
        return {
            "operator": address_form(self.prefix, operator),
            "listed": operator in self.listed,
            "shares": held.shares,
            "stake_grains": worth(pool, held.shares),
            "owed_grains": earned(pool, held),
            "arrived_until": held.arrived_until if held.arrived_until > self.context.height else None,
        }


def _terms_form(own: Validator | None) -> Json:
    """What a validator takes and says about itself, and whether it may stand."""
    if own is None:
        own_terms = dict.fromkeys(
            ("commission_bp", "max_change_bp", "announced", "meta_root", "jailed_until")
        )
        return own_terms | {"jailed": False, "tombstoned": False}
    return {
        "commission_bp": own.commission_bp,
        "max_change_bp": own.max_change_bp,
        "announced": record_form(own.announced[0], "") if own.announced else None,
        "meta_root": own.meta_root.hex() if any(own.meta_root) else None,
        "jailed": own.jailed,
        "jailed_until": own.jailed_until if own.jailed_until and not own.tombstoned else None,
        "tombstoned": bool(own.tombstoned),
    }


@method(
    "stake_list",
    "Validators, those with the most weight and stake first.",
    parameters=(Parameter("limit", Form.INTEGER, f"at most {MAX_VALIDATORS}", required=False, default=100),),
    result=(
        Field("validators", Form.LIST, "of each what stake_validator says"),
        Field("count", Form.INTEGER, "how many there are"),
        Field("epoch", Form.INTEGER, "epoch whose weights are meant"),
        Field("next_epoch_height", Form.INTEGER, "when weights are frozen next"),
        Field("weight_grains", Form.GRAINS, "all weight together"),
    ),
    cost=Cost.SCAN,
)
async def stake_list(node: NodeBackend, *, limit: int) -> Json:
    if limit > MAX_VALIDATORS:
        raise Policy("RPC_LIMIT", found=limit, allowed=f"at most {MAX_VALIDATORS}")

    async def read() -> Json:
        now, forms = Standings.of(node.chain), list[Json]()
        for address in now.listed:
            await trio.lowlevel.checkpoint()  # other tasks run between the records
            forms.append(now.form(address))
        forms.sort(
            key=lambda form: (-form["weight_grains"], -form["stake_grains"] - form["delegated_grains"])
        )
        return {
            "validators": forms[:limit],
            "count": len(forms),
            "epoch": now.epoch,
            "next_epoch_height": now.next_epoch_height,
            "weight_grains": now.total_grains,
        }

    return await at_one_head(node.chain, read)


@method(
    "stake_validator",
    "One validator, also one that has left the list.",
    parameters=(Parameter("address", Form.ADDRESS, "the validator"),),
    result=(*_VALIDATOR, Field("next_epoch_height", Form.INTEGER, "when weights are frozen next")),
)
async def stake_validator(node: NodeBackend, *, address: str) -> Json:
    now = Standings.of(node.chain)
    form = now.form(decode_address(now.prefix, address))
    if form["since_height"] is None and not form["delegated_grains"]:
        raise Missing(
            "VALIDATOR_UNKNOWN",
            found=address,
            allowed="the address of a validator",
            hint="See `tilework stake list`.",
        )
    return form | {"next_epoch_height": now.next_epoch_height}


@method(
    "stake_account",
    "What one account has staked: by itself, with validators, and what of it is on its way back.",
    parameters=(
        Parameter("address", Form.ADDRESS, "the account"),
        Parameter(
            "operator",
            Form.ADDRESS,
            "only what it stakes with this validator, also if that has left the list",
            required=False,
        ),
    ),
    result=(
        Field("address", Form.ADDRESS, "the account"),
        Field(
            "validator", Form.OBJECT, "the account as a validator, as in stake_validator; null if it is none"
        ),
        Field(
            "delegations",
            Form.LIST,
            "operator, listed, shares, stake_grains, owed_grains, arrived_until (null, or up to when it answers for "
            "the validator it came from): with each validator listed, or the one asked for",
        ),
        Field("unbonding", Form.LIST, "amount_grains and the height at which it can be spent, soonest first"),
        Field(
            "unbonding_complete", Form.BOOLEAN, f"false if there was more to look at than {MAX_STEPS:,} steps"
        ),
        Field("next_epoch_height", Form.INTEGER, "when weights are frozen next"),
    ),
    cost=Cost.SCAN,
)
async def stake_account(node: NodeBackend, *, address: str, operator: str | None) -> Json:
    chain, prefix = node.chain, node.chain.spec.address_prefix
    who = decode_address(prefix, address)
    asked = decode_address(prefix, operator) if operator is not None else None

    async def read() -> Json:
        now, delegations = Standings.of(chain), list[Json]()
        for validator in list(now.listed) if asked is None else [asked]:
            await trio.lowlevel.checkpoint()
            form = now.delegation_form(validator, who)
            if form is not None:
                delegations.append(form)
        own = now.form(who)
        unbonding, complete = await _unbonding(now.context, who)
        return {
            "address": address_form(prefix, who),
            "validator": own if own["listed"] or own["since_height"] is not None else None,
            "delegations": delegations,
            "unbonding": unbonding,
            "unbonding_complete": complete,
            "next_epoch_height": now.next_epoch_height,
        }

    return await at_one_head(chain, read)


async def _unbonding(context: Context, staker: Address) -> tuple[list[Json], bool]:
    """(what is paid to an account and when; whether all of it was seen). The next block's height is the context's."""
    waiting: list[Json] = []
    steps = 0
    for height in range(context.height, context.height + unbonding_blocks(context)):
        await trio.lowlevel.checkpoint()
        due = context.steps_due(height)
        steps += due
        if steps > MAX_STEPS:
            return waiting, False
        for place in range(due):
            item = context.state.load(agenda_key(height, place), AgendaItem)
            assert item is not None, "the length counts only steps that are there"
            found = _unbonded(context, item) if item.kind is AgendaKind.STAKE_UNBONDED else None
            if found is not None and found[0] == staker:
                waiting.append({"height": height, "amount_grains": found[1]})
    return waiting, True


def _unbonded(context: Context, item: AgendaItem) -> tuple[Address, int] | None:
    """(to whom a step will pay, how much as things stand)."""
    record = context.state.load(StateKey(item.subject), Unbonding)
    if record is None:
        return None
    part = load_departure(context, record.operator, record.departure).unbonding
    return record.staker, part.worth(min(item.number, record.entered_grains))


METHODS = (stake_list, stake_validator, stake_account)
