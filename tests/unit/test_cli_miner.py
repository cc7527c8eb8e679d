"""`tilework miner run` refuses in one line, with an exit code, what cannot work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chain.bech32m import encode_address
from chain.errors import Invalid, LocalFault, Policy
from node.mining.rpc_source import RpcSource
from node.mining.work import WORK_RULES, Outcome
from node.rpc.client import AsyncRpcClient
from node.rpc.server import RpcApp
from tests.node_world import VirtualClock
from tests.unit.cli_runner import Tilework
from tests.unit.rpc_node import BOB, PREFIX, MemoryNode, served

OWN = encode_address(PREFIX, BOB.address)


@pytest.fixture
def node(tmp_path: Path) -> MemoryNode:
    return MemoryNode(tmp_path / "node")


@pytest.fixture
def url(node: MemoryNode) -> Iterator[str]:
    with served(node) as address:
        yield address


@pytest.fixture
def tilework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tilework:
    return Tilework(tmp_path, monkeypatch)


def test_a_node_that_is_not_there_is_exit_code_3(tilework: Tilework) -> None:
    line = tilework.refused(3, "miner", "run", "--rpc", "http://127.0.0.1:9")
    assert "NODE_UNREACHABLE" in line


@pytest.mark.parametrize(
    ("who", "code"),
    [
        (encode_address("tilemain", BOB.address), "ADDRESS"),
        (OWN[:-1] + "q", "ADDRESS"),
        ("carol", "KEY_UNKNOWN"),
    ],
)
def test_an_address_of_another_network_or_none_is_refused(
    tilework: Tilework, url: str, who: str, code: str
) -> None:
    assert code in tilework.refused(1, "miner", "run", "--rpc", url, "--address", who)


def test_a_device_that_is_not_there_is_refused(tilework: Tilework, url: str) -> None:
    line = tilework.refused(1, "miner", "run", "--rpc", url, "--device", "7")
    assert "DEVICE_UNKNOWN" in line
    assert "tilework miner doctor" in line


def test_a_bad_url_is_refused(tilework: Tilework) -> None:
    assert "RPC_URL" in tilework.refused(1, "miner", "run", "--rpc", "nowhere")


def test_status_shows_devices(tilework: Tilework, url: str) -> None:
    text = tilework.ok("status", "--rpc", url)
    assert "device     cpu: numpy, 12.3 kMAC/s, 7 tickets, 0 panels" in text


def source(node: MemoryNode, client: AsyncRpcClient, *, genesis: str | None = None) -> RpcSource:
    return RpcSource(client, genesis or node.chain.genesis.id.hex(), OWN, VirtualClock(0))


async def test_work_over_rpc_is_the_nodes(node: MemoryNode, url: str) -> None:
    async with AsyncRpcClient(url) as client:
        work = await source(node, client).newest()
        assert work is not None
        assert work == node.work.current(BOB.address)
        refused = await source(node, client).submit(work.version, b"no certificate")
        assert refused.outcome is Outcome.REFUSED
        assert (await source(node, client).submit(1, b"")).outcome is Outcome.STALE


class Answers(AsyncRpcClient):
    """A client to whom a node says what the test wants; a fault is raised."""

    def __init__(self, **answers: object) -> None:
        super().__init__("http://127.0.0.1:9")
        self.answers = {
            name: iter(given if isinstance(given, list) else [given]) for name, given in answers.items()
        }

    async def call(self, name: str, **parameters: object) -> object:
        answer = next(self.answers[name])
        if isinstance(answer, Exception):
            raise answer
        return answer


GONE = LocalFault("NODE_UNREACHABLE", found="no node")


async def template(node: MemoryNode, address: str | None = OWN) -> dict[str, object]:
    return dict(await RpcApp(node, frozenset()).call("work_template", {"address": address}))


async def test_a_node_that_goes_away_is_waited_for_and_said_once(
    node: MemoryNode, caplog: pytest.LogCaptureFixture, autojump_clock: object
) -> None:
    form = await template(node)
    genesis = {"genesis": node.chain.genesis.id.hex()}
    client = Answers(work_template=[form, GONE, form], node_info=[GONE, GONE, GONE, genesis])
    caplog.set_level("INFO")
    away = source(node, client)
    first = await away.newest()
    assert first is not None
    assert await away.newest(first.version) is None, "the devices rest"
    again = await away.newest()
    assert again == first
    assert [r.getMessage().split()[0] for r in caplog.records if r.name == "tilework.miner"] == [
        "node-away",
        "node-back",
    ]


async def test_a_node_of_another_network_at_the_same_port_ends_the_miner(
    node: MemoryNode, autojump_clock: object
) -> None:
    client = Answers(work_template=[GONE], node_info=[{"genesis": "ab" * 32}])
    with pytest.raises(Policy) as caught:
        await source(node, client).newest()
    assert caught.value.code == "WORK_NETWORK"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"work_rules": WORK_RULES + 1}, "WORK_RULES"),
        ({"profile_id": 99}, "WORK_PROFILE"),
        ({"target": "0" * 64}, "WORK_TEMPLATE"),
        ({"sigma": "zz"}, "WORK_TEMPLATE"),
        ({"sigma": None}, "WORK_TEMPLATE"),
    ],
)
async def test_work_that_cannot_be_worked_on_is_refused(
    node: MemoryNode, changed: dict[str, object], code: str
) -> None:
    form = await template(node)
    with pytest.raises((Policy, Invalid)) as caught:
        await source(node, Answers(work_template=form | changed)).newest()
    assert caught.value.code == code


async def test_work_for_somebody_else_is_refused(node: MemoryNode) -> None:
    """A node that writes its own address into the header would keep what this miner wins."""
    form = await template(node, None)
    with pytest.raises(Invalid) as caught:
        await source(node, Answers(work_template=form)).newest()
    assert caught.value.code == "WORK_TEMPLATE"


async def test_a_win_is_handed_in_again_where_the_connection_broke(
    node: MemoryNode, autojump_clock: object
) -> None:
    answer = {"outcome": "accepted", "reason": "", "block": "ab" * 32}
    submission = await source(node, Answers(work_submit=[GONE, answer])).submit(1, b"")
    assert submission.outcome is Outcome.ACCEPTED
    with pytest.raises(LocalFault):
        await source(node, Answers(work_submit=[GONE] * 3)).submit(1, b"")


async def test_an_answer_to_a_win_that_makes_no_sense_is_a_refusal(node: MemoryNode) -> None:
    submission = await source(node, Answers(work_submit={"outcome": "perhaps"})).submit(1, b"")
    assert submission.outcome is Outcome.REFUSED
    assert "WORK_SUBMISSION" in submission.reason
