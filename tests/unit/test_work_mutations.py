"""With any one rule of the work removed, some test goes red: the list is whole here, and run under `slow`."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.mutations.report import PATH
from tests.mutations.runner import Copy, mutated, run_all
from tests.mutations.table import EXEMPT, MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[2]
WORK_PAGE = ROOT / "docs/spec/work.md"
TAG = re.compile(r"^#+ \[([A-Z0-9-]+)\]|\*\*\[([A-Z0-9-]+)\]\*\*|^\| \[([A-Z0-9-]+)\] \|", re.MULTILINE)


def rules() -> set[str]:
    """Tags of the page that state a rule: a heading whose rules have their own tags only groups them."""
    tags = {next(filter(None, found)) for found in TAG.findall(WORK_PAGE.read_text())}
    return {tag for tag in tags if not any(other.startswith(f"{tag}-") for other in tags)}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_every_mutation_applies(mutation: Mutation) -> None:
    """The old text stands there once, and what comes instead is still a program."""
    text = mutated((ROOT / mutation.path).read_text(), mutation)
    ast.parse(text)
    assert text != (ROOT / mutation.path).read_text()


def test_every_rule_has_a_mutation() -> None:
    known = rules()
    assert len(known) > 30
    covered = {mutation.tag for mutation in MUTATIONS}
    assert sorted(known - covered - set(EXEMPT)) == []
    groups = {tag for tag in covered if any(rule.startswith(f"{tag}-") for rule in known)}
    assert covered - groups <= known, "a rule that the page does not state"
    assert set(EXEMPT) <= known - covered
    assert all(EXEMPT.values())


def test_names_are_unique_and_tests_exist() -> None:
    assert [
        name for name, count in Counter(mutation.name for mutation in MUTATIONS).items() if count > 1
    ] == []
    for test in {test for mutation in MUTATIONS for test in mutation.tests}:
        path, _, name = test.partition("::")
        functions = {
            node.name
            for node in ast.parse((ROOT / path).read_text()).body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert not name or name.split("[")[0] in functions, test


def test_the_page_lists_every_mutation() -> None:
    listed = {tuple(row.split(" | ")[:2]) for row in PATH.read_text().splitlines() if row.startswith("| ")}
    for mutation in MUTATIONS:
        assert (f"| {mutation.tag}", mutation.what) in listed, "python -m tests.mutations --write"
    assert "**nothing**" not in PATH.read_text()


@pytest.mark.slow
def test_the_tests_pass_without_a_mutation(tmp_path: Path) -> None:
    """Otherwise every mutation would look caught."""
    Copy(tmp_path / "copy").baseline({test for mutation in MUTATIONS for test in mutation.tests})


@pytest.mark.slow
def test_no_mutation_survives() -> None:
    outcomes = list(run_all(MUTATIONS))
    assert [outcome.mutation.name for outcome in outcomes if not outcome.caught_by] == []
