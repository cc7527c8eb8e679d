"""What commands that sign have in common: the situation on the chain, sending, and waiting for a block."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click

from node.amounts import tile
from node.cli.context import show
from node.cli.errors import unfulfilled
from node.cli.refusals import explained

if TYPE_CHECKING:
    from chain.keys import SigningKey
    from genesis.spec import ChainSpec
    from node.rpc.client import RpcClient
    from node.wallet import Shared, Situation
    from vm.envelope import Transaction

POLL_S = 0.4
POLL_LIMIT_S = 120
"""How long to wait for a block where no --timeout is offered."""


def chain_spec(client: RpcClient) -> ChainSpec:
    """The constants of the node's network that are in force in the next block, as the node states them."""
    from genesis.json_form import from_json

    return from_json(json.dumps(client.call("chain_spec")["in_force"]))


def situation(client: RpcClient, key: SigningKey, shared: Shared | None = None) -> Situation:
    """What a transaction of this key's account, or of a shared one, depends on now."""
    from chain.bech32m import encode_address
    from node.wallet import Situation

    spec = chain_spec(client)
    status = client.call("chain_status")
    sender = shared.sender if shared is not None else key.address
    account = client.call("account_get", address=encode_address(spec.address_prefix, sender))
    return Situation(
        spec=spec,
        height=status["height"],
        base_fee_grains=status["base_fee_grains"],
        nonce=account["next_nonce"],
        balance_grains=account["balance_grains"],
        waiting=account["next_nonce"] - account["nonce"],
    )


def send(client: RpcClient, transaction: Transaction) -> str:
    """Hand a transaction to the node; returns its id.  Raises: Invalid, Policy."""
    return str(client.call("tx_submit", raw=transaction.to_bytes().hex())["id"])


def deliver(
    client: RpcClient,
    transaction: Transaction,
    done: str,
    *,
    wait_s: int | None,
    as_json: bool,
    more: dict[str, Any] | None = None,
) -> None:
    """Send a transaction, wait for its block if asked to, and tell: `done` says what it did.

    JSON has `more` beside what the node says of the transaction.
    """
    identity = send(client, transaction)
    if not as_json:
        click.echo(f"transaction {identity}")
    if wait_s is None:
        if as_json:
            show({"id": identity, "max_fee_grains": transaction.max_fee_grains, **(more or {})})
        else:
            click.echo(f"on its way; see `tilework tx show {identity}`")
        return
    found = wait_included(client, identity, wait_s)
    if as_json:
        show(found | (more or {}))
    else:
        fee = tile(found["receipt"]["burned_grains"] + found["receipt"]["tip_grains"])
        click.echo(f"in block {found['height']}: {done}, fee {fee}")


def wait_included(client: RpcClient, identity: str, timeout_s: int) -> dict[str, Any]:
    """The transaction once a block holds it.  Raises: CommandFailed (exit 4) if it fails or does not get there."""
    deadline = time.monotonic() + timeout_s
    while True:
        found: dict[str, Any] = client.call("tx_get", id=identity)
        if found["status"] == "included":
            if found["receipt"]["code"]:
                code = found["receipt"]["code"]
                raise unfulfilled(
                    f"{code}: in block {found['height']}, but it failed; only its fee was paid. "
                    f"{explained(found['transaction'], code)}"
                )
            return found
        if time.monotonic() > deadline:
            raise unfulfilled(
                f"TX_TIMEOUT: still {found['status']} after {timeout_s} s. See `tilework tx show {identity}`."
            )
        time.sleep(POLL_S)
