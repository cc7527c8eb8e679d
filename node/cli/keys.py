"""`tilework keys`: making and looking at keys."""

from __future__ import annotations

from pathlib import Path

import click

from node.cli.context import json_option, keys_option, keystore, own_keystore, show

PLAIN_TEXT_WARNING = (
    "The key is stored as PLAIN TEXT: whoever reads the file owns the account. "
    "Keep no money in it that you would miss."
)
_PREFIX = click.option(
    "--prefix",
    default="tiledev",
    show_default=True,
    help="Network the addresses are for: tiledev, tiletest, …",
)


@click.group()
def keys() -> None:
    """Keys that own accounts: make, list, show."""


@keys.command()
@click.argument("name")
@_PREFIX
@json_option
@keys_option
def new(name: str, prefix: str, as_json: bool, keys_dir: Path | None) -> None:
    """Make a key and keep it under NAME (small letters, digits, - and _)."""
    import secrets

    from node.keystore import Keystore

    store = Keystore(keys_dir.expanduser()) if keys_dir is not None else own_keystore()
    key = store.create(name, secrets.token_bytes(32), prefix)
    path = store.directory / f"{name}.json"
    form = _described(name, key, prefix) | {"file": str(path)}
    if as_json:
        show(form)
    else:
        click.echo(f"{name}   {form['address']}")
        click.echo(f"public key {form['public_key']}")
        click.echo(f"kept in {path}")
    click.secho(PLAIN_TEXT_WARNING, err=True, fg="yellow")


@keys.command("list")
@_PREFIX
@json_option
@keys_option
def list_keys(prefix: str, as_json: bool, keys_dir: Path | None) -> None:
    """List keys with their addresses: the local devnet's and your own, unless --keys names a directory."""
    stores = [keystore(keys_dir)]
    if keys_dir is None and own_keystore() not in stores:
        stores.append(own_keystore())
    known = {store: [_described(n, store.load(n), prefix) for n in store.names()] for store in stores}
    if as_json:
        show([{"directory": str(store.directory), "keys": forms} for store, forms in known.items()])
        return
    for store, forms in known.items():
        click.echo(f"{len(forms)} key{'s'[: len(forms) != 1]} in {store.directory}")
        for form in forms:
            click.echo(f"{form['name']:<12} {form['address']}")


@keys.command("show")
@click.argument("name", metavar="NAME|PATH")
@_PREFIX
@json_option
@keys_option
def show_key(name: str, prefix: str, as_json: bool, keys_dir: Path | None) -> None:
    """Show address and public key; the secret stays in its file."""
    from node.cli.context import signing_key

    form = _described(name, signing_key(name, keys_dir), prefix)
    if as_json:
        show(form)
        return
    click.echo(f"{name}   {form['address']}")
    click.echo(f"public key {form['public_key']}")


def _described(name: str, key: object, prefix: str) -> dict[str, str]:
    from chain.bech32m import encode_address
    from chain.keys import SigningKey

    assert isinstance(key, SigningKey)
    return {"name": name, "address": encode_address(prefix, key.address), "public_key": key.public_key.hex()}
