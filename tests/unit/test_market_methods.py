"""RPC methods around assets: how far they look, and that they say so.  Spec: [RPC-ASSET]."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chain.bech32m import encode_address
from chain.errors import TileworkError
from node.rpc import asset_methods, market_methods
from node.rpc.registry import bind
from node.rpc.table import method_named
from tests.asset_cases import new_version, offered, parent, publication, purchase, rating
from tests.unit.rpc_node import ALICE, BOB, PREFIX, MemoryNode
from vm.assets.record import AssetId, asset_id

FIRST = asset_id(ALICE.address, 0)


@pytest.fixture
def node(tmp_path: Path) -> MemoryNode:
    node = MemoryNode(tmp_path)
    node.send(ALICE, "asset.publish", publication("first", title="one"))
    node.mine()
    return node


async def ask(node: MemoryNode, name: str, **parameters: Any) -> Any:
    declared = method_named(name)
    return await declared.handler(node, **bind(declared, parameters))


async def refused(node: MemoryNode, name: str, **parameters: Any) -> str:
    with pytest.raises(TileworkError) as caught:
        await ask(node, name, **parameters)
    return caught.value.code


async def test_an_owner_s_list_says_how_many_were_looked_at(
    node: MemoryNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    for content in ("second", "third"):
        node.send(BOB, "asset.publish", publication(content))
    node.mine()
    alice = encode_address(PREFIX, ALICE.address)
    found = await ask(node, "asset_list", owner=alice)
    assert ([each["title"] for each in found["assets"]], found["searched"]) == (["one"], 3)
    monkeypatch.setattr(asset_methods, "MAX_SEARCHED", 2)
    found = await ask(node, "asset_list", owner=alice)
    assert (found["assets"], found["count"], found["searched"]) == ([], 3, 2)
    assert await refused(node, "asset_list", owner=alice + "q") == "ADDRESS_CHECKSUM"


async def test_a_name_needs_eight_digits_or_an_owner(node: MemoryNode) -> None:
    text = FIRST.hex()
    assert (await ask(node, "asset_find", text=text[:8].upper()))["assets"][0]["id"] == text
    assert (await ask(node, "asset_find", text=text[:7]))["assets"] == []
    assert (await ask(node, "asset_find", text="one"))["assets"] == []
    bob = encode_address(PREFIX, BOB.address)
    assert (await ask(node, "asset_find", text="one", owner=bob))["assets"] == []


async def test_a_quote_is_what_the_sale_then_is(node: MemoryNode) -> None:
    child = asset_id(BOB.address, 0)
    node.send(BOB, "asset.publish", publication("child", parent(FIRST, 3_333)))
    node.send(BOB, "asset.offer", offered(child, 7, supply=5))
    node.mine()
    quoted = await ask(node, "asset_quote", id=child.hex(), units=3)
    assert (quoted["price_grains"], quoted["units_left"]) == (21, 5)
    assert [part["amount_grains"] for part in quoted["parts"]] == [6, 15]
    node.send(ALICE, "asset.acquire", purchase(child, units=3))
    node.mine()
    earned = [(await ask(node, "asset_get", id=each.hex()))["earned_grains"] for each in (FIRST, child)]
    assert earned == [6, 15]
    assert (await ask(node, "asset_quote", id=child.hex()))["units_left"] == 2
    assert await refused(node, "asset_quote", id=child.hex(), units=0) == "RPC_PARAMS"
    assert await refused(node, "asset_quote", id=child.hex(), units=(1 << 63) - 1) == "RANGE"
    assert await refused(node, "asset_quote", id=child.hex(), slot=9) == "INACTIVE"


async def test_versions_page_by_page(node: MemoryNode) -> None:
    for number in range(2, 5):
        node.send(ALICE, "asset.version", new_version(FIRST, number))
    node.mine()

    async def numbers(**more: int) -> list[int]:
        found = await ask(node, "asset_versions", id=FIRST.hex(), **more)
        assert found["count"] == 4
        return [each["number"] for each in found["versions"]]

    assert await numbers() == [4, 3, 2, 1]
    assert await numbers(limit=2) == [4, 3]
    assert await numbers(limit=2, before=3) == [2, 1]
    assert await numbers(before=0) == await numbers(before=1) == await numbers(limit=0) == []
    assert await numbers(before=99) == [4, 3, 2, 1]
    assert await refused(node, "asset_versions", id=FIRST.hex(), limit=101) == "RPC_LIMIT"
    assert await refused(node, "asset_versions", id="00" * 32) == "ASSET_UNKNOWN"


async def test_attestations_as_far_as_was_looked(node: MemoryNode, monkeypatch: pytest.MonkeyPatch) -> None:
    node.send(ALICE, "asset.offer", offered(FIRST))
    for who in (ALICE, BOB):
        node.send(who, "asset.acquire", purchase(FIRST, beneficiary=who.address))
    node.send(ALICE, "asset.attest", rating(FIRST, score=1))
    node.mine()
    node.send(BOB, "asset.attest", rating(FIRST, score=2))
    node.mine()

    async def scores(**more: int) -> tuple[list[int], int, bool]:
        found = await ask(node, "asset_attestations", id=FIRST.hex(), **more)
        said = [each["score"] for each in found["attestations"]]
        return said, found["since_height"], found["complete"]

    assert await scores() == ([2, 1], 1, True)
    assert await scores(limit=1) == ([2], 3, False)
    monkeypatch.setattr(market_methods, "MAX_BLOCKS", 2)
    assert await scores() == ([2, 1], 2, False)
    monkeypatch.setattr(market_methods, "MAX_RECEIPTS", 1)
    assert await scores() == ([2], 3, False)


async def test_descendants_of_all_generations(node: MemoryNode, monkeypatch: pytest.MonkeyPatch) -> None:
    child, grandchild = asset_id(BOB.address, 0), asset_id(BOB.address, 2)
    node.send(BOB, "asset.publish", publication("child", parent(FIRST)))
    node.send(BOB, "asset.publish", publication("stranger"))
    node.send(BOB, "asset.publish", publication("grandchild", parent(child), parent(FIRST)))
    node.mine()

    async def family(of: AssetId) -> tuple[list[tuple[str, int]], bool]:
        found = await ask(node, "asset_descendants", id=of.hex())
        return [(each["id"], each["generation"]) for each in found["descendants"]], found["complete"]

    assert await family(FIRST) == ([(child.hex(), 1), (grandchild.hex(), 1)], True)
    assert await family(child) == ([(grandchild.hex(), 1)], True)
    assert await family(grandchild) == ([], True)
    monkeypatch.setattr(market_methods, "MAX_DESCENDANTS", 1)
    assert await family(FIRST) == ([(child.hex(), 1)], False)
    monkeypatch.setattr(market_methods, "MAX_NAMED", 2)
    assert await family(FIRST) == ([(child.hex(), 1)], False)
