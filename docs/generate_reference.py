"""Writes the pages of docs/reference/ (cli, rpc, transactions) from the declarations in the code.

    python docs/generate_reference.py

A test compares the files with what this would write, so they cannot fall behind.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from chain.codec import Record  # noqa: E402  the checkout goes before anything installed
from consensus.events import PROTOCOL  # noqa: E402
from node.cli.errors import EXIT_CODES  # noqa: E402
from node.cli.main import cli  # noqa: E402
from node.rpc import jsonrpc  # noqa: E402
from node.rpc.registry import Form, Method, signature  # noqa: E402
from node.rpc.server import MAX_BODY_BYTES  # noqa: E402
from node.rpc.table import METHODS  # noqa: E402
from vm.describe import fields_of, nested_records  # noqa: E402
from vm.events import Happening  # noqa: E402
from vm.execute import ENVELOPE_RULES  # noqa: E402
from vm.kind import Family, Kind  # noqa: E402
from vm.registry import KINDS  # noqa: E402

_NOTE = "<!-- Written by docs/generate_reference.py: change the code, then run it. -->"
_WIDTH: dict[str, Any] = {
    "max_content_width": 100,
    "terminal_width": 100,
    "help_option_names": ["-h", "--help"],
}
_INTRODUCTION = f"""\
JSON-RPC 2.0 by HTTP POST to `/`, `Content-Type: application/json`, on loopback only: there is no password yet.
A body has at most {MAX_BODY_BYTES >> 20} MiB, a batch {jsonrpc.MAX_BATCH} calls. Parameters go by name or by place;
left-out and null parameters take their defaults. Requests of web pages (`Origin`) and for another `Host` are refused.
`rpc.discover` returns this page for programs, as OpenRPC."""
_REFUSALS = """\
A refusal's `data` has a stable `code`, the `kind` of failure, what was `found`, what was `allowed`, and a `hint`.
`Invalid` can never be right, `Missing` is not held here, `TooEarly` may become right later, `Policy` is not wanted now,
`LocalFault` is the node's own trouble."""
_FORMS = {
    Form.INTEGER: "0 … 2⁶³−1",
    Form.GRAINS: "an amount, 10⁹ grains are one TILE",
    Form.HASH: "64 hexadecimal digits: a hash, id or root",
    Form.HEX: "bytes in hexadecimal",
    Form.BASE64: "bytes in base64 with padding",
    Form.ADDRESS: "bech32m with the network's prefix, `tiledev1…`",
    Form.TEXT: "a string",
    Form.BOOLEAN: "`true` or `false`",
    Form.OBJECT: "an object",
    Form.LIST: "an array",
}


def pages() -> dict[Path, str]:
    """Every generated page by its path."""
    folder = ROOT / "docs" / "reference"
    made = {"cli.md": _cli(), "rpc.md": _rpc(), "transactions.md": _transactions()}
    return {folder / name: "\n".join(lines) + "\n" for name, lines in made.items()}


def _cli() -> Iterator[str]:
    yield from (_NOTE, "# Command line", "")
    yield "Amounts are grains (`1500`) or TILE (`1.5tile`). Every reading command has `--json`, with amounts in grains."
    yield from (
        "",
        "A refusal is one line on stderr, `Error: CODE: found …, allowed …. What to do.`, and an exit code:",
        "",
    )
    yield from ("| exit code | meaning |", "|---|---|")
    yield from (f"| {code} | {meaning} |" for code, meaning in EXIT_CODES)
    yield ""
    yield "| variable | stands for |"
    yield "|---|---|"
    yield "| `TILEWORK_RPC` | `--rpc`: the node to talk to |"
    yield "| `TILEWORK_KEY`, `TILEWORK_KEYS` | `--key`, `--keys`: the key to sign with, the directory of keys |"
    yield "| `TILEWORK_DEVNET` | directory of the local network to use, if not `.tilework-devnet` here |"
    with click.Context(cli, info_name="tilework", **_WIDTH) as root:
        for name in cli.list_commands(root):
            command = cli.get_command(root, name)
            assert command is not None
            yield from ("", f"## tilework {name}", "")
            yield from _command(command, root, name)


def _command(command: click.Command, parent: click.Context, name: str) -> Iterator[str]:
    with click.Context(
        command, parent=parent, info_name=name, max_content_width=100, terminal_width=100
    ) as context:
        if not isinstance(command, click.Group):
            yield from ("```text", command.get_help(context).rstrip(), "```")
            return
        yield from ((command.help or "").strip(),)
        for child in sorted(command.commands):
            yield from ("", f"### tilework {name} {child}", "")
            yield from _command(command.commands[child], context, child)


