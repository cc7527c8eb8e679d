"""A worker in a process of its own, spoken to over pipes.  The frames are those of compute/messages.py."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable

import trio

from chain.errors import Invalid, LocalFault
from compute.messages import (
    LENGTH_BYTES,
    Command,
    Event,
    Failed,
    Ready,
    Trying,
    frame_parts,
    parse_event,
    payload_bytes,
)
from node.mining.devices import Device
from node.mining.slot import MakeWorker

_START_LIMIT_S = 120.0
"""A first start may compile or page in libraries; a worker that says nothing for this long is broken."""
_STOP_LIMIT_S = 3.0
_READ_BYTES = 1 << 20


class WorkerProcess:
    """One `python -m compute.worker`; it ends when its standard input closes, so it never outlives the node."""

    def __init__(
        self, engine: str, profile_id: int, *, excluded: Iterable[str] = (), visible_gpu: str = ""
    ) -> None:
        """`visible_gpu` is the one GPU the worker may see, as CUDA_VISIBLE_DEVICES names it; empty hides them all."""
        self._command = [sys.executable, "-m", "compute.worker"]
        self._command += ["--engine", engine, "--profile", str(profile_id)]
        for name in sorted(excluded):
            self._command += ["--exclude", name]
        # One numbering for everybody: that of the bus, which nvidia-smi uses too.
        self._environment = {
            **os.environ,
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
            "CUDA_VISIBLE_DEVICES": visible_gpu,
        }
        self._process: trio.Process | None = None
        self._buffer = bytearray()
        self._sending = trio.Lock()
        self.engine = ""
        """The engine that was chosen, or is being tried."""

    async def start(self) -> Ready:
        """Spawn the process and wait for its self-test.

        Raises:
            LocalFault: WORKER_START if it says nothing or nonsense, WORKER_LOST if it ends, or the code with which it
                gave up; `engine` is the one to blame.
        """
        try:
            self._process = await trio.lowlevel.open_process(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self._environment
            )
        except OSError as error:
            raise LocalFault("WORKER_START", found=str(error), allowed="a new process") from error
        while True:
            event = await self._first_events()
            if isinstance(event, Trying):
                self.engine = event.engine
                continue
            if isinstance(event, Ready):
                return event
            await self.stop()
            if isinstance(event, Failed):
                raise LocalFault(event.code, found=event.text)
            raise LocalFault("WORKER_START", found=type(event).__name__, allowed="a ready worker")

    async def _first_events(self) -> Event:
        try:
            with trio.fail_after(_START_LIMIT_S):
                return await self.receive()
        except trio.TooSlowError:
            await self.kill()
            allowed = f"a ready worker within {_START_LIMIT_S:.0f} s"
            raise LocalFault("WORKER_START", found="silence", allowed=allowed) from None

    async def send(self, command: Command) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        async with self._sending:
            try:
                for part in frame_parts(command):
                    if part:
                        await self._process.stdin.send_all(part)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise await self._lost() from error

    async def receive(self) -> Event:
        """The next event.  Raises: LocalFault WORKER_LOST, also for anything that is no event."""
        try:
            size = payload_bytes(await self._read(LENGTH_BYTES))
            return parse_event(await self._read(size))
        except Invalid as error:
            raise LocalFault(
                "WORKER_LOST", found=str(error), allowed="events of compute/messages.py"
            ) from error

    async def stop(self) -> None:
        """Close the worker's input and wait for its end; one that does not end is killed."""
        await self._end(_STOP_LIMIT_S)

    async def kill(self) -> None:
        """End a worker that no longer listens."""
        await self._end(0)

    async def _end(self, patience_s: float) -> None:
        if self._process is None:
            return
        with trio.CancelScope(shield=True):
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            await self._process.stdin.aclose()
            with trio.move_on_after(patience_s):
                await self._process.wait()
            if self._process.poll() is None:
                self._process.kill()
                await self._process.wait()
            await self._process.stdout.aclose()

    async def _read(self, count: int) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        while len(self._buffer) < count:
            try:
                chunk = await self._process.stdout.receive_some(_READ_BYTES)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise await self._lost() from error
            if not chunk:
                raise await self._lost()
            self._buffer += chunk
        with memoryview(self._buffer) as buffered:
            data = bytes(buffered[:count])
        del self._buffer[:count]
        return data

    async def _lost(self) -> LocalFault:
        """A process that closed its pipe is about to end; its status says why."""
        code: int | None = None
        if self._process is not None:
            with trio.move_on_after(_STOP_LIMIT_S):
                code = await self._process.wait()
        found = f"a worker that ended with {_status(code)}"
        return LocalFault("WORKER_LOST", found=found, allowed="a running worker")


def worker_processes(profile_id: int) -> MakeWorker:
    """Worker processes that test their engines under a profile, each seeing its own device."""

    def make(device: Device, engine: str, excluded: frozenset[str]) -> WorkerProcess:
        return WorkerProcess(engine, profile_id, excluded=excluded, visible_gpu=device.visible_as)

    return make


def _status(code: int | None) -> str:
    """An exit status for people: signals by their name."""
    if code is None:
        return "nothing but silence"
    if code >= 0:
        return f"status {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
