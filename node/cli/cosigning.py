"""Signing for an account that is not the key's own: session keys, several keys, and files that wait for signatures.

    {"network": "…", "kind": "transfer", "sender": "…", "signed_by": ["…"], "transaction": "hex"}

Only `transaction` counts; the rest is for people, and written anew from it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from node.cli.context import address_named, show, signing_key

if TYPE_CHECKING:
    from node.cli.writing import Writing
    from node.rpc.client import RpcClient
    from node.wallet import Shared
    from vm.envelope import Transaction

C = TypeVar("C", bound=Callable[..., Any])


def shared_options(command: C) -> C:
    """Adds --from, --cosign and --sign-later."""
    for option in (
        click.option(
            "--sign-later",
            "later",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="Send nothing; keep it in FILE until others have signed: `tilework account sign`.",
        ),
        click.option(
            "--cosign",
            "cosigner_names",
            multiple=True,
            metavar="NAME|PATH",
            help="Another key that signs, of an account with several; again for more.",
        ),
        click.option(
            "--from",
            "sender_name",
            metavar="ADDRESS|NAME",
            help="Account to act for, with a session key or some of its keys.  [default: the key's own]",
        ),
    ):
        command = option(command)
    return command


def shared_account(client: RpcClient, how: Writing) -> Shared | None:
    """The account of --from, with the keys of --cosign; None if the key acts for its own alone."""
    from chain.bech32m import encode_address
    from node.cli.sending import chain_spec
    from node.wallet import Shared

    if how.sender_name is None and not how.cosigner_names:
        return None
    prefix = chain_spec(client).address_prefix
    own = signing_key(how.key_name, how.keys_dir).address
    sender = own if how.sender_name is None else address_named(how.sender_name, prefix, how.keys_dir)
    cosigners = tuple(signing_key(name, how.keys_dir) for name in how.cosigner_names)
    held = client.call("account_get", address=encode_address(prefix, sender))["keys"]
    members = len(held["members"]) if held is not None else 1
    return Shared(sender, cosigners, max(members, 1 + len(cosigners)))


def keep(transaction: Transaction, path: Path, prefix: str, *, as_json: bool) -> None:
    """Write a transaction that needs more signatures.  Raises: LocalFault FILE_WRITE."""
    from node.cli.files import write_file

    form = _form(transaction, prefix)
    write_file(path, (json.dumps(form, indent=2) + "\n").encode())
    if as_json:
        show(form)
        return
    count = len(transaction.authorisations)
    click.echo(f"kept in {path}, with {count} signature{'s'[: count != 1]}; nothing was sent")
    click.echo(
        f"others sign with `tilework account sign {path} --key NAME`; then `tilework account send {path}`"
    )


def kept(path: Path) -> Transaction:
    """Read such a file.  Raises: Policy TX_FILE, Missing FILE, LocalFault FILE_READ."""
    from chain.blocks import MAX_TRANSACTION_BYTES
    from chain.errors import Invalid, Policy
    from node.cli.files import read_bounded
    from vm.envelope import Transaction

    data = read_bounded(
        path, 3 * MAX_TRANSACTION_BYTES, hint="Commands that sign write one with --sign-later FILE."
    )
    try:
        return Transaction.from_bytes(bytes.fromhex(json.loads(data)["transaction"]))
    except (ValueError, KeyError, TypeError, Invalid) as error:
        raise Policy(
            "TX_FILE",
            found=f"{path}: {error}",
            allowed="a file that a command with --sign-later has written",
        ) from error


def _form(transaction: Transaction, prefix: str) -> dict[str, Any]:
    from chain.bech32m import encode_address

    return {
        "network": transaction.chain_id.decode(),
        "kind": transaction.kind,
        "sender": encode_address(prefix, transaction.sender),
        "signed_by": [key.hex() for key in transaction.signers],
        "transaction": transaction.to_bytes().hex(),
    }
