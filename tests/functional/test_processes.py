"""Real processes on loopback: they share nothing but the network, and a killed one loses nothing."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from node.devnet.launch import Request, Running, found
from node.devnet.processes import node_command, start, wait_ready
from node.rpc.client import RpcClient

pytestmark = pytest.mark.slow

LIMIT_S = 90


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    directory = tmp_path_factory.mktemp("processes") / "devnet"
    devnet = found(Request(directory, nodes=4, miners=2, accounts=1, block_time_ms=1_000))
    running = Running(directory, devnet)
    running.start_all(lambda line: None)
    yield running
    running.stop_all()


def until(condition: Callable[[], bool], witness: subprocess.Popen[bytes]) -> None:
    """Poll until something is true, while a process that must live does; fails after LIMIT_S."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline
        with pytest.raises(subprocess.TimeoutExpired):
            witness.wait(timeout=0.1)


def height(url: str) -> int:
    return int(RpcClient(url).call("chain_status")["height"])


def test_nodes_share_no_file_and_no_memory(network):
    """Every file a node or its worker holds open for writing, or maps shared, belongs to that node alone."""
    alive = network.processes[network.devnet.nodes[2].name]
    until(lambda: all(height(node.rpc) >= 1 for node in network.devnet.nodes), alive)
    held: dict[str, set[tuple[int, int]]] = {}
    for node in network.devnet.nodes:
        pids = _family(network.processes[node.name].pid)
        held[node.name] = {item for pid in pids for item in (*_writable_files(pid), *_shared_maps(pid))}
        assert held[node.name], "a node holds at least its database open"
    names = sorted(held)
    for index, name in enumerate(names):
        for other in names[index + 1 :]:
            assert not held[name] & held[other], (name, other)
    directories = [Path(node.data_dir).resolve() for node in network.devnet.nodes]
    for index, directory in enumerate(directories):
        for other in directories[index + 1 :]:
            assert directory not in (other, *other.parents)
            assert other not in directory.parents


def test_a_killed_node_comes_back_with_its_chain_and_catches_up(network):
    victim, witness = network.devnet.nodes[1], network.devnet.nodes[2]
    alive = network.processes[witness.name]
    until(lambda: height(victim.rpc) >= 3, alive)
    head = RpcClient(victim.rpc).call("chain_status")
    os.kill(network.processes[victim.name].pid, signal.SIGKILL)
    network.processes[victim.name].wait()
    until(lambda: height(witness.rpc) >= head["height"] + 2, alive)
    others = [node.multiaddr for node in network.devnet.nodes if node.name != victim.name]
    process = start(victim, node_command(victim, join=others))
    network.processes[victim.name] = process
    network.devnet = network.devnet.with_pids({name: p.pid for name, p in network.processes.items()})
    wait_ready(victim, process, time.monotonic() + LIMIT_S)
    assert height(victim.rpc) >= head["height"]
    until(lambda: height(victim.rpc) >= head["height"] + 2, alive)
    kept = RpcClient(victim.rpc).call("chain_block", id=str(head["height"] - 1))
    assert kept["id"] == RpcClient(witness.rpc).call("chain_block", id=str(head["height"] - 1))["id"]


def _family(pid: int) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(grandchild for child in children for grandchild in _family(int(child)))]


def _writable_files(pid: int) -> Iterator[tuple[int, int]]:
    """(device, inode) of regular files a process holds open for writing."""
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        flags = int(Path(f"/proc/{pid}/fdinfo/{entry.name}").read_text().split("flags:")[1].split()[0], 8)
        status = entry.stat()
        if stat.S_ISREG(status.st_mode) and flags & (os.O_WRONLY | os.O_RDWR):
            yield status.st_dev, status.st_ino


def _shared_maps(pid: int) -> Iterator[tuple[int, int]]:
    """(device, inode) of writable shared mappings."""
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        _, permissions, _, device, inode, *_ = line.split()
        if permissions.startswith("rw") and permissions.endswith("s") and int(inode):
            major, minor = (int(part, 16) for part in device.split(":"))
            yield os.makedev(major, minor), int(inode)
