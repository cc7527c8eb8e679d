"""`tilework gov propose`: one command for each sort of proposal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from node.amounts import money, parse_amount, parse_per_cent, tile
from node.cli.amounts import AMOUNT
from node.cli.hexadecimal import Hex
from node.cli.writing import Desk, Intent, Writing, desk, writing

C = TypeVar("C", bound=Callable[..., Any])
_NO_ROOT = bytes(32).hex()


@click.group()
def propose() -> None:
    """Make a proposal; it is voted on as soon as its deposit is complete."""


def _common(command: C) -> C:
    """Adds --title, --doc-root and --deposit."""
    for option in (
        click.option(
            "--deposit",
            type=AMOUNT,
            help="What you lock for it; others may add the rest.  [default: the whole deposit]",
        ),
        click.option(
            "--doc-root",
            type=Hex(32, 32),
            default=_NO_ROOT,
            metavar="HEX",
            help="Root of a text about it.  [default: none]",
        ),
        click.option("--title", required=True, help="What people read first."),
    ):
        command = option(command)
    return command


@propose.command()
@click.argument("changes", nargs=-1, required=True, metavar="NAME=VALUE…")
@_common
@writing
def param(how: Writing, changes: tuple[str, ...], title: str, doc_root: str, deposit: int | None) -> None:
    """Change constants: `tilework gov parameters` has their names.

    A VALUE is an integer; amounts may be given in TILE (5tile), shares in per cent (2.5%).
    """
    from chain.ledger import ParameterValue

    values = tuple(ParameterValue(name, value) for name, value in map(parameter_value, changes))
    told = tuple(f"changes    {each.name} to {each.value}" for each in values)
    _send(how, "PARAM", title, doc_root, deposit, told, changes=values)


@propose.command()
@click.argument("to", metavar="ADDRESS|NAME")
@click.argument("amount", type=AMOUNT)
@_common
@writing
def treasury(how: Writing, to: str, amount: int, title: str, doc_root: str, deposit: int | None) -> None:
    """Pay somebody out of the treasury."""
    from chain.types import Grains

    told = (f"pays       {money(amount)} to {to}",)
    _send(how, "TREASURY", title, doc_root, deposit, told, to=to, amount_grains=Grains(amount))


@propose.command()
@_common
@writing
def text(how: Writing, title: str, doc_root: str, deposit: int | None) -> None:
    """Ask what people think; nothing changes."""
    _send(how, "TEXT", title, doc_root, deposit, ())


@propose.command()
@click.argument("kinds", nargs=-1, required=True, metavar="KIND…")
@click.option("--blocks", type=click.IntRange(min=1), required=True, help="For how many blocks.")
@_common
@writing
def pause(
    how: Writing, kinds: tuple[str, ...], blocks: int, title: str, doc_root: str, deposit: int | None
) -> None:
    """Keep kinds of transactions out of blocks for a while; two thirds of both houses have to agree."""
    told = (f"pauses     {', '.join(kinds)} for {blocks:,} blocks",)
    _send(how, "PAUSE", title, doc_root, deposit, told, paused=kinds, pause_blocks=blocks)


@propose.command()
@click.argument("name")
@click.option("--height", type=click.IntRange(min=1), help="The first block by its rules.")
@click.option("--take-back", is_flag=True, help="It was agreed on and is not to come.")
@_common
@writing
def upgrade(
    how: Writing,
    name: str,
    height: int | None,
    take_back: bool,
    title: str,
    doc_root: str,
    deposit: int | None,
) -> None:
    """Let only programs that know an upgrade go on from a height; both houses have to agree."""
    from chain.types import Height

    if (height is None) != take_back:
        raise click.UsageError("Give --height or --take-back.")
    told = (f"upgrade    {name}, {'taken back' if height is None else f'from height {height} on'}",)
    fields = {"upgrade": name, "upgrade_height": Height(height or 0)}
    _send(how, "UPGRADE", title, doc_root, deposit, told, **fields)


def parameter_value(text: str) -> tuple[str, int]:
    """A name and its value, `jobs.protocol_fee_bp=2.5%`.  Raises: click.UsageError."""
    name, equals, value = text.partition("=")
    amount: int | None = int(value) if value.isascii() and value.isdecimal() and len(value) < 20 else None
    if amount is None and name.endswith("_grains"):
        amount = parse_amount(value)
    if amount is None and name.endswith("_bp") and value.endswith("%"):
        amount = parse_per_cent(value)
    if not equals or amount is None:
        raise click.UsageError(
            f"{text!r} is no change: write NAME=VALUE, for example jobs.protocol_fee_bp=2.5%."
        )
    return name, amount


def _send(
    how: Writing,
    sort: str,
    title: str,
    doc_root: str,
    deposit: int | None,
    told: tuple[str, ...],
    **fields: Any,
) -> None:
    """Make a proposal of this sort; `to` among the fields is a name still."""
    from chain.types import NO_ADDRESS, Grains, Hash32, Height
    from vm.governance.proposal import ProposalSort
    from vm.kinds.governance import GovPropose

    with desk(how) as at:
        needed = at.now.spec.governance.deposit_grains
        locked = needed if deposit is None else deposit
        to = fields.pop("to", None)
        nothing: dict[str, Any] = {
            "changes": (),
            "upgrade": "",
            "upgrade_height": Height(0),
            "amount_grains": Grains(0),
            "paused": (),
            "pause_blocks": 0,
        }
        body = GovPropose(
            sort=ProposalSort[sort],
            title=title,
            doc_root=Hash32(bytes.fromhex(doc_root)),
            to=NO_ADDRESS if to is None else at.address(to),
            deposit_grains=Grains(locked),
            **(nothing | fields),
        )
        at.carry_out(
            Intent(
                "gov.propose",
                body,
                done=f"proposed, with {tile(locked)} locked",
                spends_grains=locked,
                spends="deposit",
                told=(f"proposal   {title}", *told, *_deposit_lines(at, locked, needed)),
                afterwards="see `tilework gov list`",
            )
        )


def _deposit_lines(at: Desk, locked: int, needed: int) -> tuple[str, ...]:
    rules, heights = at.now.spec.governance, at.heights
    if locked >= needed:
        ends = at.now.height + 1 + rules.voting_blocks
        return (f"deposit    {money(locked)}, complete", f"voting     until {heights.at(ends)}")
    ends = at.now.height + 1 + rules.deposit_blocks
    return (
        f"deposit    {money(locked)} of {tile(needed)}",
        f"ends       {heights.at(ends)}, if the rest is not there by then",
    )
