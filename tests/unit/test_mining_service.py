"""How long a worker stays with work that nobody wants any more: one batch of slices, whatever it is doing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import FileIO
from threading import Thread

import pytest

from chain.types import Hash32
from compute import service as service_module
from compute.engines.base import Attempt, Order, Stage
from compute.engines.reference import ReferenceEngine
from compute.messages import (
    LENGTH_BYTES,
    Command,
    Event,
    Load,
    Mine,
    Panel,
    Progress,
    Ready,
    Stop,
    parse_event,
    payload_bytes,
    to_frame,
)
from compute.service import Service
from compute.spec.profiles import TEST
from compute.workbench import Workbench
from tests.unit.test_work_workbench import JOB

MINE = Mine(1, b"first", 1, TEST.profile_id, bytes(32))
A, B = (Load(Hash32(name * 32), 16, 64, bytes(16 * 64)) for name in (b"a", b"b"))
ROWS = Panel(1, b"first", 1, TEST.profile_id, JOB, 0, A.matrix, 0, 16, B.matrix)
ENDLESS = 1 << 20


class EndlessEngine(ReferenceEngine):
    """Reports a batch of slices again and again; `batch` is called before each."""

    def __init__(self, batch: Callable[[int], None]) -> None:
        self.batch = batch
        self.batches: list[int] = []
        """Batches begun, per attempt."""
        self.endless = True

    def run(self, order: Order) -> Attempt:
        self.batches.append(0)
        for number in range(ENDLESS if self.endless else 1):
            self.batch(number)
            self.batches[-1] += 1
            order.progress(Stage.PRODUCT)
        return super().run(order)


@dataclass
class Pipes:
    """A service on a thread, spoken to as a parent process speaks."""

    service: Service
    commands: FileIO
    events: FileIO
    thread: Thread

    def send(self, *commands: Command) -> None:
        for command in commands:
            self.commands.write(to_frame(command))

    def queue(self, command: Command, *, waiting: int = 1) -> None:
        """Send a command and return once so many wait in the service."""
        self.send(command)
        while self.service._inbox.qsize() < waiting:
            pass

    def receive(self) -> Event:
        size = payload_bytes(self.events.read(LENGTH_BYTES))
        return parse_event(self.events.read(size))

    def ended(self) -> bool:
        self.thread.join(10)
        return not self.thread.is_alive()


@contextmanager
def served(engine: EndlessEngine) -> Iterator[Pipes]:
    ends = [os.pipe(), os.pipe()]
    files = [FileIO(number, mode) for pair in ends for number, mode in zip(pair, ("rb", "wb"), strict=True)]
    source, commands, events, sink = files
    service = Service(Workbench(engine), source, sink)
    thread = Thread(target=service.run, args=("endless",), daemon=True)
    thread.start()
    pipes = Pipes(service, commands, events, thread)
    assert isinstance(pipes.receive(), Ready)
    yield pipes
    assert pipes.ended()
    for file in files:
        file.close()


def at_batch(number: int, act: Callable[[], None]) -> Callable[[int], None]:
    """Something that happens during one batch."""
    return lambda batch: act() if batch == number else None


def test_new_work_ends_the_attempt_under_way_within_one_batch() -> None:
    engine = EndlessEngine(lambda _: None)
    with served(engine) as pipes:

        def renew() -> None:
            is_first = len(engine.batches) == 1
            pipes.queue(replace(MINE, template=2, sigma=b"second") if is_first else Stop())

        engine.batch = at_batch(3, renew)
        pipes.send(MINE)
    assert engine.batches == [4, 4], "the batch in which the order came is the last"


def test_a_patient_order_lets_the_attempt_finish() -> None:
    engine = EndlessEngine(lambda _: None)
    with served(engine) as pipes:

        def batch(number: int) -> None:
            if number == 3:
                pipes.queue(replace(MINE, template=2, patient=1))
            if number == 9:
                pipes.queue(Stop(), waiting=2)

        engine.batch = batch
        pipes.send(MINE)
    assert engine.batches == [10], "the patient order did not end it, the stop behind it did"


def test_stop_ends_a_panel_within_one_batch() -> None:
    engine = EndlessEngine(lambda _: None)
    with served(engine) as pipes:
        engine.batch = at_batch(5, lambda: pipes.queue(Stop()))
        pipes.send(A, B, ROWS)
    assert engine.batches == [6]


def test_other_orders_wait_for_a_panel() -> None:
    """Somebody pays for it: only the end of the worker ends it early."""
    engine = EndlessEngine(lambda _: None)
    with served(engine) as pipes:
        engine.endless = False
        engine.batch = at_batch(0, lambda: pipes.queue(MINE))
        pipes.send(A, B, ROWS)
        assert type(pipes.receive()).__name__ == "PanelDone"
        pipes.send(Stop())
    assert engine.batches[0] == 1


def test_a_long_attempt_shows_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "HEARTBEAT_MS", 0)
    engine = EndlessEngine(lambda _: None)
    with served(engine) as pipes:
        engine.batch = at_batch(3, lambda: pipes.queue(Stop()))
        pipes.send(replace(MINE, template=9))
        assert pipes.receive() == Progress(template=9, attempts=0, macs=0, tickets=0, busy_ms=0)
