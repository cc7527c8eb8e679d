"""What both networks do alike: handlers, observers, admission, pacing, typed failures.

A subclass supplies the transport (`_exchange`, `_is_connected`, `disconnect`, …); the rules of the wire
table are applied here once, so a test on the in-memory network meets the same limits as a node on libp2p.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable

import trio

from chain.errors import LocalFault
from p2p.frames import Answer, Reply, read_error
from p2p.gate import Admission, Gate
from p2p.interface import (
    FailureCode,
    GossipHandler,
    PeerChange,
    PeerHandler,
    PeerId,
    RequestFailed,
    RequestHandler,
    Verdict,
)
from p2p.logs import PeerLog
from p2p.serving import Servants, judge
from p2p.wire import REQUESTS, TOPICS, Fault, RequestKind, Topic

log = logging.getLogger("tilework.p2p")

MAX_JUDGING = 32
"""Gossip messages inside our handlers at once, over all peers."""
MAX_JUDGING_PER_PEER = 64
"""Gossip messages of one peer inside or waiting for our handlers; more are dropped (the head poll repairs)."""


class NetworkBase(ABC):
    """Half of a `Network`: everything that is not transport."""

    def __init__(self, peer_id: PeerId, now_ms: Callable[[], int]) -> None:
        self._peer_id = peer_id
        self._now_ms = now_ms
        self._gate = Gate()
        self._servants = Servants()
        self._gossip_handlers: dict[Topic, GossipHandler] = {}
        self._peer_handlers: list[PeerHandler] = []
        self._judging: Counter[PeerId] = Counter()
        self._judges = trio.Semaphore(MAX_JUDGING)
        self._nursery: trio.Nursery | None = None
        self._peer_log: PeerLog | None = None

    @property
    def peer_id(self) -> PeerId:
        """Our own identity."""
        return self._peer_id

    def on_gossip(self, topic: Topic, handler: GossipHandler) -> None:
        """See `Network.on_gossip`."""
        self._gossip_handlers[topic] = handler

    def on_request(self, kind: RequestKind, handler: RequestHandler) -> None:
        """See `Network.on_request`."""
        self._servants.set_handler(kind, handler)

    def on_peer(self, handler: PeerHandler) -> None:
        """See `Network.on_peer`."""
        self._peer_handlers.append(handler)

    async def broadcast(self, topic: Topic, data: bytes) -> None:
        """See `Network.broadcast`."""
        allowed = TOPICS[topic].max_bytes
        if len(data) > allowed:
            raise LocalFault("NET_GOSSIP_BYTES", found=len(data), allowed=allowed)
        self._running_nursery()
        await self._publish(topic, data)

    async def request(self, peer: PeerId, kind: RequestKind, data: bytes, *, timeout_s: float) -> bytes:
        """See `Network.request`."""
        allowed = REQUESTS[kind].max_request_bytes
        if len(data) > allowed:
            raise LocalFault("NET_REQUEST_BYTES", found=len(data), allowed=allowed)
        self._running_nursery()
        if not self._is_connected(peer):
            raise RequestFailed(FailureCode.GONE, peer, found="no connection")
        with trio.move_on_after(timeout_s):
            while (wait_ms := self._gate.pace_ms(peer, kind, self._now_ms())) > 0:
                await trio.sleep(wait_ms / 1000)
            return self._unwrap(peer, kind, await self._exchange(peer, kind, data))
        raise RequestFailed(FailureCode.TIMEOUT, peer, found=f"no {kind.value}", allowed=f"{timeout_s} s")

    async def ban(self, peer: PeerId, reason: str) -> None:
        """See `Network.ban`."""
        self._gate.ban(peer, self._now_ms())
        self._tell("event=peer_banned", peer=peer, reason=reason)
        await self.disconnect(peer)

    @abstractmethod
    async def disconnect(self, peer: PeerId) -> None:
        """See `Network.disconnect`."""

    @abstractmethod
    def _is_connected(self, peer: PeerId) -> bool:
        """Whether a request to `peer` has a connection to travel on."""

    @abstractmethod
    async def _publish(self, topic: Topic, data: bytes) -> None:
        """Send our own message to the mesh."""

    @abstractmethod
    async def _exchange(self, peer: PeerId, kind: RequestKind, data: bytes) -> Answer:
        """Send one request and receive its answer; RequestFailed when the transport fails."""

    async def _judge_gossip(self, peer: PeerId, topic: Topic, data: bytes) -> Verdict:
        """Verdict on a new message already admitted; a REJECT is penalised here."""
        handler = self._gossip_handlers.get(topic)
        if handler is None:
            return Verdict.IGNORE
        self._judging[peer] += 1
        try:
            async with self._judges:
                verdict = await judge(handler, peer, data)
        finally:
            self._judging[peer] -= 1
            if not self._judging[peer]:
                del self._judging[peer]
        if verdict is Verdict.REJECT:
            self._penalise(peer, TOPICS[topic].reject_points, f"rejected {topic.value}")
        return verdict

    def _admit_gossip(self, peer: PeerId, topic: Topic, size_bytes: int) -> bool:
        """Whether a message may go on to be looked at; a False leaves no trace of the message itself."""
        if self._judging[peer] >= MAX_JUDGING_PER_PEER:
            return False
        admission = self._gate.admit_gossip(peer, topic, size_bytes, self._now_ms())
        return self._apply(peer, admission, topic.value)

    def _admit_request(self, peer: PeerId, kind: RequestKind) -> bool:
        """Whether a request may go on to be read."""
        return self._apply(peer, self._gate.admit_request(peer, kind, self._now_ms()), kind.value)

    async def _serve(self, peer: PeerId, kind: RequestKind, data: bytes) -> Answer:
        """Answer a request already admitted."""
        answer, points = await self._servants.answer(peer, kind, data)
        if points:
            self._penalise(peer, points, f"invalid {kind.value}")
        return answer

    def _penalise(self, peer: PeerId, points: int, reason: str) -> None:
        self._apply(peer, self._gate.fault(peer, points, self._now_ms()), reason)

    def _apply(self, peer: PeerId, admission: Admission, reason: str) -> bool:
        if admission is Admission.BAN and self._nursery is not None:
            self._tell("event=peer_banned", peer=peer, reason=reason)
            self._nursery.start_soon(self.disconnect, peer)
        return admission is Admission.PASS

    def _unwrap(self, peer: PeerId, kind: RequestKind, answer: Answer) -> bytes:
        if answer.reply is Reply.OK:
            return answer.payload
        if answer.reply is Reply.ERROR:
            code, text = read_error(answer.payload)
            raise RequestFailed(FailureCode.REMOTE_ERROR, peer, remote_code=code, remote_message=text)
        if answer.reply is Reply.TOO_LARGE:
            raise RequestFailed(
                FailureCode.TOO_LARGE, peer, found="a long request", allowed=REQUESTS[kind].max_request_bytes
            )
        raise RequestFailed(FailureCode.REFUSED, peer, found="a busy peer")

    def _answer_too_large(self, peer: PeerId, kind: RequestKind, size_bytes: int) -> RequestFailed:
        self._penalise(peer, Fault.OVERSIZE.value, f"oversize {kind.value} answer")
        return RequestFailed(
            FailureCode.TOO_LARGE,
            peer,
            found=f"an answer of {size_bytes} bytes",
            allowed=f"{REQUESTS[kind].max_response_bytes} bytes",
        )

    def _peer_changed(self, peer: PeerId, change: PeerChange) -> None:
        """Tell every observer, each in its own task."""
        if self._nursery is None:
            return
        for handler in self._peer_handlers:
            self._nursery.start_soon(self._observe, handler, peer, change)

    async def _observe(self, handler: PeerHandler, peer: PeerId, change: PeerChange) -> None:
        try:
            await handler(peer, change)
        except Exception:  # boundary: an observer's bug must not end the network
            log.exception("event=peer_handler_fault")

    def _tell(self, event: str, **fields: object) -> None:
        if self._peer_log is None:
            self._peer_log = PeerLog(log, self._now_ms())
        self._peer_log.info(self._now_ms(), event, **fields)

    def _running_nursery(self) -> trio.Nursery:
        if self._nursery is None:
            raise LocalFault("NET_NOT_RUNNING", hint="Start the network before using it.")
        return self._nursery
