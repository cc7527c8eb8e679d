"""`tilework tx FAMILY KIND`: complete help, typed options, a dry run that sends nothing, sending.  Spec: [TX-KIND]."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain.bech32m import encode_address
from tests.unit.cli_runner import Tilework
from tests.unit.rpc_node import ALICE, BOB, PREFIX, MemoryNode, served
from vm.describe import fields_of, nested_records
from vm.kind import Kind
from vm.registry import KINDS

BOB_TEXT = encode_address(PREFIX, BOB.address)


@pytest.fixture
def tilework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tilework:
    return Tilework(tmp_path, monkeypatch)


@pytest.fixture
def node(tmp_path: Path, tilework: Tilework, monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryNode]:
    del tilework  # its environment comes first
    node = MemoryNode(tmp_path)
    with served(node) as url:
        monkeypatch.setenv("TILEWORK_RPC", url)
        yield node


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_help_says_everything_the_kind_declares(tilework: Tilework, kind: Kind) -> None:
    shown = tilework.ok("tx", kind.family.name, kind.command, "--help")
    text = " ".join(shown.split()).replace("multiply- acc", "multiply-acc")  # wrapped there
    assert kind.who in text
    assert f"At most {kind.max_bytes:,} bytes" in text
    for rule in kind.rules:
        assert f"{rule.code} unless {rule.requires}" in text
    for event in kind.events:
        assert event.__name__ in text
    for field in fields_of(kind.body):
        assert f"--{field.name.removesuffix('_grains').replace('_', '-')} " in text
        assert field.meaning[1:] in text
    for record in nested_records(kind.body):
        for field in fields_of(record):
            assert f"{field.name} {field.bounds}" in text


def test_families_are_commands_beside_the_friendly_ones(tilework: Tilework) -> None:
    text = tilework.ok("tx", "--help")
    for name in ("transfer", "stake", "show", *{kind.family.name for kind in KINDS.values()}):
        assert f"\n  {name} " in text


def transfer(*more: str, amount: str = "2tile") -> tuple[str, ...]:
    return ("tx", "account", "transfer", "--to", "bob", "--amount", amount, *more)


def test_a_dry_run_shows_fee_and_effects_and_sends_nothing(tilework: Tilework, node: MemoryNode) -> None:
    text = tilework.ok(*transfer("--dry-run", "--tip", "7"))
    assert "fee 0.00000" in text
    assert "Transferred" in text
    assert "amount_grains 2 TILE" in text
    assert f"balance of {BOB_TEXT} +2 TILE, then 1,002 TILE" in text
    assert len(node.mempool) == 0
    found = json.loads(tilework.ok(*transfer("--dry-run", "--json")))
    assert (found["includable"], found["code"]) == (True, "")
    assert {change["address"] for change in found["balances"]} == {
        BOB_TEXT,
        encode_address(PREFIX, ALICE.address),
    }


def test_the_fee_of_a_dry_run_is_the_fee(tilework: Tilework, node: MemoryNode) -> None:
    told = json.loads(tilework.ok(*transfer("--dry-run", "--json")))["receipt"]
    node.instant = True
    sent = json.loads(tilework.ok(*transfer("--wait", "--json")))["receipt"]
    assert told == sent


def test_a_dry_run_says_why_it_would_fail(tilework: Tilework, node: MemoryNode) -> None:
    error = tilework.refused(4, *transfer("--dry-run", amount="5000tile"))
    assert "BALANCE" in error
    assert "at least 5000000000000 grains" in error
    assert len(node.mempool) == 0


def test_sending_and_waiting(tilework: Tilework, node: MemoryNode) -> None:
    assert "on its way" in tilework.ok(*transfer("--memo", "0xbeef"))
    node.mine()
    node.instant = True
    assert "transfer done, fee" in tilework.ok(*transfer("--wait"))
    terms = ("--commission-bp", "1000", "--max-change-bp", "100", "--meta-root", "00" * 32)
    register = ("tx", "staking", "register", "--stake", "400tile", *terms, "--wait")
    assert "MIN_STAKE" in tilework.refused(4, *register)
    (block_sent,) = node.chain.block(node.chain.block_hash_at(1)).transactions
    assert b"\xbe\xef" in block_sent


def test_a_batch_and_nested_records_are_json(tilework: Tilework, node: MemoryNode) -> None:
    node.instant = True
    pay = {"kind": "transfer", "body": {"to": "bob", "amount_grains": 5, "memo": ""}}
    told = tilework.ok(
        "tx", "account", "batch", "--operations", json.dumps(pay), "--operations", json.dumps(pay), "--wait"
    )
    assert "batch done" in told
    program = {
        "inputs": [{"rows": 4, "columns": 8, "dtype": "INT8"}] * 2,
        "steps": [{"op": "GEMM", "operands": [0, 1]}],
    }
    order = (
        "tx",
        "job",
        "open",
        "--program",
        json.dumps(program),
        "--input-roots",
        "11" * 32,
        "--input-roots",
        "22" * 32,
    )
    order += (
        "--price-per-gmac",
        "1tile",
        "--max-price",
        "1tile",
        "--deadline-blocks",
        "30",
        "--provider",
        "none",
        "--permit",
        "00" * 32,
        "--slot",
        "8",
    )
    assert "JobOpened" in tilework.ok(*order, "--dry-run")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("tx", "job", "cancel", "--job", "12"), "no hexadecimal of 32 bytes"),
        (("tx", "job", "cancel", "--job", "zz" * 32), "no hexadecimal"),
        (("tx", "job", "cancel"), "--job"),
        (("tx", "account", "batch", "--operations", "{"), "no JSON"),
        (("tx", "job", "attest", "--phase", "perhaps"), "perhaps"),
        (transfer(amount="1.5"), "no amount"),
    ],
)
def test_wrong_options_are_named(tilework: Tilework, arguments: tuple[str, ...], said: str) -> None:
    ran = tilework(*arguments)
    assert ran.code == 2
    assert said in " ".join(ran.err.split())


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ({"kind": "transfer", "body": {"to": "bob", "amount_grains": 5}}, "BODY_FIELDS"),
        (
            {"kind": "transfer", "body": {"to": "bob", "amount_grains": 5, "memo": "", "more": 1}},
            "BODY_FIELDS",
        ),
        ({"kind": "transfer", "body": {"to": "bob", "amount_grains": "5", "memo": ""}}, "BODY_VALUE"),
        ({"kind": "transfer", "body": {"to": "bob", "amount_grains": -5, "memo": ""}}, "ENC_INT"),
        ({"kind": "transfer", "body": {"to": "bob", "amount_grains": True, "memo": ""}}, "BODY_VALUE"),
        ({"kind": "nothing", "body": {}}, "KIND"),
        ({"kind": "batch", "body": {"operations": []}}, "ENC_LIST"),
        ([], "BODY_VALUE"),
    ],
)
def test_wrong_json_is_refused(tilework: Tilework, node: MemoryNode, operation: object, code: str) -> None:
    assert code in tilework.refused(1, "tx", "account", "batch", "--operations", json.dumps(operation))
    assert len(node.mempool) == 0
