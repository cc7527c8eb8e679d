"""`tilework genesis`: what is founded is what was asked for, and typing mistakes are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from chain.bech32m import encode_address
from genesis.json_form import from_json
from tests.unit.cli_runner import Tilework
from tests.unit.rpc_node import ALICE, VALIDATORS

ADDRESS = encode_address("tiledev", ALICE.address)
PUBLIC_KEY = VALIDATORS[0].public_key.hex()
BUILD = ("genesis", "build", "--chain-id", "my-net", "--time-ms", "5", "--out", "g.json")


@pytest.fixture
def tilework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tilework:
    return Tilework(tmp_path, monkeypatch)


def test_a_network_with_people(tilework: Tilework) -> None:
    people = ("--account", f"{ADDRESS}=12.5tile", "--validator", f"{PUBLIC_KEY}=1000tile")
    text = tilework.ok(*BUILD, *people, "--hash-rate", "1000000000", "--block-time", "0.5")
    assert "my-net" in text
    spec = from_json(Path("g.json").read_text())
    assert spec.chain_id == b"my-net"
    assert spec.genesis_time_ms == 5
    assert spec.pace.block_time_ms == 500
    assert spec.allocations[0].address == ALICE.address
    assert spec.allocations[0].balance_grains == 12_500_000_000
    assert spec.validators[0].public_key == VALIDATORS[0].public_key
    assert (1 << 256) // spec.genesis_target == pytest.approx(500_000_000, rel=1e-6)
    shown = tilework("genesis", "show", "g.json", "--json").json
    assert shown["hash"] == spec.hash().hex()
    assert shown["genesis"] in tilework.ok("genesis", "show", "g.json")
    assert shown["staked_grains"] == 1_000 * 10**9


def test_one_constant_makes_another_network(tilework: Tilework) -> None:
    tilework.ok(*BUILD)
    first = tilework("genesis", "show", "g.json", "--json").json
    tilework.ok(*BUILD, "--target", hex(int(first["target"], 16) - 1))
    second = tilework("genesis", "show", "g.json", "--json").json
    assert first["genesis"] != second["genesis"]


@pytest.mark.parametrize(
    ("code", "arguments", "words"),
    [
        (1, ("--preset", "main"), "SPEC_PRESET"),
        (1, ("--account", f"{ADDRESS[:-1]}q=5"), "ADDRESS_CHECKSUM"),
        (1, ("--account", f"{encode_address('tile', ALICE.address)}=5"), "ADDRESS_NETWORK"),
        (1, ("--account", f"{ADDRESS}=1", "--account", f"{ADDRESS}=2"), "SPEC_DUPLICATE"),
        (1, ("--account", f"{ADDRESS}=2000000000tile"), "SPEC_SUPPLY"),
        (1, ("--target", "0x" + "f" * 64), "SPEC_TARGET"),
    ],
)
def test_networks_that_cannot_be(
    tilework: Tilework, code: int, arguments: tuple[str, ...], words: str
) -> None:
    assert words in tilework.refused(code, *BUILD, *arguments)
    assert not Path("g.json").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--account", ADDRESS),
        ("--account", f"{ADDRESS}=much"),
        ("--validator", "abcd=5"),
        ("--block-time", "two"),
        ("--chain-id", "x" * 33),
        ("--target", "easy"),
        ("--target", "0x5", "--hash-rate", "5"),
    ],
)
def test_usage_errors(tilework: Tilework, arguments: tuple[str, ...]) -> None:
    assert tilework(*BUILD, *arguments).code == 2


def test_files_that_are_no_genesis(tilework: Tilework) -> None:
    assert "FILE: found no file g.json" in tilework.refused(1, "genesis", "show", "g.json")
    Path("g.json").write_text("{")
    assert "SPEC_JSON" in tilework.refused(1, "genesis", "show", "g.json")
    Path("g.json").write_bytes(b"\xff\xfe")
    assert "SPEC_JSON" in tilework.refused(1, "genesis", "show", "g.json")
    Path("g.json").write_text('{"chain_id": "x"}')
    assert "SPEC_FIELD" in tilework.refused(1, "genesis", "show", "g.json")
    assert "FILE_READ" in tilework.refused(5, "genesis", "show", ".")
    assert "FILE_WRITE" in tilework.refused(5, *BUILD[:-1], "absent/g.json")
