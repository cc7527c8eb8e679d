"""`tilework proof`: made at a node, checked without one.  Spec: [STATE-FILE], [RPC-STATE]."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chain.bech32m import encode_address
from chain.errors import Policy, TileworkError
from chain.keys import SigningKey
from chain.ledger import Namespace
from chain.state_proof import MAX_FILE_BYTES, MAX_IDENTIFIER_BYTES, parse, to_json
from chain.types import Grains
from node.rpc.registry import bind
from node.rpc.table import method_named
from tests.state_proof_cases import accounts, address
from tests.unit.cli_runner import Tilework
from tests.unit.rpc_node import ALICE, BOB, PREFIX, MemoryNode, served
from vm.kinds.accounts import Transfer

ROOT = Path(__file__).resolve().parents[2]
NOBODY = encode_address(PREFIX, SigningKey(b"\x77" * 32).address)


@pytest.fixture
def node(tmp_path: Path) -> MemoryNode:
    made = MemoryNode(tmp_path / "node")
    made.send(ALICE, "transfer", Transfer(BOB.address, Grains(5_000), b""))
    made.mine(2)
    return made


@pytest.fixture
def url(node: MemoryNode) -> Iterator[str]:
    with served(node) as address:
        yield address


@pytest.fixture
def tilework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tilework:
    return Tilework(tmp_path, monkeypatch)


async def ask(node: MemoryNode, **parameters: Any) -> Any:
    declared = method_named("state_proof")
    return await declared.handler(node, **bind(declared, parameters))


def test_an_account_and_a_missing_one_are_proven_and_shown(
    tilework: Tilework, url: str, node: MemoryNode
) -> None:
    head = node.chain.head.id.hex()
    told = tilework.ok("proof", "account", "bob", "--out", "bob.json", "--rpc", url)
    assert head in told
    assert "a value" in told
    shown = tilework.ok("proof", "verify", "bob.json", "--header", head)
    assert "is the one you trust" in shown
    assert "balance 1,000.000005 TILE, nonce 0" in shown
    told = tilework.ok("proof", "account", NOBODY, "--out", "nobody.json", "--rpc", url, "--block", head)
    assert "nothing is there" in told
    assert "nothing is there" in tilework.ok("proof", "verify", "nobody.json")
    read = parse(Path("bob.json").read_bytes())
    assert len(read.proof.to_bytes()) < 1000


def test_any_entry_can_be_proven(tilework: Tilework, url: str, node: MemoryNode) -> None:
    tilework.ok("proof", "key", "chain", "", "--out", "chain.json", "--rpc", url)
    shown = tilework("proof", "verify", "chain.json", "--json").json
    assert shown["present"]
    assert bytes.fromhex(shown["value"]) == node.chain.context().chain.to_bytes()
    assert "STATE_PROOF_FIELD" in tilework.refused(
        1, "proof", "key", "chains", "", "--out", "x", "--rpc", url
    )
    assert "RPC_PARAMS" in tilework.refused(1, "proof", "key", "chain", "xyz", "--out", "x", "--rpc", url)


def test_without_a_trusted_header_it_says_so(tilework: Tilework, url: str) -> None:
    tilework.ok("proof", "account", "bob", "--out", "bob.json", "--rpc", url)
    assert "not compared with anything" in tilework.ok("proof", "verify", "bob.json")
    shown = tilework("proof", "verify", "bob.json", "--json").json
    assert (shown["header_compared"], shown["work_checked"]) == (False, False)
    assert shown["holds"] == {"balance_grains": 1000 * 10**9 + 5_000, "nonce": 0}


def test_the_trusted_header_may_be_an_id_hex_or_a_file(
    tilework: Tilework, url: str, node: MemoryNode
) -> None:
    tilework.ok("proof", "account", "bob", "--out", "bob.json", "--rpc", url)
    tilework.ok("block", "show", "head", "--out", "head.block", "--rpc", url)
    Path("header.bin").write_bytes(node.chain.head.to_bytes())
    Path("header.txt").write_text(node.chain.head.to_bytes().hex() + "\n")
    trusted = [node.chain.head.id.hex(), node.chain.head.to_bytes().hex()]
    for given in (*trusted, "head.block", "header.bin", "header.txt"):
        assert tilework("proof", "verify", "bob.json", "--header", given, "--json").json["header_compared"]
    other = node.chain.block_hash_at(1)
    assert other is not None
    line = tilework.refused(1, "proof", "verify", "bob.json", "--header", other.hex())
    assert "STATE_PROOF_HEADER" in line
    assert other.hex() in line
    assert "PROOF_HEADER" in tilework.refused(1, "proof", "verify", "bob.json", "--header", "no such file")


def test_the_work_of_the_header_is_checked_on_request(tilework: Tilework, url: str) -> None:
    tilework.ok("proof", "account", "bob", "--out", "bob.json", "--rpc", url)
    tilework.ok("block", "proof", "head", "--out", "work.json", "--rpc", url)
    tilework.ok("block", "proof", "1", "--out", "other.json", "--rpc", url)
    assert "proof of work holds" in tilework.ok("proof", "verify", "bob.json", "--work", "work.json")
    assert "STATE_PROOF_WORK" in tilework.refused(1, "proof", "verify", "bob.json", "--work", "other.json")
    form = json.loads(Path("work.json").read_text())
    Path("easier.json").write_text(json.dumps(form | {"target": "f" * 64}))
    assert "PROOF_TARGET" in tilework.refused(1, "proof", "verify", "bob.json", "--work", "easier.json")


def test_work_done_for_one_header_does_not_count_for_another(
    tilework: Tilework, url: str, node: MemoryNode
) -> None:
    """A made-up header may commit to a certificate that is right, but for the header it was made over."""
    tilework.ok("block", "proof", "head", "--out", "work.json", "--rpc", url)
    state = accounts(20)
    certificate = node.chain.block(node.chain.head.id).certificate  # type: ignore[union-attr]
    forged = replace(node.chain.head, state_root=state.tree.root).with_certificate(certificate)
    proof = replace(state.prove(Namespace.ACCOUNT, address(3)), header=forged)
    Path("forged.json").write_bytes(to_json(proof))
    tilework.ok("proof", "verify", "forged.json")
    line = tilework.refused(1, "proof", "verify", "forged.json", "--work", "work.json")
    assert "STATE_PROOF_WORK" in line


def test_what_is_no_proof_is_refused_in_one_line(tilework: Tilework, url: str) -> None:
    tilework.ok("proof", "account", "bob", "--out", "bob.json", "--rpc", url)
    data = Path("bob.json").read_bytes()
    Path("changed.json").write_bytes(data.replace(b'"height": 2', b'"height": 3'))
    assert "STATE_PROOF_FIELD: found height 3, allowed 2" in tilework.refused(
        1, "proof", "verify", "changed.json"
    )
    Path("large.json").write_bytes(b" " * (MAX_FILE_BYTES + 1))
    assert "FILE_SIZE" in tilework.refused(1, "proof", "verify", "large.json")
    assert "tilework proof account" in tilework.refused(1, "proof", "verify", "missing.json")


async def test_a_node_proves_its_head_or_refuses(node: MemoryNode) -> None:
    old = node.chain.head.id.hex()
    asked = {"namespace": "account", "identifier": BOB.address.hex()}
    form = await ask(node, **asked, block=old.upper())
    assert (form["height"], form["block"]) == (2, old)
    node.mine()
    with pytest.raises(Policy, match="STATE_MOVED"):
        await ask(node, **asked, block=old)
    with pytest.raises(Policy, match="STATE_IDENTIFIER"):
        await ask(node, namespace="account", identifier="00" * (MAX_IDENTIFIER_BYTES + 1))
    with pytest.raises(TileworkError, match=r"STATE_PROOF_FIELD.*account"):
        await ask(node, namespace="balances", identifier="")


def test_verifying_imports_neither_leveldb_nor_a_network(tmp_path: Path) -> None:
    """The whole command in a fresh interpreter in which those cannot be imported at all."""
    state = accounts(20)
    file = tmp_path / "proof.json"
    file.write_bytes(to_json(state.prove(Namespace.ACCOUNT, address(3))))
    program = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"plyvel", "trio", "httpx", "libp2p", "hypercorn", "p2p"}:
            raise ImportError("blocked: " + name)

sys.meta_path.insert(0, Blocked())
from node.cli.main import cli
cli(sys.argv[1:])
"""
    arguments = ["proof", "verify", str(file), "--header", state.header.id.hex()]
    ran = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "is the one you trust" in ran.stdout
