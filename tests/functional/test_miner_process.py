"""`tilework miner run` beside a real node on loopback: blocks for its own address, restarts, the node's jobs."""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from chain.bech32m import encode_address
from chain.errors import LocalFault
from chain.types import NO_ADDRESS, NO_PERMIT, Grains, Height, TensorRoot
from genesis.json_form import to_json
from node.devnet.ports import free_ports
from node.keyfile import write_key
from node.rpc.client import RpcClient
from tests.builders import funded_spec, key
from vm.envelope import Transaction
from vm.jobs.inputs import NO_SLOT
from vm.kinds.jobs import JobOpen
from vm.tensor.program import gemm_program

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
    """A node that does what it is told and no more, at a fixed port."""

    directory: Path
    port: int
    roles: tuple[str, ...] = ("--no-mine", "--no-provide", "--no-validate")
    process: subprocess.Popen[str] = field(init=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = tilework(
            "node", "run", "--genesis", "genesis.json", "--data-dir", "data", "--key", "operator.json",
            "--rpc", f"127.0.0.1:{self.port}", *self.roles,
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
def node(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RealNode]:
    """With the roles that the test names, if it does."""
    (tmp_path / "genesis.json").write_text(to_json(SPEC))
    write_key(tmp_path / "operator.json", "operator", key(0), SPEC.address_prefix)
    (port,) = free_ports(28645, 1)
    built = RealNode(tmp_path, port, *getattr(request, "param", ()))
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


PROVIDES_SLOWLY = ("--no-mine", "--no-validate", "--device", "cpu", "--engine", "reference")


@pytest.mark.slow
@pytest.mark.parametrize("node", [(PROVIDES_SLOWLY,)], indirect=True)
def test_a_job_of_the_node_is_computed_with_the_miner_beside_it(node: RealNode) -> None:
    """Both make panels, and the product is exact; that lent devices alone are enough is shown in virtual time."""
    rng = np.random.default_rng(31)
    a, b = (rng.integers(-63, 64, shape).astype(np.int8) for shape in ((1000, 300), (300, 200)))
    miner = tilework(
        "miner", "run", "--rpc", node.url, "--address", MINER, "--device", "cpu", "--engine", "numpy",
        "--report", "1", cwd=node.directory,
    )  # fmt: skip
    try:
        with RpcClient(node.url) as client:
            until(lambda: len(rates(client)) == 2 and all(rates(client)))
            job = opened(client, a, b)
            until(lambda: client.call("job_get", id=job)["result_root"])
            form = client.call("job_get", id=job)
            lent = next(each for each in client.call("node_info")["devices"] if "@" in each["device"])
            result = client.call("blob_get", root=form["result_root"], job=job)
        log = ended(miner)
    finally:
        if miner.poll() is None:
            miner.kill()
            miner.communicate()
    assert form["provider"] == encode_address(SPEC.address_prefix, key(0).address)
    made = np.frombuffer(base64.b64decode(result["data"]), "<i4").reshape(1000, 200)
    assert np.array_equal(made, a.astype(np.int32) @ b.astype(np.int32))
    rows = [int(count) for count in re.findall(r"panel-made device=cpu job=\w+ rows=\d+\+(\d+)", log)]
    assert lent["panels"] == len(rows)
    assert 0 < sum(rows) <= 1000
    assert "panels" in log
    assert "lending-ended" not in log
    assert "Traceback" not in log
    assert f"job-computed job={job[:16]}" in node.stop()


def rates(client: RpcClient) -> list[int]:
    return [device["macs_per_second"] for device in client.call("node_info")["devices"]]


def opened(client: RpcClient, a: np.ndarray, b: np.ndarray) -> str:
    """Open a job in the name of somebody with money; its id."""
    payer = key(7)
    roots = []
    for matrix in (a, np.ascontiguousarray(b.T)):
        rows, columns = matrix.shape
        data = base64.b64encode(matrix.tobytes()).decode()
        form = client.call("blob_put", rows=rows, columns=columns, dtype="int8", data=data)
        roots.append(TensorRoot(bytes.fromhex(form["root"])))
    program = gemm_program(a.shape[0], b.shape[1], a.shape[1])
    body = JobOpen(program, tuple(roots), Grains(10**9), Grains(10**12), 600, NO_ADDRESS, NO_PERMIT, NO_SLOT)
    unsigned = Transaction(
        1, SPEC.chain_id, "job.open", payer.address, 0, Grains(10**9), Grains(0), Height(10_000), body.to_bytes(), ()
    )  # fmt: skip
    client.call("tx_submit", raw=unsigned.signed(payer).to_bytes().hex())
    until(lambda: client.call("job_list")["jobs"])
    (job,) = client.call("job_list")["jobs"]
    return str(job["id"])
