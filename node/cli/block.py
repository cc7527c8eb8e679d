"""`tilework block`: looking at blocks, and checking one from its bytes alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from node.amounts import scaled, tile
from node.cli.context import connect, json_option, rpc_option, show
from node.cli.errors import REFUSED, CommandFailed


@click.group()
def block() -> None:
    """Blocks: show one, verify one from its bytes."""


@block.command("show")
@click.argument("identity", metavar="HEIGHT|ID|head", default="head")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the canonical bytes to a file."
)
@rpc_option
@json_option
def show_block(identity: str, out: Path | None, url: str | None, as_json: bool) -> None:
    """Show a block, or save it for `block verify`."""
    with connect(url) as client:
        if out is not None:
            form = client.call("chain_block", id=identity, raw=True)
            _write(out, bytes.fromhex(form["raw"]))
            click.echo(f"wrote {form['size_bytes']} bytes of block {form['id']} to {out}")
            return
        form = client.call("chain_block", id=identity)
    if as_json:
        show(form)
    else:
        _tell(form)


@block.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--genesis", "genesis_file", type=click.Path(path_type=Path), help="Check the network's constants too."
)
@json_option
def verify(file: Path, genesis_file: Path | None, as_json: bool) -> None:
    """Verify a block from its bytes alone: no node, no database, no network.

    Checks encoding, commitments, proof of work (by replaying the winning cube) and signatures, and judges every fraud
    proof inside again. What needs the state (balances, roots of state and receipts) is not checked.
    """
    from node.block_check import Mark, check, passed
    from node.cli.genesis import read_spec

    spec = read_spec(genesis_file) if genesis_file is not None else None
    findings = check(_read(file), spec)
    fine = passed(findings)
    if as_json:
        lines = [
            {"mark": finding.mark.value, "what": finding.what, "detail": finding.detail}
            for finding in findings
        ]
        show({"valid": fine, "checks": lines})
    else:
        for finding in findings:
            click.echo(f"{finding.mark.value:<7} {finding.what:<18} {finding.detail}")
    if not fine:
        failures = sum(finding.mark is Mark.FAILED for finding in findings)
        raise CommandFailed(f"BLOCK_INVALID: {failures} check{'s'[: failures != 1]} failed.", REFUSED)


def _tell(form: dict[str, Any]) -> None:
    header, certificate = form["header"], form["certificate"]
    click.echo(
        f"block {header['height']}  {form['id']}"
        + ("" if form["canonical"] else "  NOT on the chain of the head")
    )
    click.echo(f"parent     {header['parent']}")
    click.echo(f"state      {header['state_root']}")
    click.echo(f"time       {header['time_ms']} ms")
    if certificate is not None:
        shape = certificate["shape"]
        won = f"job {certificate['job']}" if certificate["job"] else "a product nobody ordered"
        click.echo(f"miner      {header['miner']}")
        click.echo(
            f"work       {scaled((1 << 256) // (int(header['target'], 16) + 1), 'MAC')}, won by {won}: "
            f"{shape['m']}x{shape['n']}x{shape['k']}, proof of {certificate['size_bytes']} bytes"
        )
    for transaction in form["transactions"]:
        code = transaction.get("receipt", {}).get("code")
        click.echo(f"  {transaction['kind']:<15} {transaction['id'][:16]} {code or ''}".rstrip())
    for event in form["events"]:
        values = " ".join(_shown(name, value) for name, value in event.items() if name != "event")
        click.echo(f"  ({event['event']} {values})")


def _shown(name: str, value: Any) -> str:
    if name.endswith("_grains"):
        return f"{name.removesuffix('_grains')}={tile(value)}"
    return f"{name}={value}"


def _read(file: Path) -> bytes:
    from chain.blocks import Block
    from chain.errors import LocalFault, Missing, Policy

    try:
        size_bytes = file.stat().st_size
        if size_bytes > Block.MAX_BYTES:
            raise Policy(
                "BLOCK_SIZE",
                found=f"{size_bytes} bytes in {file}",
                allowed=f"at most {Block.MAX_BYTES} bytes",
            )
        return file.read_bytes()
    except FileNotFoundError as error:
        raise Missing(
            "FILE", found=f"no file {file}", hint="Save one with `tilework block show ID --out FILE`."
        ) from error
    except OSError as error:
        raise LocalFault(
            "FILE_READ", found=f"{file}: {error.strerror}", allowed="a file we may read"
        ) from error


def _write(file: Path, data: bytes) -> None:
    from chain.errors import LocalFault

    try:
        file.write_bytes(data)
    except OSError as error:
        raise LocalFault(
            "FILE_WRITE", found=f"{file}: {error.strerror}", allowed="a place we may write to"
        ) from error
