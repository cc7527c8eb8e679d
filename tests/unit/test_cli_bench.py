"""`tilework bench work`: the same measurement for every engine, of right products only."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chain.errors import LocalFault, Policy
from compute.bench import certificate_cost, practice_certificate
from compute.blas_threads import BLAS_VARIABLES, use_one_blas_thread
from compute.engines import base, measure, select
from compute.engines.base import Attempt, Engine, Order, Stage
from compute.engines.measure import LOTTERY, StageClock
from compute.engines.numpy_blocks import NumpyEngine
from compute.engines.reference import ReferenceEngine
from compute.spec.profiles import DEV, TEST
from tests.bench import bench_work
from tests.unit.cli_runner import Tilework

SMALL = ("bench", "work", "--profile", "test", "--sizes", "64,40x33x65", "--rounds", "2")


@pytest.fixture
def tilework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tilework:
    return Tilework(tmp_path, monkeypatch)


def test_the_table(tilework: Tilework) -> None:
    lines = tilework.ok(*SMALL, "--engine", "numpy", "--stages").splitlines()
    assert lines[0] == "profile test: r = 16, t = 16, S = 64"
    assert " ".join(lines[1].split()) == (
        "engine m x n x k plain ms attempt ms ratio GMAC/s tickets/s certificate verify ms"
    )
    assert lines[2].split()[:2] == ["numpy", "64x64x64"]
    assert lines[3].startswith("  commitment ")
    assert "; noise + commitment + tickets " in lines[3]
    assert lines[4].split()[:2] == ["numpy", "48x48x128"]
    assert len({len(lines[at]) for at in (1, 2, 4)}) == 1


def test_json(tilework: Tilework) -> None:
    form = tilework(*SMALL, "--engine", "numpy", "--json").json
    assert (form["profile"], form["rounds"], form["skipped"]) == ("test", 2, {})
    row = form["rows"][0]
    assert (row["engine"], row["m"], row["n"], row["k"], row["tickets"]) == ("numpy", 64, 64, 64, 16)
    assert row["ratio"] == round(row["attempt_ns"] / row["plain_ns"], 3)
    assert row["macs_per_second"] == 64**3 * 10**9 // row["attempt_ns"]
    assert row["certificate_bytes"] == certificate_cost(TEST, (64, 64, 64)).size_bytes
    assert set(row["stages_ns"]) == {stage.value for stage in Stage}


def test_all_leaves_the_reference_out_and_says_what_cannot_run(
    tilework: Tilework, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Absent(NumpyEngine):
        name = "absent"

        def probe(self) -> base.Capabilities:
            return base.Capabilities(usable=False, detail="no such device", hint="Buy one.")

    engines = {"absent": Absent, "numpy": NumpyEngine, "reference": ReferenceEngine}
    monkeypatch.setattr(select, "ENGINES", engines)
    monkeypatch.setattr(select, "ENGINE_NAMES", ("auto", *engines))
    form = tilework(*SMALL, "--json").json
    assert {row["engine"] for row in form["rows"]} == {"numpy"}
    assert form["skipped"] == {"absent": "no such device"}
    assert "absent: not measured: no such device\n" in tilework.ok(*SMALL)
    assert {row["engine"] for row in tilework(*SMALL, "--engine", "reference", "--json").json["rows"]} == {
        "reference"
    }
    assert "no such device. Buy one." in tilework.refused(5, *SMALL, "--engine", "absent")


@pytest.mark.parametrize(
    ("code", "arguments", "words"),
    [
        (2, ("--sizes", "0"), "'0' is neither an edge such as 1024 nor a shape"),
        (2, ("--sizes", "12,fast"), "'fast' is neither an edge"),
        (2, ("--sizes", "1x2"), "'1x2' is neither an edge"),
        (2, ("--sizes", "²"), "is neither an edge"),
        (2, ("--sizes", "9" * 5000), "is neither an edge"),
        (2, ("--profile", "fast"), "'fast' is none of test, dev, cpu, gpu."),
        (2, ("--rounds", "0"), "rounds"),
        (1, ("--sizes", "2048"), "WORK_SHAPE: found m = 2048, allowed multiples of 16 up to 1024"),
        (1, ("--engine", "abacus"), "WORK_ENGINE_NAME: found abacus"),
    ],
)
def test_refusals(tilework: Tilework, code: int, arguments: tuple[str, ...], words: str) -> None:
    ran = tilework(*SMALL, *arguments)
    assert ran.code == code
    assert words in ran.err


class Counting(ReferenceEngine):
    """An engine whose clock advances by one unit of work per call, so that figures are exact."""

    name = "counting"

    def __init__(self) -> None:
        self.now_ns = 0

    def clock_ns(self) -> int:
        return self.now_ns

    def plain(self, *given: Any) -> Any:
        self.now_ns += 100
        return super().plain(*given)

    def prepare_b(self, *given: Any, **options: Any) -> Any:
        self.now_ns += 30
        return super().prepare_b(*given, **options)

    def run(self, order: Order) -> Attempt:
        self.now_ns += 150 if order.output is base.Output.PRODUCT else 120
        return super().run(order)


def test_what_the_figures_mean() -> None:
    row = Counting().bench(TEST, (30, 16, 64), rounds=3)
    assert (row.m, row.n, row.k, row.tickets, row.rounds) == (32, 16, 64, 2, 3)
    assert (row.plain_ns, row.attempt_ns, row.product_ns, row.tickets_only_ns) == (100, 180, 150, 120)
    assert row.ratio == 1.8
    assert row.tickets_per_second == 2 * 10**9 // 180
    assert row.stage_ns == dict.fromkeys(Stage, 0) | {Stage.COMMIT: 30, Stage.PRODUCT: 150}
    assert row.lottery_share == 30 / 180
    assert LOTTERY == (Stage.COMMIT, Stage.NOISE, Stage.HASH)


def test_engines_are_measured_in_turns() -> None:
    turns: list[str] = []

    class Telling(Counting):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.label = name

        def plain(self, *given: Any) -> Any:
            turns.append(self.label)
            return super().plain(*given)

    measure.measure([Telling("x"), Telling("y")], TEST, (16, 16, 64), 2)
    assert turns[2:] == ["x", "y", "x", "y"]  # after one warm-up of each


def test_a_wrong_product_has_no_speed() -> None:
    class Wrong(ReferenceEngine):
        def plain(self, *given: Any) -> Any:
            return super().plain(*given) + 1

    with pytest.raises(LocalFault) as caught:
        Wrong().bench(TEST, (16, 16, 64), 1)
    assert caught.value.code == "WORK_PRODUCT"


def test_what_does_not_fit_is_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = NumpyEngine()
    monkeypatch.setattr(NumpyEngine, "memory_free", lambda _: 1000)
    monkeypatch.setattr(measure, "seeded_entries", lambda *_: pytest.fail("something was allocated"))
    with pytest.raises(Policy) as caught:
        engine.bench(DEV, (16_384, 16_384, 16_384), 1)
    assert caught.value.code == "WORK_MEMORY"


def test_stages_add_up() -> None:
    now = 0

    def clock_ns() -> int:
        return now

    clock = StageClock(clock_ns)
    for stage, passed in ((Stage.COMMIT, 5), (Stage.PRODUCT, 7), (Stage.PRODUCT, 8), (Stage.HASH, 1)):
        now += passed
        clock(stage)
    assert clock.taken_ns == {Stage.COMMIT: 5, Stage.PRODUCT: 15, Stage.HASH: 1}


def test_a_practice_certificate_wins_and_is_as_long_as_its_shape_says() -> None:
    small, large = (practice_certificate(TEST, (edge, edge, edge)) for edge in (128, 256))
    assert (len(small.path_a), len(large.path_a)) == (4, 6)
    assert certificate_cost(TEST, (128, 128, 128)).verify_ns > 0


def test_a_product_of_too_few_cubes_may_have_no_winner() -> None:
    with pytest.raises(LocalFault) as caught:
        practice_certificate(TEST, (1, 1, 1))  # its one ticket does not win
    assert caught.value.code == "WORK_PRACTICE"


def test_the_benchmark_prints_every_target(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr("sys.argv", ["bench_work", "--sizes", "64", "--rounds", "1"])
    monkeypatch.setattr(bench_work, "usable", lambda engines, profile: _small(engines, profile))
    monkeypatch.setattr(bench_work, "CPU", TEST)
    bench_work.main()
    out = capsys.readouterr().out
    assert "verify one certificate, t = 16, S = 4096" in out
    assert "with B prepared once" in out
    assert "Freivalds' check of a product of 64" in out
    assert "GPU targets: not measured" in out


def _small(engines: Any, profile: Any) -> list[Engine]:
    return [NumpyEngine()] if NumpyEngine in engines else []


def test_the_targets_of_each_size() -> None:
    row = ReferenceEngine().bench(TEST, (16, 16, 64), 1)
    rows = {"numpy": row, "numba": row}
    named = [[target.what for target in bench_work.cpu_targets(size, rows)] for size in (1024, 2048, 4096)]
    assert [len(names) for names in named] == [1, 2, 5]
    bounds = {target.what: target.bound for target in bench_work.cpu_targets(4096, rows)}
    assert list(bounds.values()) == [1.65, 8, 1.45, 15, 1]
    assert [target.bound for target in bench_work.gpu_targets(row)] == [1.15, 1.25]
    assert "MISSED" in bench_work.Target("x", 2, 1).line()
    assert "MISSED" not in bench_work.Target("x", 1, 1).line()


def test_the_plain_product_is_what_it_is_compared_with() -> None:
    engine, a = NumpyEngine(), np.full((16, 64), 63, np.int8)
    assert np.array_equal(engine.plain(a, a), np.full((16, 16), 63 * 63 * 64))


def test_one_blas_thread_unless_somebody_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in BLAS_VARIABLES:
        monkeypatch.setenv(name, "")  # so that it is put back even if it was not there
        monkeypatch.delenv(name)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    use_one_blas_thread()
    assert [os.environ[name] for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")] == [
        "1",
        "3",
        "1",
    ]


@pytest.mark.parametrize("module", ["node.cli.bench", "node.cli.work_multiply"])
def test_numpy_is_loaded_after_the_number_of_threads_is_set(module: str) -> None:
    code = f"import sys, {module}; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
