"""`tilework model` and the RPC methods behind it.  Spec: [RPC-ASSET]."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain.bech32m import encode_address
from chain.types import AssetId
from node.rpc import market_methods
from tests.asset_cases import new_version, offered, parent, publication, purchase, rating, root
from tests.unit.cli_runner import Tilework
from tests.unit.rpc_node import ALICE, BOB, PREFIX, MemoryNode, served
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
    assert lines[0].split() == ["ID", "TYPE", "TITLE", "OWNER", "HEIGHT"]
    assert [line.split()[0] for line in lines[1:]] == [model.hex()[:16], data.hex()[:16]]
    assert "a thinker" in lines[1]
    assert encode_address(PREFIX, BOB.address) in lines[1]
    only = json.loads(tilework.ok("model", "list", "--type", "dataset", "--json"))
    assert [each["title"] for each in only] == ["numbers"]
    assert [each["title"] for each in tilework("model", "list", "--mine", "--json").json] == ["numbers"]
    assert [each["title"] for each in tilework("model", "list", "--owner", "bob", "--json").json] == [
        "a thinker"
    ]
    assert "exclude" in tilework.usage("model", "list", "--owner", "bob", "--mine")
    assert len(tilework.ok("model", "list", "--limit", "1").splitlines()) == 2
    assert "ASSET_TYPE" in tilework("model", "list", "--type", "poem").err


def test_one_asset(tilework: Tilework, node: MemoryNode, family: tuple[AssetId, AssetId]) -> None:
    _, model = family
    text = tilework.ok("model", "show", model.hex())
    assert "slot 0  per call 2 TILE, at most 7 in all; 0 sold" in text
    assert f"from height {3 + NOTICE_BLOCKS}, in about 1 min: per call 3 TILE" in text
    assert "deposit      1 TILE (1,000,000,000 grains)\n" in text
    assert "published    height 2, about 1 s ago\n" in text
    assert "no attestations\n" in text
    assert text == tilework.ok("model", "show", model.hex()[:8])
    form = json.loads(tilework.ok("model", "show", model.hex(), "--json"))
    assert form["newest"]["content_root"] == root("weights").hex()
    assert (form["retired"], form["versions"], form["offers"][0]["sold"]) == (False, 1, 0)
    assert [each["number"] for each in form["version_list"]] == [1]
    assert form["attestations"] == {"attestations": [], "since_height": 2, "complete": True}
    node.send(BOB, "asset.retire", AssetRetire(model, 8))
    node.mine()
    assert "a thinker, retired\n" in tilework.ok("model", "show", model.hex())


def test_what_is_said_of_an_asset_and_what_it_earned(
    tilework: Tilework, node: MemoryNode, family: tuple[AssetId, AssetId]
) -> None:
    _, model = family
    node.send(ALICE, "asset.acquire", purchase(model, beneficiary=ALICE.address))
    node.send(ALICE, "asset.attest", rating(model, score=3))
    node.send(ALICE, "asset.attest", rating(model, score=4))
    node.send(BOB, "asset.version", new_version(model))
    node.mine()
    text = tilework.ok("model", "show", model.hex())
    assert "earned       1.75 TILE (1,750,000,000 grains) not taken yet" in text
    assert f"rating        1  4 stars  {encode_address(PREFIX, ALICE.address)}" in text
    assert "3 stars" not in text
    numbers = [
        line.split()[:3] for line in text.splitlines() if line.startswith("   ") and "height 4" in line
    ]
    assert numbers == [["2", "1", "2"]]


def test_lineage_up_and_down(tilework: Tilework, node: MemoryNode, family: tuple[AssetId, AssetId]) -> None:
    data, model = family
    child = asset_id(ALICE.address, 1)
    both = (parent(model, 1_000), parent(data, 500))
    node.send(ALICE, "asset.publish", publication("child", *both, title="a child"))
    node.mine()
    lines = tilework.ok("model", "lineage", child.hex()).splitlines()
    assert lines[:5] == [
        f"{child.hex()[:16]} model a child",
        f"├─ fine tuned, 10 %: {model.hex()[:16]} model a thinker",
        f"│  └─ fine tuned, 12.5 %: {data.hex()[:16]} dataset numbers",
        f"└─ fine tuned, 5 %: {data.hex()[:16]} dataset numbers",
        "a sale is shared:",
    ]
    assert [line.split()[-2:] for line in lines[6:]] == [["85", "%"], ["8.75", "%"], ["6.25", "%"]]
    down = tilework.ok("model", "lineage", data.hex())
    assert "made from it:" in down
    assert f"\n  {model.hex()[:16]} model a thinker, fine tuned, 12.5 %\n" in down
    assert f"\n    {child.hex()[:16]} model a child, fine tuned, 10 %\n" in down
    form = tilework("model", "lineage", model.hex(), "--json").json
    assert (form["depth"], form["truncated"], len(form["ancestors"])) == (1, False, 1)
    assert [(each["title"], each["generation"]) for each in form["descendants"]] == [("a child", 1)]
    assert form["descendants_complete"] is True


def test_names_of_assets(tilework: Tilework, family: tuple[AssetId, AssetId]) -> None:
    data, _ = family
    assert tilework.ok("model", "transfer", "numbers", "bob", "--dry-run").startswith(
        f"asset    {data.hex()}"
    )
    assert "ASSET_UNKNOWN" in tilework.refused(1, "model", "transfer", "a thinker", "bob", "--dry-run")
    assert "ASSET_UNKNOWN" in tilework.refused(1, "model", "show", data.hex()[:7])
    assert "ASSET_UNKNOWN" in tilework.refused(1, "model", "show", "numbers")


def test_a_name_of_two_assets_is_no_name(tilework: Tilework, node: MemoryNode) -> None:
    for content in ("first", "second"):
        node.send(ALICE, "asset.publish", publication(content, title="twin"))
    node.mine()
    error = tilework.refused(1, "model", "retire", "twin")
    assert "ASSET_AMBIGUOUS" in error
    assert asset_id(ALICE.address, 1).hex() in error


def test_with_too_many_assets_only_a_whole_id_is_sure(
    tilework: Tilework, family: tuple[AssetId, AssetId], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, model = family
    monkeypatch.setattr(market_methods, "MAX_NAMED", 1)
    assert "ASSET_SEARCH" in tilework.refused(1, "model", "show", model.hex()[:16])
    assert "perhaps more" not in tilework.ok("model", "lineage", model.hex())


def test_what_is_not_there(tilework: Tilework, node: MemoryNode) -> None:
    assert "ASSET_UNKNOWN" in tilework("model", "show", "00" * 32).err
    assert "ASSET_UNKNOWN" in tilework("model", "lineage", "00" * 32).err
