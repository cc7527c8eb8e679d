"""Emission and coinbase.  Spec: [MONEY-*].

The ticket that wins a block is known only when its state root is fixed, so a block pays its producer in the transition
of its child: emission and tips go onto the agenda and mature later.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from chain.codec import U63, Raw
from chain.doc import Doc
from chain.ints import add, sub
from chain.ledger import AgendaItem, AgendaKind
from chain.types import Address, Grains
from genesis.spec import Money
from vm.context import Context
from vm.events import Happening


@dataclass(frozen=True, slots=True)
class CoinbaseEarned(Happening):
    """The parent's miner has earned its coinbase."""

    miner: Annotated[Address, Raw(20), Doc("who")]
    emission_grains: Annotated[Grains, U63, Doc("newly minted")]
    tips_grains: Annotated[Grains, U63, Doc("tips of the block")]


@dataclass(frozen=True, slots=True)
class CoinbaseMatured(Happening):
    """A coinbase can be spent."""

    miner: Annotated[Address, Raw(20), Doc("by whom")]
    amount_grains: Annotated[Grains, U63, Doc("how much")]


def emission(money: Money, minted_grains: int) -> int:
    """Smooth decay: a fixed fraction of what is left under the cap [MONEY-EMISSION]."""
    return max(0, money.cap_grains - minted_grains) // money.emission_divisor


def earn_coinbase(context: Context, miner: Address) -> None:
    """Credit the parent's producer with emission and tips, spendable after the maturity time [MONEY-COINBASE]."""
    chain = context.chain
    minted = emission(context.spec.money, chain.minted_grains)
    tips = chain.pending_tips_grains
    if not minted + tips:
        return
    context.put_chain(
        replace(
            chain,
            minted_grains=Grains(add(chain.minted_grains, minted)),
            pending_tips_grains=Grains(0),
            immature_grains=Grains(add(chain.immature_grains, minted + tips)),
        )
    )
    height = context.height + context.spec.money.coinbase_maturity_blocks
    context.schedule(height, AgendaKind.COINBASE_MATURES, miner, minted + tips)
    context.emit(CoinbaseEarned(miner, Grains(minted), tips))


def mature_coinbase(context: Context, item: AgendaItem) -> None:
    """Move a coinbase that has waited long enough into its miner's balance."""
    miner, amount_grains = Address(item.subject[:20]), item.number
    chain = context.chain
    context.put_chain(replace(chain, immature_grains=Grains(sub(chain.immature_grains, amount_grains))))
    context.credit(miner, amount_grains)
    context.emit(CoinbaseMatured(miner, Grains(amount_grains)))


STEPS = {AgendaKind.COINBASE_MATURES: mature_coinbase}
