"""Weights follow a measurement that covers every kind; where they depend on the body, by the table.  Spec: [FEE-1]."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.asset_cases import NOTHING, parent, publication
from tests.bench.kind_blocks import FORMS
from tests.bench.kind_stage import Form
from tests.cases import Case
from tests.governance_cases import parameters, proposed
from vm.jobs.challenge import Opening
from vm.kinds.assets import PUBLISH
from vm.kinds.audits import PROVE, ChallengeProve
from vm.kinds.governance import PROPOSE
from vm.registry import KINDS

TABLE = Path(__file__).resolve().parents[2] / "docs" / "weights.md"
ROW = re.compile(
    r"^\| `(?P<kind>\S+)` \| (?P<words>.+?) \| \d+ \| \d+ \| [\d.]+ "
    r"\| (?P<weight>\d+) \| [\d.]+ \| (?P<ratio>[\d.]+) \|$",
    re.MULTILINE,
)
TOO_HEAVY = {("asset.acquire", "of an asset without parents")}
"""Where cost depends on the state and the weight follows the dearest case."""


def test_every_kind_is_measured() -> None:
    assert {form.kind for form in FORMS} == set(KINDS)


def test_the_table_has_every_form_within_a_factor_of_two() -> None:
    rows = {(row["kind"], row["words"]): float(row["ratio"]) for row in ROW.finditer(TABLE.read_text())}
    assert list(rows) == [(form.kind, form.words) for form in FORMS]
    assert [row for row, ratio in rows.items() if not 0.5 <= ratio <= 2.0 and row not in TOO_HEAVY] == []


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.kind} {form.words}")
def test_a_form_is_a_block_that_succeeds(form: Form) -> None:
    stage = form.stage()
    block = next(iter(form.make(stage)))
    weights = {stage.ledger.parse(transaction.to_bytes()).weight for transaction in block}
    assert {transaction.kind for transaction in block} == {form.kind}
    assert {receipt.code for receipt in stage.ledger.mine(*block)} == {""}
    stated = {
        row["words"]: int(row["weight"])
        for row in ROW.finditer(TABLE.read_text())
        if row["kind"] == form.kind
    }
    assert weights == {stated[form.words]}


def test_parents_weigh() -> None:
    weights = [PUBLISH.weight_of(publication("a", *[parent(NOTHING)] * count)) for count in (0, 1, 2, 3, 8)]
    assert weights == [3, 4, 4, 5, 7]


def test_changes_of_parameters_weigh() -> None:
    one, three = (
        parameters(jobs__treasury_bp=1),
        parameters(jobs__treasury_bp=1, jobs__stakers_bp=1, jobs__bonus_bp=1),
    )
    assert [PROPOSE.weight_of(body) for body in (proposed(), one, three)] == [3, 4, 5]


def test_opened_rows_weigh() -> None:
    case = Case().open().claim()
    wrong = case.product.wrong_result()
    case.commit(wrong)
    proof = case.element_proof(wrong)
    weights = [
        PROVE.weight_of(ChallengeProve(replace(proof, openings=(Opening(0, bytes(size), ()),))))
        for size in (0, 1, 16_384, 16_385, 65_536)
    ]
    assert weights == [2, 3, 3, 4, 6]
