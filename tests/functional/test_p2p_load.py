"""Heavy two-way traffic neither hangs a connection nor starves small requests; a blocked write ends it.

The stock muxer hung in one of ten such runs (both read loops waiting to write).
"""

from __future__ import annotations

from typing import Any

import pytest
import trio
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.peer.id import ID

from p2p.interface import PeerId
from p2p.wire import REQUESTS, RequestKind
from p2p.yamux import MAX_CONTROL_FRAMES, MAX_STREAM_BUFFER_BYTES, SafeYamux
from tests.functional.p2p_nodes import Node, world

BODY_BYTES = REQUESTS[RequestKind.BODIES].max_response_bytes


async def test_large_answers_both_ways_while_small_requests_go_on() -> None:
    async with world("libp2p") as w:
        left, right = w.make(), w.make()

        async def body(_peer: PeerId, _data: bytes) -> bytes:
            return bytes(BODY_BYTES)

        for node in (left, right):
            node.network.on_request(RequestKind.BODIES, body)
            await w.start(node)
        await left.network.dial(right.address)
        slowest_s = 0.0

        async def fetch(asker: Node, peer: PeerId) -> None:
            answer = await asker.network.request(peer, RequestKind.BODIES, b"", timeout_s=15)
            assert len(answer) == BODY_BYTES

        async def poll(asker: Node, peer: PeerId) -> None:
            nonlocal slowest_s
            for _ in range(10):
                started = trio.current_time()
                assert await asker.network.request(peer, RequestKind.STATUS, b"poll", timeout_s=10) == b"poll"
                slowest_s = max(slowest_s, trio.current_time() - started)

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(fetch, left, right.peer_id)
                nursery.start_soon(fetch, right, left.peer_id)
            nursery.start_soon(poll, left, right.peer_id)
            nursery.start_soon(poll, right, left.peer_id)
        assert slowest_s < 5
        assert [info.score for node in (left, right) for info in node.network.peers()] == [0, 0]


class _StuckConnection:
    """A secured connection whose peer neither reads nor writes."""

    is_initiator = True

    def __init__(self) -> None:
        self.closed = trio.Event()

    async def write(self, _data: bytes) -> None:
        await self.closed.wait()

    async def read(self, _size: int | None = None) -> bytes:
        await self.closed.wait()
        return b""

    async def close(self) -> None:
        self.closed.set()


@pytest.fixture
async def stuck(nursery: trio.Nursery) -> SafeYamux:
    connection: Any = _StuckConnection()
    muxer = SafeYamux(connection, ID(b"peer"), is_initiator=True)
    nursery.start_soon(muxer.start)
    await muxer.event_started.wait()
    return muxer


async def test_a_cancelled_write_ends_the_connection(stuck: SafeYamux) -> None:
    with trio.move_on_after(0.05):
        await stuck._write_frame(bytes(100))
    await stuck.event_closed.wait()


async def test_a_write_nobody_takes_ends_the_connection(stuck: SafeYamux, autojump_clock: object) -> None:
    with pytest.raises(ConnectionClosedError):
        await stuck._write_frame(bytes(100))
    await stuck.event_closed.wait()


async def test_buffers_and_control_backlog_are_bounded(stuck: SafeYamux) -> None:
    stuck.stream_buffers[1] = bytearray()
    stuck.stream_buffers[1].extend(bytes(MAX_STREAM_BUFFER_BYTES))
    with pytest.raises(trio.TooSlowError):
        stuck.stream_buffers[1].extend(b"x")
    stuck._read_loop = trio.lowlevel.current_task()
    for _ in range(MAX_CONTROL_FRAMES):
        await stuck._write_frame(bytes(12))
    with pytest.raises(trio.TooSlowError):
        await stuck._write_frame(bytes(12))
