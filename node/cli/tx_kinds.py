"""`tilework tx FAMILY KIND`: a command for every kind of transaction, made from its declaration."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from chain.codec import Blob, OneOf, Raw, Seq, Text, Uint, WireType
from chain.types import Address, Grains, Signature
from node.amounts import tile
from node.bodies import Reader
from node.cli.amounts import AMOUNT
from node.cli.context import (
    address_named,
    connect,
    json_amounts_option,
    key_option,
    rpc_option,
    show,
    signing_key,
)
from node.cli.errors import unfulfilled
from node.cli.sending import deliver, situation
from node.wallet import build, require_funds
from vm.describe import FieldText, fields_of, item_hint, nested_records
from vm.envelope import Authorisation
from vm.kind import Family, Kind
from vm.registry import KINDS

if TYPE_CHECKING:
    from node.rpc.client import RpcClient
    from vm.envelope import Transaction

NOBODY = "none"
"""Stands for the zero address on the command line."""


class Hex(click.ParamType[str]):
    """Bytes in hexadecimal, within the bounds of a field; kept as text."""

    name = "hex"

    def __init__(self, least: int, most: int) -> None:
        self.least = least
        self.most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text: str = value.lower().removeprefix("0x")
        try:
            size = len(bytes.fromhex(text))
        except ValueError:
            size = -1
        if not self.least <= size <= self.most:
            bound = str(self.most) if self.least == self.most else f"at most {self.most}"
            self.fail(f"{value[:80]!r} is no hexadecimal of {bound} bytes.", param, ctx)
        return text


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
    for add in (_sending_options, key_option, rpc_option, json_amounts_option):
        command = add(command)
    command.params = [*(_option(field) for field in fields_of(kind.body)), *command.params]
    return command


def _sending_options(command: click.Command) -> click.Command:
    for option in (
        click.option(
            "--timeout",
            "timeout_s",
            type=click.IntRange(min=0),
            default=120,
            show_default=True,
            help="Seconds to wait.",
        ),
        click.option("--wait", is_flag=True, help="Return once it is in a block."),
        click.option(
            "--dry-run",
            is_flag=True,
            help="Show fee and effects on the present state; sign and send nothing.",
        ),
        click.option(
            "--tip",
            "tip_grains",
            type=AMOUNT,
            default=0,
            help="For the producer of the block; moves it ahead in a queue.",
        ),
    ):
        command = option(command)
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
    form = {field.name: _form(field, given[field.name]) for field in fields_of(kind.body)}
    key = signing_key(given["key_name"], given["keys_dir"])
    with connect(given["url"]) as client:
        now = situation(client, key)
        reader = Reader(_addresses(now.spec.address_prefix, given["keys_dir"]))
        transaction = build(
            now, key, kind.name, reader.record(kind.body, form), tip_grains=given["tip_grains"]
        )
        if given["dry_run"]:
            _tell(client, _unsigned(transaction), as_json=given["as_json"])
            return
        if kind.sponsor is None:
            require_funds(now, transaction, 0, "")
        wait_s = given["timeout_s"] if given["wait"] else None
        deliver(client, transaction, f"{kind.name} done", wait_s=wait_s, as_json=given["as_json"])


def _form(field: FieldText, value: Any) -> Any:
    return None if field.hint is Address and value == NOBODY else value


def _addresses(prefix: str, keys_dir: Any) -> Callable[[str], Address]:
    return lambda text: address_named(text, prefix, keys_dir)


def _unsigned(transaction: Transaction) -> Transaction:
    """The same with zeros for a signature: nobody can send it."""
    zeros = Authorisation(transaction.authorisations[0].public_key, Signature(bytes(64)))
    return replace(transaction, authorisations=(zeros,))


def _tell(client: RpcClient, transaction: Transaction, *, as_json: bool) -> None:
    """Fee and effects.  Raises: CommandFailed (exit 4) if it would fail."""
    found = client.call("tx_simulate", raw=transaction.to_bytes().hex())
    if as_json:
        show(found)
    else:
        for line in _lines(found):
            click.echo(line)
    if found["code"]:
        raise unfulfilled(f"it would fail: {found['reason']}.")


def _lines(found: dict[str, Any]) -> Iterator[str]:
    receipt = found["receipt"]
    if receipt is None:
        yield "it may not be in a block now"
        return
    burned, tip = receipt["burned_grains"], receipt["tip_grains"]
    yield f"fee {tile(burned + tip)}: {tile(burned)} burned, {tile(tip)} tip; weight {receipt['weight']}"
    for event in receipt["events"]:
        yield f"  {event.pop('event')}"
        for name, value in event.items():
            yield f"    {name} {tile(value) if name.endswith('_grains') else value}"
    for change in found["balances"]:
        gained = change["after_grains"] - change["before_grains"]
        sign = "+" if gained > 0 else "-"
        yield f"  balance of {change['address']} {sign}{tile(abs(gained))}, then {tile(change['after_grains'])}"
