"""What is said of a refusal: the rule as declared, and a next step that exists."""

from __future__ import annotations

import re
import string

import pytest

from node.cli.refusals import _NEXT, explained, next_step
from tests.unit.test_docs import unknown
from vm.describe import fields_of
from vm.execute import ENVELOPE_RULES
from vm.registry import KINDS


def codes(prefix: str) -> set[str]:
    rules = [rule for kind in KINDS.values() if kind.name.startswith(prefix) for rule in kind.rules]
    return {rule.code for rule in (*rules, *(ENVELOPE_RULES if not prefix else ()))}


@pytest.mark.parametrize("place", _NEXT, ids=" ".join)
def test_every_next_step_belongs_to_a_code_and_names_commands_there_are(place: tuple[str, str]) -> None:
    prefix, code = place
    assert code in codes(prefix)
    used = {name for _, name, _, _ in string.Formatter().parse(_NEXT[place]) if name}
    for kind in KINDS.values():
        if kind.name.startswith(prefix) and code in {rule.code for rule in kind.rules}:
            assert used <= {field.name for field in fields_of(kind.body)}, kind.name
    commands = re.findall(r"`(tilework [^`]+)`", _NEXT[place])
    assert [problem for line in commands if (problem := unknown(line))] == []


def test_a_code_of_several_rules_names_them_all() -> None:
    said = explained({"kind": "asset.version", "body": {"asset": "ab"}}, "NOT_FOUND")
    assert said.startswith("The rule: the asset exists, or the parent version exists.")


def test_the_failed_operation_of_a_batch_is_the_one_explained() -> None:
    operations = [{"kind": "transfer", "body": {}}, {"kind": "stake.claim", "body": {"operator": "x"}}]
    said = explained({"kind": "batch", "body": {"operations": operations}}, "BATCH(1,NO_REWARD)")
    assert said.startswith(
        "The rule: its stake has earned at least a grain. See `tilework stake list --mine`."
    )


def test_a_code_nobody_knows_more_about() -> None:
    assert next_step({"kind": "job.open", "body": {}}, "ESCROW") == ""
    assert explained({"kind": "job.open", "body": {}}, "WHATEVER") == ""
