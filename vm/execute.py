"""Running one transaction: may it be in a block, what does it pay, what does it do.  Spec: [TX-EXEC].

A transaction that may not be in a block raises Invalid and makes the block invalid. One that may, pays its fee; if its
own effects then fail, they vanish and the receipt carries the error's code.
"""

from __future__ import annotations

from dataclasses import dataclass

from chain.blocks import Receipt
from chain.codec import Record
from chain.errors import Invalid
from chain.keys import address_of
from chain.types import Grains, TxId
from vm.accounts.authority import authority_of
from vm.accounts.scope import kinds_in, require_scope
from vm.accounts.session import Session, find_session, session_id, session_key
from vm.act import Call
from vm.context import Context, Spender
from vm.envelope import SIGNATURE_BYTES, Transaction, check_signatures, unsigned_id
from vm.fees import Fee, fee
from vm.kind import Kind
from vm.registry import kind_named
from vm.rules import Rule

ENVELOPE_RULES = (
    Rule("ENC_*", "transaction and body are the canonical encodings of their records"),
    Rule("KIND", "the kind exists"),
    Rule("SIZE", "it is no longer than its kind may be"),
    Rule("CHAIN_ID", "it is meant for this network"),
    Rule("BATCH_KIND", "every operation of a batch is of a kind that may stand in one"),
    Rule("BAD_AUTH", "keys that speak for the sender, and no others, have signed it"),
    Rule("EXPIRED", "the height is at most `valid_until`"),
    Rule("NONCE", "the nonce is the account's"),
    Rule(
        "SCOPE",
        "a session key asks for no more than it was granted; a debit that shows only while the transaction takes "
        "effect fails it with this code",
    ),
    Rule("PAUSED", "governance has not paused the kind"),
    Rule("TIP", "nobody tips where a sponsor pays"),
    Rule("RANGE", "fee and tip together stay below 2^63 grains"),
    Rule("FEE_TOO_LOW", "`max_fee_grains` covers fee and tip"),
    Rule("BALANCE", "so does the balance"),
)
"""What keeps a transaction of any kind out of a block; of a sponsored kind, its own checks do too."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A transaction that is well formed, and signed by the keys it names; independent of any state."""

    transaction: Transaction
    id: TxId
    kind: Kind
    body: Record
    size_bytes: int
    weight: int
    """Units of execution it takes in a block: one more for every two signatures [TX-SIGNED]."""


def parse(data: bytes, chain_id: bytes) -> Parsed:
    """Decode and check everything that needs no state, the signature last.

    Raises: Invalid ENC_*, KIND, SIZE, CHAIN_ID, BAD_AUTH.
    """
    parsed = decode(data, chain_id)
    check_signatures(parsed.transaction, parsed.id)
    return parsed


