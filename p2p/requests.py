"""Requests and answers over libp2p streams: one request per stream, in the bounded frames of `p2p.frames`.

libp2p's own helper resets the stream on every failure, so an asker could not tell "busy" from "broken"; here
every outcome that is not the connection's end is an answer.  Defects kept in mind:

10. A write that times out may have cut an encrypted frame: the peer is disconnected.
11. A writer whose window stays shut gets an error but the peer is not told: every failure resets the stream.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio
from libp2p.abc import IHost, INetStream
from libp2p.custom_types import TProtocol
from libp2p.exceptions import BaseLibp2pError
from libp2p.peer.id import ID

from p2p.frames import (
    ANSWER_HEAD_BYTES,
    MAX_ERROR_BYTES,
    REQUEST_HEAD_BYTES,
    Answer,
    Reply,
    answer_frame,
    answer_head,
    error_answer,
    request_frame,
    request_length,
)
from p2p.wire import REQUESTS, RequestKind, protocol_name

TRANSPORT_ERRORS = (BaseLibp2pError, trio.BrokenResourceError, trio.ClosedResourceError, OSError, ValueError)
"""What a broken or hostile connection raises; ValueError from malformed negotiation."""
RESET_LIMIT_S = 1.0
READ_CHUNK_BYTES = 1 << 18
_BUSY = Answer(Reply.BUSY, b"")
_TOOK_TOO_LONG = error_answer("NET_TIMEOUT", "the peer took too long to answer")


class AnswerOverLimit(Exception):
    """The peer announced an answer longer than its kind allows."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(size_bytes)
        self.size_bytes = size_bytes


class NotServed(Exception):
    """The peer does not speak this protocol: another network, or no handler."""


class RequestServer:
    """Serves the request kinds of one host."""

    def __init__(
        self,
        host: IHost,
        network_id: str,
        admit: Callable[[ID, RequestKind], bool],
        serve: Callable[[ID, RequestKind, bytes], Awaitable[Answer]],
        oversize: Callable[[ID, RequestKind], None],
    ) -> None:
        self._host = host
        self._network_id = network_id
        self._admit = admit
        self._serve = serve
        self._oversize = oversize

    def open(self, kind: RequestKind) -> None:
        """Accept streams of `kind` from now on."""

        async def handle(stream: INetStream) -> None:
            await self._handle(stream, kind)

        self._host.set_stream_handler(TProtocol(protocol_name(kind, self._network_id)), handle)

    async def _handle(self, stream: INetStream, kind: RequestKind) -> None:
        peer = stream.muxed_conn.peer_id
        row = REQUESTS[kind]
        try:
            answer = await self._answer(stream, peer, kind) if self._admit(peer, kind) else _BUSY
        except (*TRANSPORT_ERRORS, trio.TooSlowError):
            await reset(stream)
            return
        try:
            with trio.fail_after(row.timeout_s):
                await stream.write(answer_frame(answer))
                await stream.close()
        except trio.TooSlowError:
            await reset(stream)
            await self._host.disconnect(peer)
        except TRANSPORT_ERRORS:
            await reset(stream)

    async def _answer(self, stream: INetStream, peer: ID, kind: RequestKind) -> Answer:
        """Read one request and let it be answered, each in the kind's time."""
        row = REQUESTS[kind]
        with trio.fail_after(row.timeout_s):
            length = request_length(await read_exactly(stream, REQUEST_HEAD_BYTES))
            if length > row.max_request_bytes:
                self._oversize(peer, kind)
                return Answer(Reply.TOO_LARGE, b"")
            data = await read_exactly(stream, length)
        answer: Answer | None = None
        with trio.move_on_after(row.timeout_s):
            answer = await self._serve(peer, kind, data)
        return answer or _TOOK_TOO_LONG


async def ask(host: IHost, peer: ID, kind: RequestKind, network_id: str, data: bytes) -> Answer:
    """Send one request and read its answer; the caller sets the time limit.

    Raises:
        NotServed: the peer does not offer this protocol.
        AnswerOverLimit: the answer is too long; nothing of it was read.
        Invalid: NET_REPLY_CODE.
        TRANSPORT_ERRORS: the connection failed.
    """
    stream = await _open(host, peer, TProtocol(protocol_name(kind, network_id)))
    finished = False
    try:
        await stream.write(request_frame(data))
        await stream.close_write()
        reply, length = answer_head(await read_exactly(stream, ANSWER_HEAD_BYTES))
        allowed = REQUESTS[kind].max_response_bytes if reply is Reply.OK else MAX_ERROR_BYTES
        if length > allowed:
            raise AnswerOverLimit(length)
        answer = Answer(reply, await read_exactly(stream, length))
        await stream.close()
        finished = True
        return answer
    finally:
        if not finished:
            await reset(stream)


async def read_exactly(stream: INetStream, size: int) -> bytes:
    """Read `size` bytes.  `INetStream.read(n)` returns up to n, and raises at the end of the stream."""
    parts = bytearray()
    while len(parts) < size:
        part = await stream.read(min(size - len(parts), READ_CHUNK_BYTES))
        if not part:
            raise trio.ClosedResourceError("stream ended early")
        parts += part
    return bytes(parts)


async def reset(stream: INetStream) -> None:
    """Reset a stream, also while being cancelled, and without waiting long for a peer that does not read."""
    with trio.move_on_after(RESET_LIMIT_S) as limit:
        limit.shield = True
        await stream.reset()


async def _open(host: IHost, peer: ID, protocol: TProtocol) -> Any:
    try:
        return await host.new_stream(peer, [protocol])
    except BaseLibp2pError as error:
        if "not supported" in str(error.__cause__):
            raise NotServed from error
        raise
