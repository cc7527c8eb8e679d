"""The tutorial of the ledger, docs/tutorials/market.md: every command on the page, in order, on a local network."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/tutorials/market.md"
TITLES = {"MODEL": "Digits classifier", "TUNED": "Tuned digits"}
"""What stands on the page in place of an id."""
COMMAND_LIMIT_S = 300
pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]


def commands() -> list[str]:
    """Every line of every shell block of the page."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


class Reader:
    """Somebody who types what the page says, in a directory of their own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        beside = Path(sys.executable).parent
        self.environment = {
            **os.environ,
            "PATH": f"{beside}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(directory),
        }

    def type(self, line: str) -> str:
        """Run a line; returns what it printed."""
        done = subprocess.run(
            ["bash", "-c", self.with_ids(line)],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_LIMIT_S,
        )
        assert done.returncode == 0, f"$ {line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def with_ids(self, line: str) -> str:
        for name, title in TITLES.items():
            if re.search(rf"\b{name}\b", line):
                line = re.sub(rf"\b{name}\b", self.id_of(title), line)
        return line

    def id_of(self, title: str) -> str:
        listed = json.loads(self.type("tilework model list --json"))
        return next(str(form["id"])[:8] for form in listed if form["title"] == title)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path)
    yield reader
    subprocess.run(
        ["bash", "-c", "tilework devnet down"], cwd=tmp_path, env=reader.environment, capture_output=True
    )


def test_every_command_of_the_page(reader: Reader) -> None:
    shown = {}
    for line in commands():
        faster = line + " --block-time 0.7" if shlex.split(line)[:3] == ["tilework", "devnet", "up"] else line
        shown[line] = reader.type(faster)
    bought = shown["tilework model buy TUNED --units 3 --key carol --wait"]
    assert re.search(r"Digits classifier .* 0\.3 TILE", bought)
    assert re.search(r"Tuned digits .* 2\.7 TILE", bought)
    assert "claimed 5.3 TILE" in shown['tilework model claim "Digits classifier" --wait']
    assert "of 4 TILE" in shown["tilework session list"]
    assert "yes" in shown["tilework gov show 0"]
    assert "executed" in shown["tilework gov show 0"]
    assert re.search(r"money\.byte_fee_grains +2 ", shown["tilework gov parameters"])
