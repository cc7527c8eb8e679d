"""Every patch of libp2p 0.8.1 that is not a subclass, in one place.  Applied when a host is built.

Numbers are those of our list of the library's defects; each says what breaks without the patch.  All of them
touch private parts of the library, which is why `p2p.version` refuses any other version.

Elsewhere: 6, 7, 10 in `p2p.yamux`; 1a, 1b, 3, 4, 5, 8, 9 in `p2p.gossip`; 11, 13, 17 in `p2p.host` and
`p2p.requests`; 12 (a stalled peer stays connected) by libp2p's health monitor, switched on in `p2p.host`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import libp2p.pubsub.pubsub as upstream_pubsub
import libp2p.pubsub.rpc_queue as upstream_queue
import libp2p.stream_muxer.muxer_multistream as upstream_muxer
from libp2p.abc import IMuxedConn, INetStream
from libp2p.network.exceptions import SwarmException
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID

from p2p.logs import silence_libp2p
from p2p.version import check_libp2p_version
from p2p.wire import MAX_GOSSIP_RPC_BYTES
from p2p.yamux import SafeYamux, cap_window_growth

MAX_STREAMS_PER_PEER = 64
"""Inbound streams of one peer open at once.  libp2p bounds only the sum over all peers (10 000)."""
OUTBOUND_QUEUE_RPCS = 256
"""Gossip frames waiting for one peer.  32 upstream: a burst of transactions lost messages."""
SUBSCRIPTION_CAPACITY = 1024


def harden_process() -> None:
    """Patches of modules; idempotent, and the same for every host of the process.

    Raises:
        LocalFault: NET_LIBP2P_VERSION.
    """
    check_libp2p_version()
    silence_libp2p()
    # 7: the muxer option is ignored for Yamux, the class is looked up in this module.  Without it hosts run
    # the stock muxer: deadlocks, unbounded buffers.
    upstream_muxer.Yamux = SafeYamux  # type: ignore[attr-defined]
    cap_window_growth()
    # 8: the outbound queue cannot be configured through any constructor.
    upstream_queue.RpcQueue.__init__.__defaults__ = (OUTBOUND_QUEUE_RPCS, MAX_GOSSIP_RPC_BYTES)
    upstream_pubsub.SUBSCRIPTION_CHANNEL_SIZE = SUBSCRIPTION_CAPACITY


def contain_streams(swarm: Swarm, garbage: Callable[[ID], None]) -> None:
    """Keep whatever happens on an inbound stream inside that stream.

    1c, 1d: a protocol name that is not UTF-8, and any exception of a stream's handler, end the whole host.
    And no bound exists on the streams of one peer.
    """
    inner = swarm.common_stream_handler
    open_streams: Counter[ID] = Counter()

    async def contained(stream: INetStream) -> None:
        peer = stream.muxed_conn.peer_id
        if open_streams[peer] >= MAX_STREAMS_PER_PEER:
            await stream.reset()
            return
        open_streams[peer] += 1
        try:
            await inner(stream)
        except ValueError:  # includes UnicodeDecodeError: bytes that no implementation sends
            garbage(peer)
            await stream.reset()
        except Exception:  # noqa: BLE001 - boundary: one peer's stream must not end the host
            await stream.reset()
        finally:
            open_streams[peer] -= 1
            if not open_streams[peer]:
                del open_streams[peer]

    swarm.set_stream_handler(contained)


def release_inbound_slots(swarm: Swarm) -> None:
    """Give an inbound connection's slot back when the connection ends.

    2: the accept task keeps slot and task until the swarm stops, so after `max_connections` inbound
    connections in its lifetime a node accepts no more.  Upstream releases the slot when the task raises.
    """
    upgrade = swarm.upgrade_inbound_raw_conn

    async def upgrade_and_wait(raw_connection: Any, address: Any) -> IMuxedConn:
        connection: Any = await upgrade(raw_connection, address)
        await connection.event_closed.wait()
        raise SwarmException("inbound connection ended")

    swarm.upgrade_inbound_raw_conn = upgrade_and_wait  # type: ignore[assignment,method-assign]


def stop_auto_connector(swarm: Swarm) -> None:
    """Never dial on libp2p's own initiative.

    14: below the middle of its watermarks, even when the lower one is 0, the swarm dials whatever peer it has
    heard of: banned ones, and peers a test has cut off.  Redialling is `p2p.dialer`'s.
    """

    async def never() -> None:
        return

    swarm.auto_connector.maybe_connect = never  # type: ignore[method-assign]
