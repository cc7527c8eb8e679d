"""What the node sees of the network: one protocol, implemented by `p2p.host` (libp2p) and `p2p.memory`
(tests).

Invariants every implementation keeps:
- A gossip handler is called at most once per distinct message, and a message is forwarded only after it
  said ACCEPT.
- No handler can end the network: an error becomes a typed reply (requests) or IGNORE (gossip).
- Sizes, rates and penalties are those of `p2p.wire`, on both sides.
- Gossip may lose messages; whoever needs completeness polls (`RequestKind.STATUS`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NewType, Protocol

import trio

from chain.errors import Missing
from p2p.wire import RequestKind, Topic

if TYPE_CHECKING:
    from trio_typing import TaskStatus  # libp2p brings stubs in which trio has no TaskStatus of its own

    StartSignal = TaskStatus[None]
else:
    StartSignal = trio.TaskStatus
"""What `nursery.start` passes as `task_status` to a task that has nothing to return."""

PeerId = NewType("PeerId", str)
"""Text form of a node's identity (base58 of the libp2p peer id; the plain name on the in-memory network)."""


class Verdict(Enum):
    """What a gossip handler says about a message."""

    ACCEPT = "accept"
    """Right and new: forward it."""
    IGNORE = "ignore"
    """Not useful now (old, early, unknown parent, our own fault): neither forward nor punish."""
    REJECT = "reject"
    """Can never be right: do not forward, penalise the peer that sent it."""


class Direction(Enum):
    """Who opened the connection, seen from this node."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class PeerChange(Enum):
    """Something that happened to a peer."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"


@dataclass(frozen=True, slots=True)
class PeerInfo:
    """One connected peer, for operators and for choosing whom to ask."""

    peer_id: PeerId
    address: str
    direction: Direction
    connected_since_ms: int
    score: int
    """0 is spotless; each fault subtracts its penalty, time gives points back; at -100 the peer is banned."""


GossipHandler = Callable[[PeerId, bytes], Awaitable[Verdict]]
"""Validates *and* takes delivery of one new message.  `chain.errors.Invalid` counts as REJECT, any other
error as IGNORE.
"""
RequestHandler = Callable[[PeerId, bytes], Awaitable[bytes]]
"""Answers one request.  A `TileworkError` reaches the asker as a typed error; `Invalid` also penalises the
asker.
"""
PeerHandler = Callable[[PeerId, PeerChange], Awaitable[None]]
"""Told, in its own task, when a peer comes or goes."""


class FailureCode(Enum):
    """Why a request brought no answer."""

    TIMEOUT = "NET_TIMEOUT"
    """No complete answer in time."""
    REFUSED = "NET_REFUSED"
    """The peer is busy, limits our rate, or does not serve this kind (another network, an older version)."""
    TOO_LARGE = "NET_TOO_LARGE"
    """The peer found our request, or we found its answer, over the limit of the wire table."""
    GONE = "NET_GONE"
    """Not connected, or the connection ended before the answer."""
    REMOTE_ERROR = "NET_REMOTE_ERROR"
    """The peer's handler raised; `remote_code` and `remote_message` are its words."""


class RequestFailed(Missing):
    """A request (or a dial) brought nothing: ask another peer.  Never a reason to stop."""

    __slots__ = ("failure", "peer", "remote_code", "remote_message")

    def __init__(
        self,
        failure: FailureCode,
        peer: PeerId,
        *,
        found: object = None,
        allowed: object = None,
        remote_code: str = "",
        remote_message: str = "",
    ) -> None:
        hint = f"Peer {peer} answered {remote_code}: {remote_message}" if remote_code else f"Peer {peer}."
        super().__init__(failure.value, found=found, allowed=allowed, hint=hint)
        self.failure = failure
        self.peer = peer
        self.remote_code = remote_code
        self.remote_message = remote_message


class Network(Protocol):
    """A node's only way to talk to other nodes."""

    @property
    def peer_id(self) -> PeerId:
        """Our own identity."""

    def on_gossip(self, topic: Topic, handler: GossipHandler) -> None:
        """Set the handler of a topic; before `run`.  Without one, messages of the topic are ignored."""

    def on_request(self, kind: RequestKind, handler: RequestHandler) -> None:
        """Set the handler of a request kind; before `run`.  Without one, askers are refused."""

    def on_peer(self, handler: PeerHandler) -> None:
        """Add an observer of peers coming and going; before `run`."""

    async def run(self, *, task_status: StartSignal = trio.TASK_STATUS_IGNORED) -> None:
        """Listen and serve until cancelled; `nursery.start(net.run)` returns once the node can be dialled.

        Raises:
            LocalFault: NET_PORT_IN_USE or NET_LISTEN.
        """

    async def broadcast(self, topic: Topic, data: bytes) -> None:
        """Gossip our own message; our handler is not called.

        The same bytes again within two minutes go nowhere: every node has seen them.

        Raises:
            LocalFault: NET_GOSSIP_BYTES (over the topic's limit), NET_NOT_RUNNING.
        """

    async def request(self, peer: PeerId, kind: RequestKind, data: bytes, *, timeout_s: float) -> bytes:
        """Ask a connected peer and return its answer; waits for our own pace under the peer's rate limit.

        Raises:
            RequestFailed: see `FailureCode`.
            LocalFault: NET_REQUEST_BYTES (over the kind's limit), NET_NOT_RUNNING.
        """

    async def dial(self, address: str) -> PeerId:
        """Connect to `/ip4/127.0.0.1/tcp/4001/p2p/12D3…`; a peer already connected is simply returned.

        Raises:
            RequestFailed: NET_GONE (nobody answers, or somebody else does), NET_TIMEOUT.
            Policy: NET_ADDRESS (not such an address), NET_BANNED, NET_SELF_DIAL.
            LocalFault: NET_NOT_RUNNING.
        """

    def peers(self) -> list[PeerInfo]:
        """Connected peers, in order of their id."""

    def listen_addresses(self) -> list[str]:
        """Where we can be dialled, with real ports and our id; empty while not running."""

    async def disconnect(self, peer: PeerId) -> None:
        """Close every connection to `peer`; it may come back."""

    async def ban(self, peer: PeerId, reason: str) -> None:
        """Disconnect `peer` and refuse it for `wire.BAN_MS`."""
