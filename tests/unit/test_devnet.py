"""Local networks: what they are founded on, their ports, their record, and who may be signalled."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chain.errors import LocalFault, Missing, Policy
from chain.keys import SigningKey
from compute.spec.profiles import DEV
from consensus.work import block_work
from genesis.json_form import from_json, to_json
from genesis.spec import ChainSpec
from node.devnet import plan, ports, processes, record
from node.devnet.follow import block_line
from node.devnet.launch import require_empty, throw_away
from node.devnet.record import AccountEntry, Devnet, NodeEntry
from node.devnet.table import overview

KEYS = [SigningKey(bytes([number]) * 32) for number in range(1, 8)]
LISTENS = "import sys; print('ready', flush=True); sys.stdin.read()"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {LISTENS}"


def founded(**changes: object) -> ChainSpec:
    request = {
        "chain_id": b"tilework-dev-00000001",
        "now_ms": 1_700_000_000_000,
        "block_time_ms": 2_000,
        "macs_per_second": 20 * 10**9,
        "validators": [key.public_key for key in KEYS[:4]],
        "operators": [key.address for key in KEYS[:5]],
        "users": [key.address for key in KEYS[5:]],
    }
    return plan.founding_spec(**{**request, **changes})  # type: ignore[arg-type]


def node_entry(directory: Path, pid: int = 0, index: int = 0) -> NodeEntry:
    name = plan.node_name(index)
    return NodeEntry(
        name=name,
        address=f"tiledev1{name}",
        rpc=f"http://127.0.0.1:{8645 + index}",
        listen=f"127.0.0.1:{9645 + index}",
        multiaddr=f"/ip4/127.0.0.1/tcp/{9645 + index}/p2p/12D3KooW{index}",
        roles="mine provide validate" if index < 2 else "provide validate",
        data_dir=str(directory / name),
        key=str(directory / name / "key.json"),
        log=str(directory / f"{name}.log"),
        pid=pid,
    )


def devnet_of(directory: Path, pid: int = 0) -> Devnet:
    return Devnet(
        chain_id="tilework-dev-00000001",
        genesis="ab" * 32,
        block_time_ms=2_000,
        macs_per_second=20 * 10**9,
        nodes=tuple(node_entry(directory, pid, index) for index in range(3)),
        spare=AccountEntry("node-3", "tiledev1spare", str(directory / "keys/node-3.json"), 10**12),
        accounts=(AccountEntry("alice", "tiledev1alice", str(directory / "keys/alice.json"), 10**13),),
    )


# -- founding ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [10**8, 20 * 10**9, 10**15])
def test_the_target_gives_the_asked_block_time_at_the_measured_rate(rate: int) -> None:
    target = plan.target_for(rate, 2_000, DEV.max_target)
    assert block_work(target) == pytest.approx(2 * rate, rel=1e-6)


def test_the_target_never_leaves_its_range() -> None:
    assert plan.target_for(1, 500, DEV.max_target) == DEV.max_target
    assert plan.target_for(1 << 300, 60_000, DEV.max_target) == 1


def test_everybody_is_funded_and_every_node_is_a_validator() -> None:
    spec = founded()
    balances = {allocation.address: allocation.balance_grains for allocation in spec.allocations}
    assert {balances[key.address] for key in KEYS[:5]} == {plan.NODE_BALANCE_GRAINS}
    assert {balances[key.address] for key in KEYS[5:]} == {plan.USER_BALANCE_GRAINS}
    assert [validator.public_key for validator in spec.validators] == [key.public_key for key in KEYS[:4]]
    assert all(v.stake_grains >= spec.money.minimum_stake_grains for v in spec.validators)
    assert 100 * spec.jobs.bond_floor_grains <= plan.NODE_BALANCE_GRAINS


def test_pace_follows_the_block_time() -> None:
    spec = founded(block_time_ms=500)
    assert spec.pace.block_time_ms == 500
    assert spec.pace.asert_halflife_ms == 15_000
    assert spec.fault_injection == 1


def test_the_genesis_file_gives_back_the_spec() -> None:
    spec = founded()
    assert from_json(to_json(spec)) == spec
    assert founded(chain_id=b"tilework-dev-00000002").hash() != spec.hash()


def test_a_key_may_not_be_used_twice() -> None:
    with pytest.raises(Policy) as caught:
        founded(users=[KEYS[0].address])
    assert caught.value.code == "SPEC_DUPLICATE"


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ((0, 1, 3, 2_000), "DEVNET_NODES"),
        ((33, 1, 3, 2_000), "DEVNET_NODES"),
        ((4, 0, 3, 2_000), "DEVNET_MINERS"),
        ((4, 5, 3, 2_000), "DEVNET_MINERS"),
        ((4, 2, -1, 2_000), "DEVNET_ACCOUNTS"),
        ((4, 2, 3, 499), "DEVNET_BLOCK_TIME"),
        ((4, 2, 3, 60_001), "DEVNET_BLOCK_TIME"),
    ],
)
def test_impossible_networks_are_refused(request_: tuple[int, int, int, int], code: str) -> None:
    with pytest.raises(Policy) as caught:
        plan.check_request(*request_)
    assert caught.value.code == code


def test_names_of_accounts() -> None:
    assert [plan.account_name(index) for index in (0, 1, 9, 10)] == ["alice", "bob", "judy", "user-10"]


# -- ports ------------------------------------------------------------------------------------------------------------


def test_a_port_in_use_is_passed_over() -> None:
    with socket.create_server((ports.HOST, 0)) as server:
        taken = server.getsockname()[1]
        assert not ports.is_free(taken)
        if taken + ports.SEARCHED < 1 << 16:
            found = ports.free_ports(taken, 2)
            assert taken not in found
            assert len(set(found)) == 2


def test_two_networks_never_choose_the_same_port() -> None:
    """The node that will bind a port starts seconds after the choice; until then only the lock speaks for it."""
    first = ports.FIRST_RPC_PORT + 450
    (mine,) = ports.free_ports(first, 1)
    code = f"from node.devnet.ports import free_ports; print(free_ports({first}, 1)[0])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) != mine


def test_too_many_ports_are_refused() -> None:
    with pytest.raises(LocalFault) as caught:
        ports.free_ports(ports.FIRST_RPC_PORT, ports.SEARCHED + 1)
    assert caught.value.code == "DEVNET_PORTS"


# -- the record -------------------------------------------------------------------------------------------------------


def test_the_record_survives_a_round_trip(tmp_path: Path) -> None:
    devnet = devnet_of(tmp_path).with_pids({"node-1": 77})
    record.save(devnet, tmp_path)
    assert record.load(tmp_path) == devnet
    assert [node.pid for node in devnet.nodes] == [0, 77, 0]


def test_no_record_and_a_foreign_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(Missing) as unknown:
        record.load(tmp_path)
    assert unknown.value.code == "DEVNET_UNKNOWN"
    for text in ("", "[]", "{}", '{"nodes": [{"name": "x"}], "accounts": []}'):
        (tmp_path / record.FILE_NAME).write_text(text)
        with pytest.raises(Policy) as foreign:
            record.load(tmp_path)
        assert foreign.value.code == "DEVNET_RECORD"


# -- directories ------------------------------------------------------------------------------------------------------


def test_only_a_new_or_empty_directory_will_do(tmp_path: Path) -> None:
    require_empty(tmp_path / "new")
    require_empty(tmp_path)
    (tmp_path / "notes.txt").touch()
    for place in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(Policy) as caught:
            require_empty(place)
        assert caught.value.code == "DEVNET_DIRECTORY"
    throw_away(tmp_path)  # not a network of ours: left alone
    assert (tmp_path / "notes.txt").exists()


def test_a_stopped_network_can_be_thrown_away_and_a_running_one_cannot(tmp_path: Path) -> None:
    with _process(LISTENS, str(tmp_path / "node-0")) as process:
        record.save(devnet_of(tmp_path).with_pids({"node-0": process.pid}), tmp_path)
        with pytest.raises(Policy) as running:
            throw_away(tmp_path)
        assert running.value.code == "DEVNET_RUNNING"
        assert "node-0" in str(running.value)
        process.kill()
        process.wait()
    with pytest.raises(Policy) as stopped:
        require_empty(tmp_path)
    assert stopped.value.code == "DEVNET_STOPPED"
    throw_away(tmp_path)
    assert not tmp_path.exists()


# -- processes --------------------------------------------------------------------------------------------------------


def test_a_pid_of_somebody_else_is_never_signalled(tmp_path: Path) -> None:
    ours = node_entry(tmp_path, pid=os.getpid())
    assert not processes.is_running(ours)
    assert processes.stop([ours]) == []


def test_a_node_is_asked_first_and_killed_last(tmp_path: Path) -> None:
    with (
        _process(LISTENS, str(tmp_path / "node-0")) as polite,
        _process(STUBBORN, str(tmp_path / "node-1")) as stubborn,
    ):
        nodes = [node_entry(tmp_path, polite.pid, 0), node_entry(tmp_path, stubborn.pid, 1)]
        assert all(processes.is_running(node) for node in nodes)

        def reap() -> None:
            polite.poll()
            stubborn.poll()

        assert processes.stop(nodes, reap=reap, timeout_s=0.3) == ["node-1"]
        assert not any(processes.is_running(node) for node in nodes)


def test_the_command_names_only_what_belongs_to_the_node(tmp_path: Path) -> None:
    node = node_entry(tmp_path, index=2)
    command = processes.node_command(
        node, join=["/ip4/one", "/ip4/two"], options=["--fault", "corrupt-result"]
    )
    text = " ".join(command)
    assert "--no-mine --provide --validate" in text
    assert text.count("--join") == 2
    assert command[-2:] == ["--fault", "corrupt-result"]
    paths = [argument for argument in command if argument.startswith(str(tmp_path))]
    assert paths
    assert all(Path(path).is_relative_to(node.data_dir) for path in paths)


def test_a_node_that_dies_at_start_shows_its_last_words(tmp_path: Path) -> None:
    node = node_entry(tmp_path)
    Path(node.data_dir).mkdir()
    process = processes.start(node, [sys.executable, "-c", "raise SystemExit('port 9645 is taken')"])
    process.wait()
    with pytest.raises(LocalFault) as caught:
        processes.wait_ready(node, process, deadline_s=0.0)
    assert caught.value.code == "DEVNET_NODE_DIED"
    assert "port 9645 is taken" in str(caught.value)


# -- screens ----------------------------------------------------------------------------------------------------------


def test_the_overview_shows_nodes_money_and_the_honest_rate(tmp_path: Path) -> None:
    text = overview(devnet_of(tmp_path), here=tmp_path)
    assert "2 miners measured at once" in text
    assert "10,000 TILE" in text
    assert " keys/alice.json" in text
    assert all(f"http://127.0.0.1:{8645 + index}" in text for index in range(3))


def test_a_block_line_names_miner_transactions_and_the_job_that_won_it(tmp_path: Path) -> None:
    devnet = devnet_of(tmp_path)
    block = {
        "id": "cd" * 32,
        "header": {"height": 7, "miner": devnet.nodes[1].address},
        "certificate": {"job": "ef" * 32},
        "transactions": [{"kind": "job.open"}, {"kind": "job.claim"}],
    }
    line = block_line(block, devnet)
    assert line == f"block 7 {'cd' * 8} by node-1: job.open, job.claim (won by job {'ef' * 8})"
    idle = {**block, "certificate": {"job": None}, "transactions": []}
    assert block_line(idle, devnet) == f"block 7 {'cd' * 8} by node-1"


@contextmanager
def _process(program: str, data_dir: str) -> Iterator[subprocess.Popen[bytes]]:
    """A child that stands for a node: it waits on its standard input, with the data directory on its command line."""
    command = [sys.executable, "-c", program, data_dir]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
