"""Node processes: start, wait until they answer, stop.  A process is recognised by its command line, not by its pid.

A pid may belong to somebody else by the time a network is stopped, so nothing is signalled whose command line does not
hold the node's own data directory.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from chain.errors import LocalFault, Policy, TileworkError
from node.devnet.environment import process_environment
from node.devnet.record import NodeEntry
from node.rpc.client import RpcClient

START_TIMEOUT_S = 90
"""From process start to the first answer; a slow machine needs some ten seconds for four nodes."""
STOP_TIMEOUT_S = 15
_POLL_S = 0.1
_LOG_TAIL_LINES = 12
_PROCESSES = Path("/proc")


def node_command(node: NodeEntry, *, join: Sequence[str], options: Sequence[str] = ()) -> list[str]:
    """The command line that runs a node of a local network."""
    data_dir = Path(node.data_dir)
    command = [sys.executable, "-m", "node.cli.main", "node", "run"]
    command += ["--data-dir", str(data_dir), "--genesis", str(data_dir / "genesis.json"), "--key", node.key]
    command += ["--listen", node.listen, "--rpc", node.rpc.removeprefix("http://")]
    roles = node.roles.split()
    command += [f"--{role}" if role in roles else f"--no-{role}" for role in ("mine", "provide", "validate")]
    for address in join:
        command += ["--join", address]
    return [*command, *options]


def start(node: NodeEntry, command: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a node in a session of its own, in its own directory, with its output in its log."""
    with Path(node.log).open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=node.data_dir,
            env=process_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_ready(node: NodeEntry, process: subprocess.Popen[bytes], deadline_s: float) -> None:
    """Wait until the node answers its RPC.

    Raises: LocalFault DEVNET_NODE_DIED or DEVNET_NODE_SILENT, with the last line of its log.
    """
    with RpcClient(node.rpc, timeout_s=5) as client:
        while True:
            if process.poll() is not None:
                raise _failed("DEVNET_NODE_DIED", f"{node.name} exited with {process.returncode}", node)
            if _answers(client, node):
                return
            if time.monotonic() > deadline_s:
                raise _failed("DEVNET_NODE_SILENT", f"no answer from {node.name} in time", node)
            time.sleep(_POLL_S)


def _answers(client: RpcClient, node: NodeEntry) -> bool:
    """Whether this very node answers: another network may have taken its port a moment ago."""
    try:
        return bool(client.call("node_info")["address"] == node.address)
    except TileworkError:
        return False


def is_running(node: NodeEntry) -> bool:
    """Whether the recorded process lives and is this node."""
    if node.pid <= 0:
        return False
    try:
        arguments = (_PROCESSES / str(node.pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return os.fsencode(node.data_dir) in arguments  # a zombie has no arguments


def stop(
    nodes: Sequence[NodeEntry], *, reap: Callable[[], None] = lambda: None, timeout_s: float = STOP_TIMEOUT_S
) -> list[str]:
    """Ask all nodes to stop, wait, and kill what is left; returns the names of those that had to be killed.

    `reap` is called while waiting: the parent of the processes collects their exit there.
    """
    running = [node for node in nodes if is_running(node)]
    for node in running:
        _signal(node, signal.SIGTERM)
    deadline_s = time.monotonic() + timeout_s
    while (left := _left(running, reap)) and time.monotonic() < deadline_s:
        time.sleep(_POLL_S)
    for node in left:
        _signal(node, signal.SIGKILL)
    while _left(left, reap):
        time.sleep(_POLL_S)
    return [node.name for node in left]


def memory_mib(pid: int) -> dict[str, int]:
    """Resident MiB of a node and of its worker.  Raises: OSError if there is no such process."""
    return {"node": _resident_mib(pid), "worker": sum(_resident_mib(child) for child in children(pid))}


def children(pid: int) -> list[int]:
    """Processes that any thread of a process started.  Raises: OSError if there is no such process."""
    lists = (_PROCESSES / str(pid) / "task").glob("*/children")
    return [int(child) for found in lists for child in found.read_text().split()]


def log_tail(log: Path, lines: int = _LOG_TAIL_LINES) -> str:
    """The last lines of a node's log."""
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"


def require_linux() -> None:
    """Raises: Policy DEVNET_PLATFORM where processes cannot be recognised by their command line."""
    if not (_PROCESSES / "self" / "cmdline").exists():
        raise Policy("DEVNET_PLATFORM", found=sys.platform, allowed="a system with /proc (Linux)")


def _resident_mib(pid: int) -> int:
    lines = (_PROCESSES / str(pid) / "status").read_text().splitlines()
    kib = next((line.split()[1] for line in lines if line.startswith("VmRSS:")), "0")
    return int(kib) >> 10


def _left(nodes: Sequence[NodeEntry], reap: Callable[[], None]) -> list[NodeEntry]:
    reap()
    return [node for node in nodes if is_running(node)]


def _signal(node: NodeEntry, number: signal.Signals) -> None:
    try:
        os.kill(node.pid, number)
    except ProcessLookupError:
        return  # it ended by itself meanwhile


def _failed(code: str, found: str, node: NodeEntry) -> LocalFault:
    last = log_tail(Path(node.log), lines=1)
    return LocalFault(code, found=f"{found} ({last})", hint=f"Its log is {node.log}.")
