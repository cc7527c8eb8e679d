"""The message table: every gossip topic and request kind with its name, sizes, rate, timeout and penalty.

Nothing travels that is not a row here.  Names carry the network id, so nodes of different chains share
neither topics nor protocols even when they are connected.  Spec: [NET-WIRE].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

KIB = 1 << 10
MIB = 1 << 20

RATE_WINDOW_MS = 10_000
"""Rates are given per this window; a bucket refills evenly, so a steady peer is never refused."""
BAN_POINTS = 100
"""A peer whose penalties reach this is disconnected and refused for BAN_MS."""
BAN_MS = 600_000
FORGIVE_MS = 1_000
"""One penalty point is forgiven per this time: a rare fault is forgotten, a stream of them is not."""
MAX_GOSSIP_RPC_BYTES = MIB
"""Largest libp2p pubsub frame, both ways; every topic limit lies well below it."""
SEEN_MS = 120_000
"""How long a node remembers a gossip message since it last saw it; older ones are for the handler to know."""
ERROR_CODE_BYTES = 64
ERROR_TEXT_BYTES = 512


class Topic(Enum):
    """Gossip topics; every node subscribes to all of them."""

    BLOCKS = "blocks"
    """Announcements: a header and the hash of its certificate.  Bodies are fetched by request."""
    TXS = "txs"
    """Batches of transactions (attestations are transactions)."""
    VOTES = "votes"
    """Finality votes."""


class RequestKind(Enum):
    """Request and response protocols; one request per stream."""

    STATUS = "status"
    """Handshake and head poll; repairs what gossip lost."""
    HEADERS = "headers"
    BODIES = "bodies"
    BLOB = "blob"
    """A range of tensor rows."""
    TXPOOL = "txpool"


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `burst` at once and `per_window` per RATE_WINDOW_MS in the long run, per peer."""

    per_window: int
    burst: int


@dataclass(frozen=True, slots=True)
class TopicRow:
    """Limits of one gossip topic."""

    topic: Topic
    max_bytes: int
    rate: Rate
    reject_points: int
    """Penalty for a message the handler rejects."""


@dataclass(frozen=True, slots=True)
class RequestRow:
    """Limits of one request kind."""

    kind: RequestKind
    max_request_bytes: int
    max_response_bytes: int
    rate: Rate
    timeout_s: float
    """Server side: to receive the request, and again to send the answer off."""
    max_serving: int
    """Handlers of this kind running at once, over all peers; more are told to come back."""
    invalid_points: int = 10
    """Penalty for a request the handler calls `Invalid`."""


class Fault(Enum):
    """Faults that do not depend on a row, with their penalty points."""

    GARBAGE = 50
    """Bytes no honest implementation sends: broken protobuf, broken signature, broken framing."""
    OVERSIZE = 40
    """A message over its limit; the limits are public, so this is never an accident."""
    GOSSIP_RATE = 1
    """Above the topic's rate.  Low, since a relay does not choose how much others publish."""
    REQUEST_RATE = 2
    """Above the kind's rate.  Honest nodes pace themselves below it."""


_TOPIC_ROWS = (
    # Blocks come seconds apart; the room is for forks and for late joiners relaying several at once.
    TopicRow(Topic.BLOCKS, 4 * KIB, Rate(100, 100), reject_points=34),
    # About 20 messages a second is what one core of a node sustains; transactions therefore travel in
    # batches.
    TopicRow(Topic.TXS, 256 * KIB, Rate(200, 200), reject_points=20),
    TopicRow(Topic.VOTES, 64 * KIB, Rate(200, 200), reject_points=20),
)

_REQUEST_ROWS = (
    RequestRow(RequestKind.STATUS, KIB, KIB, Rate(50, 50), timeout_s=5, max_serving=64),
    RequestRow(RequestKind.HEADERS, 8 * KIB, 512 * KIB, Rate(100, 100), timeout_s=10, max_serving=16),
    RequestRow(RequestKind.BODIES, 8 * KIB, 8 * MIB, Rate(100, 50), timeout_s=30, max_serving=8),
    # 4 MiB of rows plus 1 KiB for their description and proof; 300 per window lets one peer draw 120 MB/s.
    RequestRow(RequestKind.BLOB, 256, 4 * MIB + KIB, Rate(300, 100), timeout_s=30, max_serving=8),
    RequestRow(RequestKind.TXPOOL, 8 * KIB, MIB, Rate(20, 20), timeout_s=10, max_serving=8),
)

TOPICS: Mapping[Topic, TopicRow] = MappingProxyType({row.topic: row for row in _TOPIC_ROWS})
REQUESTS: Mapping[RequestKind, RequestRow] = MappingProxyType({row.kind: row for row in _REQUEST_ROWS})


def topic_name(topic: Topic, network_id: str) -> str:
    """Name of `topic` on the wire."""
    return f"/tilework/{topic.value}/1/{network_id}"


def protocol_name(kind: RequestKind, network_id: str) -> str:
    """Protocol id of `kind` on the wire."""
    return f"/tilework/{kind.value}/1/{network_id}"
