"""RPC methods about stake: validators, and what one account has staked.  Spec: [RPC-STAKE].

Nothing here looks through all accounts. There are at most as many validators as the list has places, and an account's
delegations are looked up under each of them. What is unbonding stands on the agenda alone: it is read there, for the
heights at which stake that leaves now and before is paid out.
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
    Namespace,
    Validator,
    ValidatorIndex,
    agenda_key,
    state_key,
)
from chain.types import Address, Grains
from node.rpc.backend import ChainView, NodeBackend
from node.rpc.forms import Json, address_form
from node.rpc.one_head import at_one_head
from node.rpc.registry import Cost, Field, Form, Parameter, method
from vm.jobs.lifecycle import load_weights
from vm.kinds.staking import INDEX_KEY
from vm.staking.pools import delegation_of, earned, pool_of
from vm.staking.unbonding import unbonding_blocks

if TYPE_CHECKING:
    from vm.context import Context

MAX_STEPS = 20_000
"""Steps of the agenda looked at for one answer."""

_VALIDATOR = (
    Field("address", Form.ADDRESS, "the account"),
    Field("listed", Form.BOOLEAN, "whether it is on the list of validators"),
    Field("since_height", Form.INTEGER, "height of its registration; null if it has no stake of its own"),
    Field("stake_grains", Form.GRAINS, "its own stake"),
    Field("delegated_grains", Form.GRAINS, "what others stake with it"),
    Field("weight_grains", Form.GRAINS, "its weight in this epoch"),
    Field("share_bp", Form.INTEGER, "its part of all weight, in hundredths of a per cent"),
    Field("owed_grains", Form.GRAINS, "earned by itself and not claimed"),
    Field("owed_to_stakers_grains", Form.GRAINS, "earned by those who stake with it and not claimed"),
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
        index = context.state.load(INDEX_KEY, ValidatorIndex)
        assert index is not None, "genesis writes the validator index"
        epoch = chain.head.height // chain.spec.pace.epoch_blocks
        frozen = load_weights(context, epoch).weights
        weights = {each.address: each.stake_grains for each in frozen}
        listed, total = dict.fromkeys(index.addresses), sum(weights.values())
        return Standings(context, chain.spec.address_prefix, epoch, listed, weights, total)

    @property
    def next_epoch_height(self) -> int:
        return (self.epoch + 1) * self.context.spec.pace.epoch_blocks

    def form(self, address: Address) -> Json:
        """One validator; an account that never was one has zeros."""
        own = self.context.state.load(state_key(Namespace.VALIDATOR, address), Validator)
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
        }

    def delegation_form(self, operator: Address, staker: Address) -> Json | None:
        """What an account stakes with a validator; null for nothing."""
        held = delegation_of(self.context, operator, staker)
        if held is None:
            return None
        return {
            "operator": address_form(self.prefix, operator),
            "listed": operator in self.listed,
            "shares": held.shares,
            "stake_grains": held.shares,
            "owed_grains": earned(pool_of(self.context, operator), held),
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
            "operator, listed, shares, stake_grains, owed_grains: with each validator listed, or the one asked for",
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
            if item.kind is AgendaKind.STAKE_UNBONDED and Address(item.subject[:20]) == staker:
                waiting.append({"height": height, "amount_grains": item.number})
    return waiting, True


METHODS = (stake_list, stake_validator, stake_account)
