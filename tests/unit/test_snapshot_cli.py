"""`tilework snapshot`: export, check and import on real databases.  Spec: [STATE-SNAPSHOT], [STATE-ANCHOR]."""

from __future__ import annotations

from pathlib import Path

import pytest

from chain.leveldb import LevelKV
from genesis.json_form import to_json
from node.chain import Chain
from node.snapshot.manifest import read_manifest
from tests.mining import SPEC, Node, transfer
from tests.unit.cli_runner import Tilework


@pytest.fixture
def tilework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tilework:
    """With a genesis file, and the data of a stopped node at height 3 in `old`."""
    made = Tilework(tmp_path, monkeypatch)
    (tmp_path / "genesis.json").write_text(to_json(SPEC))
    kv = LevelKV.open(tmp_path / "old" / "db")
    node = Node(SPEC, kv)
    node.mempool.add(transfer(1, 0, 5_000))
    node.mine(3)
    kv.close()
    return made


def test_from_one_data_directory_to_another(tilework: Tilework) -> None:
    wrote = tilework.ok("snapshot", "export", "--data", "old", "--out", "files")
    block = read_manifest(Path("files")).header.id.hex()
    assert "state after block 3 of 'tilework-test'" in wrote
    assert block in wrote
    checked = tilework.ok("snapshot", "check", "files")
    assert "not compared with anything you trust" in checked
    checked = tilework.ok("snapshot", "check", "files", "--genesis", "genesis.json", "--trust", block)
    assert "not compared" not in checked
    told = tilework(
        "snapshot",
        "import",
        "files",
        "--data",
        "new",
        "--genesis",
        "genesis.json",
        "--trust",
        block,
        "--json",
    ).json
    assert (told["height"], told["block"], told["chunks"]) == (3, block, 1)
    kv = LevelKV.open("new/db")
    young = Node(SPEC, kv)
    assert young.chain.head.id.hex() == block
    assert young.chain.state.root.hex() == told["state_root"]  # type: ignore[attr-defined]
    young.mine(2)
    third = young.chain.header_at(3)
    kv.close()
    old = LevelKV.open("old/db")
    assert Chain.open(old, SPEC).header_at(3) == third
    old.close()
    assert sorted(path.name for path in Path("new").iterdir()) == ["db"]


def test_refusals_are_one_line(tilework: Tilework) -> None:
    tilework.ok("snapshot", "export", "--data", "old", "--out", "files")
    block = read_manifest(Path("files")).header.id.hex()
    known = ("--genesis", "genesis.json", "--trust", block)
    assert "SNAPSHOT_TARGET" in tilework.refused(1, "snapshot", "export", "--data", "old", "--out", "files")
    assert "SNAPSHOT_DATA" in tilework.refused(1, "snapshot", "export", "--data", "none", "--out", "x")
    assert not Path("none").exists()
    assert "SNAPSHOT_BLOCK" in tilework.refused(1, "snapshot", "check", "files", "--trust", "00" * 32)
    assert "BLOCK_ID" in tilework.refused(1, "snapshot", "check", "files", "--trust", "latest")
    assert "SNAPSHOT_TARGET" in tilework.refused(1, "snapshot", "import", "files", "--data", "old", *known)
    assert "tilework snapshot export" in tilework.refused(1, "snapshot", "check", "nothing")
    assert "--trust" in tilework("snapshot", "import", "files", "--data", "n", *known[:2]).err
    chunk = Path("files/chunk-000000.bin")
    chunk.write_bytes(chunk.read_bytes()[:-1])
    for arguments in (("check", "files"), ("import", "files", "--data", "new", *known)):
        assert "chunk-000000.bin" in tilework.refused(1, "snapshot", *arguments)
    assert list(Path("new").iterdir()) == []


def test_a_running_node_keeps_its_database(tilework: Tilework) -> None:
    kv = LevelKV.open("old/db")
    assert "DB_LOCKED" in tilework.refused(5, "snapshot", "export", "--data", "old", "--out", "files")
    kv.close()
    assert not Path("files").exists()
