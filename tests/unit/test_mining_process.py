"""Real worker processes whose engines fail: what the slot makes of them, and which device each of them may see."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import pytest
import trio

from chain.errors import Invalid, LocalFault
from chain.types import NO_JOB, Hash32
from compute.messages import (
    LENGTH_BYTES,
    Failed,
    Load,
    Trying,
    frame_parts,
    parse_command,
    parse_event,
    to_frame,
)
from compute.spec.profiles import TEST
from node.mining.devices import Device
from node.mining.slot import Slot
from node.ports import WallClock
from node.worker_process import WorkerProcess, worker_processes

ROOT = Path(__file__).resolve().parents[2]
BROKEN_ENGINES = """
import os
import compute.engines.select as select
from chain.errors import Invalid, LocalFault
from compute.engines.base import Capabilities
from compute.engines.reference import ReferenceEngine

class Crashing(ReferenceEngine):
    name = "crashing"
    def run(self, order):
        os.abort()

class Wrong(ReferenceEngine):
    name = "wrong"
    def run(self, order):
        attempt = super().run(order)
        attempt.product[0, 0] += 1
        return attempt

class Absent(ReferenceEngine):
    name = "absent"
    def probe(self):
        return Capabilities(usable=False, detail="no such library", hint="Install it.")

select.ENGINES.clear()
select.ENGINES.update({each.name: each for each in (Crashing, Wrong, Absent, ReferenceEngine)})
select.ENGINE_NAMES = ("auto", *select.ENGINES)
"""


@pytest.fixture
def broken_engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers find a machine on which the two fastest engines are broken and the third is not installed."""
    (tmp_path / "sitecustomize.py").write_text(BROKEN_ENGINES)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), str(ROOT))))


class BrokenCpu(Device):
    """A CPU on which the broken engines belong."""

    def engines(self, name: str, failed: frozenset[str] = frozenset()) -> tuple[str, ...]:
        return tuple(each for each in ("crashing", "wrong", "absent", "reference") if each not in failed)


async def test_processes_that_crash_and_lie_give_way_to_one_that_works(
    broken_engines: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    slot = Slot(
        BrokenCpu("cpu"),
        "auto",
        TEST.profile_id,
        worker_processes(TEST.profile_id),
        WallClock(),
        lambda *_: None,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(slot.run)
        with trio.fail_after(30):
            while not slot.rate:
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    crashed, lied, ready = (record.getMessage() for record in caplog.records)
    assert crashed.startswith("engine-failed device=cpu engine=crashing why=WORKER_LOST")
    assert "signal SIGABRT" in crashed
    assert crashed.endswith("next=wrong")
    assert lied.startswith("engine-failed device=cpu engine=wrong why=WORK_SELF_TEST")
    assert lied.endswith("next=absent")
    assert ready.startswith("worker-ready device=cpu engine=reference")
    assert ready.endswith("; not absent: no such library")


async def test_without_any_engine_the_worker_says_why_not(broken_engines: None) -> None:
    worker = WorkerProcess("auto", TEST.profile_id, excluded={"crashing", "wrong", "reference"})
    with pytest.raises(LocalFault) as caught:
        await worker.start()
    assert caught.value.code == "WORK_ENGINE_UNUSABLE"
    assert "no such library" in str(caught.value)
    assert worker.engine == "absent"


async def test_a_worker_that_cannot_be_started_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(ROOT / "no-such-program"))
    with pytest.raises(LocalFault) as caught:
        await WorkerProcess("auto", TEST.profile_id).start()
    assert caught.value.code == "WORKER_START"


@pytest.mark.parametrize("said", [b"Hello!\n", bytes(8), b"\0\0\0\1?"], ids=["text", "nothing", "no event"])
async def test_a_worker_that_talks_nonsense_is_a_fault(said: bytes) -> None:
    """A library that prints to standard output must not take the node with it."""
    worker = WorkerProcess("auto", TEST.profile_id)
    worker._command = [sys.executable, "-c", f"import os; os.write(1, {said!r}); os.read(0, 1)"]
    with pytest.raises(LocalFault) as caught:
        await worker.start()
    await worker.stop()
    assert caught.value.code == "WORKER_LOST"


@pytest.mark.parametrize("device", [Device("cpu"), Device("gpu-1", "GPU-5d0c")])
def test_a_worker_sees_its_own_device_and_not_the_engines_of_the_other_kind(device: Device) -> None:
    worker = worker_processes(TEST.profile_id)(device, "auto", device.foreign_engines)
    assert isinstance(worker, WorkerProcess)
    assert worker._environment["CUDA_VISIBLE_DEVICES"] == device.visible_as
    excluded = [
        after
        for flag, after in zip(worker._command, worker._command[1:], strict=False)
        if flag == "--exclude"
    ]
    assert excluded == sorted(device.foreign_engines)
    assert ("numpy" in excluded) is device.is_gpu


@pytest.mark.parametrize("size", [1, 255, 256, 65_535, 65_536, 100_000])
def test_a_matrix_travels_uncopied_and_canonical(size: int) -> None:
    load = Load(Hash32(b"m" * 32), 1, size, bytes(size))
    head, tail = frame_parts(load)
    assert tail is load.data
    assert head + tail == to_frame(load)
    payload = to_frame(load)[LENGTH_BYTES:]
    assert payload[1:] == load.to_bytes()
    assert parse_command(payload) == load


def test_an_empty_payload_is_no_message() -> None:
    for parse in (parse_command, parse_event):
        with pytest.raises(Invalid) as caught:
            parse(b"")
        assert caught.value.code == "WORKER_KIND"


def test_what_comes_before_ready_travels() -> None:
    for event in (Trying("numpy"), Failed("CODE", "text", NO_JOB)):
        assert parse_event(to_frame(event)[LENGTH_BYTES:]) == event
