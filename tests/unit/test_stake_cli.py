"""`tilework stake` and the RPC methods behind it: from a first stake to the last grain that comes back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from chain.bech32m import encode_address
from node.cli import stake_lines
from node.cli.heights import Heights
from node.cli.stake import shares_of
from node.keyfile import write_key
from node.rpc import stake_methods
from tests.unit.cli_runner import Tilework
from tests.unit.rpc_node import ALICE, BOB, PREFIX, VALIDATORS, MemoryNode, Roles, served
from vm.kinds import batch
from vm.staking.unbonding import unbonding_blocks

ALICE_TEXT, BOB_TEXT = (encode_address(PREFIX, key.address) for key in (ALICE, BOB))
FIRST, SECOND = (encode_address(PREFIX, key.address) for key in VALIDATORS[:2])


@pytest.fixture
def tilework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tilework:
    program = Tilework(tmp_path, monkeypatch)
    for number, key in enumerate(VALIDATORS[:2]):
        write_key(program.keys / f"v{number}.json", f"v{number}", key, PREFIX)
    return program


@pytest.fixture
def node(tmp_path: Path, tilework: Tilework, monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryNode]:
    del tilework  # its environment comes first
    node = MemoryNode(tmp_path)
    node.instant = True
    with served(node) as url:
        monkeypatch.setenv("TILEWORK_RPC", url)
        yield node


def next_epoch(node: MemoryNode) -> int:
    """Mine up to the first block of the next epoch; returns its height."""
    length = node.chain.spec.pace.epoch_blocks
    node.mine(length - node.chain.head.height % length)
    return node.chain.head.height


def earn(node: MemoryNode) -> None:
    """A settled job's protocol fee reaches the stakers at the next epoch."""
    node.settings = Roles(ask_per_gmac_grains=10**9)
    job = node.open_job(np.ones((64, 64), np.int8), np.ones((64, 64), np.int8))
    node.mine()
    node.serve_job(job)
    next_epoch(node)


def test_the_list_of_validators(tilework: Tilework, node: MemoryNode) -> None:
    lines = tilework.ok("stake", "list").splitlines()
    assert lines[0].split() == ["VALIDATOR", "OWN", "DELEGATED", "WEIGHT", "SHARE", "KEEPS", "OWED"]
    assert " ".join(lines[1].split()[1:]) == "1,000 TILE 0 TILE 1,000 TILE 20 % 10 % 0 TILE"
    assert lines[6] == "weights of epoch 0; the next are frozen at height 8, in about 8 s"
    tilework.ok("stake", "delegate", SECOND, "200tile")
    next_epoch(node)
    form = tilework("stake", "list", "--json").json
    assert (form["count"], form["epoch"], form["weight_grains"]) == (5, 1, 5_200 * 10**9)
    assert form["validators"][0]["address"] == SECOND
    assert [each["share_bp"] for each in form["validators"]] == [2307, 1923, 1923, 1923, 1923]
    assert "2 of 5; more with --limit" in tilework.ok("stake", "list", "--limit", "2")


def test_becoming_a_validator(tilework: Tilework, node: MemoryNode) -> None:
    error = tilework.refused(1, "stake", "register", "999tile")
    assert "MIN_STAKE: found 999000000000, allowed more than 0 and in all at least" in error
    assert "`tilework stake delegate VALIDATOR AMOUNT`. Nothing was sent." in error
    assert "BALANCE" in tilework.refused(1, "stake", "register", "1000tile")
    tilework.ok("tx", "transfer", "--to", "alice", "--amount", "100tile", "--key", "bob")
    text = tilework.ok("stake", "register", "1050tile", "--wait")
    assert f"validator  {ALICE_TEXT}\n" in text
    assert "stake      1,050 TILE (1,050,000,000,000 grains)\n" in text
    assert "least      1,000 TILE to be a validator\n" in text
    assert "counts     from height 8, in about 7 s, when the next epoch begins\n" in text
    assert "staked 1,050 TILE, fee" in text
    text = tilework.ok("stake", "register", "1tile", "--dry-run")
    assert "1,051 TILE (1,051,000,000,000 grains), 1,050 TILE of it before" in text
    assert "StakeAdded: A validator's stake grew." in text
    mine = tilework.ok("stake", "list", "--mine")
    assert mine.startswith(f"{ALICE_TEXT}\nas a validator:\n  validator  since height 2, now\n")
    assert "nothing staked with validators on the list; " in mine
    assert "nothing on the way out\n" in mine


