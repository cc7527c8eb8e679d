"""What every RPC method answers, on a node built from the real core.  Spec: [RPC-CHAIN], [RPC-ACCOUNT], [RPC-JOB]."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chain.bech32m import encode_address
from chain.errors import Missing, Policy, TileworkError
from chain.tensors import DType, TensorInfo, row_root
from chain.types import Address, Grains
from genesis.json_form import from_json
from node.rpc.registry import Cost, bind
from node.rpc.table import METHODS, method_named
from tests.asset_cases import offered, publication
from tests.governance_cases import proposed
from tests.provider_cases import permission, permit_named, registration
from tests.unit.rpc_node import ALICE, BOB, OPERATOR, PREFIX, VALIDATORS, MemoryNode
from vm.assets.record import AssetType, asset_id
from vm.kinds.accounts import Transfer

STATUS_FIELDS = {
    "chain_id", "genesis", "height", "head", "state_root", "justified", "final", "peers", "syncing", "mempool",
    "macs_per_second",
}  # fmt: skip


@pytest.fixture
def node(tmp_path: Path) -> MemoryNode:
    return MemoryNode(tmp_path)


async def ask(node: MemoryNode, name: str, **parameters: Any) -> Any:
    declared = method_named(name)
    return await declared.handler(node, **bind(declared, parameters))


def text(address: Address) -> str:
    return encode_address(PREFIX, address)


async def test_every_method_answers_with_its_declared_fields(node: MemoryNode) -> None:
    node.mine()
    identity = node.send(ALICE, "transfer", Transfer(BOB.address, Grains(5_000), b"hi"))
    root = (await put(node, np.ones((2, 3), np.int8)))["root"]
    job = node.open_job(np.ones((4, 8), np.int8), np.ones((8, 4), np.int8))
    asset = asset_id(OPERATOR.address, 0)
    node.send(OPERATOR, "asset.publish", publication("first"))
    node.send(OPERATOR, "asset.offer", offered(asset))
    data, permit = asset_id(OPERATOR.address, 2), permit_named(OPERATOR, 3)
    node.send(OPERATOR, "asset.publish", publication("data", type=AssetType.DATASET))
    node.send(OPERATOR, "asset.permit", permission(data))
    node.send(OPERATOR, "provider.register", registration())
    deposit = node.chain.rules.governance.deposit_grains
    node.send(ALICE, "gov.propose", proposed(deposit_grains=deposit))
    node.mine()
    arguments: dict[str, dict[str, Any]] = {
        "account_get": {"address": text(ALICE.address)},
        "tx_submit": {
            "raw": node.signed(BOB, "transfer", Transfer(ALICE.address, Grains(1), b"")).to_bytes().hex()
        },
        "tx_get": {"id": identity.hex()},
        "tx_simulate": {
            "raw": node.signed(BOB, "transfer", Transfer(ALICE.address, Grains(1), b"")).to_bytes().hex()
        },
        "session_list": {"address": text(ALICE.address)},
        "state_proof": {"namespace": "account", "identifier": ALICE.address.hex()},
        "job_get": {"id": job.hex()},
        "asset_get": {"id": asset.hex()},
        "asset_lineage": {"id": asset.hex()},
        "asset_find": {"text": asset.hex()[:8]},
        "asset_quote": {"id": asset.hex()},
        "asset_versions": {"id": asset.hex()},
        "asset_attestations": {"id": asset.hex()},
        "asset_descendants": {"id": asset.hex()},
        "provider_get": {"address": text(OPERATOR.address)},
        "permit_get": {"id": permit.hex()},
        "gov_get": {"id": "0"},
        "gov_power": {"id": "0", "address": text(VALIDATORS[0].address)},
        "stake_validator": {"address": text(VALIDATORS[0].address)},
        "stake_account": {"address": text(ALICE.address)},
        "blob_put": {"rows": 1, "columns": 1, "dtype": "int8", "data": "AQ=="},
        "blob_get": {"root": root},
        "work_submit": {"version": 1, "certificate": "00"},
        "work_panel": {"session": "5e" * 32, "device": "cpu", "engine": "numpy", "macs_per_second": 1},
    }
    # Answered only to a device that owes a panel: test_mining_lent.py.
    owed = {"work_panel_done", "work_panel_failed"}
    for name, declared in METHODS.items():
        if name in owed:
            continue
        result = await ask(node, name, **arguments.get(name, {}))
        declared_fields = {
            field
            for row in declared.result
            if "only" not in row.description
            for field in row.name.split(", ")
        }
        assert declared_fields <= set(result), name


async def test_status_tells_head_from_final(node: MemoryNode) -> None:
    node.mine(2)
    status = await ask(node, "chain_status")
    assert set(status) >= STATUS_FIELDS
    assert (status["height"], status["head"]) == (2, node.chain.head.id.hex())
    assert status["justified"] is None
    assert status["final"] is None
    assert status["state_root"] == node.chain.head.state_root.hex()
    assert int(status["work"], 16) == node.chain.total_work(node.chain.head.id)
    assert status["supply"]["minted_grains"] == node.chain.context().chain.minted_grains


async def test_blocks_are_found_by_height_id_and_name(node: MemoryNode) -> None:
    transfer = node.send(ALICE, "transfer", Transfer(BOB.address, Grains(5_000), b"\x01"))
    node.mine(2)
    by_height = await ask(node, "chain_block", id="1")
    assert by_height == await ask(node, "chain_block", id=by_height["id"])
    assert by_height["canonical"] is True
    (sent,) = by_height["transactions"]
    assert sent["id"] == transfer.hex()
    assert sent["body"] == {"to": text(BOB.address), "amount_grains": 5_000, "memo": "01"}
    assert sent["receipt"]["code"] == ""
    assert sent["receipt"]["events"][0]["event"] == "Transferred"
    assert by_height["certificate"]["shape"] == {"m": 64, "n": 64, "k": 64}
    assert by_height["certificate"]["job"] is None
    head = await ask(node, "chain_block")
    assert head["events"][0]["event"] == "CoinbaseEarned"
    raw = await ask(node, "chain_block", id="1", raw=True)
    block_id = node.chain.block_hash_at(1)
    assert block_id is not None
    block = node.chain.block(block_id)
    assert block is not None
    assert bytes.fromhex(raw["raw"]) == block.to_bytes()
    genesis = await ask(node, "chain_block", id="0")
    assert genesis["certificate"] is None
    assert genesis["header"]["miner"] is None


@pytest.mark.parametrize(
    ("name", "code"),
    [("9", "BLOCK_UNKNOWN"), ("ab" * 32, "BLOCK_UNKNOWN"), ("tip", "BLOCK_ID"), ("-1", "BLOCK_ID")],
)
async def test_unknown_blocks(node: MemoryNode, name: str, code: str) -> None:
    with pytest.raises(TileworkError) as caught:
        await ask(node, "chain_block", id=name)
    assert caught.value.code == code


async def test_the_spec_survives_the_journey(node: MemoryNode) -> None:
    import json

    answer = await ask(node, "chain_spec")
    assert from_json(json.dumps(answer["spec"])) == node.chain.spec
    assert answer["hash"] == node.chain.spec.hash().hex()


async def test_accounts_with_waiting_transactions_and_stakes(node: MemoryNode) -> None:
    node.send(ALICE, "transfer", Transfer(BOB.address, Grains(5_000), b""))
    alice = await ask(node, "account_get", address=text(ALICE.address))
    assert (alice["nonce"], alice["next_nonce"], alice["stake_grains"]) == (0, 1, 0)
    validator = await ask(node, "account_get", address=text(VALIDATORS[0].address).upper())
    assert validator["stake_grains"] == 1_000 * 10**9
    assert validator["validator_since"] == 0
    with pytest.raises(TileworkError) as caught:
        await ask(node, "account_get", address=encode_address("tiledev", ALICE.address))
    assert caught.value.code == "ADDRESS_NETWORK"


async def test_a_transaction_from_pool_to_chain(node: MemoryNode) -> None:
    transaction = node.signed(ALICE, "transfer", Transfer(BOB.address, Grains(5_000), b""))
    identity = transaction.id.hex()
    assert (await ask(node, "tx_get", id=identity))["status"] == "unknown"
    assert await ask(node, "tx_submit", raw=transaction.to_bytes().hex()) == {"id": identity}
    assert (await ask(node, "tx_get", id=identity))["status"] == "pending"
    node.mine(2)
    found = await ask(node, "tx_get", id=identity)
    assert (found["status"], found["height"], found["index"], found["confirmations"]) == ("included", 1, 0, 2)
    assert found["transaction"]["sender"] == text(ALICE.address)


async def put(node: MemoryNode, matrix: np.ndarray) -> Any:
    data = base64.b64encode(matrix.tobytes()).decode()
    rows, columns = matrix.shape
    return await ask(node, "blob_put", rows=rows, columns=columns, dtype=matrix.dtype.name, data=data)


async def test_matrices_go_in_and_come_out_by_rows(node: MemoryNode) -> None:
    matrix = np.arange(-60, 60, dtype=np.int8).reshape(12, 10)
    root = (await put(node, matrix))["root"]
    assert root == row_root(TensorInfo(12, 10, DType.INT8), matrix.tobytes()).hex()
    part = await ask(node, "blob_get", root=root, first=3, count=2)
    assert (part["rows"], part["columns"], part["dtype"], part["count"]) == (12, 10, "int8", 2)
    assert base64.b64decode(part["data"]) == matrix[3:5].tobytes()
    whole = await ask(node, "blob_get", root=root, first=10)
    assert base64.b64decode(whole["data"]) == matrix[10:].tobytes()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"rows": 0}, "BLOB_SHAPE"),
        ({"columns": 20_000}, "BLOB_SHAPE"),
        ({"dtype": "float32"}, "BLOB_DTYPE"),
        ({"data": "AQ="}, "BLOB_BASE64"),
        ({"data": "AQE="}, "BLOB_SIZE"),
        ({"data": base64.b64encode(bytes([1, 2, 64, 4])).decode()}, "BLOB_RANGE"),
        ({"data": base64.b64encode(bytes([1, 2, 3, 0x80])).decode()}, "BLOB_RANGE"),
        ({"rows": 60_000, "columns": 16_000}, "BLOB_SIZE"),
    ],
)
async def test_matrices_no_job_could_use_are_refused(
    node: MemoryNode, changes: dict[str, Any], code: str
) -> None:
    good = {"rows": 2, "columns": 2, "dtype": "int8", "data": base64.b64encode(bytes(4)).decode()}
    with pytest.raises(Policy) as caught:
        await ask(node, "blob_put", **(good | changes))
    assert caught.value.code == code


@pytest.mark.parametrize(("first", "count"), [(0, 0), (2, 1), (0, 3), (1, 2)])
async def test_rows_that_do_not_exist(node: MemoryNode, first: int, count: int) -> None:
    root = (await put(node, np.zeros((2, 2), np.int8)))["root"]
    with pytest.raises(Policy) as caught:
        await ask(node, "blob_get", root=root, first=first, count=count)
    assert caught.value.code == "BLOB_ROWS"


async def test_a_job_from_opening_to_its_end(node: MemoryNode) -> None:
    a, b = np.full((4, 8), 2, np.int8), np.full((8, 5), 3, np.int8)
    identity = node.open_job(a, b)
    node.mine()
    opened = await ask(node, "job_get", id=identity.hex())
    assert (opened["status"], opened["m"], opened["n"], opened["k"]) == ("OPEN", 4, 5, 8)
    assert opened["payer"] == text(ALICE.address)
    assert opened["provider"] is None
    assert opened["result_root"] is None
    assert opened["windows"]["expires_at"] == 1 + node.chain.spec.jobs.open_expiry_blocks
    assert opened["tickets_drawn"] is None

    product = a.astype(np.int32) @ b.astype(np.int32)
    root = node.claim_and_commit(identity, product)
    committed = await ask(node, "job_get", id=identity.hex())
    assert (committed["status"], committed["result_root"]) == ("COMMITTED", root.hex())
    assert committed["provider"] == text(OPERATOR.address)
    assert committed["tickets_drawn"] == 7
    rules = node.chain.spec.jobs
    assert committed["windows"]["settles_at"] == committed["committed_height"] + rules.settle_offset

    fetched = await ask(node, "blob_get", root=root.hex(), job=identity.hex())
    assert np.array_equal(np.frombuffer(base64.b64decode(fetched["data"]), "<i4").reshape(4, 5), product)

    node.mine(rules.settle_offset)
    ended = await ask(node, "job_get", id=identity.hex())
    assert (ended["status"], ended["terminal"]) == ("VOID", True)  # nobody attested
    assert ended["ending"]["event"] == "JobRefunded"
    assert ended["ending"]["status"] == "VOID"
    assert len(ended["seats"]) == rules.committee_size
    assert [entry["event"] for entry in ended["timeline"]] == [
        "JobOpened", "JobClaimed", "JobCommitted", "CommitteeDrawn", "JobRefunded",
    ]  # fmt: skip
    assert all(entry.get("job") is None for entry in ended["timeline"])


async def test_lists_of_jobs(node: MemoryNode) -> None:
    first = node.open_job(np.ones((4, 8), np.int8), np.ones((8, 4), np.int8))
    node.mine()
    second = node.open_job(np.ones((4, 8), np.int8), np.ones((8, 4), np.int8))
    node.mine()
    jobs = (await ask(node, "job_list"))["jobs"]
    assert [job["id"] for job in jobs] == [second.hex(), first.hex()]
    assert (await ask(node, "job_list", status="settled"))["jobs"] == []
    assert len((await ask(node, "job_list", limit=1, status="OPEN"))["jobs"]) == 1
    for wrong in ({"status": "DONE"}, {"limit": 501}):
        with pytest.raises(Policy):
            await ask(node, "job_list", **wrong)


async def test_what_nobody_knows_is_missing(node: MemoryNode) -> None:
    unknown = "ab" * 32
    for name, parameters in (
        ("job_get", {"id": unknown}),
        ("blob_get", {"root": unknown}),
        ("blob_get", {"root": unknown, "job": unknown}),
    ):
        with pytest.raises(Missing):
            await ask(node, name, **parameters)


def test_methods_that_move_megabytes_are_bounded() -> None:
    assert {name for name, declared in METHODS.items() if declared.cost is Cost.BULK} == {
        "blob_put",
        "blob_get",
        "work_panel_done",
    }
