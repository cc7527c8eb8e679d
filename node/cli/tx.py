"""`tilework tx`: moving money, and what became of a transaction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from node.amounts import tile
from node.cli.amounts import AMOUNT
from node.cli.context import (
    address_named,
    connect,
    json_amounts_option,
    key_option,
    rpc_option,
    show,
    signing_key,
)


class Transactions(click.Group):
    """The commands of this file, and those made from the kinds, which are imported only when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *self._families()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or self._families().get(cmd_name)

    def _families(self) -> dict[str, click.Group]:
        from node.cli.tx_kinds import families

        return families()


@click.group(cls=Transactions)
def tx() -> None:
    """Transactions: send money, look one up, or send any kind there is."""


_WAIT = click.option("--wait", is_flag=True, help="Return once it is in a block.")
_TIMEOUT = click.option(
    "--timeout",
    "timeout_s",
    type=click.IntRange(min=0),
    default=120,
    show_default=True,
    help="Seconds to wait.",
)


@tx.command()
@click.option("--to", "receiver", required=True, metavar="ADDRESS|NAME", help="Who gets it.")
@click.option("--amount", type=AMOUNT, required=True, help="Grains (1500) or TILE (1.5tile).")
@click.option("--memo", default="", help="Up to 64 bytes, public.")
@click.option(
    "--tip", type=AMOUNT, default=0, help="For the producer of the block; moves it ahead in a queue."
)
@_WAIT
@_TIMEOUT
@key_option
@rpc_option
@json_amounts_option
def transfer(
    receiver: str,
    amount: int,
    memo: str,
    tip: int,
    wait: bool,
    timeout_s: int,
    key_name: str | None,
    keys_dir: Path | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Send money."""
    from chain.types import Grains
    from node.cli.sending import deliver, situation
    from node.wallet import build, require_funds
    from vm.kinds.accounts import Transfer

    key = signing_key(key_name, keys_dir)
    with connect(url) as client:
        now = situation(client, key)
        to = address_named(receiver, now.spec.address_prefix, keys_dir)
        transaction = build(now, key, "transfer", Transfer(to, Grains(amount), memo.encode()), tip_grains=tip)
        require_funds(now, transaction, amount, "amount")
        deliver(
            client, transaction, f"sent {tile(amount)}", wait_s=timeout_s if wait else None, as_json=as_json
        )


@tx.command()
@click.option("--amount", type=AMOUNT, required=True, help="How much to add to the stake.")
@_WAIT
@_TIMEOUT
@key_option
@rpc_option
@json_amounts_option
def stake(
    amount: int,
    wait: bool,
    timeout_s: int,
    key_name: str | None,
    keys_dir: Path | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Become a validator, or add to a validator's stake.

    The stake counts from the next epoch on. Taking it out again, and more: `tilework stake`.
    """
    from node.cli.sending import deliver, situation
    from node.wallet import build, registration, require_funds

    key = signing_key(key_name, keys_dir)
    with connect(url) as client:
        now = situation(client, key)
        transaction = build(now, key, "stake.register", registration(now.spec, amount))
        require_funds(now, transaction, amount, "stake")
        deliver(
            client, transaction, f"staked {tile(amount)}", wait_s=timeout_s if wait else None, as_json=as_json
        )


@tx.command("show")
@click.argument("identity", metavar="ID")
@rpc_option
@json_amounts_option
def show_transaction(identity: str, url: str | None, as_json: bool) -> None:
    """Show a transaction and what became of it."""
    with connect(url) as client:
        found = client.call("tx_get", id=identity)
    if as_json:
        show(found)
    else:
        _tell(found)


def _tell(found: dict[str, Any]) -> None:
    click.echo(f"transaction {found['id']}")
    if found["status"] == "unknown":
        click.echo("unknown: neither in the chain nor waiting in this node's pool")
        return
    form = found["transaction"]
    click.echo(f"{form['kind']} from {form['sender']}, nonce {form['nonce']}")
    for name, value in form["body"].items():
        click.echo(f"  {name} {tile(value) if name.endswith('_grains') else value}")
    if found["status"] == "pending":
        click.echo(
            f"waiting for a block; fee at most {tile(form['max_fee_grains'])}, until height {form['valid_until']}"
        )
        return
    receipt = found["receipt"]
    verdict = f"failed with {receipt['code']}" if receipt["code"] else "succeeded"
    paid = tile(receipt["burned_grains"] + receipt["tip_grains"])
    click.echo(f"{verdict} in block {found['height']} ({found['confirmations']} confirmations), fee {paid}")
