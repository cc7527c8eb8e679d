"""Turn one received request into one answer, for both networks.

This is the per-peer boundary of the request side: nothing a handler raises gets past it.
"""

from __future__ import annotations

import logging

import trio

from chain.errors import Invalid, TileworkError
from p2p.frames import Answer, Reply, error_answer
from p2p.interface import GossipHandler, PeerId, RequestHandler, Verdict
from p2p.wire import REQUESTS, RequestKind, RequestRow

log = logging.getLogger("tilework.p2p")

HANDLER_FAULT = "NET_HANDLER_FAULT"
"""Code a peer sees when our handler has a bug; details stay here."""


class Servants:
    """The request handlers of a node, each kind with its bound on how many run at once."""

    __slots__ = ("_handlers", "_slots")

    def __init__(self) -> None:
        self._handlers: dict[RequestKind, RequestHandler] = {}
        self._slots = {kind: trio.Semaphore(row.max_serving) for kind, row in REQUESTS.items()}

    def set_handler(self, kind: RequestKind, handler: RequestHandler) -> None:
        """Serve `kind` with `handler`."""
        self._handlers[kind] = handler

    def kinds(self) -> list[RequestKind]:
        """Kinds that have a handler."""
        return list(self._handlers)

    async def answer(self, peer: PeerId, kind: RequestKind, data: bytes) -> tuple[Answer, int]:
        """The answer to send, and the penalty points the asker earned."""
        handler = self._handlers.get(kind)
        slot = self._slots[kind]
        if handler is None:
            return Answer(Reply.BUSY, b""), 0
        try:
            slot.acquire_nowait()
        except trio.WouldBlock:
            return Answer(Reply.BUSY, b""), 0
        try:
            return await _call(handler, peer, REQUESTS[kind], data)
        finally:
            slot.release()


async def judge(handler: GossipHandler, peer: PeerId, data: bytes) -> Verdict:
    """Ask a gossip handler; the per-peer boundary of the gossip side."""
    try:
        return await handler(peer, data)
    except Invalid:
        return Verdict.REJECT
    except TileworkError:
        return Verdict.IGNORE
    except Exception:  # boundary: a bug of ours must neither end the network nor punish the peer
        log.exception("event=gossip_handler_fault")
        return Verdict.IGNORE


async def _call(handler: RequestHandler, peer: PeerId, row: RequestRow, data: bytes) -> tuple[Answer, int]:
    try:
        payload = await handler(peer, data)
    except Invalid as error:
        return error_answer(error.code, str(error)), row.invalid_points
    except TileworkError as error:
        return error_answer(error.code, str(error)), 0
    except Exception:  # boundary: a bug of ours must not end the network
        log.exception("event=request_handler_fault kind=%s", row.kind.value)
        return error_answer(HANDLER_FAULT, "the peer could not answer"), 0
    if len(payload) > row.max_response_bytes:
        log.error("event=answer_too_large kind=%s found=%d", row.kind.value, len(payload))
        return error_answer(HANDLER_FAULT, "the peer's answer was too large to send"), 0
    return Answer(Reply.OK, payload), 0
