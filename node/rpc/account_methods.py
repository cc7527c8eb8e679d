"""RPC methods about accounts and transactions.  Spec: [RPC-ACCOUNT]."""

from __future__ import annotations

from chain.bech32m import decode_address
from chain.errors import Invalid
from chain.ledger import Namespace, Validator, state_key
from chain.types import TxId
from consensus.events import PROTOCOL
from node.rpc.backend import NodeBackend
from node.rpc.forms import Json, address_form, receipt_form, record_form, transaction_form
from node.rpc.kind_forms import event_schema, kind_form
from node.rpc.registry import Cost, Field, Form, Parameter, method
from node.simulate import simulate
from vm.accounts.authority import authority_of
from vm.accounts.session import find_session, session_id, session_keys_of
from vm.execute import decode
from vm.registry import KINDS


@method(
    "account_get",
    "Balance, nonces and stake of an account; one that was never used is empty.",
    parameters=(Parameter("address", Form.ADDRESS, "address with this network's prefix"),),
    result=(
        Field("address", Form.ADDRESS, "the account"),
        Field("balance_grains", Form.GRAINS, "spendable now"),
        Field("nonce", Form.INTEGER, "nonce the chain expects next"),
        Field("next_nonce", Form.INTEGER, "nonce after everything that waits in this node's pool"),
        Field("stake_grains", Form.GRAINS, "locked as a validator's stake"),
        Field("validator_since", Form.INTEGER, "height of registration; null if no validator"),
        Field("keys", Form.OBJECT, "keys that speak for it; null: its own alone"),
        Field("keys_to_come", Form.OBJECT, "keys that will take over, and at which height; null: none"),
    ),
)
async def account_get(node: NodeBackend, *, address: str) -> Json:
    chain = node.chain
    prefix = chain.spec.address_prefix
    who = decode_address(prefix, address)
    context = chain.context()
    account, authority = context.account(who), authority_of(context.state, who)
    data = chain.state.get(state_key(Namespace.VALIDATOR, who))
    validator = Validator.from_bytes(data) if data is not None else None
    return {
        "address": address.lower(),
        "balance_grains": account.balance_grains,
        "nonce": account.nonce,
        "next_nonce": node.mempool.next_nonce(who),
        "stake_grains": validator.stake_grains if validator is not None else 0,
        "validator_since": validator.registered_height if validator is not None else None,
        "keys": next((record_form(each, prefix) for each in authority.current), None),
        "keys_to_come": next((record_form(each, prefix) for each in authority.pending), None),
    }


@method(
    "session_list",
    "Live session keys of an account: limits, and what they have spent.",
    parameters=(Parameter("address", Form.ADDRESS, "address with this network's prefix"),),
    result=(Field("sessions", Form.LIST, "by their keys"),),
)
async def session_list(node: NodeBackend, *, address: str) -> Json:
    prefix = node.chain.spec.address_prefix
    state, who = node.chain.context().state, decode_address(prefix, address)
    found = [find_session(state, session_id(who, key)) for key in session_keys_of(state, who)]
    return {"sessions": [record_form(session, prefix) for session in found if session is not None]}


@method(
    "tx_submit",
    "Check a signed transaction, keep it in the pool and pass it on.",
    parameters=(Parameter("raw", Form.HEX, "canonical bytes of the transaction"),),
    result=(Field("id", Form.HASH, "transaction id"),),
)
async def tx_submit(node: NodeBackend, *, raw: str) -> Json:
    return {"id": (await node.submit(bytes.fromhex(raw))).hex()}


@method(
    "tx_get",
    "A transaction and what became of it.",
    parameters=(Parameter("id", Form.HASH, "transaction id"),),
    result=(
        Field("id", Form.HASH, "transaction id"),
        Field("status", Form.TEXT, "included, pending (in this node's pool) or unknown"),
        Field("block", Form.HASH, "block that holds it (included only)"),
        Field("height", Form.INTEGER, "height of that block (included only)"),
        Field("index", Form.INTEGER, "place in that block (included only)"),
        Field(
            "confirmations", Form.INTEGER, "blocks from that block to the head, both counted (included only)"
        ),
        Field("receipt", Form.OBJECT, "code (empty: success), fee paid, events (included only)"),
        Field("transaction", Form.OBJECT, "the decoded transaction (not if unknown)"),
    ),
)
async def tx_get(node: NodeBackend, *, id: str) -> Json:
    chain = node.chain
    identity = TxId(bytes.fromhex(id))
    prefix = chain.spec.address_prefix
    found = chain.transaction(identity)
    if found is not None:
        block, height, index, data, receipt = found
        return {
            "id": identity.hex(),
            "status": "included",
            "block": block.hex(),
            "height": height,
            "index": index,
            "confirmations": chain.head.height - height + 1,
            "receipt": receipt_form(receipt, prefix),
            "transaction": transaction_form(data, prefix),
        }
    waiting = node.mempool.get(identity)
    if waiting is not None:
        return {"id": identity.hex(), "status": "pending", "transaction": transaction_form(waiting, prefix)}
    return {"id": identity.hex(), "status": "unknown"}


@method(
    "tx_simulate",
    "What a transaction would do in the next block; nothing is kept, and its signature is not looked at.",
    parameters=(
        Parameter("raw", Form.HEX, "canonical bytes of the transaction; the signature may be zeros"),
    ),
    result=(
        Field("id", Form.HASH, "transaction id"),
        Field("includable", Form.BOOLEAN, "whether it may be in a block at all"),
        Field("code", Form.TEXT, "error code; empty: it would succeed"),
        Field("reason", Form.TEXT, "the error in words; empty: it would succeed"),
        Field("receipt", Form.OBJECT, "the receipt it would get; null if it may not be in a block"),
        Field("balances", Form.LIST, "balances that would change, the fee included: address, before, after"),
    ),
    cost=Cost.SCAN,
)
async def tx_simulate(node: NodeBackend, *, raw: str) -> Json:
    spec = node.chain.spec
    parsed = decode(bytes.fromhex(raw), spec.chain_id)
    found = simulate(node.chain.context(), parsed)
    return {
        "id": parsed.id.hex(),
        "includable": found.receipt is not None,
        "code": found.refusal.code if found.refusal is not None else "",
        "reason": _in_words(found.refusal, spec.address_prefix) if found.refusal is not None else "",
        "receipt": receipt_form(found.receipt, spec.address_prefix) if found.receipt is not None else None,
        "balances": [
            {
                "address": address_form(spec.address_prefix, address),
                "before_grains": before,
                "after_grains": after,
            }
            for address, before, after in found.balances
        ],
    }


def _in_words(error: Invalid, prefix: str) -> str:
    """An error with addresses as people write them."""
    found, allowed = (
        address_form(prefix, value) if isinstance(value, bytes) and len(value) == 20 else value
        for value in (error.found, error.allowed)
    )
    return str(Invalid(error.code, found=found, allowed=allowed, hint=error.hint))


@method(
    "tx_kinds",
    "Every kind of transaction: body as JSON schema, who may send it, fee weight, checks with codes, events.",
    result=(
        Field("kinds", Form.LIST, "the declarations"),
        Field("events", Form.LIST, "events of what the protocol does by itself"),
    ),
)
async def tx_kinds(node: NodeBackend) -> Json:
    del node  # the declarations are the same for every node of a release
    kinds = [kind_form(kind) for kind in KINDS.values()]
    return {"kinds": kinds, "events": [event_schema(each) for each in PROTOCOL]}


METHODS = (account_get, session_list, tx_submit, tx_get, tx_simulate, tx_kinds)