def _rpc() -> Iterator[str]:
    yield from (_NOTE, "# JSON-RPC", "")
    yield from _INTRODUCTION.splitlines()
    yield from ("", "```sh", "curl -s http://127.0.0.1:8645 -H 'content-type: application/json' \\")
    yield from (
        """  -d '{"jsonrpc":"2.0","id":1,"method":"chain_block","params":{"id":"head"}}'""",
        "```",
        "",
    )
    yield from ("| error | meaning |", "|---|---|")
    yield f"| {jsonrpc.PARSE_ERROR} | the body is no JSON |"
    yield f"| {jsonrpc.INVALID_REQUEST} | it is no JSON-RPC 2.0 request, or HTTP refused it |"
    yield f"| {jsonrpc.METHOD_NOT_FOUND} | no such method; `data.hint` names the closest |"
    yield f"| {jsonrpc.INVALID_PARAMS} | `data.found` names the parameter, `data.allowed` what it may be |"
    yield f"| {jsonrpc.INTERNAL_ERROR} | a bug: the node's log has it |"
    yield f"| {jsonrpc.TILEWORK_ERROR} | an expected refusal; see below |"
    yield from ("", *_REFUSALS.splitlines())
    yield from ("", "| form | is |", "|---|---|")
    yield from (f"| {form.label} | {text} |" for form, text in _FORMS.items())
    yield from (
        "",
        "Hashes are lower-case hex, targets and chain work `0x…`, names that end in `_grains` are amounts.",
    )
    for declared in METHODS.values():
        yield from _method(declared)


def _method(declared: Method) -> Iterator[str]:
    yield from (
        "",
        f"## {declared.name}",
        "",
        declared.summary,
        "",
        f"`{signature(declared)}` · cost {declared.cost.name.lower()}",
        "",
    )
    if declared.parameters:
        yield from ("| parameter | form | |", "|---|---|---|")
        for parameter in declared.parameters:
            default = "" if parameter.required else f"; default {json.dumps(parameter.default)}"
            yield f"| `{parameter.name}` | {parameter.form.label} | {parameter.description}{default} |"
        yield ""
    yield from ("| result | form | |", "|---|---|---|")
    yield from (f"| `{field.name}` | {field.form.label} | {field.description} |" for field in declared.result)


_KINDS_INTRODUCTION = """\
Every kind of transaction this release knows. A transaction names its kind and carries a body with the fields below, as
a canonical array in this order; [the specification](../spec/chain.md) has the envelope around it, the fee, and when
checks run. Whoever sends one pays `base fee × weight + byte fee × bytes` and a tip if it wants to be sooner; the checks
run in the order of the table, and a code in a receipt means that only the fee was paid. Amounts are grains, 10⁹ to a
TILE. Programs get the same from `tx_kinds`."""


def _transactions() -> Iterator[str]:
    yield from (_NOTE, "# Transactions", "", *_KINDS_INTRODUCTION.splitlines(), "")
    yield from ("| kind | who | weight | does |", "|---|---|---|---|")
    for kind in KINDS.values():
        yield f"| `{kind.name}` | {kind.who} | {kind.weight_in_words} | {kind.summary} |"
    yield from ("", "Whatever its kind, a transaction may not be in a block with one of these codes:", "")
    yield from ("| code | unless |", "|---|---|")
    yield from (f"| `{rule.code}` | {rule.requires} |" for rule in ENVELOPE_RULES)
    family: Family | None = None
    for kind in sorted(KINDS.values(), key=_place):
        if kind.family is not family:
            family = kind.family
            yield from ("", f"## {family.name}", "", family.summary)
        yield from _kind(kind)
    yield from (
        "",
        "## What the protocol does by itself",
        "",
        "Events of steps that no transaction asks for then.",
    )
    yield from _events(PROTOCOL)


def _place(kind: Kind) -> int:
    """Families in the order of their first kind."""
    return [each.family.name for each in KINDS.values()].index(kind.family.name)


def _kind(kind: Kind) -> Iterator[str]:
    yield from ("", f"### {kind.name}", "", kind.summary, "")
    batch = "allowed" if kind.in_batch else "refused"
    payer = "a sponsor" if kind.sponsor is not None else "the sender"
    yield f"From: {kind.who}. Weight: {kind.weight_in_words}. At most {kind.max_bytes:,} bytes. Fee from {payer}."
    yield f"Deposit: {kind.deposit_grains} grains. In a batch: {batch}."
    yield f"Command: `tilework tx {kind.family.name} {kind.command}`."
    yield from _record(kind.body)
    for record in nested_records(kind.body):
        yield from ("", f"*{record.__name__}*:")
        yield from _record(record)
    yield from ("", "| code | unless |", "|---|---|")
    yield from (f"| `{rule.code}` | {rule.requires} |" for rule in kind.rules)
    yield from _events(kind.events)


def _record(record: type[Record]) -> Iterator[str]:
    yield from ("", "| field | is | |", "|---|---|---|")
    yield from (f"| `{field.name}` | {field.bounds} | {field.meaning} |" for field in fields_of(record))


def _events(events: tuple[type[Happening], ...]) -> Iterator[str]:
    yield from ("", "| event | fields | |", "|---|---|---|")
    for event in events:
        names = ", ".join(f"`{field.name}`" for field in fields_of(event))
        yield f"| `{event.__name__}` | {names} | {event.__doc__} |"


def main() -> None:
    """Write every page."""
    for path, text in pages().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
