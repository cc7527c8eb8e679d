"""`tilework job`: from two files to a verified product, and every way to be refused before money moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from chain.bech32m import encode_address
from node.matrix_files import load_matrix
from tests.unit.cli_runner import Tilework
from tests.unit.rpc_node import ALICE, OPERATOR, PREFIX, MemoryNode, served
from vm.jobs.inputs import NO_SLOT
from vm.jobs.record import job_id
from vm.kinds.jobs import JobOpen

A = np.arange(-30, 30, dtype=np.int64).reshape(6, 10)
B = np.arange(-35, 35, dtype=np.int8).reshape(10, 7)


@pytest.fixture
def node(tmp_path: Path) -> MemoryNode:
    return MemoryNode(tmp_path / "node")


@pytest.fixture
def tilework(tmp_path: Path, node: MemoryNode, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tilework]:
    with served(node) as url:
        program = Tilework(tmp_path, monkeypatch)
        monkeypatch.setenv("TILEWORK_RPC", url)
        np.save("A.npy", A)
        np.save("B.npy", B)
        yield program


SUBMIT = ("job", "submit", "--a", "A.npy", "--b", "B.npy", "--max-price", "1tile")


def test_from_two_files_to_a_verified_product(tilework: Tilework, node: MemoryNode) -> None:
    node.instant = True
    story = tilework.ok(*SUBMIT, "--wait")
    identity = job_id(ALICE.address, 0).hex()
    assert story.startswith(f"job {identity}\n")
    for happening in (
        "opened, ",
        "claimed by",
        "result committed",
        "committee drawn",
        "sealed",
        "says ok",
        "settled:",
    ):
        assert happening in story
    assert "its root is the one on the chain" in tilework.ok("job", "result", identity, "--out", "C.npy")
    product = np.load("C.npy")
    assert product.dtype == np.int32
    assert np.array_equal(product, A @ B)
    assert tilework("job", "list", "--json").json[0]["status"] == "SETTLED"
    assert "settled:" in tilework.ok("job", "show", identity)
    assert tilework("job", "wait", identity, "--json").json["ending"]["event"] == "JobSettled"


def test_the_quote_is_what_gets_locked(tilework: Tilework, node: MemoryNode) -> None:
    form = tilework(*SUBMIT, "--price-per-gmac", "3tile", "--json").json
    assert (form["m"], form["k"], form["n"], form["macs"]) == (6, 10, 7, 420)
    assert form["escrow_grains"] == sum(
        form[f"escrow_{part}_grains"] for part in ("price", "protocol", "audit")
    )
    assert form["price_per_gmac_grains"] == 3 * 10**9
    before = node.chain.context().account(ALICE.address).balance_grains
    node.mine()
    job = tilework("job", "show", form["id"], "--json").json
    assert job["escrow_grains"] == form["escrow_grains"]
    receipt = tilework("tx", "show", form["transaction"], "--json").json["receipt"]
    assert receipt["code"] == ""
    spent = before - node.chain.context().account(ALICE.address).balance_grains
    assert spent == form["escrow_grains"] + receipt["burned_grains"]
    assert receipt["burned_grains"] <= form["max_fee_grains"]


def test_a_price_below_the_ask_is_warned_about(tilework: Tilework) -> None:
    ran = tilework(*SUBMIT, "--price-per-gmac", "4")
    assert ran.code == 0
    assert "less than the 0.000000005 TILE this node asks" in ran.err


def test_a_chosen_provider_and_deadline(tilework: Tilework, node: MemoryNode) -> None:
    operator = encode_address(PREFIX, OPERATOR.address)
    form = tilework(*SUBMIT, "--provider", operator, "--deadline", "7", "--json").json
    node.mine()
    job = tilework("job", "show", form["id"], "--json").json
    assert (job["chosen_provider"], job["deadline_blocks"]) == (operator, 7)


def test_a_permit_and_a_slot_are_named(tilework: Tilework, node: MemoryNode) -> None:
    tilework.ok(*SUBMIT, "--permit", "ab" * 32, "--slot", "3")
    (parsed,) = [parsed for _, parsed in node.mempool.candidates()]
    assert isinstance(parsed.body, JobOpen)
    assert (parsed.body.permit.hex(), parsed.body.slot) == ("ab" * 32, 3)
    assert "hexadecimal" in tilework.usage(*SUBMIT, "--permit", "ab")
    assert "--slot" in tilework.usage(*SUBMIT, "--slot", "8")
    tilework.ok(*SUBMIT)
    plain = [parsed.body for _, parsed in node.mempool.candidates()][-1]
    assert isinstance(plain, JobOpen)
    assert (plain.permit, plain.slot) == (bytes(32), NO_SLOT)


def test_a_job_that_ends_badly_is_a_failure(tilework: Tilework, node: MemoryNode) -> None:
    identity = tilework(*SUBMIT, "--json").json["id"]
    node.mine()
    assert "JOB_TIMEOUT: still OPEN" in tilework.refused(4, "job", "wait", identity, "--timeout", "0")
    assert "JOB_NOT_SETTLED: found OPEN" in tilework.refused(1, "job", "result", identity, "--out", "C.npy")
    node.mine(node.chain.spec.jobs.open_expiry_blocks)
    ran = tilework("job", "wait", identity)
    assert ran.code == 4
    assert "JOB_EXPIRED" in ran.err
    assert "expired: 0.000120517 TILE back to the payer" in ran.out
    assert "will have no result" in tilework.refused(1, "job", "result", identity, "--out", "C.npy")
    assert not Path("C.npy").exists()


def test_a_job_taken_back(tilework: Tilework, node: MemoryNode) -> None:
    identity = tilework(*SUBMIT, "--json").json["id"]
    node.mine(node.chain.spec.jobs.minimum_open_blocks)
    assert "NOT_OWNER" in tilework.refused(1, "job", "cancel", identity, "--key", "bob")
    tilework.ok("job", "cancel", identity)
    node.mine()
    assert tilework("job", "show", identity, "--json").json["status"] == "CANCELLED"
    assert "BAD_STATE: found CANCELLED, allowed OPEN" in tilework.refused(1, "job", "cancel", identity)


def test_a_result_with_another_root_is_not_written(
    tilework: Tilework, node: MemoryNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.instant = True
    identity = tilework(*SUBMIT, "--wait", "--json").json["id"]
    honest = node.blobs.rows
    monkeypatch.setattr(
        node.blobs, "rows", lambda *place: bytes([honest(*place)[0] ^ 1]) + honest(*place)[1:]
    )
    assert "RESULT_ROOT" in tilework.refused(1, "job", "result", identity, "--out", "C.npy")
    assert not Path("C.npy").exists()


def test_an_unknown_job(tilework: Tilework) -> None:
    assert "JOB_UNKNOWN" in tilework.refused(1, "job", "wait", "ab" * 32, "--timeout", "0")
    assert "RPC_PARAMS" in tilework.refused(1, "job", "wait", "17")


MATRICES = {
    "float.npy": np.ones((10, 7)),
    "deep.npy": np.full((10, 7), 64),
    "short.npy": np.ones((9, 7), np.int8),
    "vector.npy": np.ones(10, np.int8),
    "broad.npy": np.ones((10, 1_025), np.int8),
    "wide.npy": np.ones((10, 16_385), np.int8),
}


@pytest.mark.parametrize(
    ("code", "changed", "words"),
    [
        (1, {"--a": "none.npy"}, "FILE: found no file none.npy"),
        (1, {"--b": "float.npy"}, "MATRIX_DTYPE: found float64 in float.npy, allowed an integer type"),
        (1, {"--b": "deep.npy"}, "MATRIX_RANGE: found 64 at row 0, column 0 of deep.npy (70 such entries)"),
        (1, {"--b": "short.npy"}, "MATRIX_SHAPES: found A 6x10 and B 9x7"),
        (1, {"--b": "vector.npy"}, "MATRIX_SHAPE: found 10 in vector.npy"),
        (1, {"--b": "wide.npy"}, "PROGRAM_SIZE"),
        (1, {"--b": "broad.npy"}, "JOB_SIZE: found k = 10, n = 1025, allowed k up to 1024 and n up to 1024"),
        (
            1,
            {"--max-price": "5000tile", "--price-per-gmac": "5000000000tile"},
            "BALANCE: found 1,000 TILE in the account, allowed at least 2,205",
        ),
        (1, {"--max-price": "10"}, "PRICE: found at most 0.00000001 TILE"),
        (1, {"--price-per-gmac": "100000000tile"}, "PRICE"),
        (1, {"--deadline": "2"}, "DEADLINE: found 2 blocks, allowed 5..600"),
        (1, {"--key": "carol"}, "KEY_UNKNOWN: found no key 'carol'"),
        (1, {"--key": "./nowhere.json"}, "KEY_UNKNOWN: found no key file nowhere.json"),
        (1, {"--provider": "nobody"}, "KEY_UNKNOWN"),
        (3, {"--rpc": "http://127.0.0.1:1"}, "NODE_UNREACHABLE"),
    ],
)
def test_refusals_cost_nothing(
    tilework: Tilework, node: MemoryNode, code: int, changed: dict[str, str], words: str
) -> None:
    for name, matrix in MATRICES.items():
        np.save(name, matrix)
    options = {"--a": "A.npy", "--b": "B.npy", "--max-price": "1tile"} | changed
    line = tilework.refused(code, "job", "submit", *(part for option in options.items() for part in option))
    assert words in line
    assert len(node.mempool) == 0
    assert not list(node.blobs._directory.iterdir())


def test_amounts_are_checked_by_the_command_line(tilework: Tilework) -> None:
    ran = tilework(*SUBMIT[:-1], "1.5")
    assert ran.code == 2
    assert "write grains (1500) or TILE (1.5tile" in ran.err


def test_the_product_of_the_files_is_that_of_the_matrices(tilework: Tilework) -> None:
    assert np.array_equal(load_matrix(Path("A.npy")), A)
