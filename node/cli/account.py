"""`tilework account`: balances."""

from __future__ import annotations

from pathlib import Path

import click

from node.amounts import tile
from node.cli.context import address_named, connect, json_amounts_option, keys_option, rpc_option, show


@click.group()
def account() -> None:
    """Accounts: balances, nonces, stakes."""


@account.command("show")
@click.argument("who", metavar="ADDRESS|NAME")
@rpc_option
@keys_option
@json_amounts_option
def show_account(who: str, url: str | None, keys_dir: Path | None, as_json: bool) -> None:
    """Show an account by its address, or by the name of a key."""
    from chain.bech32m import encode_address
    from node.cli.sending import chain_spec

    with connect(url) as client:
        prefix = chain_spec(client).address_prefix
        address = encode_address(prefix, address_named(who, prefix, keys_dir))
        form = client.call("account_get", address=address)
    if as_json:
        show(form)
        return
    click.echo(form["address"])
    click.echo(f"balance  {tile(form['balance_grains'])}")
    waiting = form["next_nonce"] - form["nonce"]
    click.echo(f"nonce    {form['nonce']}" + (f" ({waiting} waiting)" if waiting else ""))
    if form["stake_grains"]:
        click.echo(f"stake    {tile(form['stake_grains'])}, validator since height {form['validator_since']}")
