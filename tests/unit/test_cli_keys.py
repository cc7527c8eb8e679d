"""`tilework keys` and the shape of the whole command line."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest

from node.cli.errors import EXIT_CODES
from node.cli.main import GROUPS, cli
from tests.unit.cli_runner import Tilework


@pytest.fixture
def tilework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tilework:
    return Tilework(tmp_path, monkeypatch)


def test_help_names_every_group_the_first_steps_and_the_exit_codes(tilework: Tilework) -> None:
    text = tilework.ok("--help")
    assert all(f"\n  {name} " in text for name in GROUPS)
    assert "tilework devnet up" in text
    assert all(meaning in text for _, meaning in EXIT_CODES)


def test_every_command_explains_itself(tilework: Tilework) -> None:
    with click.Context(cli) as context:
        for name in GROUPS:
            group = cli.get_command(context, name)
            assert group is not None
            commands = group.commands if isinstance(group, click.Group) else {"": group}
            for command in commands.values():
                assert command.help, f"{name} {command.name}"
                for parameter in command.params:
                    if isinstance(parameter, click.Option):
                        assert parameter.help, f"{name} {command.name} {parameter.name}"


def test_an_unknown_command_is_a_usage_error(tilework: Tilework) -> None:
    assert tilework("jobs").code == 2
    assert tilework("job", "submitt").code == 2


def test_the_version(tilework: Tilework) -> None:
    assert tilework.ok("--version").startswith("tilework ")


def test_new_list_show(tilework: Tilework) -> None:
    ran = tilework("keys", "new", "carol", "--prefix", "tiletest")
    assert ran.code == 0
    assert "PLAIN TEXT" in ran.err
    (store,) = tilework("keys", "list", "--json").json
    listed = store["keys"]
    assert [key["name"] for key in listed] == ["alice", "bob", "carol"]
    shown = tilework("keys", "show", "carol", "--json").json
    assert shown["address"].startswith("tiledev1")
    assert shown == listed[2]
    seed = (tilework.keys / "carol.json").read_text().split('"seed": "')[1][:64]
    for output in (ran.out, ran.err, tilework.ok("keys", "show", "carol"), tilework.ok("keys", "list")):
        assert seed not in output
    assert tilework.ok("keys", "show", tilework.keys / "carol.json").splitlines()[1] in tilework.ok(
        "keys", "show", "carol"
    )


@pytest.mark.parametrize(
    ("code", "arguments", "words"),
    [
        (1, ("new", "alice"), "KEY_EXISTS"),
        (1, ("new", "Alice"), "KEY_NAME"),
        (1, ("show", "nobody"), "KEY_UNKNOWN: found no key 'nobody'"),
        (1, ("show", "./nowhere.json"), "KEY_UNKNOWN: found no key file"),
    ],
)
def test_refusals(tilework: Tilework, code: int, arguments: tuple[str, ...], words: str) -> None:
    assert words in tilework.refused(code, "keys", *arguments)


def test_keys_open_to_others_are_a_fault_of_this_machine(tilework: Tilework) -> None:
    (tilework.keys / "bob.json").chmod(0o640)
    assert "chmod 600" in tilework.refused(5, "keys", "show", "bob")


def test_without_keys_the_hint_is_to_make_one(tilework: Tilework, tmp_path: Path) -> None:
    line = tilework.refused(1, "keys", "show", "bob", "--keys", tmp_path / "none")
    assert "tilework keys new bob" in line


def test_names_of_a_local_network_are_found_from_its_directory(
    tilework: Tilework, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`.tilework-devnet/devnet.json` in the working directory supplies node, key and names."""
    from chain.bech32m import encode_address
    from node.cli.context import address_named, connect, signing_key
    from node.devnet.record import AccountEntry, Devnet, NodeEntry, save
    from tests.unit.rpc_node import ALICE, BOB

    monkeypatch.delenv("TILEWORK_KEYS")
    monkeypatch.delenv("TILEWORK_KEY")
    address = encode_address("tiledev", BOB.address)
    blank: dict[str, Any] = {field.name: "" for field in fields(NodeEntry)}
    node = NodeEntry(
        **blank | {"name": "node-0", "address": address, "rpc": "http://127.0.0.1:7001", "pid": 0}
    )
    account = AccountEntry(
        "alice", encode_address("tiledev", ALICE.address), str(tilework.keys / "alice.json"), 1
    )
    directory = tmp_path / ".tilework-devnet"
    directory.mkdir()
    save(Devnet("c", "g", 2_000, 1, (node,), account, (account,)), directory)
    with click.Context(cli), connect(None) as client:
        assert client.url == "http://127.0.0.1:7001"
    assert signing_key(None, None) == ALICE
    assert address_named("node-0", "tiledev", None) == BOB.address
