"""`tilework tx FAMILY KIND`: a command for every kind of transaction, made from its declaration."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from chain.codec import Blob, OneOf, Raw, Seq, Text, Uint, WireType
from chain.types import Address, Grains
from node.amounts import tile
from node.bodies import Reader
from node.cli.amounts import AMOUNT
from node.cli.hexadecimal import Hex
from node.cli.writing import Intent, Writing, desk, writing_options
from vm.describe import FieldText, fields_of, item_hint, nested_records
from vm.kind import Family, Kind
from vm.registry import KINDS

NOBODY = "none"
"""Stands for the zero address on the command line."""


class Json(click.ParamType[Any]):
    """A nested record as RPC shows it, amounts in grains."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return json.loads(value)
        except ValueError as error:
            self.fail(f"no JSON: {error}.", param, ctx)


def families() -> dict[str, click.Group]:
    """One group per family of kinds, by name."""
    found: dict[str, click.Group] = {}
    for kind in KINDS.values():
        found.setdefault(kind.family.name, _group(kind.family)).add_command(_command(kind))
    return found


def _group(family: Family) -> click.Group:
    return click.Group(family.name, help=family.summary)


def _command(kind: Kind) -> click.Command:
    """The command of one kind: an option per field of its body, and how to send it."""

    def run(**given: Any) -> None:
        _run(kind, given)

    command = click.command(kind.command, help=_help(kind))(run)
    command = writing_options(command)
    command.params = [*(_option(field) for field in fields_of(kind.body)), *command.params]
    return command


def _option(field: FieldText) -> click.Option:
    wire, hint = field.wire, field.hint
    repeated = isinstance(wire, Seq)
    if isinstance(wire, Seq):
        wire, hint = wire.item, item_hint(hint)
    default = None if repeated else _default(wire)
    given: dict[str, Any] = {} if default is None else {"default": default}
    required = default is None and not (isinstance(field.wire, Seq) and not field.wire.minimum)
    text = f"{field.meaning[:1].upper()}{field.meaning[1:]}. [{field.bounds}]"
    return click.Option(
        [f"--{_option_name(field.name)}", field.name],
        type=_parameter_type(wire, hint),
        metavar=f"ADDRESS|NAME|{NOBODY}" if hint is Address else None,
        required=required,
        **given,
        multiple=repeated,
        help=text,
    )


def _default(wire: WireType) -> int | str | None:
    """The only value there is, or no bytes; None if a person has to say."""
    if isinstance(wire, Uint) and wire.minimum == wire.maximum:
        return wire.minimum
    return "" if isinstance(wire, Blob) else None


def _option_name(field: str) -> str:
    return field.removesuffix("_grains").replace("_", "-")


def _parameter_type(wire: WireType, hint: Any) -> click.ParamType[Any]:
    if hint is Grains:
        return AMOUNT
    if hint is Address:
        return click.STRING
    match wire:
        case Uint():
            return click.IntRange(wire.minimum, wire.maximum)
        case Raw():
            return Hex(wire.size, wire.size)
        case Blob():
            return Hex(0, wire.maximum)
        case OneOf():
            return click.Choice([member.name for member in wire.members], case_sensitive=False)
        case Text():
            return click.STRING
    return Json()


def _help(kind: Kind) -> str:
    return "\n\n".join(_paragraphs(kind))


def _paragraphs(kind: Kind) -> Iterator[str]:
    """Everything a kind declares, as click wraps it."""
    yield kind.summary
    yield f"Who: {kind.who}."
    paid = (
        "the sponsor pays the fee"
        if kind.sponsor is not None
        else "fee = base fee x weight + byte fee x size"
    )
    bound = f"At most {kind.max_bytes:,} bytes."
    yield f"Weight: {kind.weight_in_words}; {paid}. {bound} Deposit: {tile(kind.deposit_grains)}."
    if kind.checks or kind.failures:
        yield "\b\nFails with:\n" + "\n".join(
            f"  {rule.code:<17} unless {rule.requires}" for rule in kind.rules
        )
    for record in nested_records(kind.body):
        fields = (f"  {field.name:<17} {field.bounds}" for field in fields_of(record))
        yield f"\b\n{record.__name__} as JSON:\n" + "\n".join(fields)
    yield "Events: " + ", ".join(event.__name__ for event in kind.events) + "."


def _run(kind: Kind, given: dict[str, Any]) -> None:
    how = Writing.taken_from(given)
    form = {field.name: _form(field, given[field.name]) for field in fields_of(kind.body)}
    with desk(how) as at:
        body = Reader(at.address).record(kind.body, form)
        sponsored = kind.sponsor is not None
        at.carry_out(Intent(kind.name, body, f"{kind.name} done", asked_before=False, sponsored=sponsored))


def _form(field: FieldText, value: Any) -> Any:
    return None if field.hint is Address and value == NOBODY else value
