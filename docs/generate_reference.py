"""Writes docs/reference/cli.md and docs/reference/rpc.md from the declarations in the code.

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

from node.cli.errors import EXIT_CODES  # noqa: E402  the checkout goes before anything installed
from node.cli.main import cli  # noqa: E402
from node.rpc import jsonrpc  # noqa: E402
from node.rpc.registry import Form, Method, signature  # noqa: E402
from node.rpc.server import MAX_BODY_BYTES  # noqa: E402
from node.rpc.table import METHODS  # noqa: E402

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
    return {folder / "cli.md": "\n".join(_cli()) + "\n", folder / "rpc.md": "\n".join(_rpc()) + "\n"}


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


def main() -> None:
    """Write every page."""
    for path, text in pages().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
