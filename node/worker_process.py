"""A worker in a process of its own, spoken to over pipes.  The frames are those of compute/messages.py."""

from __future__ import annotations

import subprocess
import sys

import trio

from chain.errors import LocalFault, TileworkError
from compute.messages import LENGTH_BYTES, Command, Event, Failed, Ready, parse_event, payload_bytes, to_frame

_START_LIMIT_S = 120.0
"""A first start may compile or page in libraries; a worker that says nothing for this long is broken."""
_STOP_LIMIT_S = 3.0
_READ_BYTES = 1 << 20


class WorkerProcess:
    """One `python -m compute.worker`; it ends when its standard input closes, so it never outlives the node."""

    def __init__(self, engine: str, profile_id: int) -> None:
        self._command = [
            sys.executable,
            "-m",
            "compute.worker",
            "--engine",
            engine,
            "--profile",
            str(profile_id),
        ]
        self._process: trio.Process | None = None
        self._buffer = bytearray()
        self._sending = trio.Lock()

    async def start(self) -> Ready:
        """Spawn the process and wait for its self-test.  Raises: LocalFault WORKER_START."""
        self._process = await trio.lowlevel.open_process(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            with trio.fail_after(_START_LIMIT_S):
                event = await self.receive()
        except trio.TooSlowError:
            await self.stop()
            allowed = f"a ready worker within {_START_LIMIT_S:.0f} s"
            raise LocalFault("WORKER_START", found="silence", allowed=allowed) from None
        if isinstance(event, Ready):
            return event
        text = event.text if isinstance(event, Failed) else type(event).__name__
        await self.stop()
        raise LocalFault("WORKER_START", found=text, allowed="a worker that passes its self-test")

    async def send(self, command: Command) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        async with self._sending:
            try:
                await self._process.stdin.send_all(to_frame(command))
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise self._lost() from error

    async def receive(self) -> Event:
        size = payload_bytes(await self._read(LENGTH_BYTES))
        payload = await self._read(size)
        try:
            return parse_event(payload)
        except TileworkError as error:
            raise LocalFault(
                "WORKER_LOST", found=str(error), allowed="events of compute/messages.py"
            ) from error

    async def stop(self) -> None:
        if self._process is None:
            return
        with trio.CancelScope(shield=True):
            assert self._process.stdin is not None
            await self._process.stdin.aclose()
            try:
                with trio.fail_after(_STOP_LIMIT_S):
                    await self._process.wait()
            except trio.TooSlowError:
                self._process.kill()
                await self._process.wait()

    async def _read(self, count: int) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        while len(self._buffer) < count:
            try:
                chunk = await self._process.stdout.receive_some(_READ_BYTES)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise self._lost() from error
            if not chunk:
                raise self._lost()
            self._buffer += chunk
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def _lost(self) -> LocalFault:
        code = self._process.poll() if self._process is not None else None
        return LocalFault("WORKER_LOST", found=f"worker ended with code {code}", allowed="a running worker")
