"""`tilework account multisig|sign|send` and `tilework session`: several keys for one account, and keys with limits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain.bech32m import encode_address
from node.keyfile import write_key
from tests.builders import key
from tests.unit.cli_runner import Tilework
from tests.unit.rpc_node import ALICE, PREFIX, MemoryNode, served

CAROL = key(70)
ALICE_TEXT = encode_address(PREFIX, ALICE.address)


@pytest.fixture
def tilework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tilework:
    made = Tilework(tmp_path, monkeypatch)
    write_key(made.keys / "carol.json", "carol", CAROL, PREFIX)
    return made


@pytest.fixture
def node(tmp_path: Path, tilework: Tilework, monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryNode]:
    del tilework  # its environment comes first
    node = MemoryNode(tmp_path)
    node.instant = True
    with served(node) as url:
        monkeypatch.setenv("TILEWORK_RPC", url)
        yield node


def pay(*more: str) -> tuple[str, ...]:
    return ("tx", "account", "transfer", "--to", "bob", "--amount", "2tile", "--from", ALICE_TEXT, *more)


@pytest.fixture
def shared(tilework: Tilework, node: MemoryNode) -> MemoryNode:
    """Two of Alice, Bob and Carol speak for Alice's account."""
    told = tilework.ok(
        *("account", "multisig", "--member", "alice", "--member", "bob"),
        *("--member", f"{CAROL.public_key.hex()}:1", "--threshold", "2", "--wait"),
    )
    assert "2 of 3 must sign" in told
    assert "the present key signs no more then, unless it is named" in told
    for _ in range(node.chain.spec.accounts.key_delay_blocks):
        node.mine()
    return node


def test_what_waits_is_shown_and_called_off(tilework: Tilework, node: MemoryNode) -> None:
    tilework.ok("account", "multisig", "--member", "bob", "--threshold", "1", "--wait")
    assert f"from height {1 + node.chain.spec.accounts.key_delay_blocks} on: 1 of 1" in tilework.ok(
        "account", "show", "alice"
    )
    assert "PENDING" in tilework.refused(1, "account", "multisig", "--member", "bob", "--threshold", "1")
    assert "called off" in tilework.ok("account", "multisig", "--cancel", "--wait")
    assert "on:" not in tilework.ok("account", "show", "alice")


def test_two_keys_sign_at_once(tilework: Tilework, shared: MemoryNode) -> None:
    del shared
    assert "transfer done" in tilework.ok(*pay("--key", "bob", "--cosign", "carol", "--wait"))
    assert "BAD_AUTH" in tilework.refused(4, *pay("--key", "bob", "--dry-run"))
    assert "BAD_AUTH" in tilework.refused(1, *pay("--key", "alice"))


def test_a_file_goes_from_hand_to_hand(tilework: Tilework, shared: MemoryNode, tmp_path: Path) -> None:
    file = tmp_path / "payment.json"
    told = tilework.ok(*pay("--key", "bob", "--sign-later", str(file)))
    assert "nothing was sent" in told
    assert json.loads(file.read_text())["signed_by"] == [key_hex(tilework, "bob")]
    assert "BAD_AUTH" in tilework.refused(1, "account", "send", file)
    told = tilework.ok("account", "sign", file, "--key", "carol")
    assert "transfer of " + ALICE_TEXT in told
    assert "amount_grains 2 TILE" in told
    assert "with 2 signatures" in told
    tilework.ok("account", "sign", file, "--key", "carol")
    before = shared.chain.context().account(ALICE.address).nonce
    assert "transfer done" in tilework.ok("account", "send", file, "--wait")
    assert shared.chain.context().account(ALICE.address).nonce == before + 1


def key_hex(tilework: Tilework, name: str) -> str:
    found: str = json.loads(tilework.ok("keys", "show", name, "--json", "--prefix", PREFIX))["public_key"]
    return found


@pytest.mark.parametrize("content", ["", "{}", '{"transaction": "00"}', '{"transaction": 1}', "[]"])
def test_a_file_that_is_none(tilework: Tilework, node: MemoryNode, tmp_path: Path, content: str) -> None:
    del node
    file = tmp_path / "payment.json"
    assert "FILE" in tilework.refused(1, "account", "send", file)
    file.write_text(content)
    assert "TX_FILE" in tilework.refused(1, "account", "send", file)


@pytest.mark.parametrize(
    "given",
    [
        (),
        ("--member", "bob"),
        ("--threshold", "1"),
        ("--cancel", "--member", "bob"),
        ("--member", "bob:0", "--threshold", "1"),
        ("--member", "bob:x", "--threshold", "1"),
    ],
)
def test_wrong_usage_of_multisig(tilework: Tilework, node: MemoryNode, given: tuple[str, ...]) -> None:
    del node
    assert tilework("account", "multisig", *given).code == 2


def test_a_session_from_grant_to_revoke(tilework: Tilework, node: MemoryNode) -> None:
    told = tilework.ok(
        *("session", "grant", "carol", "--kinds", "transfer,asset.acquire", "--total", "5tile"),
        *("--window", "10", "--per-window", "3tile", "--agent", "--blocks", "100", "--wait"),
    )
    assert "may        asset.acquire, transfer" in told
    assert f"it signs with --from {ALICE_TEXT} --key carol" in told
    assert "transfer done" in tilework.ok(*pay("--key", "carol", "--wait"))
    listed = tilework.ok("session", "list")
    assert "(a program)" in listed
    assert "of 5 TILE" in listed
    assert "of 3 TILE in 10 blocks" in listed
    error = tilework.refused(4, *pay("--key", "carol", "--dry-run"))
    assert "SCOPE" in error
    (form,) = json.loads(tilework.ok("session", "list", "alice", "--json"))["sessions"]
    assert form["spent_grains"] > 2 * 10**9
    tilework.ok("session", "revoke", "carol", "--wait")
    assert "no session keys" in tilework.ok("session", "list")
    assert "BAD_AUTH" in tilework.refused(1, *pay("--key", "carol"))
    assert node.chain.head.height == 3


def test_what_cannot_be_granted(tilework: Tilework, node: MemoryNode) -> None:
    del node
    error = tilework.refused(1, "session", "grant", "carol", "--kinds", "session.grant", "--total", "1tile")
    assert "SCOPE_INVALID" in error
    assert (
        tilework("session", "grant", "carol", "--kinds", "transfer", "--total", "1", "--window", "5").code
        == 2
    )
    assert "KEY_UNKNOWN" in tilework.refused(
        1, "session", "grant", "dave", "--kinds", "transfer", "--total", "1"
    )
