"""`tilework status`, `account`, `tx` and `block` against a node that answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chain.bech32m import encode_address
from node.cli.status import condition, one_line
from tests.unit.cli_runner import Tilework
from tests.unit.rpc_node import ALICE, BOB, PREFIX, VALIDATORS, MemoryNode, served

NOBODY = encode_address(PREFIX, VALIDATORS[4].address)


@pytest.fixture
def node(tmp_path: Path) -> MemoryNode:
    made = MemoryNode(tmp_path / "node")
    made.mine(2)
    return made


@pytest.fixture
def tilework(tmp_path: Path, node: MemoryNode, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tilework]:
    with served(node) as url:
        program = Tilework(tmp_path, monkeypatch)
        monkeypatch.setenv("TILEWORK_RPC", url)
        yield program


def test_status_for_people_and_programs(tilework: Tilework, node: MemoryNode) -> None:
    form = tilework("status", "--json").json
    assert form["height"] == 2
    assert form["justified"] is None
    assert form["final"] is None
    text = tilework.ok("status")
    assert node.chain.head.id.hex() in text
    assert "12.3 kMAC/s" in text


def test_a_node_is_called_synced_only_with_a_fresh_head() -> None:
    form = {
        "syncing": False,
        "height": 5,
        "time_ms": 10**12,
        "block_time_ms": 2_000,
        "peers": 3,
        "head": "ab" * 32,
    }
    form |= {"mempool": 0, "macs_per_second": 5, "upgrade": None}
    assert condition(form, 10**12 + 59_000) == "synced"
    assert condition(form, 10**12 + 600_000) == "stalled: no block for 10 min"
    assert condition(form | {"peers": 0}, 10**12 + 600_000) == "searching for peers"
    assert condition(form | {"syncing": True}, 10**12) == "syncing"
    assert condition(form | {"height": 0}, 10**12) == "waiting for the first block"
    assert one_line(form, 10**12 + 3_000).startswith("synced · height 5 abababababab · 3 s old · 3 peers")


def test_the_node_can_be_named_before_or_after_the_command(
    tilework: Tilework, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    url = os.environ["TILEWORK_RPC"]
    monkeypatch.delenv("TILEWORK_RPC")
    assert tilework("--rpc", url, "status", "--json").json == tilework("status", "--rpc", url, "--json").json


def test_accounts_by_address_and_by_name(tilework: Tilework) -> None:
    by_name = tilework("account", "show", "alice", "--json").json
    assert by_name["balance_grains"] == 1_000 * 10**9
    assert by_name == tilework("account", "show", by_name["address"], "--json").json
    assert "1,000 TILE" in tilework.ok("account", "show", "alice")
    assert "validator since height 0" in tilework.ok("account", "show", NOBODY)


def test_money_moves(tilework: Tilework, node: MemoryNode) -> None:
    identity = tilework(
        "tx", "transfer", "--to", "bob", "--amount", "1.5tile", "--memo", "hi", "--json"
    ).json["id"]
    assert "waiting for a block" in tilework.ok("tx", "show", identity)
    node.mine()
    shown = tilework.ok("tx", "show", identity)
    assert "succeeded in block 3" in shown
    assert "1.5 TILE" in shown
    assert node.chain.context().account(BOB.address).balance_grains == 1_001_500_000_000
    assert "unknown" in tilework.ok("tx", "show", "ab" * 32)


def test_money_moves_while_one_waits(tilework: Tilework, node: MemoryNode) -> None:
    node.instant = True
    text = tilework.ok("tx", "transfer", "--to", "bob", "--amount", "5000", "--wait")
    assert "in block 3: sent 0.000005 TILE" in text
    assert node.chain.context().account(ALICE.address).nonce == 1


def test_a_stake_makes_a_validator(tilework: Tilework, node: MemoryNode) -> None:
    node.instant = True
    assert "MIN_STAKE: in block 3" in tilework.refused(4, "tx", "stake", "--amount", "5tile", "--wait")
    line = tilework.refused(1, "tx", "stake", "--amount", "1000tile")
    assert "BALANCE" in line
    tilework.ok("tx", "transfer", "--to", "alice", "--amount", "900tile", "--key", "bob")
    assert "staked 1,500 TILE" in tilework.ok("tx", "stake", "--amount", "1500tile", "--wait")
    assert "stake    1,500 TILE, validator since" in tilework.ok("account", "show", "alice")


def test_a_transaction_that_fails_in_its_block_is_a_failure(tilework: Tilework, node: MemoryNode) -> None:
    node.instant = True
    fresh = encode_address(PREFIX, VALIDATORS[0].address)
    line = tilework.refused(4, "tx", "transfer", "--to", fresh, "--amount", "1", "--wait")
    assert "DUST: in block 3" in line


def test_waiting_ends(tilework: Tilework) -> None:
    line = tilework.refused(4, "tx", "transfer", "--to", "bob", "--amount", "1", "--wait", "--timeout", "0")
    assert "TX_TIMEOUT: still pending" in line


@pytest.mark.parametrize(
    ("code", "arguments", "words"),
    [
        (
            1,
            ("tx", "transfer", "--to", "bob", "--amount", "1001tile"),
            "BALANCE: found 1,000 TILE in the account",
        ),
        (1, ("tx", "transfer", "--to", "nobody", "--amount", "1"), "KEY_UNKNOWN"),
        (1, ("tx", "transfer", "--to", "bob", "--amount", "1", "--key", "carol"), "no key 'carol'"),
        (
            1,
            ("tx", "transfer", "--to", NOBODY[:-1] + "qp"[NOBODY[-1] == "q"], "--amount", "1"),
            "ADDRESS_CHECKSUM",
        ),
        (1, ("account", "show", encode_address("tile", ALICE.address)), "ADDRESS_NETWORK"),
        (1, ("tx", "transfer", "--to", "bob", "--amount", "1", "--memo", "x" * 65), "ENC_BYTES"),
        (1, ("tx", "show", "abc"), "RPC_PARAMS"),
        (1, ("block", "show", "99"), "BLOCK_UNKNOWN: found height 99, allowed 0..2"),
        (1, ("job", "show", "ab" * 32), "JOB_UNKNOWN"),
        (1, ("job", "list", "--status", "done"), "JOB_STATUS"),
        (1, ("status", "--rpc", "localhost"), "RPC_URL"),
        (
            3,
            ("status", "--rpc", "http://127.0.0.1:1"),
            "NODE_UNREACHABLE: found no node at http://127.0.0.1:1",
        ),
    ],
)
def test_refusals(tilework: Tilework, code: int, arguments: tuple[str, ...], words: str) -> None:
    assert words in tilework.refused(code, *arguments)


def test_blocks_for_people(tilework: Tilework, node: MemoryNode) -> None:
    text = tilework.ok("block", "show")
    assert node.chain.head.id.hex() in text
    assert "CoinbaseEarned" in text
    assert tilework("block", "show", "0", "--json").json["certificate"] is None


def test_a_block_survives_the_journey_through_a_file(tilework: Tilework, node: MemoryNode) -> None:
    from genesis.json_form import to_json

    tilework("tx", "transfer", "--to", "bob", "--amount", "5000")
    node.mine()
    tilework.ok("block", "show", "3", "--out", "b3")
    Path("genesis.json").write_text(to_json(node.chain.spec))
    report = tilework.ok("block", "verify", "b3", "--genesis", "genesis.json")
    assert "FAILED" not in report
    assert "transaction 0      transfer" in report
    data = bytearray(Path("b3").read_bytes())
    data[-10] ^= 1
    Path("b3").write_bytes(data)
    ran = tilework("block", "verify", "b3")
    assert ran.code == 1
    assert "FAILED" in ran.out
    assert "BLOCK_INVALID" in ran.err
    assert tilework("block", "verify", "b3", "--json").json["valid"] is False
    assert "found no file" in tilework.refused(1, "block", "verify", "absent")


def test_ctrl_c_is_no_traceback(tilework: Tilework, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("node.cli.status.time.sleep", interrupted)
    ran = tilework("status", "--watch")
    assert ran.code == 130
    assert ran.err == "Error: interrupted.\n"


def test_waiting_for_a_height(tilework: Tilework, node: MemoryNode) -> None:
    head = node.chain.head.height
    assert tilework.ok("block", "wait", "1") == f"height {head}\n"
    assert tilework("block", "wait", "+0", "--json").json == {"height": head}
    assert f"not yet {head + 1}" in tilework.refused(4, "block", "wait", "+1", "--timeout", "0")
    for wrong in ("soon", "1.5", "+", "--", "9" * 16):
        assert tilework("block", "wait", "--", wrong).code == 2
