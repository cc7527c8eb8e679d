"""Which node a command talks to, which key it signs with, and whom a name means."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from chain.keys import SigningKey
    from chain.types import Address, PublicKey
    from node.devnet.record import Devnet
    from node.keystore import Keystore
    from node.rpc.client import RpcClient

DEFAULT_URL = "http://127.0.0.1:8645"
DEFAULT_KEYS = "~/.tilework/keys"
DEFAULT_KEY = "default"
DEVNET_VARIABLE = "TILEWORK_DEVNET"
"""Directory of the local network to use when it is not the default one under the working directory."""

C = TypeVar("C", bound=Callable[..., Any])


def rpc_option(command: C) -> C:
    """Adds --rpc URL."""
    text = f"Node to talk to.  [default: the first node of the local devnet, else {DEFAULT_URL}]"
    return click.option("--rpc", "url", envvar="TILEWORK_RPC", metavar="URL", help=text)(command)


def json_option(command: C) -> C:
    """Adds --json, for answers without amounts of money."""
    return _json_option("Print JSON.")(command)


def json_amounts_option(command: C) -> C:
    """Adds --json, for answers that hold amounts of money."""
    return _json_option("Print JSON, with amounts in grains.")(command)


def _json_option(text: str) -> Callable[[C], C]:
    return click.option("--json", "as_json", is_flag=True, help=text)


def keys_option(command: C) -> C:
    """Adds --keys DIR."""
    return click.option(
        "--keys",
        "keys_dir",
        envvar="TILEWORK_KEYS",
        type=click.Path(path_type=Path, file_okay=False),
        help=f"Directory of key files.  [default: the local devnet's, else {DEFAULT_KEYS}]",
    )(command)


def key_option(command: C) -> C:
    """Adds --key NAME|PATH and --keys DIR."""
    text = f"Key to sign with: a name or a file.  [default: alice of the local devnet, else {DEFAULT_KEY!r}]"
    return keys_option(
        click.option("--key", "key_name", envvar="TILEWORK_KEY", metavar="NAME|PATH", help=text)(command)
    )


def connect(url: str | None, *, timeout_s: float = 120) -> RpcClient:
    """A client of the chosen node.  Raises: Policy RPC_URL."""
    from node.rpc.client import RpcClient

    return RpcClient(node_url(url), timeout_s=timeout_s)


def node_url(url: str | None) -> str:
    """The node asked for here or before the command, else the local devnet's first, else the usual address."""
    url = url or click.get_current_context().find_root().params.get("url")
    devnet = local_devnet() if url is None else None
    return url or (devnet.nodes[0].rpc if devnet is not None else DEFAULT_URL)


def local_devnet() -> Devnet | None:
    """The record of the local network here, if there is one.  Raises: Policy DEVNET_RECORD."""
    from node.devnet.record import DEFAULT_DIRECTORY, FILE_NAME, load

    directory = Path(os.environ.get(DEVNET_VARIABLE) or DEFAULT_DIRECTORY)
    return load(directory) if (directory / FILE_NAME).exists() else None


def keystore(keys_dir: Path | None) -> Keystore:
    """The keys to choose from: the directory asked for, else the local devnet's, else the person's own."""
    from node.keystore import Keystore

    if keys_dir is not None:
        return Keystore(keys_dir.expanduser())
    devnet = local_devnet()
    if devnet is not None and devnet.accounts:
        return Keystore(Path(devnet.accounts[0].key_file).parent)
    return own_keystore()


def own_keystore() -> Keystore:
    """The person's own keys."""
    from node.keystore import Keystore

    return Keystore(Path(DEFAULT_KEYS).expanduser())


def signing_key(name: str | None, keys_dir: Path | None) -> SigningKey:
    """The key to sign with.  Raises: Missing KEY_UNKNOWN, Policy KEY_*, LocalFault KEY_*."""
    from node.keyfile import read_key

    if name is not None and ("/" in name or name.endswith(".json")):
        return read_key(Path(name).expanduser())
    store = keystore(keys_dir)
    if name is None:
        devnet = local_devnet() if keys_dir is None else None
        name = devnet.accounts[0].name if devnet is not None and devnet.accounts else DEFAULT_KEY
    own = own_keystore()
    if keys_dir is None and name not in store.names() and name in own.names():
        return own.load(name)
    return store.load(name)


def address_named(text: str, prefix: str, keys_dir: Path | None) -> Address:
    """The account that an address, a node or account of the local devnet, or the name of a key stands for.

    Raises: Invalid ADDRESS_*, Missing KEY_UNKNOWN.
    """
    from chain.bech32m import decode_address

    if "1" in text and text.lower().startswith(prefix):
        return decode_address(prefix, text)
    devnet = local_devnet() if keys_dir is None else None
    if devnet is not None:
        known = {entry.name: entry.address for entry in (*devnet.accounts, devnet.spare)}
        known |= {entry.name: entry.address for entry in devnet.nodes}
        if text in known:
            return decode_address(prefix, known[text])
    if "1" in text and len(text) > 38:
        return decode_address(prefix, text)  # an address of another network, or one with a typing mistake
    return signing_key(text, keys_dir).address


def public_key_named(text: str, keys_dir: Path | None) -> PublicKey:
    """The public key that 64 hexadecimal digits, or the name of a key, stand for.  Raises: Missing KEY_UNKNOWN."""
    from chain.types import PublicKey

    try:
        data = bytes.fromhex(text)
    except ValueError:
        data = b""
    return PublicKey(data) if len(data) == 32 else PublicKey(signing_key(text, keys_dir).public_key)


def show(form: Any) -> None:
    """Print JSON for programs."""
    click.echo(json.dumps(form, indent=2))


def log_level_option(command: C) -> C:
    """Adds --log-level."""
    return click.option(
        "--log-level",
        type=click.Choice(["debug", "info", "warning"]),
        default="info",
        show_default=True,
        help="How much to log.",
    )(command)
