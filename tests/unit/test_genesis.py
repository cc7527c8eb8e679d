"""The chain spec: its JSON face, its hash, what it refuses, and the state it founds.  Spec: [GEN-*]."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

import pytest

from chain.blocks import Header
from chain.codec import Record
from chain.errors import Policy
from chain.types import ZERO_HASH
from genesis.build import check_spec, genesis_header
from genesis.json_form import from_json, to_json
from genesis.presets import PRESETS, preset
from genesis.spec import Allocation, ChainSpec, FoundingValidator
from tests.builders import FUNDS_GRAINS, STAKE_GRAINS, Ledger, funded_spec, key

SPEC = funded_spec(accounts=2, validators=(0, 1))


def changed_fields(
    record: Record, rebuild: Callable[[Any], ChainSpec], path: str
) -> Iterator[tuple[str, ChainSpec]]:
    """The spec once for every field below `record`, with only this field different."""
    for field in fields(record):  # type: ignore[arg-type]
        value, where = getattr(record, field.name), f"{path}.{field.name}"

        def change(new: Any, name: str = field.name) -> ChainSpec:
            return rebuild(replace(record, **{name: new}))  # type: ignore[type-var]

        if isinstance(value, Record):
            yield from changed_fields(value, change, where)
        elif isinstance(value, tuple):
            yield where, change(value[:-1])
            yield where, change(value[::-1])
        elif isinstance(value, int):
            yield where, change(value - 1 if value else 1)
        else:
            yield where, change(value + ("x" if isinstance(value, str) else b"x"))


CHANGED = list(changed_fields(SPEC, lambda spec: spec, "spec"))


def test_the_list_of_changes_reaches_every_constant() -> None:
    assert len({path for path, _ in CHANGED}) >= 4 + 10 + 21 + 8


def test_the_hash_covers_every_field() -> None:
    hashes = {spec.hash() for _, spec in CHANGED}
    assert len(hashes) == len(CHANGED)
    assert SPEC.hash() not in hashes


def test_the_genesis_id_covers_the_spec() -> None:
    ids = {genesis_header(spec, Ledger(SPEC).tree.root).id for _, spec in CHANGED}
    assert len(ids) == len(CHANGED)


@pytest.mark.parametrize("spec", [SPEC, *PRESETS.values()], ids=lambda spec: spec.preset)
def test_json_and_bytes_round_trip(spec: ChainSpec) -> None:
    assert from_json(to_json(spec)) == spec
    assert ChainSpec.from_bytes(spec.to_bytes()) == spec


def test_json_is_for_people() -> None:
    tree = json.loads(to_json(SPEC))
    assert tree["chain_id"] == "tilework-test"
    assert tree["allocations"][0]["address"].startswith("tiletest1")
    assert tree["genesis_target"].startswith("0x")


def edited(path: str, value: Any) -> str:
    tree = json.loads(to_json(SPEC))
    place = tree
    *parents, name = path.split(".")
    for parent in parents:
        place = place[int(parent)] if isinstance(place, list) else place[parent]
    if value is KeyError:
        del place[name]
    else:
        place[name] = value
    return json.dumps(tree)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("block_tme_ms", 5),
        ("pace.block_time_s", 5),
        ("allocations.0.amount", 5),
        ("chain_id", KeyError),
        ("jobs.quorum", KeyError),
        ("validators.1.stake_grains", KeyError),
        ("pace", 5),
        ("pace", []),
        ("allocations", {}),
        ("allocations", [5]),
        ("pace.block_time_ms", 0),
        ("pace.block_time_ms", -1),
        ("pace.block_time_ms", "2000"),
        ("pace.block_time_ms", 2000.0),
        ("pace.block_time_ms", True),
        ("pace.block_time_ms", None),
        ("money.cap_grains", 1 << 63),
        ("money.block_weight_limit", 29),
        ("genesis_target", 5),
        ("genesis_target", "five"),
        ("genesis_target", hex(1 << 256)),
        ("chain_id", "x" * 33),
        ("chain_id", "größe"),
        ("chain_id", 7),
        ("allocations.0.address", "tiletest1qqqq"),
        ("allocations.0.address", "00" * 20),
        ("validators.0.public_key", "00" * 31),
        ("validators.0.public_key", "zz" * 32),
        ("fault_injection", 2),
        ("address_prefix", "x" * 17),
    ],
)
def test_a_wrong_key_or_value_is_refused_by_name(path: str, value: Any) -> None:
    with pytest.raises(Policy) as caught:
        from_json(edited(path, value))
    assert caught.value.code == "SPEC_FIELD"
    words = [word for word in path.split(".") if not word.isdigit()]
    assert any(word in str(caught.value) for word in words)


def test_a_key_written_twice_is_refused() -> None:
    text = to_json(SPEC).replace('"quorum": 2', '"quorum": 2, "quorum": 3')
    with pytest.raises(Policy, match="quorum twice"):
        from_json(text)


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "null", '"x"', "{}"])
def test_what_is_no_spec_is_refused(text: str) -> None:
    with pytest.raises(Policy, match="SPEC_"):
        from_json(text)


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(Policy, match=r"SPEC_PRESET.*dev, test"):
        preset("main")


@pytest.mark.parametrize(
    ("code", "spec"),
    [
        ("SPEC_PROFILE", replace(SPEC, profile_id=99)),
        ("SPEC_TARGET", replace(SPEC, genesis_target=0)),
        ("SPEC_TARGET", replace(SPEC, genesis_target=SPEC.genesis_target + 1)),
        ("SPEC_DUPLICATE", replace(SPEC, allocations=SPEC.allocations * 2)),
        ("SPEC_DUPLICATE", replace(SPEC, validators=SPEC.validators * 2)),
        ("SPEC_NAME", replace(SPEC, chain_id=b"")),
        ("SPEC_NAME", replace(SPEC, chain_id=b"a b")),
        ("SPEC_NAME", replace(SPEC, chain_id=b"\xc3\xa9")),
        ("SPEC_NAME", replace(SPEC, address_prefix="")),
        ("SPEC_NAME", replace(SPEC, address_prefix="Tile")),
        ("SPEC_JOBS", replace(SPEC, jobs=replace(SPEC.jobs, quorum=4))),
        ("SPEC_JOBS", replace(SPEC, jobs=replace(SPEC.jobs, treasury_bp=6_000, stakers_bp=4_001))),
        ("SPEC_JOBS", replace(SPEC, jobs=replace(SPEC.jobs, beacon_first_block=4))),
        ("SPEC_JOBS", replace(SPEC, jobs=replace(SPEC.jobs, deadline_default_blocks=601))),
        ("SPEC_JOBS", replace(SPEC, jobs=replace(SPEC.jobs, deadline_minimum_blocks=31))),
        ("SPEC_BONUS", replace(SPEC, jobs=replace(SPEC.jobs, bonus_bp=10_000))),
        ("SPEC_SUPPLY", replace(SPEC, money=replace(SPEC.money, cap_grains=2 * FUNDS_GRAINS))),
    ],
)
def test_a_spec_no_chain_can_stand_on_is_refused(code: str, spec: ChainSpec) -> None:
    with pytest.raises(Policy) as caught:
        check_spec(spec)
    assert caught.value.code == code


def test_presets_are_sound() -> None:
    for spec in PRESETS.values():
        check_spec(spec)


def test_the_first_state_holds_the_money_and_the_validators() -> None:
    ledger = Ledger(SPEC)
    ledger.audit()
    assert ledger.balance(key(1)) == FUNDS_GRAINS
    assert ledger.stake(key(1).address) == STAKE_GRAINS
    assert ledger.chain.minted_grains == 2 * FUNDS_GRAINS + 2 * STAKE_GRAINS
    snapshot = ledger.weights(0)
    assert snapshot is not None
    assert [w.address for w in snapshot.weights] == sorted(key(i).address for i in (0, 1))


def test_the_order_of_allocations_does_not_change_the_state() -> None:
    assert Ledger(replace(SPEC, allocations=SPEC.allocations[::-1])).tree.root == Ledger(SPEC).tree.root


def test_the_genesis_header_is_bound_to_the_spec() -> None:
    header: Header = Ledger(SPEC).genesis
    assert header.parent == SPEC.hash()
    assert (header.height, header.time_ms, header.target) == (0, SPEC.genesis_time_ms, SPEC.genesis_target)
    assert header.certificate_hash == ZERO_HASH


def test_founders_without_money_are_possible() -> None:
    poor = replace(
        SPEC,
        allocations=(Allocation(key(9).address, SPEC.money.dust_grains),),
        validators=(FoundingValidator(key(9).public_key, SPEC.money.minimum_stake_grains),),
    )
    ledger = Ledger(poor)
    ledger.people.add(key(9).address)
    ledger.audit()


@pytest.mark.parametrize("spec", PRESETS.values(), ids=lambda spec: spec.preset)
def test_windows_follow_the_protocol(spec: ChainSpec) -> None:
    rules = spec.jobs
    assert (rules.draw_offset, rules.reveal_offset, rules.reveal_end_offset) == (4, 8, 12)
    assert rules.settle_offset == 17
