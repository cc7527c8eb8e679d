"""Running `tilework` in this process: output, exit code, and that a refusal is one clean line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from node.cli.main import cli
from node.keyfile import write_key
from tests.unit.rpc_node import ALICE, BOB, PREFIX


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Tilework:
    """The program in a directory of its own, with the keys of alice and bob, and no local network."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.keys = directory / "keys"
        self.keys.mkdir()
        write_key(self.keys / "alice.json", "alice", ALICE, PREFIX)
        write_key(self.keys / "bob.json", "bob", BOB, PREFIX)
        monkeypatch.chdir(directory)
        for variable in ("TILEWORK_RPC", "TILEWORK_DEVNET"):
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.setenv("TILEWORK_KEYS", str(self.keys))
        monkeypatch.setenv("TILEWORK_KEY", "alice")
        monkeypatch.setenv("HOME", str(directory))

    def __call__(self, *arguments: str | Path) -> Ran:
        """Run a command that may do anything but crash."""
        result = CliRunner().invoke(cli, [str(argument) for argument in arguments], prog_name="tilework")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.stdout, result.stderr)

    def ok(self, *arguments: str | Path) -> str:
        """The output of a command that must succeed."""
        ran = self(*arguments)
        assert ran.code == 0, ran.err
        return ran.out

    def refused(self, code: int, *arguments: str | Path) -> str:
        """The one line of a command that must fail with this exit code."""
        ran = self(*arguments)
        assert ran.code == code, (ran.code, ran.out, ran.err)
        line = ran.err.strip()
        assert line.startswith("Error: "), line
        assert "\n" not in line
        assert "Traceback" not in line
        return line

    def usage(self, *arguments: str | Path) -> str:
        """What is wrong with this command line, on one line."""
        ran = self(*arguments)
        assert ran.code == 2, (ran.code, ran.out, ran.err)
        return " ".join(ran.err.split())
