"""`tilework gov` and the RPC methods behind it: a proposal from its deposit to what it changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chain.bech32m import encode_address
from chain.keys import SigningKey
from node.cli.gov_propose import parameter_value
from node.keyfile import write_key
from tests.unit import rpc_node
from tests.unit.cli_runner import Tilework
from tests.unit.rpc_node import ALICE, OPERATOR, PREFIX, VALIDATORS, MemoryNode, served

ALICE_TEXT, OPERATOR_TEXT = (encode_address(PREFIX, key.address) for key in (ALICE, OPERATOR))
FIRST = encode_address(PREFIX, VALIDATORS[0].address)


@pytest.fixture
def tilework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tilework:
    program = Tilework(tmp_path, monkeypatch)
    people: list[tuple[str, SigningKey]] = [(f"v{number}", key) for number, key in enumerate(VALIDATORS)]
    for name, key in [*people, ("miner", OPERATOR)]:
        write_key(program.keys / f"{name}.json", name, key, PREFIX)
    return program


@pytest.fixture
def node(tmp_path: Path, tilework: Tilework, monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryNode]:
    del tilework  # its environment comes first
    spec = rpc_node.test_spec()
    rules = replace(spec.governance, deposit_blocks=20, voting_blocks=12, timelock_blocks=5)
    quick = replace(spec, governance=rules)
    monkeypatch.setattr(rpc_node, "test_spec", lambda: quick)
    node = MemoryNode(tmp_path)
    node.instant = True
    with served(node) as url:
        monkeypatch.setenv("TILEWORK_RPC", url)
        yield node


def funded(tilework: Tilework, *names: str) -> None:
    for name in names:
        tilework.ok("tx", "transfer", "--to", name, "--amount", "1tile", "--key", "bob")


def test_a_parameter_is_proposed_voted_on_and_changed(tilework: Tilework, node: MemoryNode) -> None:
    funded(tilework, "v0", "v1", "v2")
    node.mine(8 - node.chain.head.height % 8)
    told = tilework.ok(
        *("gov", "propose", "param", "jobs.protocol_fee_bp=2.5%", "money.dust_grains=2000"),
        *("--title", "cheaper jobs", "--deposit", "40tile", "--wait"),
    )
    assert "changes    jobs.protocol_fee_bp to 250\n" in told
    assert "deposit    40 TILE (40,000,000,000 grains) of 100 TILE\n" in told
    assert "proposed, with 40 TILE locked" in told
    assert "depositing" in tilework.ok("gov", "list")
    shown = tilework.ok("gov", "show", "0")
    assert "deposit    40 TILE of 100 TILE\n" in shown
    assert "at least 6.25 TILE" in shown
    tilework.ok("gov", "deposit", "0", "--key", "bob", "--wait")
    form = tilework("gov", "show", "0", "--json").json
    assert (form["status"], form["deposited_grains"], form["epoch"]) == ("VOTING", 100 * 10**9, 1)
    assert form["work_house"]["power"] == 7
    assert [each["amount_grains"] for each in form["deposits"]] == [40 * 10**9, 60 * 10**9]
    told = tilework.ok("gov", "vote", "0", "yes", "--key", "v0", "--wait")
    assert "votes      own weight and work: 1,000 TILE\n" in told
    tilework.ok("gov", "vote", "0", "--yes", "70", "--no", "30", "--key", "v1", "--wait")
    shown = tilework.ok("gov", "show", "0", "--power", "v1")
    assert "stake      40 % of 5,000 TILE voted: yes 85 %, no 15 %, abstain 0 %, veto 0 %\n" in shown
    assert "needs      more than half of what the stake house votes for it" in shown
    assert shown.rstrip().endswith("1,000 TILE; has voted")
    assert tilework("gov", "list", "--json").json["proposals"][0]["yes_bp"] == 8_500
    assert "7 blocks" in tilework.ok("gov", "vote", "0", "abstain", "--key", "miner", "--dry-run")
    node.mine(20)
    assert "executed" in tilework.ok("gov", "list")
    assert tilework.ok("gov", "list", "--active") == "no proposals\n"
    values = {each["name"]: each for each in tilework("gov", "parameters", "--json").json["parameters"]}
    assert values["jobs.protocol_fee_bp"]["value"] == 250
    assert values["jobs.protocol_fee_bp"]["founding"] == 500
    text = tilework.ok("gov", "parameters")
    assert "founded with 500" in text
    assert "jobs.bonus_bp" in text
    assert node.chain.rules.money.dust_grains == 2_000
    assert node.chain.spec.money.dust_grains == 1_000


def test_clients_go_by_what_is_in_force(tilework: Tilework, node: MemoryNode) -> None:
    """A byte fee that governance has raised is in the next fee bound, and the transaction gets in."""
    funded(tilework, *(f"v{number}" for number in range(3)))
    tilework.ok("gov", "propose", "param", "money.byte_fee_grains=10000", "--title", "dear bytes", "--wait")
    for name in ("v0", "v1"):
        tilework.ok("gov", "vote", "0", "yes", "--key", name, "--wait")
    node.mine(20)
    assert node.chain.rules.money.byte_fee_grains == 10_000
    found = tilework("tx", "transfer", "--to", "v2", "--amount", "1tile", "--wait", "--json").json
    assert found["receipt"]["burned_grains"] > 10_000 * 150


def test_every_position_votes_at_once(tilework: Tilework, node: MemoryNode) -> None:
    tilework.ok("stake", "delegate", FIRST, "100tile", "--wait")
    tilework.ok("stake", "delegate", encode_address(PREFIX, VALIDATORS[1].address), "50tile", "--wait")
    node.mine(16 - node.chain.head.height % 8)
    tilework.ok("gov", "propose", "text", "--title", "what do you think?", "--wait")
    told = tilework.ok("gov", "vote", "0", "no", "--wait")
    assert f"votes      at {FIRST}: 100 TILE\n" in told
    form = tilework("gov", "show", "0", "--power", "alice", "--json").json
    assert [each["ballot"]["no_bp"] for each in form["positions"]] == [10_000, 10_000]
    assert form["stake_house"]["voted_bp"] == 150 * 10_000 // 5_150
    tilework.ok("gov", "vote", "0", "veto", "--with", FIRST, "--wait")
    form = tilework("gov", "show", "0", "--json").json
    assert form["stake_house"]["veto_bp"] == 6_666


def test_sorts_of_proposals(tilework: Tilework, node: MemoryNode) -> None:
    common = ("--title", "a title", "--deposit", "10tile", "--wait")
    tilework.ok("gov", "propose", "treasury", "bob", "5tile", *common)
    tilework.ok("gov", "propose", "pause", "job.open", "job.claim", "--blocks", "20", *common)
    tilework.ok("gov", "propose", "upgrade", "new-rules", "--height", "1000", *common)
    tilework.ok("gov", "propose", "upgrade", "new-rules", "--take-back", *common)
    shown = [tilework.ok("gov", "show", str(number)) for number in range(4)]
    assert "pays       5 TILE (5,000,000,000 grains) to " in shown[0]
    assert "pauses     job.open, job.claim for 20 s" in shown[1]
    assert "upgrade    new-rules from height 1000" in shown[2]
    assert "upgrade    new-rules is taken back" in shown[3]
    tilework.ok("gov", "cancel", "2", "--wait")
    assert "status     cancelled\n" in tilework.ok("gov", "show", "2")
    identity = tilework("gov", "show", "3", "--json").json["id"]
    assert tilework("gov", "show", identity, "--json").json["number"] == 3
    rows = tilework.ok("gov", "list", "--limit", "2").splitlines()
    assert [row.split()[0] for row in rows[1:3]] == ["3", "2"]
    assert rows[3] == "2 of 4; more with --limit"


def test_what_is_refused_says_what_to_try(tilework: Tilework, node: MemoryNode) -> None:
    assert "PROPOSAL_UNKNOWN" in tilework.refused(1, "gov", "show", "0")
    assert "PROPOSAL_ID" in tilework.refused(1, "gov", "show", "zero")
    error = tilework.refused(1, "gov", "propose", "param", "jobs.protocol_fee_bp=2000", "--title", "dear")
    assert "PARAM_BOUNDS: found jobs.protocol_fee_bp = 2000, allowed 0..1000" in error
    assert "`tilework gov parameters`" in error
    assert "is no change" in tilework.usage("gov", "propose", "param", "jobs.protocol_fee_bp", "--title", "x")
    assert "--take-back" in tilework.usage("gov", "propose", "upgrade", "one", "--title", "x")
    tilework.ok("gov", "propose", "text", "--title", "a title", "--wait")
    assert "NO_POWER" in tilework.refused(1, "gov", "vote", "0", "yes")
    assert "Give an answer" in tilework.usage("gov", "vote", "0")
    assert "Give an answer" in tilework.usage("gov", "vote", "0", "yes", "--no", "5")
    error = tilework.refused(1, "gov", "cancel", "0")
    assert "PHASE" in error
    assert "`tilework gov show" in error


def test_values_are_integers_amounts_or_shares() -> None:
    assert parameter_value("jobs.protocol_fee_bp=250") == ("jobs.protocol_fee_bp", 250)
    assert parameter_value("jobs.protocol_fee_bp=2.5%") == ("jobs.protocol_fee_bp", 250)
    assert parameter_value("governance.deposit_grains=5tile") == ("governance.deposit_grains", 5 * 10**9)
