"""What can be governed, and how far [GOV-PARAM]."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_type_hints

import pytest

from chain.ledger import MAX_PARAMETERS, ParameterValue
from genesis.build import check_spec
from genesis.presets import PRESETS
from genesis.spec import ChainSpec
from tests.governance_cases import quick
from vm.context import with_values
from vm.governance.parameters import MAX_SHARED_BP, PARAMETERS, Parameter, out_of_bounds

ROOT = Path(__file__).resolve().parents[2]
EVERY = pytest.mark.parametrize("parameter", PARAMETERS.values(), ids=PARAMETERS)
SPEC = quick()
THE_TABLE = "vm/governance/parameters.py"


def value(name: str, amount: int) -> tuple[ParameterValue, ...]:
    return (ParameterValue(name, amount),)


@EVERY
def test_bounds_are_inside_what_a_spec_can_hold(parameter: Parameter) -> None:
    least, largest = parameter.least(SPEC), parameter.largest(SPEC)
    assert least < largest
    for amount in (least, largest):
        changed = with_values(SPEC, value(parameter.name, amount))
        assert parameter.value(changed) == amount
        assert ChainSpec.from_bytes(changed.to_bytes()) == changed
        check_spec(changed)


@EVERY
def test_a_value_past_a_bound_is_refused_and_the_bound_itself_is_not(parameter: Parameter) -> None:
    least, largest = parameter.least(SPEC), parameter.largest(SPEC)
    # with the other share of the fee at 0, each may reach its own bound
    spec = replace(SPEC, jobs=replace(SPEC.jobs, treasury_bp=0, stakers_bp=0))
    for amount in (least, largest):
        assert out_of_bounds(spec, value(parameter.name, amount)) is None
    for amount in (least - 1, largest + 1):
        refusal = out_of_bounds(spec, (ParameterValue(parameter.name, amount),))
        assert refusal is not None
        assert refusal.allowed == f"{least}..{largest}"


@EVERY
def test_bounds_do_not_move_with_what_is_governed(parameter: Parameter) -> None:
    """Or one change could make room for the next."""
    bounds = {name: (each.least(SPEC), each.largest(SPEC)) for name, each in PARAMETERS.items()}
    for amount in (parameter.least(SPEC), parameter.largest(SPEC)):
        changed = with_values(SPEC, value(parameter.name, amount))
        assert {n: (each.least(changed), each.largest(changed)) for n, each in PARAMETERS.items()} == bounds


@pytest.mark.parametrize("spec", PRESETS.values(), ids=PRESETS)
def test_networks_we_know_begin_inside_their_bounds(spec: ChainSpec) -> None:
    for parameter in PARAMETERS.values():
        assert parameter.least(spec) <= parameter.value(spec) <= parameter.largest(spec), parameter.name


def test_nothing_reaches_what_may_never_change() -> None:
    never = (
        "cap_grains",
        "emission",
        "epoch",
        "royalt",
        "voting_blocks",
        "deadline",
        "minimum_stake",
        "committee_size",
    )
    assert not [name for name in PARAMETERS if any(word in name for word in never)]
    assert len(PARAMETERS) <= MAX_PARAMETERS
    assert {name for name, each in PARAMETERS.items() if each.protected} == {"jobs.bonus_bp"}


def test_shares_of_the_fee_are_bounded_together() -> None:
    both = (ParameterValue("jobs.treasury_bp", 3_500), ParameterValue("jobs.stakers_bp", 2_500))
    assert out_of_bounds(SPEC, both) is None
    over = (both[0], ParameterValue("jobs.stakers_bp", 2_501))
    assert out_of_bounds(SPEC, over) is not None
    assert out_of_bounds(SPEC, value("jobs.treasury_bp", MAX_SHARED_BP - SPEC.jobs.stakers_bp)) is None
    assert (
        out_of_bounds(SPEC, value("jobs.treasury_bp", MAX_SHARED_BP - SPEC.jobs.stakers_bp + 1)) is not None
    )


def test_a_network_founded_beyond_that_can_still_change_the_rest() -> None:
    generous = replace(SPEC, jobs=replace(SPEC.jobs, treasury_bp=5_000, stakers_bp=5_000))
    assert out_of_bounds(generous, value("jobs.protocol_fee_bp", 100)) is None
    assert out_of_bounds(generous, value("jobs.treasury_bp", 5_001)) is not None


@pytest.mark.parametrize(
    "changes",
    [
        (),
        value("money.cap_grains", 1),
        value("jobs", 1),
        value("", 1),
        value("pace.epoch_blocks", 5),
        (*value("jobs.bonus_bp", 1), *value("jobs.bonus_bp", 2)),
    ],
)
def test_nothing_twice_and_nothing_unknown(changes: tuple[ParameterValue, ...]) -> None:
    assert out_of_bounds(SPEC, changes) is not None


def names_of(tree: ast.AST, group: str) -> set[str]:
    """Local names for a group of constants: arguments of its type, and what it was assigned to."""
    kind = get_type_hints(ChainSpec)[group].__name__
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and isinstance(node.annotation, ast.Name) and node.annotation.id == kind:
            found.add(node.arg)
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Attribute)
            and node.value.attr == group
        ):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


def readers(group: str, field: str) -> Iterator[Path]:
    """Files of the rules that read `….group.field`, or `field` of a name for the group."""
    for package in ("vm", "consensus"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if str(path.relative_to(ROOT)) == THE_TABLE:
                continue
            tree = ast.parse(path.read_text())
            names = names_of(tree, group)
            for node in ast.walk(tree):
                if isinstance(node, ast.Attribute) and node.attr == field and isinstance(node.ctx, ast.Load):
                    below = node.value
                    whole = isinstance(below, ast.Attribute) and below.attr == group
                    if whole or (isinstance(below, ast.Name) and below.id in names):
                        yield path


@EVERY
def test_every_parameter_has_a_reader(parameter: Parameter) -> None:
    """A switch that nothing looks at must not be offered to a vote."""
    assert list(readers(*parameter.name.split("."))), f"nothing in vm/ or consensus/ reads {parameter.name}"


def test_the_search_for_readers_finds_no_field_of_another_name() -> None:
    assert not list(readers("jobs", "never_there"))
    assert not list(readers("money", "timelock_blocks")), "of another group"
