"""What declarations promise: nothing of a kind is missing, nothing is listed twice, other faces follow.

Spec: [TX-KIND]. That every declared code is produced is the business of test_error_codes.py.
"""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vm.kinds
from chain.bech32m import decode_address, encode_address
from chain.codec import Record
from chain.types import Grains, PublicKey, Signature
from node.bodies import Reader
from node.rpc.forms import record_form
from node.rpc.kind_forms import record_schema
from node.rpc.registry import bind
from node.rpc.table import method_named
from node.simulate import simulate
from tests.cases import Case
from tests.strategies import every_record, valid_bodies
from tests.unit.rpc_node import ALICE, BOB, PREFIX, MemoryNode
from vm.describe import fields_of, nested_records
from vm.envelope import Authorisation
from vm.execute import ENVELOPE_RULES
from vm.kind import Kind
from vm.kinds.accounts import Transfer
from vm.registry import KINDS

ROOT = Path(__file__).resolve().parents[2]
EVERY_KIND = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def test_whatever_a_module_of_kinds_declares_is_in_the_table() -> None:
    modules = [
        importlib.import_module(f"vm.kinds.{found.name}") for found in pkgutil.iter_modules(vm.kinds.__path__)
    ]
    declared = [value for module in modules for value in vars(module).values() if isinstance(value, Kind)]
    assert {kind.name: kind for kind in declared} == KINDS
    assert len(declared) == len(KINDS), "a name occurs once"


@EVERY_KIND
def test_a_kind_explains_itself(kind: Kind) -> None:
    assert kind.summary.endswith(".")
    assert kind.who
    assert kind.name in (kind.command, f"{kind.name.partition('.')[0]}.{kind.command}")
    assert kind.events, "every state change emits an event"
    for record in (kind.body, *nested_records(kind.body), *kind.events):
        for field in fields_of(record):
            assert field.meaning, f"{record.__name__}.{field.name}"
    for rule in kind.rules:
        assert rule.code.isupper()
        assert rule.requires
        assert not rule.requires.endswith("."), "goes on in tables and help"


def test_a_weight_in_words() -> None:
    names = ("transfer", "batch", "asset.publish")
    found = [KINDS[name].weight_in_words for name in names]
    assert found == ["1", "1 or more, by its body", "3 or more, by its body"]


def test_every_record_can_be_put_into_words() -> None:
    """A new wire type needs words and a schema before a kind can use it."""
    for record in every_record():
        if record.__module__.startswith(("vm.kinds", "vm.jobs", "vm.tensor")):
            assert all(field.bounds for field in fields_of(record))
            assert list(record_schema(record)["properties"]) == [field.name for field in fields_of(record)]


def test_the_envelope_declares_what_it_raises() -> None:
    found = {"ENC_*", "BATCH_KIND", "RANGE", "SCOPE"}  # of the codec, of batches, of integers, of sessions
    for name in ("execute", "envelope", "registry"):
        for node in ast.walk(ast.parse((ROOT / f"vm/{name}.py").read_text())):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                code = node.exc.args[0]
                assert isinstance(code, ast.Constant)
                found.add(str(code.value))
    assert {rule.code for rule in ENVELOPE_RULES} == found


@EVERY_KIND
@given(data=st.data())
@settings(max_examples=20)
def test_bodies_can_be_written_as_they_are_shown(kind: Kind, data: st.DataObject) -> None:
    body = data.draw(valid_bodies(kind))
    form = json.loads(json.dumps(record_form(body, PREFIX)))
    reader = Reader(lambda text: decode_address(PREFIX, text))
    if not has_long_bytes(form):
        assert reader.record(kind.body, form) == body


def has_long_bytes(form: Any) -> bool:
    """Shown by their size alone."""
    if isinstance(form, dict):
        return set(form) == {"size_bytes"} or any(has_long_bytes(value) for value in form.values())
    return isinstance(form, list) and any(has_long_bytes(value) for value in form)


async def ask(node: MemoryNode, name: str, **parameters: Any) -> Any:
    declared = method_named(name)
    return await declared.handler(node, **bind(declared, parameters))


