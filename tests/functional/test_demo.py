"""Whole networks of processes: the demo as a newcomer runs it, isolation, Ctrl-C, and a node killed and restarted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from node.devnet import processes, record
from node.devnet.environment import process_environment
from node.devnet.record import Devnet, NodeEntry
from node.rpc.client import RpcClient

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 240
pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]


def test_the_demo_tells_its_whole_story(tmp_path: Path) -> None:
    numbers_file, directory = tmp_path / "numbers.json", tmp_path / "net"
    command = [
        sys.executable,
        str(ROOT / "examples/demo.py"),
        "--dir",
        str(directory),
        "--json",
        str(numbers_file),
    ]
    done = _run(command, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    numbers = json.loads(numbers_file.read_text())
    assert numbers["digits_tickets"] > 0
    assert numbers["strips_tickets"] == (2048 // 32) ** 2 * (2048 // 256)
    assert numbers["total_s"] < 180
    assert done.stdout.count("equal to NumPy's A @ B in all") == 2
    assert "every grain is accounted for" in done.stdout
    assert not _alive(record.load(directory))


def test_nodes_share_no_path_and_no_memory(tmp_path: Path) -> None:
    with _devnet(tmp_path, nodes=3) as devnet:
        used = {node.name: _paths_used(node.pid, tmp_path) for node in devnet.nodes}
        for node in devnet.nodes:
            own = {
                path
                for path in used[node.name]
                if path.is_relative_to(node.data_dir) or path == Path(node.log)
            }
            assert used[node.name] == own
            assert any(path.is_relative_to(Path(node.data_dir) / "db") for path in own)
        mapped = [_memory_shared(node.pid) for node in devnet.nodes]
        assert all(not left & right for left, right in combinations(mapped, 2))


def test_a_killed_node_comes_back_with_everything(tmp_path: Path) -> None:
    with _devnet(tmp_path, nodes=2) as devnet:
        first, second = devnet.nodes
        _wait_for_height(first, 3)
        height = _wait_for_height(second, 3)
        os.kill(second.pid, signal.SIGKILL)
        again = processes.start(second, processes.node_command(second, join=[first.multiaddr]))
        try:
            processes.wait_ready(second, again, time.monotonic() + processes.START_TIMEOUT_S)
            assert _status(second)["height"] >= height, "blocks were lost"
            goal = _wait_for_height(first, height + 2)
            _wait_for_height(second, goal)
            assert _state_root(first, goal) == _state_root(second, goal)
        finally:
            again.send_signal(signal.SIGTERM)
            again.wait()


def test_ctrl_c_stops_a_network_in_the_foreground(tmp_path: Path) -> None:
    directory = tmp_path / "net"
    command = [sys.executable, "-m", "node.cli.main", "devnet", "up", "-n", "2", "--dir", str(directory)]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=process_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        told = []
        for line in process.stdout:
            told.append(line)
            if line.startswith("block 1 "):
                process.send_signal(signal.SIGINT)
                break
        told += process.stdout.readlines()
        assert process.wait(LIMIT_S) == 0, "".join(told)
    assert told[-1] == "All nodes stopped.\n"
    assert not _alive(record.load(directory))


@contextmanager
def _devnet(tmp_path: Path, nodes: int) -> Iterator[Devnet]:
    directory = tmp_path / "net"
    tilework = [sys.executable, "-m", "node.cli.main", "devnet"]
    command = [*tilework, "up", "-n", str(nodes), "--block-time", "0.5", "--detach", "--dir", str(directory)]
    done = _run(command, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    devnet = record.load(directory)
    try:
        yield devnet
    finally:
        done = _run([*tilework, "down", "--dir", str(directory)], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not _alive(devnet)


def _run(command: list[str], directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=directory,
        env=process_environment(),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def _alive(devnet: Devnet) -> list[str]:
    return [node.name for node in devnet.nodes if processes.is_running(node)]


def _paths_used(pid: int, below: Path) -> set[Path]:
    """Paths below a directory that a node and its worker have open, work in, or were given."""
    proc = Path("/proc")
    workers = processes.children(pid)
    assert workers, "the worker is a process of its own"
    found: set[Path] = set()
    for process in map(str, (pid, *workers)):
        links = [proc / process / "cwd", *(proc / process / "fd").iterdir()]
        found.update(link.readlink() for link in links if link.is_symlink())
        found.update(
            Path(os.fsdecode(word)) for word in (proc / process / "cmdline").read_bytes().split(b"\0")
        )
    return {path for path in found if path.is_relative_to(below)}


def _memory_shared(pid: int) -> set[tuple[str, int]]:
    """(device, inode) of every writable mapping a node or its worker would share with whoever maps it too."""
    found = set()
    for process in (pid, *processes.children(pid)):
        for line in Path(f"/proc/{process}/maps").read_text().splitlines():
            _, permissions, _, device, inode, *_ = line.split()
            if permissions.startswith("rw") and permissions.endswith("s"):
                found.add((device, int(inode)))
    return found


def _wait_for_height(node: NodeEntry, height: int) -> int:
    deadline_s = time.monotonic() + LIMIT_S
    while (found := int(_status(node)["height"])) < height:
        assert time.monotonic() < deadline_s, (
            f"{node.name} is still at block {found}\n{processes.log_tail(Path(node.log))}"
        )
    return found


def _status(node: NodeEntry) -> dict[str, Any]:
    with RpcClient(node.rpc) as client:
        status = client.call("chain_status")
    assert isinstance(status, dict)
    return status


def _state_root(node: NodeEntry, height: int) -> str:
    with RpcClient(node.rpc) as client:
        return str(client.call("chain_block", id=str(height))["header"]["state_root"])
