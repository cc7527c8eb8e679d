"""`tilework provider` and the RPC methods behind it; permits on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chain.bech32m import encode_address
from chain.errors import Missing, Policy
from chain.keys import SigningKey
from chain.types import Grains, Hash32
from node.rpc.registry import bind
from node.rpc.table import method_named
from tests.asset_cases import publication
from tests.provider_cases import declaration, permission
from tests.unit.cli_runner import Tilework
from tests.unit.rpc_node import ALICE, BOB, PREFIX, VALIDATORS, MemoryNode, served
from vm.assets.permits import find_permit
from vm.assets.record import AssetType, asset_id
from vm.kinds.accounts import Transfer
from vm.kinds.providers import ProviderRegister
from vm.providers.record import activity_of, find_provider

ALICE_TEXT, BOB_TEXT = (encode_address(PREFIX, key.address) for key in (ALICE, BOB))


@pytest.fixture
def tilework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tilework:
    return Tilework(tmp_path, monkeypatch)


@pytest.fixture
def node(tmp_path: Path, tilework: Tilework, monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryNode]:
    del tilework  # its environment comes first
    node = MemoryNode(tmp_path)
    node.instant = True
    with served(node) as url:
        monkeypatch.setenv("TILEWORK_RPC", url)
        yield node


def to_epoch(node: MemoryNode, block: int) -> None:
    """Mine until the next block is this one of an epoch."""
    length = node.chain.spec.pace.epoch_blocks
    while (node.chain.head.height + 1) % length != block:
        node.mine()


def register(node: MemoryNode, who: SigningKey, **changes: Any) -> None:
    node.send(who, "provider.register", ProviderRegister(declaration(**changes)))
    node.mine()


def test_registering_says_what_it_costs(tilework: Tilework, node: MemoryNode) -> None:
    assert tilework.ok("provider", "list") == "nobody is on the list\n"
    text = tilework.ok("provider", "register", "--price", "0.5tile", "--region", "nowhere", "--dry-run")
    assert f"provider   {ALICE_TEXT}\nprice      0.5 TILE per GMAC\n" in text
    assert "deposit    1 TILE (1,000,000,000 grains), back when you leave the list\n" in text
    assert "ProviderRegistered: An account stands on the list of providers." in text
    assert tilework.ok("provider", "list") == "nobody is on the list\n"
    text = tilework.ok("provider", "register", "--price", "0.5tile", "--region", "nowhere", "--wait")
    assert "on the list of providers, fee" in text
    assert "see `tilework provider show`" in text
    error = tilework.refused(1, "provider", "register", "--price", "1")
    assert "BAD_STATE" in error
    assert "Change what the list says with `tilework provider update`. Nothing was sent." in error


def test_everything_that_is_declared_comes_back(tilework: Tilework, node: MemoryNode) -> None:
    asset = asset_id(ALICE.address, node.mempool.next_nonce(ALICE.address))
    node.send(ALICE, "asset.publish", publication("content"))
    node.mine()
    tilework.ok(
        *("provider", "register", "--wait", "--endpoint", "/dns/a.example/tcp/1", "--endpoint", "b:2"),
        *("--transport-key", "11" * 32, "--exchange-key", "22" * 32, "--price", "7", "--parallel", "3"),
        *("--class", "int8:16384:80000000000", "--class", "int32:64:1", "--serves", f"{asset.hex()}:1"),
    )
    form = tilework("provider", "show", "--json").json
    assert form["endpoints"] == ["/dns/a.example/tcp/1", "b:2"]
    assert (form["transport_key"], form["exchange_key"]) == ("11" * 32, "22" * 32)
    assert form["classes"][0] == {"dtype": "INT8", "max_edge": 16_384, "memory_bytes": 80_000_000_000}
    assert form["versions"] == [{"asset": asset.hex(), "version": 1}]
    assert (form["max_parallel"], form["room"], form["open_jobs"]) == (3, 3, 0)
    text = tilework.ok("provider", "show", "alice")
    assert "  jobs       0 open, room for 3 of 3\n" in text
    assert "  class      int8, edges up to 16,384, 80.0 GB\n" in text
    assert f"  serves     {asset.hex()} version 1\n" in text
    assert f"  exchange key {'22' * 32}\n" in text


def test_an_update_keeps_what_it_does_not_name(tilework: Tilework, node: MemoryNode) -> None:
    register(node, ALICE, price_per_gmac_grains=5)
    assert "status     paused" in tilework.ok("provider", "update", "--pause", "--wait")
    tilework.ok("provider", "update", "--price", "9", "--wait")
    entry = find_provider(node.chain.context(), ALICE.address)
    assert entry is not None
    assert (entry.status.name, entry.declared) == ("PAUSED", declaration(price_per_gmac_grains=9))
    tilework.ok("provider", "update", "--resume", "--wait")
    text = tilework.ok("provider", "update", "--leave", "--wait")
    assert "back       1 TILE (1,000,000,000 grains)\n" in text
    assert find_provider(node.chain.context(), ALICE.address) is None
    assert "PROVIDER_UNKNOWN" in tilework.refused(1, "provider", "update", "--price", "1")


@pytest.mark.parametrize(
    "wrong",
    [
        ("--class", "int8:1"),
        ("--class", "float:1:1"),
        ("--serves", "model"),
        ("--transport-key", "11"),
        ("--price", "many"),
    ],
)
def test_what_cannot_be_read(tilework: Tilework, node: MemoryNode, wrong: tuple[str, str]) -> None:
    assert wrong[1] in tilework.usage("provider", "register", *wrong)


def test_a_heartbeat_by_hand(tilework: Tilework, node: MemoryNode) -> None:
    register(node, ALICE)
    assert "HEARTBEAT" in tilework.refused(1, "provider", "heartbeat")
    to_epoch(node, 0)
    assert tilework("provider", "show", "--json").json["challenge"] is None, "its ticket is that of the head"
    node.mine()
    assert "one is due now" in tilework.ok("provider", "show")
    assert "alive, fee" in tilework.ok("provider", "heartbeat", "--wait")
    context = node.chain.context()
    assert activity_of(context, ALICE.address).heartbeat_epoch == context.height // 8
    assert tilework("provider", "show", "--json").json["challenge"] is None
    assert "Try again after height" in tilework.refused(1, "provider", "heartbeat")


def test_pages_of_the_list(tilework: Tilework, node: MemoryNode) -> None:
    people = [ALICE, BOB, *VALIDATORS[:2]]
    for who in people:
        node.send(ALICE, "transfer", transfer(who)) if who not in (ALICE, BOB) else None
        node.mine()
        register(node, who)
    lines = tilework.ok("provider", "list", "--limit", "3").splitlines()
    assert lines[0].split()[:2] == ["PROVIDER", "STATUS"]
    assert lines[1].startswith(f"{ALICE_TEXT}  active")
    assert lines[4:5] == ["3 of 4; more with --first 3"]
    page = tilework("provider", "list", "--first", "3", "--json").json
    assert (len(page["providers"]), page["count"], page["next"]) == (1, 4, None)
    assert tilework("provider", "list", "--first", "9", "--json").json["providers"] == []


def transfer(who: SigningKey) -> Transfer:
    return Transfer(who.address, Grains(2 * 10**9), b"")


async def ask(node: MemoryNode, name: str, **parameters: Any) -> Any:
    declared = method_named(name)
    return json.loads(json.dumps(await declared.handler(node, **bind(declared, parameters))))


async def test_a_permit_is_shown(tmp_path: Path) -> None:
    node = MemoryNode(tmp_path)
    asset = asset_id(ALICE.address, node.mempool.next_nonce(ALICE.address))
    node.send(ALICE, "asset.publish", publication("data", type=AssetType.DATASET))
    node.mine()
    node.send(ALICE, "asset.permit", permission(asset, grantee=BOB.address))
    node.mine()
    (event,) = [
        event
        for receipt in node.chain.receipts(node.chain.head.id)
        for event in receipt.events
        if event.name == "PermitSet"
    ]
    named = event.values[0]
    assert isinstance(named, bytes)
    form = await ask(node, "permit_get", id=named.hex())
    assert (form["asset"], form["grantor"], form["grantee"]) == (asset.hex(), ALICE_TEXT, BOB_TEXT)
    assert (form["usable"], form["revoked"], form["max_runs"], form["runs"]) == (True, False, 1, 0)
    assert (form["output"], form["expiry"], form["deposit_grains"]) == ("METRICS", 1_000, 10**8)
    assert find_permit(node.chain.context(), named) is not None  # type: ignore[arg-type]
    with pytest.raises(Missing, match="PERMIT_UNKNOWN"):
        await ask(node, "permit_get", id=Hash32(bytes(32)).hex())


async def test_bounds_of_a_page(tmp_path: Path) -> None:
    node = MemoryNode(tmp_path)
    for limit in (0, 101):
        with pytest.raises(Policy, match="RPC_LIMIT"):
            await ask(node, "provider_list", limit=limit)
    with pytest.raises(Missing, match="PROVIDER_UNKNOWN"):
        await ask(node, "provider_get", address=ALICE_TEXT)


def test_an_asset_says_that_it_is_guarded(tilework: Tilework, node: MemoryNode) -> None:
    asset = asset_id(ALICE.address, node.mempool.next_nonce(ALICE.address))
    node.send(ALICE, "asset.publish", publication("data", type=AssetType.DATASET))
    node.mine()
    assert "guarded" not in tilework.ok("model", "show", asset.hex())
    node.send(ALICE, "asset.permit", permission(asset))
    node.mine()
    assert "guarded      while 1 of its permits last" in tilework.ok("model", "show", asset.hex())
