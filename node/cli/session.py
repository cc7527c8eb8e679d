"""`tilework session`: keys that may spend a little in an account's name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from node.amounts import money, tile
from node.cli.amounts import AMOUNT
from node.cli.context import (
    address_named,
    connect,
    json_amounts_option,
    key_option,
    public_key_named,
    rpc_option,
    show,
    signing_key,
)
from node.cli.heights import Heights
from node.cli.writing import Intent, Writing, desk, writing

_KEY = click.argument("key", metavar="NAME|KEY")
PROPOSALS = ("param", "upgrade", "treasury", "text", "pause")
"""Sorts of proposals."""


@click.group()
def session() -> None:
    """Session keys: let a program sign for you, within limits.

    A session key signs with --from: `tilework tx account transfer … --from YOUR-ADDRESS --key agent`.
    """


@session.command()
@_KEY
@click.option(
    "--kinds", required=True, metavar="KIND,…", help="What it may do: transfer, job.open, asset.acquire, …"
)
@click.option("--total", type=AMOUNT, required=True, help="What it may spend in all, fees included.")
@click.option(
    "--window", "window_blocks", type=click.IntRange(min=1), help="Blocks in which --per-window bounds it."
)
@click.option("--per-window", type=AMOUNT, help="What it may spend within one window.")
@click.option(
    "--with",
    "counterparties",
    multiple=True,
    metavar="ADDRESS|NAME",
    help="Whom it may name; again for more.",
)
@click.option(
    "--object",
    "objects",
    multiple=True,
    metavar="ID",
    help="Which job, asset, … it may name; again for more.",
)
@click.option(
    "--votes",
    "votes",
    type=click.Choice(PROPOSALS),
    multiple=True,
    help="Sorts of proposals it may vote on; again for more.",
)
@click.option("--agent", is_flag=True, help="Tell others that a program holds the key.")
@click.option(
    "--blocks",
    type=click.IntRange(min=1),
    default=10_000,
    show_default=True,
    help="How many blocks it is good for.",
)
@writing
def grant(
    how: Writing,
    key: str,
    kinds: str,
    total: int,
    window_blocks: int | None,
    per_window: int | None,
    counterparties: tuple[str, ...],
    objects: tuple[str, ...],
    votes: tuple[str, ...],
    agent: bool,
    blocks: int,
) -> None:
    """Let a key sign for the account: a key of yours by NAME, or a public KEY in hexadecimal."""
    from chain.types import Grains, Height
    from vm.governance.proposal import ProposalSort
    from vm.kinds.sessions import SessionGrant

    if (window_blocks is None) != (per_window is None):
        raise click.UsageError("--window and --per-window go together.")
    with desk(how) as at:
        public_key = public_key_named(key, how.keys_dir)
        deposit = at.now.spec.accounts.session_deposit_grains
        body = SessionGrant(
            public_key=public_key,
            kinds=tuple(sorted({name.strip() for name in kinds.split(",")})),
            total_grains=Grains(total),
            window_blocks=window_blocks or 0,
            per_window_grains=Grains(per_window or 0),
            counterparties=tuple(at.address(name) for name in counterparties),
            objects=tuple(_object(text) for text in objects),
            vote_scope=sum(1 << ProposalSort[sort.upper()] for sort in set(votes)),
            agent=int(agent),
            expires=Height(at.now.height + blocks),
        )
        at.carry_out(
            Intent(
                "session.grant",
                body,
                done=f"{key} may spend up to {tile(total)} for {at.own}",
                spends_grains=deposit,
                spends="deposit",
                told=(
                    f"account    {at.own}",
                    f"key        {public_key.hex()}",
                    f"may        {', '.join(body.kinds)}",
                    f"spends     up to {money(total)}, fees included",
                    f"until      {at.heights.at(body.expires)}",
                    f"deposit    {money(deposit)}, back when it ends",
                ),
                afterwards=f"it signs with --from {at.own} --key {key}; `tilework session revoke {key}` takes it back",
            )
        )


def _object(text: str) -> Any:
    from chain.types import Hash32
    from node.cli.hexadecimal import Hex

    return Hash32(bytes.fromhex(Hex(32, 32).convert(text, None, None)))


@session.command()
@_KEY
@writing
def revoke(how: Writing, key: str) -> None:
    """Take a session key back, at once."""
    from vm.kinds.sessions import SessionRevoke

    with desk(how) as at:
        body = SessionRevoke(public_key_named(key, how.keys_dir))
        at.carry_out(Intent("session.revoke", body, done=f"{key} signs no more for {at.own}"))


@session.command("list")
@click.argument("who", metavar="ADDRESS|NAME", required=False)
@key_option
@rpc_option
@json_amounts_option
def list_sessions(
    who: str | None, key_name: str | None, keys_dir: Path | None, url: str | None, as_json: bool
) -> None:
    """List live session keys of an account, with what they have spent."""
    from chain.bech32m import encode_address
    from node.cli.sending import chain_spec

    with connect(url) as client:
        spec = chain_spec(client)
        prefix = spec.address_prefix
        address = address_named(who, prefix, keys_dir) if who else signing_key(key_name, keys_dir).address
        found = client.call("session_list", address=encode_address(prefix, address))
        heights = Heights(client.call("chain_status")["height"], spec.pace.block_time_ms)
    if as_json:
        show(found)
        return
    if not found["sessions"]:
        click.echo("no session keys; see `tilework session grant --help`")
    for form in found["sessions"]:
        for line in _lines(form, heights):
            click.echo(line)


def _lines(form: dict[str, Any], heights: Heights) -> Iterator[str]:
    yield form["public_key"] + (" (a program)" if form["agent"] else "")
    yield f"  may      {', '.join(form['kinds'])}"
    yield f"  spent    {tile(form['spent_grains'])} of {tile(form['total_grains'])}"
    if form["window_blocks"]:
        ends = form["window_begins"] + form["window_blocks"]
        spent = form["window_spent_grains"] if heights.now + 1 < ends else 0
        yield f"  window   {tile(spent)} of {tile(form['per_window_grains'])} in {form['window_blocks']} blocks"
    for name in ("counterparties", "objects"):
        if form[name]:
            yield f"  only     {', '.join(form[name])}"
    yield f"  until    {heights.at(form['expires'])}"
