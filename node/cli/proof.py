"""`tilework proof`: what the state holds, in a file that anybody can check without a node."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from node.amounts import tile
from node.cli.context import address_named, connect, json_option, keys_option, rpc_option, show
from node.cli.files import read_bounded, write_file

if TYPE_CHECKING:
    from chain.state_proof import StateProof
    from chain.types import BlockHash
    from node.rpc.client import RpcClient

HOW_TO_MAKE = "Make one with `tilework proof account ADDRESS --out FILE`."
UNCHECKED = "not compared with anything: name a header or block id that you trust with --header"


@click.group()
def proof() -> None:
    """Proofs about the state: make one at a node, check one offline."""


out_option = click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="File to write."
)
block_option = click.option(
    "--block", metavar="ID", help="Refuse if the node's head is another block by now."
)


@proof.command()
@click.argument("who", metavar="ADDRESS|NAME")
@out_option
@block_option
@rpc_option
@keys_option
def account(who: str, out: Path, block: str | None, url: str | None, keys_dir: Path | None) -> None:
    """Save a proof of an account at the node's head, or that there is none."""
    from node.cli.sending import chain_spec

    with connect(url) as client:
        address = address_named(who, chain_spec(client).address_prefix, keys_dir)
        _save(client, "account", address.hex(), block, out)


@proof.command()
@click.argument("namespace")
@click.argument("identifier", metavar="HEX")
@out_option
@block_option
@rpc_option
def key(namespace: str, identifier: str, out: Path, block: str | None, url: str | None) -> None:
    """Save a proof of any entry of the state, or that there is none.

    NAMESPACE is account, validator, job, chain, … as the specification of the state lists them; HEX the identifier in
    it, '' for the one entry of a namespace like chain.
    """
    with connect(url) as client:
        _save(client, namespace, identifier, block, out)


@proof.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--header",
    "trusted",
    metavar="H",
    help="What you trust: a block id, a header in hex, or a file with a header or a block.",
)
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    help="Check the header's proof of work too: the file `tilework block proof` wrote.",
)
@json_option
def verify(file: Path, trusted: str | None, work: Path | None, as_json: bool) -> None:
    """Check a proof about the state: no node, no database, no network.

    Without --header the answer is only as good as the header inside the file: it shows what that header commits to,
    not that any chain has such a block.
    """
    from chain.state_proof import MAX_FILE_BYTES, parse

    state_proof = parse(read_bounded(file, MAX_FILE_BYTES, hint=HOW_TO_MAKE))
    state_proof.check()
    if trusted is not None:
        _compare(state_proof, _trusted_block(trusted))
    spent = _check_work(state_proof, work) if work is not None else ""
    if as_json:
        show(_form(state_proof, trusted is not None, bool(spent)))
    else:
        _tell(state_proof, trusted is not None, spent)


def _save(client: RpcClient, namespace: str, identifier: str, block: str | None, out: Path) -> None:
    """Fetch a proof, check it as a stranger would, and write it."""
    from chain.state_proof import parse, text_of

    form = client.call("state_proof", namespace=namespace, identifier=identifier, block=block)
    data = text_of(form)
    fetched = parse(data)
    fetched.check()
    write_file(out, data)
    shown = "a value" if fetched.value is not None else "that nothing is there"
    click.echo(
        f"wrote a proof of {shown} after block {form['height']} {form['block']}, "
        f"{len(form['proof']) // 2} bytes, to {out}"
    )


