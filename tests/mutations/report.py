"""The table of mutations for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.mutations.runner import Outcome

PATH = Path(__file__).parent / "README.md"
_HEAD = """\
# What goes red when a rule of the work is removed

Made by `python -m tests.mutations --write` from `table.py`: each row is one change to the program that takes one rule
away, and the first test that failed. `make test-slow` runs them all again and fails if one survives; the default tests
check that every change still applies and that every rule of [the specification](../../docs/spec/work.md) has one.

| rule | without it | file | caught by |
|---|---|---|---|
"""


def report(outcomes: Sequence[Outcome]) -> str:
    """The page."""
    rows = [
        f"| {outcome.mutation.tag} | {outcome.mutation.what} | `{Path(outcome.mutation.path).name}` "
        f"| {_shown(outcome.caught_by)} |\n"
        for outcome in outcomes
    ]
    return _HEAD + "".join(rows)


def _shown(test: str) -> str:
    path, _, name = test.partition("::")
    return f"`{Path(path).name}` {name.replace('|', ' ')}" if test else "**nothing**"