def decode(data: bytes, chain_id: bytes) -> Parsed:
    """Everything that `parse` does but for the signature.

    Raises: Invalid ENC_*, KIND, SIZE, CHAIN_ID.
    """
    transaction = Transaction.from_bytes(data)
    kind = kind_named(transaction.kind)
    signatures = len(transaction.authorisations)
    more = max(0, signatures - 1)
    limit = kind.max_bytes + SIGNATURE_BYTES * more
    if len(data) > limit:
        raise Invalid("SIZE", found=f"{len(data)} bytes", allowed=f"{limit} bytes for {kind.name}")
    if transaction.chain_id != chain_id:
        raise Invalid(
            "CHAIN_ID",
            found=transaction.chain_id.decode(errors="replace"),
            allowed=chain_id.decode(errors="replace"),
        )
    body = kind.body.from_bytes(transaction.body)
    identity = unsigned_id(data, signatures)
    return Parsed(transaction, identity, kind, body, len(data), kind.weight_of(body) + signatures // 2)


def quote(context: Context, parsed: Parsed) -> Fee:
    """The fee this transaction pays in a block on this state."""
    return fee(
        context.spec.money,
        context.chain.base_fee_grains,
        weight=parsed.weight,
        size_bytes=parsed.size_bytes,
        tip_grains=parsed.transaction.tip_grains,
    )


def check_includable(context: Context, parsed: Parsed) -> Fee:
    """Whether the transaction may stand in a block on this state; returns its fee, changes nothing.

    Raises:
        Invalid: EXPIRED, NONCE, BAD_AUTH, SCOPE, PAUSED, FEE_TOO_LOW, BALANCE, TIP, and the codes of a sponsored
            kind's checks.
    """
    return _admit(context, parsed)[0]


def _admit(context: Context, parsed: Parsed) -> tuple[Fee, Call]:
    """Fee and call of a transaction that may stand in a block."""
    transaction = parsed.transaction
    if context.height > transaction.valid_until:
        raise Invalid(
            "EXPIRED", found=f"height {context.height}", allowed=f"at most {transaction.valid_until}"
        )
    account = context.account(transaction.sender)
    if transaction.nonce != account.nonce:
        raise Invalid("NONCE", found=transaction.nonce, allowed=account.nonce)
    call = caller(context, parsed)
    if context.paused:
        _require_running(context, parsed)
    cost = quote(context, parsed)
    if parsed.kind.sponsor is not None:
        if transaction.tip_grains:
            raise Invalid(
                "TIP", found=transaction.tip_grains, allowed="0: the audit escrow pays for this kind"
            )
        parsed.kind.require(context, call, parsed.body)
        return cost, call
    total = cost.total
    if transaction.max_fee_grains < total:
        raise Invalid("FEE_TOO_LOW", found=transaction.max_fee_grains, allowed=f"at least {total} grains")
    if account.balance_grains < total:
        raise Invalid("BALANCE", found=account.balance_grains, allowed=f"at least the fee of {total} grains")
    if call.session is not None:
        call.session.having_spent(total, context.height)
    return cost, call


def caller(context: Context, parsed: Parsed) -> Call:
    """In whose name, and with which session if it was not the account's own keys that signed [TX-AUTH].

    Raises: Invalid BAD_AUTH, SCOPE.
    """
    session = _session(context, parsed.transaction)
    if session is not None:
        require_scope(session, parsed.kind.name, parsed.body)
    return Call.of(parsed.transaction, session)


def _session(context: Context, transaction: Transaction) -> Session | None:
    """The session whose key signed; None if the account's own keys did.  Raises: Invalid BAD_AUTH."""
    sender, signers = transaction.sender, transaction.signers
    if context.account(sender).keyed:
        (keys,) = authority_of(context.state, sender).current
        if keys.allows(signers):
            return None
    elif len(signers) == 1 and address_of(signers[0]) == sender:
        return None
    session = find_session(context.state, session_id(sender, signers[0])) if len(signers) == 1 else None
    if session is None:
        raise Invalid(
            "BAD_AUTH",
            found=f"{len(signers)} keys",
            allowed="keys, or a session key, that speak for the sender",
        )
    return session


def _require_running(context: Context, parsed: Parsed) -> None:
    """Raises: Invalid PAUSED if governance has stopped the kind, or that of an operation."""
    for name in kinds_in(parsed.kind.name, parsed.body):
        if name in context.paused:
            raise Invalid("PAUSED", found=name, allowed="kinds that governance has not paused")


def execute(context: Context, parsed: Parsed) -> Receipt:
    """Pay, then do: returns the receipt; `context` has taken the changes.

    Raises: Invalid if the transaction may not be in a block at all.
    """
    transaction, kind, body = parsed.transaction, parsed.kind, parsed.body
    cost, call = _admit(context, parsed)
    if call.session is not None:
        context.spender = Spender(transaction.sender, session_key(call.session.identity))
    burned = cost.burned
    if kind.sponsor is not None:
        burned = kind.pay(context, call, body, cost.burned)
        context.use_nonce(transaction.sender, 0)
    else:
        context.use_nonce(transaction.sender, cost.total)
        context.collect_fee(cost.burned, cost.tip)
    scope = context.child()
    code = ""
    try:
        if kind.sponsor is not None:
            kind.perform_sponsored(scope, call, body)
        else:
            kind.perform(scope, call, body)
    except Invalid as error:
        code = error.code
    else:
        context.merge(scope)
    return Receipt(
        transaction=parsed.id,
        code=code,
        weight=parsed.weight,
        burned_grains=Grains(burned),
        tip_grains=Grains(cost.tip),
        events=() if code else tuple(scope.events),
    )
