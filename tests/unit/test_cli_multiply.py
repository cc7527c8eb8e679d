"""`tilework work multiply`: a file's product, exact, with and without a node to mine for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chain.bech32m import encode_address
from chain.errors import Invalid, LocalFault, Policy
from compute import api
from compute.engines.base import Attempt, Order
from compute.engines.numpy_blocks import NumpyEngine
from compute.spec.profiles import CPU, PROFILES
from node.cli import work_multiply
from node.mining.work import WORK_RULES, Outcome, Submission
from node.mining.work_forms import parse_submission, parse_work
from node.template_feed import TemplateFeed, template_of
from tests import mining
from tests.unit.cli_runner import Tilework
from tests.unit.rpc_node import BOB, OPERATOR, PREFIX, MemoryNode, served

RANDOM = np.random.default_rng(5)
A = RANDOM.integers(-63, 64, (700, 90))
B = RANDOM.integers(-63, 64, (90, 100))
MULTIPLY = ("work", "multiply", "--a", "A.npy", "--b", "B.npy", "--out", "C.npy", "--engine", "numpy")


@pytest.fixture
def tilework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tilework:
    program = Tilework(tmp_path, monkeypatch)
    np.save("A.npy", A)
    np.save("B.npy", B)
    return program


@pytest.fixture
def node(tmp_path: Path) -> MemoryNode:
    return MemoryNode(tmp_path / "node")


@pytest.fixture
def url(node: MemoryNode) -> Iterator[str]:
    with served(node) as address:
        yield address


def right() -> bool:
    return np.load("C.npy").dtype == np.int32 and np.array_equal(np.load("C.npy"), A @ B)


def test_a_product_without_a_node(tilework: Tilework) -> None:
    lines = tilework.ok(*MULTIPLY, "--offline").splitlines()
    assert right()
    assert lines[0] == "wrote C.npy: int32, 700x100, every row checked"
    assert "6.3 MMAC on engine numpy" in lines[1]
    assert lines[2].startswith("rate     ")
    assert lines[3] == "tickets  22 drawn for no node: nothing to win"


def test_where_no_node_answers_the_product_is_made_all_the_same(tilework: Tilework, monkeypatch: Any) -> None:
    monkeypatch.setattr("node.cli.context.DEFAULT_URL", "http://127.0.0.1:1")
    ran = tilework(*MULTIPLY)
    assert ran.code == 0
    assert right()
    assert ran.err.startswith(
        "multiplying without mining: NODE_UNREACHABLE: found no node at http://127.0.0.1:1"
    )
    assert "nothing to win" in ran.out


def test_a_node_that_was_named_must_answer(tilework: Tilework) -> None:
    assert "NODE_UNREACHABLE" in tilework.refused(3, *MULTIPLY, "--rpc", "http://127.0.0.1:1")
    assert "NODE_UNREACHABLE" in tilework.refused(3, "--rpc", "http://127.0.0.1:1", *MULTIPLY)
    assert not Path("C.npy").exists()


def test_wins_become_blocks_of_the_one_who_was_named(tilework: Tilework, node: MemoryNode, url: str) -> None:
    form = tilework(*MULTIPLY, "--rpc", url, "--address", "bob", "--json").json
    assert right()
    assert (form["m"], form["n"], form["k"], form["engine"], form["profile"]) == (
        700,
        100,
        90,
        "numpy",
        "test",
    )
    assert form["node"] == url
    assert form["macs"] == 700 * 100 * 90
    assert form["tickets"] >= 44 * 7 * 2
    won = [win for win in form["wins"] if win["block"]]
    assert won
    assert [block.id.hex() for block in node.announced] == [win["block"] for win in won]
    assert {block.header.miner for block in node.announced} == {BOB.address}
    assert node.chain.head.height == won[-1]["height"]
    assert form["templates"] > 1


def test_the_story_of_a_win_for_people(tilework: Tilework, node: MemoryNode, url: str) -> None:
    out = tilework.ok(*MULTIPLY, "--rpc", url)
    assert right()
    assert node.announced[0].header.miner == OPERATOR.address
    assert f"win      block 1 {node.announced[0].id.hex()}" in out
    assert f" of {url}, " in out


def test_a_lost_race_is_told(tilework: Tilework, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TemplateFeed, "submit", lambda *_: Submission(Outcome.STALE))
    assert "lost     block 1: stale" in tilework.ok(*MULTIPLY, "--rpc", url)
    refused = Submission(Outcome.REFUSED, "WORK_TARGET: found much")
    monkeypatch.setattr(TemplateFeed, "submit", lambda *_: refused)
    assert "lost     block 1: WORK_TARGET: found much" in tilework.ok(*MULTIPLY, "--rpc", url)
    assert right()


def test_a_node_that_goes_away_costs_the_win_and_not_the_product(
    tilework: Tilework, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> Submission:
        raise LocalFault("NODE_UNREACHABLE", found="no node")

    monkeypatch.setattr(TemplateFeed, "submit", gone)
    assert "lost     block 1: NODE_UNREACHABLE: found no node" in tilework.ok(*MULTIPLY, "--rpc", url)
    assert right()


@pytest.mark.parametrize(
    ("code", "arguments", "words"),
    [
        (1, ("--a", "none.npy"), "FILE: found no file none.npy"),
        (1, ("--b", "float.npy"), "MATRIX_DTYPE: found float64 in float.npy"),
        (1, ("--b", "A.npy"), "MATRIX_SHAPES: found A 700x90 and B 700x90"),
        (1, ("--b", "deep.npy"), "MATRIX_RANGE: found 64 at row 0, column 0 of deep.npy"),
        (1, ("--engine", "abacus"), "WORK_ENGINE_NAME: found abacus"),
        (5, ("--out", "nowhere/C.npy"), "FILE_WRITE: found nowhere/C.npy: cannot write in nowhere"),
        (5, ("--out", "keys"), "FILE_WRITE: found keys: is a directory"),
    ],
)
def test_refusals_leave_nothing_behind(
    tilework: Tilework, code: int, arguments: tuple[str, ...], words: str
) -> None:
    np.save("float.npy", np.ones((90, 4)))
    np.save("deep.npy", np.full((90, 4), 64))
    before = sorted(Path().iterdir())
    assert words in tilework.refused(code, *MULTIPLY, "--offline", *arguments)
    assert sorted(Path().iterdir()) == before


def test_a_wrong_product_is_not_written(tilework: Tilework, monkeypatch: pytest.MonkeyPatch) -> None:
    original = NumpyEngine.run

    def run(self: NumpyEngine, order: Order) -> Attempt:
        attempt = original(self, order)
        assert attempt.product is not None
        attempt.product[-1, -1] += 1
        return attempt

    monkeypatch.setattr(api, "_engines", {("numpy", CPU.profile_id): NumpyEngine()})
    monkeypatch.setattr(NumpyEngine, "run", run)
    line = tilework.refused(5, *MULTIPLY, "--offline")
    assert "WORK_PRODUCT: found a wrong row, number 699" in line
    assert not Path("C.npy").exists()


def test_two_wishes_that_exclude_each_other(tilework: Tilework) -> None:
    ran = tilework(*MULTIPLY, "--offline", "--rpc", "http://127.0.0.1:1")
    assert ran.code == 2
    assert "--offline and --rpc exclude each other" in ran.err


def test_panels_follow_the_block_time() -> None:
    class Work:
        rows_done = 0
        columns = depth = rows = 1000

    report = work_multiply._Report(Work(), None)  # type: ignore[arg-type]
    assert report.panel_rows(2000) == work_multiply.LEAST_PANEL_ROWS
    report.work.rows_done, report.time_ns = 256, 100_000_000
    assert report.panel_rows(2000) == 256 * 5  # a quarter of two seconds at 256 rows in a tenth
    report.work.rows_done, report.time_ns = 2560, 100_000_000
    assert report.panel_rows(2000) == 256 * 5


HEADER = mining.Node(mining.SPEC, miner=4).template().header
MINER = encode_address(PREFIX, HEADER.miner)
FORM = {
    "version": 7,
    "sigma": HEADER.sigma().hex(),
    "target": f"{HEADER.target:064x}",
    "profile_id": 1,
    "height": HEADER.height,
    "parent": HEADER.parent.hex(),
    "block_time_ms": 2000,
    "work_rules": WORK_RULES,
}


class ScriptedNode:
    """Answers `work_template` from a list, then waits until it is closed."""

    def __init__(self, answers: list[Any]) -> None:
        self.answers = answers
        self.asked: list[dict[str, Any]] = []
        self.closed = threading.Event()

    def __call__(self, url: str) -> ScriptedNode:
        return self

    def call(self, name: str, **parameters: Any) -> Any:
        self.asked.append(parameters)
        if not self.answers:
            self.closed.wait(20)
            raise LocalFault("NODE_UNREACHABLE")
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self.closed.set()


def test_a_feed_follows_the_versions() -> None:
    node = ScriptedNode([FORM, FORM | {"version": 8}, FORM | {"version": 9}])
    with TemplateFeed("http://node", MINER, client=node) as feed:
        feed.wait_beyond(7, 20)
        feed.wait_beyond(8, 20)
        assert feed.newest().version == 9
        assert template_of(feed.newest()).target == HEADER.target
        assert feed.fault is None
    assert [asked.get("after") for asked in node.asked[:3]] == [None, 7, 8]
    assert {asked["address"] for asked in node.asked} == {MINER}


def test_a_feed_keeps_the_last_template_while_the_node_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.template_feed._RETRY_S", 0.0)
    away = LocalFault("NODE_UNREACHABLE", found="no node")
    with TemplateFeed("http://node", client=ScriptedNode([FORM, away, away, FORM | {"version": 8}])) as feed:
        feed.wait_beyond(7, 20)
        assert feed.newest().version == 8
        assert feed.fault is None


def test_a_feed_without_a_first_template_does_not_open() -> None:
    node = ScriptedNode([Policy("SYNCING")])
    with pytest.raises(Policy), TemplateFeed("http://node", client=node):
        pass
    assert node.closed.is_set()


def test_a_feed_takes_no_template_that_pays_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.template_feed._RETRY_S", 0.0)
    bob = encode_address(PREFIX, BOB.address)
    with (
        pytest.raises(Invalid, match="WORK_TEMPLATE"),
        TemplateFeed("http://node", bob, ScriptedNode([FORM])),
    ):
        pass
    other = replace(HEADER, miner=BOB.address).sigma().hex()
    node = ScriptedNode([FORM, FORM | {"version": 8, "sigma": other}, FORM | {"version": 9}])
    with TemplateFeed("http://node", MINER, client=node) as feed:
        feed.wait_beyond(7, 20)
        assert feed.newest().version == 9


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"sigma": "no hex"}, "WORK_TEMPLATE"),
        ({"sigma": "00" * 3000}, "WORK_TEMPLATE"),
        ({"target": "00" * 32}, "WORK_TEMPLATE"),
        ({"target": f"{HEADER.target - 1:064x}"}, "WORK_TEMPLATE"),
        ({"target": None}, "WORK_TEMPLATE"),
        ({"version": "7"}, "WORK_TEMPLATE"),
        ({"version": -1}, "WORK_TEMPLATE"),
        ({"version": 1 << 63}, "WORK_TEMPLATE"),
        ({"block_time_ms": None}, "WORK_TEMPLATE"),
        ({"profile_id": []}, "WORK_TEMPLATE"),
        ({"profile_id": 99}, "WORK_PROFILE"),
        ({"work_rules": WORK_RULES + 1}, "WORK_RULES"),
    ],
)
def test_answers_that_are_no_work(changed: dict[str, Any], code: str) -> None:
    with pytest.raises((Invalid, Policy)) as caught:
        parse_work(FORM | changed, MINER)
    assert caught.value.code == code


def test_a_target_that_the_profile_does_not_allow_is_no_work() -> None:
    """Also where the header says the same."""
    for target in (0, PROFILES[1].max_target + 1):
        sigma = replace(HEADER, target=target).sigma().hex()
        with pytest.raises(Invalid, match="WORK_TEMPLATE"):
            parse_work(FORM | {"sigma": sigma, "target": f"{target:064x}"}, None)


@pytest.mark.parametrize("form", [None, [], "text", 7, {}])
def test_answers_that_are_nothing(form: Any) -> None:
    with pytest.raises(Invalid, match="WORK_TEMPLATE"):
        parse_work(form, None)
    with pytest.raises(Invalid, match="WORK_SUBMISSION"):
        parse_submission(form)


def test_height_and_parent_are_what_the_header_says() -> None:
    work = parse_work(FORM | {"height": 99, "parent": "ab" * 32}, None)
    assert (work.height, work.parent) == (HEADER.height, HEADER.parent)


def test_the_address_is_spelled_for_the_network(
    tilework: Tilework, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    original = TemplateFeed.__init__
    monkeypatch.setattr(
        TemplateFeed, "__init__", lambda self, *given: asked.append(given) or original(self, *given)
    )
    tilework.ok(*MULTIPLY, "--rpc", url, "--address", "bob")
    assert asked == [(url, encode_address(PREFIX, BOB.address))]
