"""The production network: a hardened libp2p host.  TCP, Noise and Yamux only; GossipSub 1.1.

libp2p 0.8.1 as shipped dies of one malformed packet; what is done about it is listed in `p2p.hardening`.
Here: the host's settings, its life cycle, and the translation between its objects and `p2p.interface`.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import trio
from libp2p import new_host
from libp2p.abc import IHost, INetConn, INetwork, INotifee
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.custom_types import TProtocol
from libp2p.network.config import ConnectionConfig
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo as Libp2pPeerInfo
from libp2p.rcmgr import Direction as Libp2pDirection
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE_PROTOCOL
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX_PROTOCOL
from libp2p.tools.anyio_service import background_trio_service
from multiaddr import Multiaddr

from chain.errors import Invalid, LocalFault, Policy
from p2p.addresses import DialAddress, ListenOn
from p2p.base import NetworkBase
from p2p.frames import Answer
from p2p.gossip import GossipSink, SafeGossipSub, SafePubsub
from p2p.hardening import contain_streams, harden_process, release_inbound_slots, stop_auto_connector
from p2p.interface import (
    Direction,
    FailureCode,
    PeerChange,
    PeerId,
    PeerInfo,
    RequestFailed,
    StartSignal,
    Verdict,
)
from p2p.keys import NodeSeed
from p2p.requests import TRANSPORT_ERRORS, AnswerOverLimit, NotServed, RequestServer, ask
from p2p.wire import Fault, RequestKind, Topic, topic_name
from p2p.yamux import SafeYamux

MAX_CONNECTIONS = 64
DIAL_LIMIT_S = 15.0
"""libp2p gave up on a stalled process only after two minutes."""
STOP_LIMIT_S = 3.0
"""A clean stop says goodbye to every peer; a stalled peer does not hold it up longer than this."""


def wall_clock_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class Libp2pNetwork(NetworkBase):
    """One node's `Network` on real sockets."""

    def __init__(
        self,
        seed: NodeSeed,
        network_id: str,
        listen: ListenOn,
        *,
        max_connections: int = MAX_CONNECTIONS,
        now_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        """`network_id` becomes part of every topic and protocol name.

        Raises:
            LocalFault: NET_LIBP2P_VERSION.
        """
        harden_process()
        super().__init__(seed.peer_id(), now_ms)
        self._seed = seed
        self._network_id = network_id
        self._listen = listen
        self._max_connections = max_connections
        self._topics = {topic_name(topic, network_id): topic for topic in Topic}
        self._host: IHost | None = None
        self._pubsub: SafePubsub | None = None
        self._connected: dict[PeerId, int] = {}  # since when

    async def run(self, *, task_status: StartSignal = trio.TASK_STATUS_IGNORED) -> None:
        """See `Network.run`."""
        _check_port_is_free(self._listen)
        stop = trio.Event()
        async with trio.open_nursery() as nursery:
            await nursery.start(self._run_shielded, nursery, stop)
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                stop.set()

    async def dial(self, address: str) -> PeerId:
        """See `Network.dial`."""
        host = self._running_host()
        target = DialAddress.parse(address)
        peer = target.peer_id
        if peer == self._peer_id:
            raise Policy("NET_SELF_DIAL", found=address, allowed="another node")
        if self._gate.is_banned(peer, self._now_ms()):
            raise Policy("NET_BANNED", found=peer, allowed="a peer that is not banned")
        if self._is_connected(peer):
            return peer
        libp2p_id = _libp2p_id(peer)
        swarm: Any = host.get_network()
        swarm._negative_peer_cache.evict(str(libp2p_id))  # 13: refused for 60 s after a failure
        host.get_peerstore().clear_addrs(libp2p_id)  # 17: only the first known TCP address is ever tried
        place = Multiaddr(f"/{target.host_kind}/{target.host}/tcp/{target.port}")
        with trio.move_on_after(DIAL_LIMIT_S):
            try:
                await host.connect(Libp2pPeerInfo(libp2p_id, [place]))
            except TRANSPORT_ERRORS:
                raise RequestFailed(FailureCode.GONE, peer, found=f"nobody at {address}") from None
            if not self._connections(libp2p_id):
                raise RequestFailed(FailureCode.GONE, peer, found="a peer that hung up at once")
            return peer
        raise RequestFailed(FailureCode.TIMEOUT, peer, found=f"no connection to {address}")

    def peers(self) -> list[PeerInfo]:
        """See `Network.peers`."""
        if self._host is None:
            return []
        now_ms = self._now_ms()
        rows = []
        for peer, since_ms in sorted(self._connected.items()):
            connections = self._connections(_libp2p_id(peer))
            if connections:
                connection = connections[0]
                outbound = connection.direction is Libp2pDirection.OUTBOUND
                direction = Direction.OUTBOUND if outbound else Direction.INBOUND
                score = self._gate.score(peer, now_ms)
                rows.append(PeerInfo(peer, _remote_address(connection, peer), direction, since_ms, score))
        return rows

    def listen_addresses(self) -> list[str]:
        """See `Network.listen_addresses`."""
        if self._host is None:
            return []
        host: Any = self._host
        return [f"{address}/p2p/{self._peer_id}" for address in host.get_transport_addrs()]

    async def disconnect(self, peer: PeerId) -> None:
        """See `Network.disconnect`."""
        if self._host is not None:
            await self._host.disconnect(_libp2p_id(peer))

    async def _run_shielded(
        self, nursery: trio.Nursery, stop: trio.Event, *, task_status: StartSignal = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Keep libp2p out of our cancellation, so that it always stops in order: peers, gossip, listener."""
        with trio.CancelScope(shield=True) as limit:
            try:
                async with AsyncExitStack() as stack:
                    host, pubsub = await self._start(stack)
                    self._host, self._pubsub, self._nursery = host, pubsub, nursery
                    task_status.started()
                    await stop.wait()
                    limit.deadline = trio.current_time() + STOP_LIMIT_S
                    await _close(host)
            finally:
                self._host = self._pubsub = self._nursery = None
                self._connected.clear()

    async def _start(self, stack: AsyncExitStack) -> tuple[IHost, SafePubsub]:
        host = _build_host(self._seed, self._max_connections)
        swarm: Any = host.get_network()
        contain_streams(swarm, self._garbage)
        release_inbound_slots(swarm)
        stop_auto_connector(swarm)
        swarm.register_notifee(_PeerNotifee(self._opened, self._closed))
        router = SafeGossipSub()
        sink = GossipSink(self._sink_admit, self._sink_judge, self._garbage)
        pubsub = SafePubsub(host, router, sink, frozenset(self._topics))
        server = RequestServer(
            host, self._network_id, self._serve_admit, self._serve_libp2p, self._request_oversize
        )
        for kind in self._servants.kinds():
            server.open(kind)
        await stack.enter_async_context(host.run([Multiaddr(self._listen.multiaddr())]))
        if not swarm.listeners:
            raise LocalFault(
                "NET_LISTEN", found=self._listen.multiaddr(), allowed="an address of this machine"
            )
        await stack.enter_async_context(background_trio_service(pubsub))
        await stack.enter_async_context(background_trio_service(router))
        await pubsub.wait_until_ready()
        for name in self._topics:
            await pubsub.subscribe(name)
        return host, pubsub

    def _running_host(self) -> IHost:
        if self._host is None:
            raise LocalFault("NET_NOT_RUNNING", hint="Start the network before using it.")
        return self._host

    def _is_connected(self, peer: PeerId) -> bool:
        return peer in self._connected and bool(self._connections(_libp2p_id(peer)))

    def _connections(self, libp2p_id: ID) -> list[Any]:
        """Live connections; shorter-lived than `_connected`, as libp2p reports an end a little late."""
        swarm: Any = self._running_host().get_network()
        return list(swarm.connections.get(libp2p_id, []))

    async def _publish(self, topic: Topic, data: bytes) -> None:
        if self._pubsub is not None:
            await self._pubsub.publish(topic_name(topic, self._network_id), data)

    async def _exchange(self, peer: PeerId, kind: RequestKind, data: bytes) -> Answer:
        host = self._running_host()
        try:
            return await ask(host, _libp2p_id(peer), kind, self._network_id, data)
        except NotServed:
            raise RequestFailed(FailureCode.REFUSED, peer, found=f"no {kind.value} there") from None
        except AnswerOverLimit as over:
            raise self._answer_too_large(peer, kind, over.size_bytes) from None
        except Invalid:
            self._penalise(peer, Fault.GARBAGE.value, f"garbled {kind.value} answer")
            raise RequestFailed(FailureCode.GONE, peer, found="a garbled answer") from None
        except TRANSPORT_ERRORS:
            found = "a connection that ended before the answer"
            raise RequestFailed(FailureCode.GONE, peer, found=found) from None

    def _sink_admit(self, peer: ID, name: str, size_bytes: int) -> bool:
        return self._admit_gossip(_peer_id(peer), self._topics[name], size_bytes)

    async def _sink_judge(self, peer: ID, name: str, data: bytes) -> Verdict:
        return await self._judge_gossip(_peer_id(peer), self._topics[name], data)

    def _garbage(self, peer: ID) -> None:
        self._penalise(_peer_id(peer), Fault.GARBAGE.value, "garbage")

    def _serve_admit(self, peer: ID, kind: RequestKind) -> bool:
        return self._admit_request(_peer_id(peer), kind)

    async def _serve_libp2p(self, peer: ID, kind: RequestKind, data: bytes) -> Answer:
        return await self._serve(_peer_id(peer), kind, data)

    def _request_oversize(self, peer: ID, kind: RequestKind) -> None:
        self._penalise(_peer_id(peer), Fault.OVERSIZE.value, f"oversize {kind.value}")

    async def _opened(self, libp2p_id: ID) -> None:
        peer = _peer_id(libp2p_id)
        if self._gate.is_banned(peer, self._now_ms()):
            # No gate for peer ids exists before the handshake; hang up right after it.
            if self._nursery is not None:
                self._nursery.start_soon(self.disconnect, peer)
        elif peer not in self._connected:
            self._connected[peer] = self._now_ms()
            self._peer_changed(peer, PeerChange.CONNECTED)

    async def _closed(self, libp2p_id: ID) -> None:
        peer = _peer_id(libp2p_id)
        if self._host is not None and self._connections(libp2p_id):
            return  # two nodes that dialled each other share two connections
        if self._connected.pop(peer, None) is not None:
            self._peer_changed(peer, PeerChange.DISCONNECTED)


class _PeerNotifee(INotifee):
    """Forwards libp2p's connection events."""

    def __init__(self, opened: Callable[[ID], Any], closed: Callable[[ID], Any]) -> None:
        self._opened = opened
        self._closed = closed

    async def connected(self, network: INetwork, conn: INetConn) -> None:
        await self._opened(conn.muxed_conn.peer_id)

    async def disconnected(self, network: INetwork, conn: INetConn) -> None:
        await self._closed(conn.muxed_conn.peer_id)

    async def opened_stream(self, network: INetwork, stream: Any) -> None:
        """Nothing to do."""

    async def closed_stream(self, network: INetwork, stream: Any) -> None:
        """Nothing to do."""

    async def listen(self, network: INetwork, multiaddr: Multiaddr) -> None:
        """Nothing to do."""

    async def listen_close(self, network: INetwork, multiaddr: Multiaddr) -> None:
        """Nothing to do."""


def _build_host(seed: NodeSeed, max_connections: int) -> IHost:
    """A host that offers Noise and Yamux only; stock it also accepts plaintext."""
    keys = create_new_key_pair(seed.reveal())
    noise = NoiseTransport(keys, noise_privkey=create_noise_key_pair().private_key)
    settings = ConnectionConfig(
        max_connections=max_connections,
        high_watermark=max_connections,
        min_connections=0,  # otherwise inbound connections get fewer slots than there are
        low_watermark=0,
        enable_health_monitoring=True,  # 12: otherwise a stalled peer stays connected, and in the mesh
        health_initial_delay=10,
        health_check_interval=15,
        ping_timeout=10,  # a busy machine answers late
        abort_connection_on_ping_failure=True,
    )
    return new_host(
        key_pair=keys,
        sec_opt={NOISE_PROTOCOL: noise},
        muxer_opt={TProtocol(YAMUX_PROTOCOL): SafeYamux},
        connection_config=settings,
        disable_identify_address_discovery=True,
    )


def _check_port_is_free(listen: ListenOn) -> None:
    """libp2p listens with SO_REUSEPORT: two nodes on one port would silently share its connections.

    Raises:
        LocalFault: NET_PORT_IN_USE or NET_LISTEN.
    """
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # old connections may linger
        try:
            probe.bind((listen.host, listen.port))
            probe.listen(1)
        except OSError as error:
            in_use = error.errno == errno.EADDRINUSE
            code = "NET_PORT_IN_USE" if in_use else "NET_LISTEN"
            hint = "Stop the other program or choose another port." if in_use else str(error.strerror)
            found = f"{listen.host}:{listen.port}"
            raise LocalFault(code, found=found, allowed="a free port of this machine", hint=hint) from None


async def _close(host: IHost) -> None:
    """Close all connections and the listener.

    Connections at once, since one by one libp2p takes a fifth of a second for each.  And the listener here,
    since libp2p's own stop cancels itself before it gets there and leaves the port open.
    """
    swarm: Any = host.get_network()
    with trio.move_on_after(STOP_LIMIT_S / 2):
        async with trio.open_nursery() as nursery:
            for libp2p_id in list(swarm.connections):
                nursery.start_soon(host.disconnect, libp2p_id)
    for listener in list(swarm.listeners.values()):
        await listener.close()


def _peer_id(libp2p_id: ID) -> PeerId:
    return PeerId(libp2p_id.to_base58())


def _libp2p_id(peer: PeerId) -> ID:
    try:
        return ID.from_base58(peer)
    except ValueError:
        raise Policy("NET_ADDRESS", found=peer, allowed="a peer id such as 12D3KooW…") from None


def _remote_address(connection: Any, peer: PeerId) -> str:
    addresses = connection.get_transport_addresses()
    if not addresses:
        return f"/p2p/{peer}"
    text = str(addresses[0])
    return text if "/p2p/" in text else f"{text}/p2p/{peer}"