def _trusted_block(text: str) -> BlockHash:
    """The block that a person names as trusted.  Raises: Policy PROOF_HEADER."""
    from chain.blocks import Block, Header
    from chain.errors import Invalid, Policy
    from chain.types import BlockHash

    path = Path(text)
    data = read_bounded(path, Block.MAX_BYTES, hint="") if _is_file(path) else text.encode()
    with suppress(ValueError):  # else they are the bytes of a header or a block themselves
        data = bytes.fromhex(data.decode("ascii"))
    if len(data) == 32:
        return BlockHash(data)
    with suppress(Invalid):
        return Header.from_bytes(data).id
    with suppress(Invalid):
        return Block.from_bytes(data).header.id
    raise Policy(
        "PROOF_HEADER",
        found=text[:80],
        allowed="a block id of 64 hexadecimal digits, a header in hex, or a file with a header or a block",
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # hex of a header is longer than any file name
        return False


def _compare(state_proof: StateProof, trusted: BlockHash) -> None:
    from chain.errors import Invalid

    header = state_proof.header
    if header.id != trusted:
        raise Invalid(
            "STATE_PROOF_HEADER",
            found=f"a proof under block {header.height} {header.id.hex()}",
            allowed=f"under block {trusted.hex()}",
            hint="The proof may be right for its own block, but that is not the one you trust.",
        )


def _check_work(state_proof: StateProof, file: Path) -> str:
    """Check the proof of work of the header; returns how much work it stands for.  Raises: Invalid, Policy."""
    from chain.blocks import certificate_hash
    from chain.errors import Invalid
    from consensus.work import block_work
    from node.amounts import scaled
    from node.work_proof import MAX_FILE_BYTES, check, parse

    header = state_proof.header
    saved = parse(
        read_bounded(file, MAX_FILE_BYTES, hint="Save one with `tilework block proof ID --out FILE`.")
    )
    if saved.sigma != header.sigma() or certificate_hash(saved.certificate) != header.certificate_hash:
        raise Invalid(
            "STATE_PROOF_WORK",
            found="a proof of work of another block",
            allowed=f"that of block {header.height} {header.id.hex()}",
        )
    report = check(saved)
    if report.code:
        raise Invalid(report.code, found="work that does not hold", allowed="see `tilework work verify`")
    return scaled(block_work(header.target), "MAC")


def _form(state_proof: StateProof, is_trusted: bool, is_worked: bool) -> dict[str, object]:
    value = state_proof.value
    return {
        "valid": True,
        "header_compared": is_trusted,
        "work_checked": is_worked,
        "chain_id": state_proof.header.chain_id.decode(errors="replace"),
        "height": state_proof.header.height,
        "block": state_proof.header.id.hex(),
        "namespace": state_proof.namespace.name.lower(),
        "identifier": state_proof.identifier.hex(),
        "present": value is not None,
        "value": value.hex() if value is not None else None,
        "holds": _readable(state_proof),
    }


def _tell(state_proof: StateProof, is_trusted: bool, spent: str) -> None:
    header = state_proof.header
    click.echo(f"ok      proof     leads to state root {header.state_root.hex()}")
    compared = "is the one you trust" if is_trusted else UNCHECKED
    click.echo(f"{'ok     ' if is_trusted else 'note   '} header    {header.id.hex()}, {compared}")
    if spent:
        click.echo(f"ok      work      the header's proof of work holds: {spent} on average")
    subject = f"{state_proof.namespace.name.lower()} {state_proof.identifier.hex()}".rstrip()
    click.echo(f"After block {header.height} of {header.chain_id.decode(errors='replace')!r}, {subject}:")
    readable = _readable(state_proof)
    if state_proof.value is None:
        click.echo("nothing is there")
    elif readable is None:
        click.echo(state_proof.value.hex())
    else:
        click.echo(f"balance {tile(readable['balance_grains'])}, nonce {readable['nonce']}")


def _readable(state_proof: StateProof) -> dict[str, int] | None:
    """Balance and nonce of an account; None for what is shown as bytes."""
    from chain.ledger import Account, Namespace

    if state_proof.namespace is not Namespace.ACCOUNT or state_proof.value is None:
        return None
    record = Account.from_bytes(state_proof.value)
    return {"balance_grains": record.balance_grains, "nonce": record.nonce}