async def test_programs_get_the_declarations(tmp_path: Path) -> None:
    answer = json.loads(json.dumps(await ask(MemoryNode(tmp_path), "tx_kinds")))
    told = {kind["name"]: kind for kind in answer["kinds"]}
    assert list(told) == list(KINDS)
    amount = told["transfer"]["body"]["properties"]["amount_grains"]
    assert (amount["minimum"], amount["maximum"], amount["format"]) == (0, 2**63 - 1, "grains")
    assert told["transfer"]["body"]["additionalProperties"] is False
    assert [check["code"] for check in told["transfer"]["checks"]] == ["DUST", "BALANCE"]
    assert (told["batch"]["weight_of_body"], told["job.attest"]["sponsored"]) == (True, True)
    assert (
        "batch"
        not in told["batch"]["body"]["properties"]["operations"]["items"]["properties"]["kind"]["enum"]
    )
    assert "JobSettled" in {event["event"] for event in answer["events"]}


def payment(amount_grains: int) -> Transfer:
    return Transfer(BOB.address, Grains(amount_grains), b"")


def unsigned(node: MemoryNode, body: Record, **changes: Any) -> str:
    signed = replace(node.signed(ALICE, "transfer", body), **changes)
    (own,) = signed.authorisations
    return replace(signed, authorisations=(replace(own, signature=bytes(64)),)).to_bytes().hex()


async def test_a_simulation_changes_nothing_and_is_what_happens(tmp_path: Path) -> None:
    node = MemoryNode(tmp_path)
    root = node.chain.head.state_root
    told = await ask(node, "tx_simulate", raw=unsigned(node, payment(5_000)))
    assert (told["includable"], told["code"], told["reason"]) == (True, "", "")
    assert node.chain.head.state_root == root
    assert len(node.mempool) == 0
    before = {who.address: node.chain.context().account(who.address).balance_grains for who in (ALICE, BOB)}
    sent = node.send(ALICE, "transfer", payment(5_000))
    node.mine()
    assert told["receipt"] == (await ask(node, "tx_get", id=sent.hex()))["receipt"]
    context = node.chain.context()
    for change in told["balances"]:
        address = decode_address(PREFIX, change["address"])
        assert change["before_grains"] == before.pop(address)
        assert change["after_grains"] == context.account(address).balance_grains
    assert not before


async def test_a_simulation_says_why_something_fails(tmp_path: Path) -> None:
    node = MemoryNode(tmp_path)
    told = await ask(node, "tx_simulate", raw=unsigned(node, payment(1 << 62)))
    assert (told["includable"], told["code"]) == (True, "BALANCE")
    assert told["receipt"]["code"] == "BALANCE"
    assert f"at least {1 << 62} grains" in told["reason"]
    assert [change["address"] for change in told["balances"]] == [encode_address(PREFIX, ALICE.address)]
    poor = await ask(node, "tx_simulate", raw=unsigned(node, payment(1), max_fee_grains=Grains(1)))
    assert (poor["includable"], poor["code"], poor["receipt"]) == (False, "FEE_TOO_LOW", None)


async def test_a_simulation_comes_after_what_the_sender_has_sent(tmp_path: Path) -> None:
    node = MemoryNode(tmp_path)
    node.send(ALICE, "transfer", payment(1))
    assert (await ask(node, "tx_simulate", raw=unsigned(node, payment(2))))["code"] == ""


def test_only_balances_that_change_are_told() -> None:
    """An attestation counts its sender's nonce and takes nothing from anybody's balance."""
    case = Case().open().claim().commit().draw()
    ledger, member = case.ledger, case.members[0]
    parsed = ledger.parse(ledger.sign(member, case.attest_commit(member)).to_bytes())
    found = simulate(ledger.begin().context, parsed)
    assert found.receipt is not None
    assert (found.receipt.code, found.refusal, found.balances) == ("", None, ())


async def test_nobody_simulates_in_another_name(tmp_path: Path) -> None:
    node = MemoryNode(tmp_path)
    signed = node.signed(ALICE, "transfer", payment(1))
    foreign = Authorisation(PublicKey(BOB.public_key), Signature(bytes(64)))
    for authorisations in ((), (foreign,)):
        raw = replace(signed, authorisations=authorisations).to_bytes().hex()
        found = await ask(node, "tx_simulate", raw=raw)
        assert (found["code"], found["receipt"], found["balances"]) == ("BAD_AUTH", None, [])
