"""`tilework account`: balances, whose keys sign, and transactions that wait for more signatures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from node.amounts import money, tile
from node.cli.context import (
    address_named,
    connect,
    json_amounts_option,
    key_option,
    keys_option,
    public_key_named,
    rpc_option,
    show,
    signing_key,
)
from node.cli.cosigning import keep, kept
from node.cli.writing import Intent, Writing, desk, writing

if TYPE_CHECKING:
    from vm.accounts.authority import KeyWeight

_FILE = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))


@click.group()
def account() -> None:
    """Accounts: balances, nonces, stakes; several keys for one account."""


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
    for line in _lines(form):
        click.echo(line)


def _lines(form: dict[str, Any]) -> Iterator[str]:
    yield form["address"]
    yield f"balance  {tile(form['balance_grains'])}"
    waiting = form["next_nonce"] - form["nonce"]
    yield f"nonce    {form['nonce']}" + (f" ({waiting} waiting)" if waiting else "")
    if form["stake_grains"]:
        yield f"stake    {tile(form['stake_grains'])}, validator since height {form['validator_since']}"
    if form["keys"] is not None:
        yield "keys     " + _key_set(form["keys"])
        yield from _members(form["keys"])
    if form["keys_to_come"] is not None:
        coming = form["keys_to_come"]
        yield f"from height {coming['height']} on: " + _key_set(coming["keys"])
        yield from _members(coming["keys"])


def _key_set(form: dict[str, Any]) -> str:
    whole = sum(member["weight"] for member in form["members"])
    return f"{form['threshold']} of {whole} must sign; another change waits {form['delay_blocks']} blocks"


def _members(form: dict[str, Any]) -> Iterator[str]:
    return (f"  {member['public_key']}  weight {member['weight']}" for member in form["members"])


@account.command()
@click.option(
    "--member",
    "members",
    multiple=True,
    metavar="NAME|KEY[:WEIGHT]",
    help="A key: yours by name, or a public key in hexadecimal; and what its signature counts [1]. Again for more.",
)
@click.option("--threshold", type=click.IntRange(min=1), help="What the weights of the signers must reach.")
@click.option(
    "--delay",
    "delay_blocks",
    type=click.IntRange(min=1),
    help="Blocks that the next change of keys will wait.  [default: the network's least]",
)
@click.option("--cancel", is_flag=True, help="Call off a change that waits.")
@writing
def multisig(
    how: Writing, members: tuple[str, ...], threshold: int | None, delay_blocks: int | None, cancel: bool
) -> None:
    """Let several keys speak for the account, or others than now; takes effect after a delay.

    \b
    tilework account multisig --member alice --member bob --member carol --threshold 2
    tilework tx account transfer … --from ADDRESS --key bob --cosign carol

    The account's own key is one of them only if you name it.
    """
    from vm.kinds.keys import SetAuth

    if cancel:
        if members or threshold or delay_blocks:
            raise click.UsageError("--cancel goes alone.")
        with desk(how) as at:
            at.carry_out(
                Intent("account.set_auth", SetAuth(0, (), 0), done="the change of keys is called off")
            )
        return
    if not members or threshold is None:
        raise click.UsageError(
            "Name the keys with --member and how many must sign with --threshold, or --cancel."
        )
    keys = tuple(sorted((_member(text, how) for text in members), key=lambda each: each.public_key))
    with desk(how) as at:
        rules = at.now.spec.accounts
        delay = delay_blocks or rules.key_delay_blocks
        whole = sum(each.weight for each in keys)
        at.carry_out(
            Intent(
                "account.set_auth",
                SetAuth(threshold, keys, delay),
                done=f"{threshold} of {whole} will speak for {at.own}",
                told=(
                    f"account    {at.own}",
                    f"then       {threshold} of {whole} must sign:",
                    *(f"  {each.public_key.hex()}  weight {each.weight}" for each in keys),
                    f"waits      as long as the keys in force have set, at least {rules.key_delay_blocks} blocks "
                    f"({at.heights.blocks(rules.key_delay_blocks)})",
                    "note       the present key signs no more then, unless it is named",
                ),
                afterwards="see `tilework account show ADDRESS`; call it off with `tilework account multisig --cancel`",
            )
        )


def _member(text: str, how: Writing) -> KeyWeight:
    from vm.accounts.authority import MAX_KEY_WEIGHT, KeyWeight

    name, colon, weight = text.rpartition(":")
    if not colon:
        name, weight = text, "1"
    if not (weight.isascii() and weight.isdigit() and 1 <= int(weight) <= MAX_KEY_WEIGHT):
        raise click.UsageError(f"--member {text}: the weight is an integer, 1 to {MAX_KEY_WEIGHT}.")
    return KeyWeight(public_key_named(name, how.keys_dir), int(weight))


@account.command()
@_FILE
@key_option
@rpc_option
@json_amounts_option
def sign(file: Path, key_name: str | None, keys_dir: Path | None, url: str | None, as_json: bool) -> None:
    """Add a signature to a transaction in FILE, after reading what it does."""
    from node.cli.sending import chain_spec

    transaction, key = kept(file), signing_key(key_name, keys_dir)
    with connect(url) as client:
        prefix = chain_spec(client).address_prefix
    if not as_json:
        for line in _described(transaction.to_bytes(), prefix):
            click.echo(line)
    (own,) = transaction.signed(key).authorisations
    others = [each for each in transaction.authorisations if each.public_key != own.public_key]
    keep(transaction.with_signatures([*others, own]), file, prefix, as_json=as_json)


def _described(data: bytes, prefix: str) -> Iterator[str]:
    from node.rpc.forms import transaction_form

    form = transaction_form(data, prefix)
    yield f"{form['kind']} of {form['sender']}, fee up to {money(form['max_fee_grains'])}"
    for name, value in form["body"].items():
        yield f"  {name} {money(value) if name.endswith('_grains') else value}"


@account.command("send")
@_FILE
@click.option("--wait", is_flag=True, help="Return once it is in a block.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.IntRange(min=0),
    default=120,
    show_default=True,
    help="Seconds to wait.",
)
@rpc_option
@json_amounts_option
def send_signed(file: Path, wait: bool, timeout_s: int, url: str | None, as_json: bool) -> None:
    """Send a transaction in FILE once enough keys have signed it."""
    from node.cli.sending import deliver

    transaction = kept(file)
    with connect(url) as client:
        wait_s = timeout_s if wait else None
        deliver(client, transaction, f"{transaction.kind} done", wait_s=wait_s, as_json=as_json)
