"""The worker as a real process: orders over its pipes, clean exits.  Spec: [POW-WORKER-*]."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chain.types import NO_JOB, Hash32
from compute.messages import (
    LENGTH_BYTES,
    Bench,
    BenchDone,
    Command,
    Event,
    Failed,
    Found,
    Idle,
    Mine,
    PanelDone,
    Progress,
    Ready,
    Stop,
    Trying,
    parse_event,
    payload_bytes,
    to_frame,
)
from compute.spec.certificate import Certificate
from compute.spec.profiles import TEST
from compute.spec.verify import verify_certificate
from tests.unit.test_work_workbench import A_ID, B_ID, JOB, PANEL, loaded
from tests.work_samples import SIGMA, random_matrix

ROOT = Path(__file__).resolve().parents[2]


class Worker:
    """A worker process and its two pipes."""

    def __init__(self, *arguments: str, python_path: Path | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "compute.worker", "--profile", "1", "--nice", "0", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, **({"PYTHONPATH": str(python_path)} if python_path else {})},
        )

    def send(self, *commands: Command) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"".join(map(to_frame, commands)))
        self.process.stdin.flush()

    def receive(self) -> Event:
        assert self.process.stdout is not None
        length = self.process.stdout.read(LENGTH_BYTES)
        assert len(length) == LENGTH_BYTES, "the worker ended its output"
        event = parse_event(self.process.stdout.read(payload_bytes(length)))
        return self.receive() if isinstance(event, Trying) else event

    def receive_other_than(self, *kinds: type[Event]) -> Event:
        while isinstance(event := self.receive(), kinds):
            pass
        return event

    def close(self) -> tuple[int, bytes, bytes]:
        """End of input: exit status, what was left on its output, and its errors."""
        left, errors = self.process.communicate(timeout=20)
        return self.process.returncode, left, errors


@pytest.fixture
def worker() -> Iterator[Worker]:
    started = Worker("--engine", "numpy")
    yield started
    if started.process.poll() is None:
        started.process.kill()
        started.close()


def test_orders_are_served_while_idle_attempts_go_on(worker: Worker) -> None:
    ready = worker.receive()
    assert isinstance(ready, Ready)
    assert ready.engine == "numpy"

    worker.send(Mine(7, SIGMA, TEST.max_target, TEST.profile_id, bytes(32)))
    found = worker.receive()
    assert isinstance(found, Found)
    certificate = Certificate.from_bytes(found.certificate)
    assert verify_certificate(SIGMA, TEST.max_target, certificate, TEST) == found.ticket
    assert found.template == 7

    # An unreachable target ends the finds of the old template; after what was under way, none comes.
    worker.send(Mine(8, SIGMA, 1, TEST.profile_id, bytes(32)))
    progress = worker.receive_other_than(Found)
    assert isinstance(progress, Progress)
    assert progress.attempts > 0
    assert progress.macs == progress.attempts * 64**3
    assert progress.tickets == progress.attempts * 16
    assert 0 < progress.busy_ms < 60_000

    worker.send(loaded(A_ID, random_matrix(100, 70, 1)), loaded(B_ID, random_matrix(40, 70, 2)))
    worker.send(replace(PANEL, target=1), replace(PANEL, row_start=90))
    done = worker.receive_other_than(Progress, Found)
    assert isinstance(done, PanelDone)
    expected = random_matrix(100, 70, 1)[10:60].astype(int) @ random_matrix(40, 70, 2).T.astype(int)
    assert np.array_equal(np.frombuffer(done.product, "<i4").reshape(50, 40), expected)
    failed = worker.receive_other_than(Progress)
    assert isinstance(failed, Failed)
    assert (failed.code, failed.job) == ("WORK_SHAPE", JOB)

    worker.send(Idle(), Bench(profile_id=TEST.profile_id, duration_ms=5))
    rate = worker.receive_other_than(Progress)
    assert isinstance(rate, BenchDone)
    assert rate.macs_per_second > 0

    worker.send(Stop())
    status, left, errors = worker.close()
    assert (status, errors) == (0, b"")
    assert left == b""


def test_end_of_input_ends_the_worker(worker: Worker) -> None:
    """A worker never outlives its node, however the node died, even in the middle of a standing order."""
    worker.receive()
    worker.send(Mine(1, SIGMA, 1, TEST.profile_id, bytes(32)))
    status, _, errors = worker.close()
    assert (status, errors) == (0, b"")


def test_frame_that_is_no_command_ends_the_worker_with_a_reason(worker: Worker) -> None:
    worker.receive()
    assert worker.process.stdin is not None
    worker.process.stdin.write(b"\x00\x00\x00\x02\xff\x90")
    worker.process.stdin.flush()
    failed = worker.receive()
    assert isinstance(failed, Failed)
    assert (failed.code, failed.job) == ("WORKER_KIND", NO_JOB)
    assert worker.close()[0] == 1


def test_missing_matrix_is_refused_and_the_worker_goes_on(worker: Worker) -> None:
    worker.receive()
    worker.send(replace(PANEL, a=Hash32(b"?" * 32)), Bench(profile_id=TEST.profile_id, duration_ms=1))
    failed, rate = worker.receive(), worker.receive()
    assert isinstance(failed, Failed)
    assert (failed.code, failed.job) == ("WORK_MATRIX", JOB)
    assert isinstance(rate, BenchDone)


def test_engine_that_is_not_there_is_reported() -> None:
    """Run where no GPU is; with one, the worker is simply ready."""
    worker = Worker("--engine", "cupy")
    event = worker.receive()
    status, _, errors = worker.close()
    if isinstance(event, Ready):
        pytest.skip("this machine has a GPU")
    assert isinstance(event, Failed)
    assert event.code == "WORK_ENGINE_UNUSABLE"
    assert status == 2
    assert b"--engine auto" in errors


def test_what_libraries_print_stays_out_of_the_events(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit\natexit.register(print, 'a library says goodbye')\n"
    )
    worker = Worker("--engine", "numpy", python_path=tmp_path)
    worker.receive()
    status, left, errors = worker.close()
    assert (status, left) == (0, b"")
    assert b"a library says goodbye" in errors
