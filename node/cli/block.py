"""`tilework block`: looking at blocks, and checking one from its bytes alone."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from node.amounts import scaled, tile
from node.cli.context import connect, json_amounts_option, json_option, rpc_option, show
from node.cli.errors import REFUSED, CommandFailed, unfulfilled
from node.cli.files import read_bounded, write_file

POLL_S = 0.4


@click.group()
def block() -> None:
    """Blocks: show one, wait for one, save its proof, verify one from its bytes."""


@block.command("show")
@click.argument("identity", metavar="HEIGHT|ID|head", default="head")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the canonical bytes to a file."
)
@rpc_option
@json_amounts_option
def show_block(identity: str, out: Path | None, url: str | None, as_json: bool) -> None:
    """Show a block, or save it for `block verify`."""
    with connect(url) as client:
        if out is not None:
            form = client.call("chain_block", id=identity, raw=True)
            write_file(out, bytes.fromhex(form["raw"]))
            click.echo(f"wrote {form['size_bytes']} bytes of block {form['id']} to {out}")
            return
        form = client.call("chain_block", id=identity)
    if as_json:
        show(form)
    else:
        _tell(form)


@block.command()
@click.argument("height", metavar="HEIGHT|+BLOCKS")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.IntRange(min=0),
    default=600,
    show_default=True,
    help="Seconds to wait.",
)
@rpc_option
@json_option
def wait(height: str, timeout_s: int, url: str | None, as_json: bool) -> None:
    """Return once the chain has a HEIGHT, or so many +BLOCKS more than now.

    An epoch of the chain, a vote or a delay is over at a height: this waits for it.
    """
    digits = height.removeprefix("+")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 16):
        raise click.UsageError(f"{height!r} is no height, and no number of blocks like +16.")
    deadline = time.monotonic() + timeout_s
    with connect(url) as client:
        head: int = client.call("chain_status")["height"]
        wanted = int(digits) + (head if height.startswith("+") else 0)
        while head < wanted:
            if time.monotonic() > deadline:
                raise unfulfilled(f"BLOCK_TIMEOUT: at height {head}, not yet {wanted}, after {timeout_s} s.")
            time.sleep(POLL_S)
            head = client.call("chain_status")["height"]
    if as_json:
        show({"height": head})
    else:
        click.echo(f"height {head}")


@block.command()
@click.argument("identity", metavar="HEIGHT|ID|head", default="head")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="File to write.")
@rpc_option
def proof(identity: str, out: Path, url: str | None) -> None:
    """Save the proof of work of a block, for `work verify`: header bytes, target, profile and certificate."""
    from chain.blocks import Block
    from compute.spec.profiles import PROFILES
    from node.cli.sending import chain_spec
    from node.work_proof import proof_of_block, to_json

    with connect(url) as client:
        profile = PROFILES[chain_spec(client).profile_id]
        form = client.call("chain_block", id=identity, raw=True)
    saved = proof_of_block(Block.from_bytes(bytes.fromhex(form["raw"])), profile)
    write_file(out, (json.dumps({"block": form["id"]} | to_json(saved), indent=1) + "\n").encode("ascii"))
    click.echo(f"wrote the proof of block {form['id']}, {len(saved.certificate)} bytes, to {out}")


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
    from chain.blocks import Block
    from node.block_check import Mark, check, passed
    from node.cli.genesis import read_spec

    spec = read_spec(genesis_file) if genesis_file is not None else None
    data = read_bounded(file, Block.MAX_BYTES, hint="Save one with `tilework block show ID --out FILE`.")
    findings = check(data, spec)
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
