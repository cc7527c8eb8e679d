"""The documentation holds together: links lead somewhere, and every command line in it would be understood."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from node.cli.main import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("third_party/*/*.md")))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)
INLINE = re.compile(r"`(tilework (?!v1 )[^`]+)`")  # `tilework v1 …` is a domain tag
NAMED = re.compile(
    r"`((?:chain|genesis|vm|compute|consensus|p2p|node|tests|docs|examples|third_party)/[\w./*-]*)`"
)
TEST_FILE = re.compile(r"`((?:unit|property|functional)/[\w*]+\.py)`")
"""A test named without its root, as in a table whose heading says so."""


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, made the way code hosts make them."""
    titles = HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    kept = [re.sub(r"[^\w\- ]", "", title.lower()) for title in titles]
    return {title.strip().replace(" ", "-") for title in kept}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    broken = []
    for target in LINK.findall(text):
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        goal = (page.parent / name).resolve() if name else page
        if not goal.is_relative_to(ROOT) or not goal.exists() or (anchor and anchor not in anchors(goal)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_named_files_exist(page: Path) -> None:
    """A path in backticks, `node/app.py`, `chain/leveldb` or `tests/unit/test_p2p_*.py`, is a file or a directory."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    names = NAMED.findall(text) + [f"tests/{name}" for name in TEST_FILE.findall(text)]
    assert [name for name in names if not any(ROOT.glob(name)) and not (ROOT / f"{name}.py").exists()] == []


def command_lines(page: Path) -> Iterator[str]:
    """Every `tilework …` of shell blocks and of running text; continued lines are joined, comments dropped."""
    text = page.read_text(encoding="utf-8")
    for language, block in FENCE.findall(text):
        if language == "sh":
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words[:1] == ["tilework"]:
                    yield shlex.join(words)
    yield from INLINE.findall(FENCE.sub("", text))


def resolved(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that the first words name, and the words after it."""
    command: click.Command = cli
    while isinstance(command, click.Group) and words:
        found = command.get_command(click.Context(command), words[0])
        if found is None:
            break
        command, words = found, words[1:]
    return command, words


def unknown(line: str) -> str:
    """What of a command line the program does not know; empty if nothing. Values are not looked at."""
    command, words = resolved(shlex.split(line)[1:])
    if isinstance(command, click.Group) and words and not words[0].startswith(("-", "…")):
        return f"{words[0]} in {line!r}"
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    strange = [word for word in words if word.startswith("-") and word not in options | {"-h", "--help"}]
    return f"{strange[0]} in {line!r}" if strange else ""


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_commands_exist(page: Path) -> None:
    assert [problem for line in command_lines(page) if (problem := unknown(line))] == []


def test_required_options_are_given_in_tutorials() -> None:
    """A line that a reader copies has everything the command insists on."""
    lacking = []
    for page in (ROOT / "README.md", *ROOT.glob("docs/tutorials/*.md")):
        for language, block in FENCE.findall(page.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines() if language == "sh" else ():
                lacking += [f"{page.name}: {line}" for _ in missing_options(line)]
    assert lacking == []


def missing_options(line: str) -> list[str]:
    words = shlex.split(line, comments=True)
    if words[:1] != ["tilework"]:
        return []
    command, given = resolved(words[1:])
    return [
        parameter.opts[0]
        for parameter in command.params
        if isinstance(parameter, click.Option) and parameter.required and not set(given) & set(parameter.opts)
    ]


def test_the_checks_see_something() -> None:
    lines = [line for page in PAGES for line in command_lines(page)]
    assert len(lines) > 30
    assert unknown("tilework devnet upp") == "upp in 'tilework devnet upp'"
    assert unknown("tilework devnet up --nodez 4").startswith("--nodez")
    assert missing_options("tilework job submit --a A.npy --b B.npy") == ["--max-price"]
    assert "start-a-network-and-look-at-it" in anchors(ROOT / "docs" / "tutorials" / "operator.md")