def test_staking_with_a_validator_and_leaving_again(tilework: Tilework, node: MemoryNode) -> None:
    text = tilework.ok("stake", "delegate", "v0", "300tile", "--wait")
    assert f"staked 300 TILE with {FIRST}, fee" in text
    assert "stake      300 TILE (300,000,000,000 grains) of yours with it" in text
    shown = tilework.ok("stake", "list", "--mine")
    assert f"  {FIRST}  300 TILE  0 TILE\n" in shown
    assert "delegated  300 TILE" in tilework.ok("stake", "list", "--validator", "v0")
    assert "100 TILE (100,000,000,000 grains); 200 TILE of yours stays" in tilework.ok(
        "stake", "undelegate", FIRST, "100tile", "--wait"
    )
    first = node.chain.head.height + unbonding_blocks(node.chain.context())
    text = tilework.ok("stake", "undelegate", "v0", "--all", "--dry-run")
    assert "UnbondingStarted: Stake left a validator and waits." in text
    assert f"    height {first + 1}, in about" in text
    tilework.ok("stake", "undelegate", "v0", "--all", "--wait")
    form = tilework("stake", "list", "--mine", "--json").json
    assert form["unbonding"] == [
        {"height": first, "amount_grains": 100 * 10**9},
        {"height": first + 1, "amount_grains": 200 * 10**9},
    ]
    assert (form["delegations"], form["validator"], form["unbonding_complete"]) == ([], None, True)
    assert f"  100 TILE  height {first}, in about" in tilework.ok("stake", "list", "--mine")
    node.mine(first - node.chain.head.height)
    (left,) = tilework("stake", "list", "--mine", "--json").json["unbonding"]
    assert left["height"] == node.chain.head.height + 1
    node.mine()
    assert "nothing on the way out" in tilework.ok("stake", "list", "--mine")


