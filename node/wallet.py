"""Building transactions: from what a node says of the chain and what a person wants, to signed bytes.  Pure.

The fee bound leaves room for a base fee that rises while the transaction waits; what is not needed is not paid.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from chain.codec import Record
from chain.errors import Policy
from chain.keys import SigningKey
from chain.types import ZERO_HASH, Address, Grains, Hash32, Height
from genesis.spec import ChainSpec
from node.amounts import tile
from vm.envelope import SIGNATURE_BYTES, TRANSACTION_VERSION, Transaction
from vm.fees import fee
from vm.kinds.operators import StakeRegister
from vm.registry import kind_named

FEE_HEADROOM = 4
"""The base fee rises by at most an eighth per block: four times as much is twelve full blocks away."""
VALID_BLOCKS = 200
"""A transaction nobody included by then is dead, so it cannot surprise its sender much later."""
_LONGEST = Grains((1 << 63) - 1)


USUAL_COMMISSION_BP = 1_000
"""A tenth, where a new validator asks for nothing else."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What a transaction depends on besides its sender's wishes."""

    spec: ChainSpec
    height: int
    base_fee_grains: int
    nonce: int
    """The sender's next one, waiting transactions counted."""
    balance_grains: int
    waiting: int = 0
    """Transactions of the sender in the node's pool."""


@dataclass(frozen=True, slots=True)
class Shared:
    """An account that the signing key speaks for together with others, or as a session key."""

    sender: Address
    cosigners: tuple[SigningKey, ...]
    """Keys at hand that sign too."""
    signatures: int
    """Most that the transaction will carry in the end."""


def build(
    situation: Situation,
    key: SigningKey,
    kind: str,
    body: Record,
    *,
    tip_grains: int = 0,
    shared: Shared | None = None,
) -> Transaction:
    """A transaction of the key's own account, or of a shared one, signed with the keys at hand.

    Raises: Invalid if a field is out of bounds.
    """
    shared = shared or Shared(key.address, (), 1)
    more = shared.signatures - 1
    unpriced = Transaction(
        version=TRANSACTION_VERSION,
        chain_id=situation.spec.chain_id,
        kind=kind,
        sender=shared.sender,
        nonce=situation.nonce,
        max_fee_grains=_LONGEST,
        tip_grains=Grains(tip_grains),
        valid_until=Height(situation.height + VALID_BLOCKS),
        body=body.to_bytes(),
        authorisations=(),
    )
    size_bytes = len(
        unpriced.signed(key).to_bytes()
    )  # fee field at its longest: never less than the real size
    bound = fee(
        situation.spec.money,
        situation.base_fee_grains * FEE_HEADROOM,
        weight=kind_named(kind).weight_of(body) + more,
        size_bytes=size_bytes + more * SIGNATURE_BYTES,
        tip_grains=tip_grains,
    )
    return replace(unpriced, max_fee_grains=Grains(bound.total)).signed(key, *shared.cosigners)


def require_funds(situation: Situation, transaction: Transaction, amount_grains: int, what: str) -> None:
    """Refuse before anything is sent if the account cannot pay `amount_grains` and the highest fee.

    Raises: Policy BALANCE.
    """
    needed = amount_grains + transaction.max_fee_grains
    parts = [f"{what} {tile(amount_grains)}"] if amount_grains else []
    parts.append(f"fee up to {tile(transaction.max_fee_grains)}")
    if situation.balance_grains < needed:
        raise Policy(
            "BALANCE",
            found=f"{tile(situation.balance_grains)} in the account",
            allowed=f"at least {tile(needed)} ({', '.join(parts)})",
            hint="Lower the amount, or pay from another account with --key.",
        )


def registration(
    spec: ChainSpec,
    stake_grains: int,
    commission_bp: int | None = None,
    max_change_bp: int | None = None,
    meta_root: bytes = ZERO_HASH,
) -> StakeRegister:
    """A stake of one's own, with the usual terms where none are given; whoever is a validator keeps its terms."""
    rules = spec.staking
    usual = min(USUAL_COMMISSION_BP, rules.commission_cap_bp)
    return StakeRegister(
        stake_grains=Grains(stake_grains),
        commission_bp=usual if commission_bp is None else commission_bp,
        max_change_bp=rules.commission_change_bp if max_change_bp is None else max_change_bp,
        meta_root=Hash32(meta_root),
    )
