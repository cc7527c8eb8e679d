"""`tilework model` and the RPC methods behind it.  Spec: [RPC-ASSET]."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain.types import AssetId
from tests.asset_cases import offered, parent, publication, root
from tests.unit.cli_runner import Tilework
from tests.unit.rpc_node import ALICE, BOB, MemoryNode, served
from vm.assets.limits import NOTICE_BLOCKS
from vm.assets.record import AssetType, asset_id
from vm.kinds.assets import AssetRetire


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


@pytest.fixture
def family(node: MemoryNode) -> tuple[AssetId, AssetId]:
    """Alice's dataset, and Bob's model made from it, with an offer whose price is about to rise."""
    data, model = asset_id(ALICE.address, 0), asset_id(BOB.address, 0)
    node.send(ALICE, "asset.publish", publication("data", type=AssetType.DATASET, title="numbers"))
    node.mine()
    node.send(BOB, "asset.publish", publication("weights", parent(data, 1_250), title="a thinker"))
    node.send(BOB, "asset.offer", offered(model, 2 * 10**9, supply=7))
    node.mine()
    node.send(BOB, "asset.offer", offered(model, 3 * 10**9, supply=7))
    node.mine()
    return data, model


def test_a_new_chain_has_none(tilework: Tilework, node: MemoryNode) -> None:
    assert tilework.ok("model", "list") == "no assets\n"


def test_lists_and_types(tilework: Tilework, family: tuple[AssetId, AssetId]) -> None:
    data, model = family
    lines = tilework.ok("model", "list").splitlines()
    assert [line.split()[0] for line in lines] == [model.hex(), data.hex()]
    assert "a thinker" in lines[0]
    only = json.loads(tilework.ok("model", "list", "--type", "dataset", "--json"))
    assert [each["title"] for each in only] == ["numbers"]
    assert len(tilework.ok("model", "list", "--limit", "1").splitlines()) == 1
    assert "ASSET_TYPE" in tilework("model", "list", "--type", "poem").err


def test_one_asset(tilework: Tilework, node: MemoryNode, family: tuple[AssetId, AssetId]) -> None:
    _, model = family
    text = tilework.ok("model", "show", model.hex())
    assert "per_call 2 TILE, at most 7 in all" in text
    assert f"from height {3 + NOTICE_BLOCKS}: per_call 3 TILE" in text
    assert "deposit     1 TILE" in text
    form = json.loads(tilework.ok("model", "show", model.hex(), "--json"))
    assert form["newest"]["content_root"] == root("weights").hex()
    assert (form["retired"], form["versions"], form["offers"][0]["sold"]) == (False, 1, 0)
    node.send(BOB, "asset.retire", AssetRetire(model, 8))
    node.mine()
    assert "retired" in tilework.ok("model", "show", model.hex())


def test_lineage(tilework: Tilework, family: tuple[AssetId, AssetId]) -> None:
    data, model = family
    text = tilework.ok("model", "lineage", model.hex())
    assert "owner gets 87.50 % of a sale" in text
    assert f"  {data.hex()}  DATASET   numbers  12.50 %" in text
    form = json.loads(tilework.ok("model", "lineage", model.hex(), "--json"))
    assert (form["depth"], form["truncated"], len(form["ancestors"])) == (1, False, 1)


def test_what_is_not_there(tilework: Tilework, node: MemoryNode) -> None:
    assert "ASSET_UNKNOWN" in tilework("model", "show", "00" * 32).err
    assert "ASSET_UNKNOWN" in tilework("model", "lineage", "00" * 32).err
