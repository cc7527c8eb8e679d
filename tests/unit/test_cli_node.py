"""`tilework node run`: what stops it before, or as, it starts."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from chain.errors import LocalFault, Policy
from chain.leveldb import LevelKV
from genesis.json_form import to_json
from node.chain import Chain
from node.cli.errors import expected
from tests.unit.cli_runner import Tilework
from tests.unit.rpc_node import test_spec

RUN = ("node", "run", "--genesis", "genesis.json", "--data-dir", "data", "--no-mine", "--no-provide")


@pytest.fixture
def tilework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tilework:
    program = Tilework(tmp_path, monkeypatch)
    Path("genesis.json").write_text(to_json(test_spec()))
    return program


def test_without_a_genesis_file(tilework: Tilework) -> None:
    Path("genesis.json").unlink()
    assert "FILE: found no file genesis.json" in tilework.refused(1, *RUN)
    assert tilework("node", "run").code == 2


def test_a_data_directory_of_another_chain(tilework: Tilework) -> None:
    Path("data").mkdir()
    kv = LevelKV.open(Path("data/db"))
    Chain.open(kv, replace(test_spec(), chain_id=b"other-chain"))
    kv.close()
    line = tilework.refused(5, *RUN, "--key", "alice")
    assert "DB_OTHER_CHAIN: found data of chain other-chain" in line
    assert "Choose another --data directory" in line


def test_faults_are_for_networks_that_allow_them(tilework: Tilework) -> None:
    assert "FAULT: found sleepy, allowed corrupt-result" in tilework.refused(
        1, *RUN, "--key", "alice", "--fault", "sleepy"
    )
    Path("genesis.json").write_text(to_json(replace(test_spec(), fault_injection=0)))
    line = tilework.refused(1, *RUN, "--data-dir", "fresh", "--key", "alice", "--fault", "corrupt-result")
    assert "FAULT_FORBIDDEN" in line


@pytest.mark.parametrize(
    ("code", "arguments", "words"),
    [
        (1, ("--key", "nobody"), "KEY_UNKNOWN"),
        (1, ("--listen", "here"), "NET_LISTEN_ADDRESS"),
        (1, ("--rpc", "8645"), "NET_LISTEN_ADDRESS"),
        (1, ("--join", "127.0.0.1:4001"), "NET_ADDRESS"),
    ],
)
def test_what_cannot_be_read(tilework: Tilework, code: int, arguments: tuple[str, ...], words: str) -> None:
    assert words in tilework.refused(code, *RUN, *arguments)


def test_a_port_in_use(tilework: Tilework) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        line = tilework.refused(
            5,
            *RUN,
            "--key",
            "alice",
            "--log-level",
            "warning",
            "--rpc",
            f"127.0.0.1:{other.getsockname()[1]}",
        )
    assert "RPC_PORT_IN_USE" in line


def test_an_operator_key_is_made_once(tilework: Tilework) -> None:
    """Without --key the node keeps one beside its data; the run itself ends at the unknown fault."""
    ran = tilework(*RUN, "--fault", "sleepy")
    assert "Made an operator key in data/key.json" in ran.err
    first = json.loads(Path("data/key.json").read_text())
    assert first["address"].startswith("tiletest1")
    assert "Made" not in tilework(*RUN, "--fault", "sleepy").err
    assert json.loads(Path("data/key.json").read_text()) == first


async def test_failures_out_of_nurseries_are_found() -> None:
    fault = LocalFault("RPC_PORT_IN_USE")
    group = BaseExceptionGroup("", [ExceptionGroup("", [fault]), Policy("X")])
    assert expected(group) is fault
    assert expected(BaseExceptionGroup("", [fault, ValueError()])) is None
    assert expected(BaseExceptionGroup("", [ValueError()])) is None
    with pytest.raises(BaseExceptionGroup) as caught:
        async with trio.open_nursery():
            raise fault
    assert expected(caught.value) is fault
