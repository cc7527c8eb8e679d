"""The loop of a worker process: commands in, attempts, events out.  Spec: [POW-WORKER-*].

A reader thread puts commands into a queue of fixed capacity, so a parent that sends too much is slowed by its pipe.
Any command but a patient `Mine` ends a running idle attempt within one batch of slices, `Stop` any attempt: a stale
header is never worked on for longer than that.
"""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass
from io import FileIO

from chain.errors import Invalid, LocalFault, TileworkError
from chain.types import NO_JOB
from compute.bench import measure_rate
from compute.engines.base import Stage, Withdrawn
from compute.messages import (
    LENGTH_BYTES,
    MAX_TEXT_BYTES,
    Bench,
    BenchDone,
    Command,
    Drop,
    Event,
    Failed,
    Idle,
    Load,
    Mine,
    Panel,
    Progress,
    Ready,
    Stop,
    parse_command,
    payload_bytes,
    to_frame,
)
from compute.workbench import Workbench, profile_of

QUEUE_CAPACITY = 16
PROGRESS_INTERVAL_MS = 1000
HEARTBEAT_MS = 5000
"""During a long attempt something is said at least this often, as far as the engine reports its progress."""
_READ_BYTES = 1 << 20


class Service:
    """One workbench between two pipes; `run` returns the exit status."""

    def __init__(self, workbench: Workbench, source: FileIO, sink: FileIO) -> None:
        self._workbench = workbench
        self._source = source
        self._sink = sink
        self._inbox: queue.Queue[Command | Invalid] = queue.Queue(QUEUE_CAPACITY)
        self._stopping = threading.Event()
        self._order: Mine | None = None
        self._attempt_index = 0
        self._tally = _Tally()
        self._said_ns = time.monotonic_ns()

    def run(self, detail: str) -> int:
        """Serve until `Stop`, the end of input, or a fault after which nothing this worker says can be trusted."""
        threading.Thread(target=self._read_commands, name="commands", daemon=True).start()
        self._send(Ready(engine=self._workbench.engine.name, detail=detail[:MAX_TEXT_BYTES]))
        while True:
            command = self._next_command()
            if isinstance(command, Stop):
                return 0
            try:
                if isinstance(command, Invalid):
                    raise command
                if command is None:
                    self._mine()
                else:
                    self._serve(command)
            except Withdrawn:
                continue  # a command waits that made the attempt pointless
            except TileworkError as error:
                job = command.job if isinstance(command, Panel) else NO_JOB
                self._send(Failed(code=error.code, text=str(error)[:MAX_TEXT_BYTES], job=job))
                if isinstance(error, LocalFault) or isinstance(command, Invalid):
                    return 1
                if command is None:
                    self._order = None
            self._report()

    def _next_command(self) -> Command | Invalid | None:
        """The next command; None if there is none and a standing order is to be worked on."""
        try:
            return self._inbox.get(block=self._order is None)
        except queue.Empty:
            return None

    def _serve(self, command: Command) -> None:
        match command:
            case Load():
                self._workbench.load(command)
            case Drop():
                self._workbench.drop(command)
            case Mine():
                self._order = command
            case Idle():
                self._order = None
            case Panel():
                started_ns = time.monotonic_ns()
                self._tally.template = command.template
                found, done = self._workbench.panel(command, self._unless_stopping)
                self._tally.add(done.macs, done.tickets, started_ns)
                if found is not None:
                    self._send(found)
                self._send(done)
            case Bench():
                profile = profile_of(command.profile_id)
                rate = measure_rate(self._workbench.engine, profile, command.duration_ms)
                self._send(BenchDone(profile_id=profile.profile_id, macs_per_second=rate))
            case Stop():
                raise AssertionError("handled by run")

    def _mine(self) -> None:
        assert self._order is not None
        started_ns = time.monotonic_ns()
        self._attempt_index += 1
        self._tally.template = self._order.template
        done = self._workbench.mine(self._order, self._attempt_index, self._unless_commanded)
        self._tally.add(done.macs, done.tickets, started_ns)
        if done.found is not None:
            self._send(done.found)

    def _unless_commanded(self, _: Stage) -> None:
        with self._inbox.mutex:
            waiting = tuple(self._inbox.queue)
        if not all(isinstance(command, Mine) and command.patient for command in waiting):
            raise Withdrawn
        self._show_life()

    def _unless_stopping(self, _: Stage) -> None:
        if self._stopping.is_set():
            raise Withdrawn
        self._show_life()

    def _show_life(self) -> None:
        if time.monotonic_ns() - self._said_ns > HEARTBEAT_MS * 1_000_000:
            self._send(Progress(template=self._tally.template, attempts=0, macs=0, tickets=0, busy_ms=0))

    def _report(self) -> None:
        progress = self._tally.due()
        if progress is not None:
            self._send(progress)

    def _send(self, event: Event) -> None:
        self._said_ns = time.monotonic_ns()
        frame = memoryview(to_frame(event))
        while frame:
            frame = frame[self._sink.write(frame) :]

    def _read_commands(self) -> None:
        """Runs in its own thread; ends with `Stop`, the end of input, or a frame that cannot be understood."""
        while True:
            try:
                length = _read_exactly(self._source, LENGTH_BYTES)
                payload = _read_exactly(self._source, payload_bytes(length)) if length else b""
                command = parse_command(payload) if payload else Stop()
            except Invalid as error:
                self._inbox.put(error)
                return
            if isinstance(command, Stop):
                self._stopping.set()
            self._inbox.put(command)
            if isinstance(command, Stop):
                return


@dataclass(slots=True)
class _Tally:
    """Work since the last report."""

    first_ns: int = 0
    template: int = 0
    """Of the attempt under way, or the last one."""
    attempts: int = 0
    macs: int = 0
    tickets: int = 0
    busy_ns: int = 0

    def add(self, macs: int, tickets: int, started_ns: int) -> None:
        """Count one attempt, just finished."""
        if self.attempts == 0:
            self.first_ns = started_ns
        self.attempts += 1
        self.macs += macs
        self.tickets += tickets
        self.busy_ns += time.monotonic_ns() - started_ns

    def due(self) -> Progress | None:
        """The report, once an interval has passed since the first attempt in it; counting starts anew."""
        if self.attempts == 0 or time.monotonic_ns() - self.first_ns < PROGRESS_INTERVAL_MS * 1_000_000:
            return None
        progress = Progress(
            template=self.template,
            attempts=self.attempts,
            macs=self.macs,
            tickets=self.tickets,
            busy_ms=self.busy_ns // 1_000_000,
        )
        self.attempts = self.macs = self.tickets = self.busy_ns = 0
        return progress


def _read_exactly(source: FileIO, size: int) -> bytes:
    """`size` bytes, or nothing if the input ends before they are complete."""
    parts = []
    while size:
        part = source.read(min(size, _READ_BYTES))
        if not part:
            return b""
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
