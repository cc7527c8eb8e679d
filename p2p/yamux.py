"""Yamux that neither deadlocks, nor buffers without bound, nor leaves half a frame on the wire.

Defects of libp2p 0.8.1 mended here, and what breaks without it:

6.  The read loop itself writes (SYN acknowledgements, ping replies) and waits for the write lock.  When both
    peers push data, each waits for the other to read: every stream of the connection hangs, for ever.  Here
    the read loop queues its control frames, and a task of its own writes them.
7.  The receive window is only logged: one stream buffered 200 MB.  Here a stream that overruns its window
    ends the connection, and the window grows no further than WINDOW_BYTES.
10. Cancelling a blocked write cuts an encrypted frame in half, after which every stream of the connection
    times out.  Here a write that is cancelled, or blocked for WRITE_STALL_S, ends the connection at once.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import trio
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.stream_muxer.yamux import yamux as upstream

WINDOW_BYTES = 2 << 20
"""Largest receive window of a stream.  `MAX_WINDOW_SIZE` upstream stays: js-libp2p sends a window per
frame.
"""
MAX_STREAM_BUFFER_BYTES = 2 * WINDOW_BYTES + (1 << 20)
"""Data a stream may hold unread.  Above the window, as window updates are sent before data has been
consumed.
"""
MAX_CONTROL_FRAMES = 4096
"""Control frames waiting to be written: a peer that asks for more without reading is cut off."""
WRITE_STALL_S = 15.0
"""A frame (at most 64 KiB) not taken off our hands in this time means that the peer is gone or hostile."""


class _BoundedBuffer(bytearray):
    """Receive buffer of one stream; overflow raises what Yamux treats as the end of the connection."""

    def extend(self, data: Any) -> None:
        if len(self) + len(data) > MAX_STREAM_BUFFER_BYTES:
            raise trio.TooSlowError("receive window overrun")
        super().extend(data)


class _BoundedBuffers(dict[int, bytearray]):
    """Receive buffers by stream; Yamux puts plain bytearrays in, this keeps bounded ones."""

    def __setitem__(self, stream_id: int, buffer: bytearray) -> None:
        super().__setitem__(
            stream_id, buffer if isinstance(buffer, _BoundedBuffer) else _BoundedBuffer(buffer)
        )


class SafeYamux(upstream.Yamux):
    """Drop-in for libp2p's Yamux; see the module's docstring."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.stream_buffers = _BoundedBuffers()
        self._control: deque[bytes] = deque()
        self._writing_control = False
        self._read_loop: trio.lowlevel.Task | None = None

    async def handle_incoming(self) -> None:
        """The read loop; remembers itself, so that its writes can be told from others."""
        self._read_loop = trio.lowlevel.current_task()
        await super().handle_incoming()

    async def _write_frame(self, data: bytes) -> None:
        if trio.lowlevel.current_task() is not self._read_loop:
            await self._write_whole(data)
            return
        if len(self._control) >= MAX_CONTROL_FRAMES:
            raise trio.TooSlowError("control frame backlog")
        self._control.append(data)
        if not self._writing_control and self._nursery is not None:
            self._writing_control = True
            self._nursery.start_soon(self._write_control)

    async def _write_control(self) -> None:
        try:
            while self._control:
                await self._write_whole(self._control.popleft())
        except Exception:  # noqa: BLE001 - boundary: whatever broke the write also ends the read loop
            self._abort()
        finally:
            self._writing_control = False

    async def _write_whole(self, data: bytes) -> None:
        """Write one frame, or end the connection."""
        async with self._write_lock:
            written = False
            try:
                with trio.move_on_after(WRITE_STALL_S):
                    await self.secured_conn.write(data)
                    written = True
            finally:
                if not written:
                    self._abort()
        if not written:
            raise ConnectionClosedError("the peer does not read", transport="tcp")
        await trio.lowlevel.checkpoint()

    def _abort(self) -> None:
        """End the connection without waiting for anything."""
        if self.event_shutting_down.is_set() or self._nursery is None:
            return
        self.event_shutting_down.set()
        self._nursery.start_soon(self._cleanup_on_error)


def cap_window_growth() -> None:
    """Stop every stream's receive window from growing beyond WINDOW_BYTES (defect 7); idempotent."""
    if upstream.YamuxStream._apply_autotune_epoch is not _capped_autotune_epoch:
        upstream.YamuxStream._apply_autotune_epoch = _capped_autotune_epoch  # type: ignore[assignment,method-assign]


_autotune_epoch = upstream.YamuxStream._apply_autotune_epoch


def _capped_autotune_epoch(stream: upstream.YamuxStream, buffered: int) -> int:
    return 0 if stream.target_recv_window >= WINDOW_BYTES else _autotune_epoch(stream, buffered)
