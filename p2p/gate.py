"""The gate in front of every handler: sizes, rates and penalties of the wire table, for both networks.

Pure: the caller passes the time.  The gate only says what to do; closing connections is the network's
business.
"""

from __future__ import annotations

from enum import Enum

from p2p.interface import PeerId
from p2p.limits import TokenBucket, paced
from p2p.penalties import PenaltyLedger
from p2p.wire import REQUESTS, TOPICS, Fault, RequestKind, Topic

MAX_BUCKETS = 8192
"""Bound on memory; full buckets carry no information and are dropped beyond this."""


class Admission(Enum):
    """What to do with something a peer sent."""

    PASS = "pass"
    DROP = "drop"
    """Leave it unanswered or say "busy"."""
    BAN = "ban"
    """Drop it, and disconnect the peer: its penalties have reached the limit."""


class Gate:
    """Per-peer budgets and penalties of one node."""

    __slots__ = ("_incoming", "_outgoing", "_penalties")

    def __init__(self) -> None:
        self._penalties = PenaltyLedger()
        self._incoming: dict[tuple[PeerId, Topic | RequestKind], TokenBucket] = {}
        self._outgoing: dict[tuple[PeerId, RequestKind], TokenBucket] = {}

    def admit_gossip(self, peer: PeerId, topic: Topic, size_bytes: int, now_ms: int) -> Admission:
        """Check, before any work is spent on it: a) size  b) rate."""
        row = TOPICS[topic]
        if size_bytes > row.max_bytes:
            return self.fault(peer, Fault.OVERSIZE.value, now_ms)
        bucket = self._incoming.get((peer, topic))
        if bucket is None:
            self._make_room(now_ms)
            bucket = self._incoming[peer, topic] = TokenBucket(row.rate, now_ms)
        return Admission.PASS if bucket.take(now_ms) else self.fault(peer, Fault.GOSSIP_RATE.value, now_ms)

    def admit_request(self, peer: PeerId, kind: RequestKind, now_ms: int) -> Admission:
        """Check the rate before the request is even read; its size is bounded while it is read."""
        bucket = self._incoming.get((peer, kind))
        if bucket is None:
            self._make_room(now_ms)
            bucket = self._incoming[peer, kind] = TokenBucket(REQUESTS[kind].rate, now_ms)
        return Admission.PASS if bucket.take(now_ms) else self.fault(peer, Fault.REQUEST_RATE.value, now_ms)

    def pace_ms(self, peer: PeerId, kind: RequestKind, now_ms: int) -> int:
        """Take our own turn to ask `peer`: 0 when it is now, else how long to wait before trying again."""
        bucket = self._outgoing.get((peer, kind))
        if bucket is None:
            self._make_room(now_ms)
            bucket = self._outgoing[peer, kind] = TokenBucket(paced(REQUESTS[kind].rate), now_ms)
        return 0 if bucket.take(now_ms) else bucket.wait_ms(now_ms)

    def fault(self, peer: PeerId, points: int, now_ms: int) -> Admission:
        """Write down a fault: BAN when it was one too many, else DROP."""
        return Admission.BAN if self._penalties.penalise(peer, points, now_ms) else Admission.DROP

    def ban(self, peer: PeerId, now_ms: int) -> None:
        """Refuse `peer` from now on, for `wire.BAN_MS`."""
        self._penalties.ban(peer, now_ms)

    def is_banned(self, peer: PeerId, now_ms: int) -> bool:
        """Whether connections of `peer` are refused."""
        return self._penalties.is_banned(peer, now_ms)

    def score(self, peer: PeerId, now_ms: int) -> int:
        """The score shown in `PeerInfo`."""
        return self._penalties.score(peer, now_ms)

    def _make_room(self, now_ms: int) -> None:
        if len(self._incoming) >= MAX_BUCKETS:
            self._incoming = {key: kept for key, kept in self._incoming.items() if not kept.is_full(now_ms)}
        if len(self._outgoing) >= MAX_BUCKETS:
            self._outgoing = {key: kept for key, kept in self._outgoing.items() if not kept.is_full(now_ms)}