def test_too_long_an_agenda_is_not_read_to_its_end(
    tilework: Tilework, node: MemoryNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    tilework.ok("stake", "delegate", "v0", "1tile")
    tilework.ok("stake", "undelegate", "v0", "--all")
    monkeypatch.setattr(stake_methods, "MAX_STEPS", 1)
    assert "perhaps more: there was too much to look through" in tilework.ok("stake", "list", "--mine")


def test_a_validator_takes_its_own_stake_out(tilework: Tilework, node: MemoryNode) -> None:
    tilework.ok("tx", "transfer", "--to", "v0", "--amount", "1tile")
    text = tilework.ok("stake", "undelegate", "v0", "1tile", "--key", "v0", "--dry-run")
    assert "leaves     the list of validators when the next epoch begins: less than 1,000 TILE" in text
    tilework.ok("stake", "delegate", "v0", "50tile", "--key", "bob")
    tilework.ok("stake", "undelegate", "v0", "--all", "--key", "v0")
    next_epoch(node)
    assert FIRST not in tilework.ok("stake", "list")
    assert "not on the list: its own stake is too small" in tilework.ok("stake", "list", "--validator", "v0")
    bob = ("stake", "list", "--mine", "--key", "bob")
    assert "name one that has left it with --validator" in tilework.ok(*bob)
    assert "50 TILE  0 TILE  left the list" in tilework.ok(*bob, "--validator", "v0")
    assert "50 TILE on the way out" in tilework.ok(
        "stake", "undelegate", "v0", "--all", "--key", "bob", "--wait"
    )


def test_earnings_are_claimed_one_by_one_or_all_at_once(tilework: Tilework, node: MemoryNode) -> None:
    tilework.ok("stake", "delegate", "v0", "400tile")
    tilework.ok("stake", "delegate", "v1", "300tile")
    assert "NO_REWARD" in tilework.refused(1, "stake", "claim")
    error = tilework.refused(1, "stake", "claim", "v0")
    assert "NO_REWARD: found 0, allowed at least 1 grain" in error
    assert "when an epoch begins" in error
    next_epoch(node)
    earn(node)
    form = tilework("stake", "list", "--mine", "--json").json
    due = {each["operator"]: each["owed_grains"] for each in form["delegations"]}
    assert set(due) == {FIRST, SECOND}
    assert 0 < due[SECOND] < due[FIRST]
    text = tilework.ok("stake", "claim", "--dry-run")
    assert text.count("RewardsClaimed: What a stake had earned was paid out.") == 2
    assert f"({due[FIRST]:,} grains) with {FIRST}\n" in text
    more = tilework.ok("stake", "delegate", "v0", "1tile", "--dry-run")
    assert f"({due[FIRST]:,} grains), which it has earned so far" in more
    with pytest.MonkeyPatch.context() as bound:
        bound.setattr(batch, "MAX_OPERATIONS", 1)
        some = tilework.ok("stake", "claim", "--all", "--wait")
    assert f"with {FIRST}\n" in some
    assert f"with {SECOND}\n" not in some
    assert "1 more to claim from: send it again" in some
    done = tilework("stake", "claim", "v1", "--wait", "--json").json
    assert done["due"] == {SECOND: due[SECOND]}
    assert done["receipt"]["events"][0]["amount_grains"] == due[SECOND]
    assert "NO_REWARD" in tilework.refused(1, "stake", "claim", "--all")
    own = tilework("stake", "list", "--validator", "v0", "--json").json
    assert own["owed_grains"] > 0
    tilework.ok("tx", "transfer", "--to", "v0", "--amount", "1tile")
    assert f"({own['owed_grains']:,} grains) with {FIRST}" in tilework.ok(
        "stake", "claim", "--key", "v0", "--wait"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("register", "1.5"), "no amount"),
        (("delegate", "v0"), "AMOUNT"),
        (("undelegate", "v0"), "Give an amount or --all"),
        (("undelegate", "v0", "5", "--all"), "Give an amount or --all"),
        (("claim", "v0", "--all"), "not both"),
        (("list", "--limit", "0"), "0 is not in the range"),
    ],
)
def test_wrong_command_lines(tilework: Tilework, arguments: tuple[str, ...], said: str) -> None:
    assert said in tilework.usage("stake", *arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("delegate", BOB_TEXT, "1tile"), "NOT_FOUND"),
        (("delegate", ALICE_TEXT, "1tile"), "SELF"),
        (("delegate", "v0", "999"), "DUST"),
        (("delegate", "v0", "2000tile"), "BALANCE"),
        (("undelegate", "v0", "1tile"), "SHARES: found 1000000000, allowed 1..0 shares"),
        (("undelegate", "v0", "--all"), "SHARES"),
        (("delegate", "nobody", "1tile"), "KEY_UNKNOWN"),
        (("delegate", f"{BOB_TEXT[:-1]}x", "1tile"), "ADDRESS_"),
        (("list", "--validator", BOB_TEXT), "VALIDATOR_UNKNOWN"),
    ],
)
def test_refusals(tilework: Tilework, node: MemoryNode, arguments: tuple[str, ...], said: str) -> None:
    error = tilework.refused(1, "stake", *arguments)
    assert said in error
    assert node.chain.head.height == 0


def test_more_stake_than_a_validator_may_have(tilework: Tilework, node: MemoryNode) -> None:
    tilework.ok("stake", "delegate", "v0", "900tile")
    error = tilework.refused(1, "stake", "delegate", "v0", "200tile", "--key", "bob")
    assert "CAPPED" in error
    assert "another validator of `tilework stake list`" in error


