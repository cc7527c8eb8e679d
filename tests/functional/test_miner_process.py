"""`tilework miner run` beside a real node on loopback: blocks for its own address, restarts, refusals, a clean end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from chain.bech32m import encode_address
from chain.errors import LocalFault
from genesis.json_form import to_json
from node.devnet.ports import free_ports
from node.keyfile import write_key
from node.rpc.client import RpcClient
from tests.builders import funded_spec, key

ROOT = Path(__file__).resolve().parents[2]
SPEC = funded_spec()
LIMIT_S = 60
MINER = encode_address(SPEC.address_prefix, key(6).address)


def tilework(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "node.cli.main", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(cwd)},
    )


@dataclass
class RealNode:
    """A node that neither mines nor provides, at a fixed port."""

    directory: Path
    port: int
    process: subprocess.Popen[str] = field(init=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = tilework(
            "node", "run", "--genesis", "genesis.json", "--data-dir", "data", "--key", "operator.json",
            "--rpc", f"127.0.0.1:{self.port}", "--no-mine", "--no-provide", "--no-validate",
            cwd=self.directory,
        )  # fmt: skip
        until(lambda: self.height() >= 0)

    def stop(self) -> str:
        return ended(self.process)

    def height(self) -> int:
        with RpcClient(self.url, timeout_s=5) as client:
            try:
                return int(client.call("chain_status")["height"])
            except LocalFault:
                return -1


def until(condition: object) -> None:
    deadline_s = time.monotonic() + LIMIT_S
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def ended(process: subprocess.Popen[str]) -> str:
    """Ask a process to stop; its output, and that it ended cleanly."""
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 0, output
    return output


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RealNode]:
    (tmp_path / "genesis.json").write_text(to_json(SPEC))
    write_key(tmp_path / "operator.json", "operator", key(0), SPEC.address_prefix)
    (port,) = free_ports(28645, 1)
    built = RealNode(tmp_path, port)
    built.start()
    yield built
    if built.process.poll() is None:
        built.process.kill()
        built.process.communicate()


@pytest.mark.slow
def test_a_miner_wins_blocks_for_its_address_and_survives_a_restart_of_the_node(node: RealNode) -> None:
    miner = tilework(
        "miner", "run", "--rpc", node.url, "--address", MINER, "--device", "cpu", "--engine", "numpy",
        "--report", "1", cwd=node.directory,
    )  # fmt: skip
    try:
        until(lambda: node.height() >= 3)
        with RpcClient(node.url) as client:
            for height in range(1, 4):
                assert client.call("chain_block", id=str(height))["header"]["miner"] == MINER
        node.stop()
        node.start()
        before = node.height()
        until(lambda: node.height() >= before + 2)
        log = ended(miner)
    finally:
        if miner.poll() is None:
            miner.kill()
            miner.communicate()
    assert f"Mining for {MINER} on tilework-test" in log
    assert log.count("node-away") == log.count("node-back") == 1
    assert "worker-ready device=cpu engine=numpy" in log
    assert "block-won device=cpu" in log
    assert "MAC/s" in log
    assert "engine-failed" not in log
    assert "Traceback" not in log