def test_terms_of_a_validator_are_chosen_announced_and_seen(tilework: Tilework, node: MemoryNode) -> None:
    tilework.ok("tx", "transfer", "--to", "alice", "--amount", "100tile", "--key", "bob")
    error = tilework.refused(1, "stake", "register", "1000tile", "--commission", "50.01")
    assert "COMMISSION" in error
    text = tilework.ok("stake", "register", "1000tile", "--commission", "5", "--max-change", "0.5", "--wait")
    assert "keeps      5 % of what the stake of others earns\n" in text
    assert "CHANGE_RATE" in tilework.refused(1, "stake", "update", "--commission", "5.51")
    text = tilework.ok("stake", "update", "--commission", "5.5", "--meta", "07" * 32, "--wait")
    height = node.chain.head.height + node.chain.spec.staking.notice_blocks
    assert f"from       height {height}, in about" in text
    assert "PENDING" in tilework.refused(1, "stake", "update", "--commission", "6")
    mine = tilework.ok("stake", "list", "--mine")
    assert "  keeps      5 % of what the stake of others earns\n" in mine
    assert "raises it by 0.5 % at a time at most\n" in mine
    assert f"  announced  5.5 % from height {height}, in about" in mine
    assert f"  about it   {'07' * 32}\n" in mine
    next_epoch(node)
    assert f"keeps 5.5 % from height {height}" in tilework.ok("stake", "list")
    node.mine(height - node.chain.head.height)
    form = tilework("stake", "list", "--mine", "--json").json["validator"]
    assert (form["commission_bp"], form["max_change_bp"], form["announced"]) == (550, 50, None)
    assert "5.5 % of what" in tilework.ok("stake", "register", "1tile", "--commission", "1", "--dry-run")
    assert "NOT_FOUND" in tilework.refused(1, "stake", "update", "--commission", "1", "--key", "bob")


def test_stake_moves_from_one_validator_to_another(tilework: Tilework, node: MemoryNode) -> None:
    tilework.ok("stake", "delegate", "v0", "30tile")
    text = tilework.ok("stake", "redelegate", "v0", "v1", "10tile", "--wait")
    assert f"from       {FIRST}; 20 TILE of yours stays\n" in text
    assert f"to         {SECOND}\n" in text
    assert "moves      10 TILE (10,000,000,000 grains)\n" in text
    tilework.ok("stake", "redelegate", "v0", "v1", "--all", "--wait")
    form = tilework("stake", "list", "--mine", "--json").json
    ((operator, stake, until),) = [
        (each["operator"], each["stake_grains"], each["arrived_until"]) for each in form["delegations"]
    ]
    assert (operator, stake) == (SECOND, 30 * 10**9)
    assert until == node.chain.head.height + unbonding_blocks(node.chain.context())
    assert f"answers for another until height {until}" in tilework.ok("stake", "list", "--mine")
    assert "REDELEGATING" in tilework.refused(1, "stake", "redelegate", "v1", "v0", "1tile")
    assert "Give an amount or --all" in tilework.usage("stake", "redelegate", "v0", "v1")


def test_a_validator_in_jail_is_seen_and_may_ask_to_come_out(tilework: Tilework, node: MemoryNode) -> None:
    tilework.ok("tx", "transfer", "--to", "v0", "--amount", "1tile")
    assert "BAD_STATE" in tilework.refused(1, "stake", "unjail", "--key", "v0")
    form = tilework("stake", "list", "--validator", "v0", "--json").json
    assert (form["jailed"], form["jailed_until"], form["tombstoned"]) == (False, None, False)


def test_jail_in_words() -> None:
    heights, form = Heights(10, 1_000), {"jailed": True, "jailed_until": 12, "tombstoned": False}
    assert stake_lines.remark(form, heights) == "in jail until height 12, in about 2 s"
    assert stake_lines.remark(form | {"tombstoned": True}, heights) == "in jail for ever"


@pytest.mark.parametrize("meta", ["7", "zz" * 32, "07" * 31])
def test_a_root_has_32_bytes(tilework: Tilework, node: MemoryNode, meta: str) -> None:
    assert "is no hexadecimal of 32 bytes" in tilework.usage("stake", "update", "--meta", meta)
    assert "Give --commission" in tilework.usage("stake", "update")


def test_amounts_of_a_pool_that_was_slashed_in_shares() -> None:
    held = {"shares": 3_000, "stake_grains": 2_000}
    assert [shares_of(held, grains) for grains in (0, 1, 2, 1_999, 2_000, 2_001)] == [
        0,
        2,
        3,
        2_999,
        3_000,
        3_002,
    ]
    assert shares_of({"shares": 5, "stake_grains": 0}, 0) == 5, "shares worth nothing can go"
    assert shares_of(None, 7) == 7
