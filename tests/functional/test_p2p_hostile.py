"""A hostile peer cannot end, silence or fill a libp2p host.

Each test attacks a victim through a plain libp2p host and then asks whether the victim still serves an honest
node.  Stock libp2p 0.8.1 dies of the first four.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.pubsub.gossipsub import PROTOCOL_ID_V11
from libp2p.pubsub.pb import rpc_pb2
from libp2p.utils import encode_varint_prefixed
from multiaddr import Multiaddr

from p2p.frames import ANSWER_HEAD_BYTES, Reply, answer_head
from p2p.interface import PeerId, RequestFailed
from p2p.requests import read_exactly
from p2p.wire import REQUESTS, TOPICS, RequestKind, Topic, protocol_name, topic_name
from tests.functional.p2p_nodes import NETWORK_ID, Node, World, until, world

TXS = topic_name(Topic.TXS, NETWORK_ID)


class Attacker:
    """A stock libp2p host connected to its victim."""

    def __init__(self, host: Any, victim: Node) -> None:
        self.host = host
        self.victim = victim
        self.victim_id = ID.from_base58(victim.peer_id)
        self.peer_id = PeerId(host.get_id().to_base58())

    async def connect(self) -> None:
        self.host.get_network()._negative_peer_cache.clear()
        await self.host.connect(info_from_p2p_addr(Multiaddr(self.victim.address)))
        await until(lambda: self.peer_id in [info.peer_id for info in self.victim.network.peers()])

    async def gossip(self, data: bytes) -> None:
        """Send raw bytes on a pubsub stream of its own."""
        stream = await self.host.new_stream(self.victim_id, [PROTOCOL_ID_V11])
        await stream.write(data)

    def score(self) -> int:
        return next(
            (info.score for info in self.victim.network.peers() if info.peer_id == self.peer_id), -100
        )


@asynccontextmanager
async def attack(**options: object) -> AsyncIterator[tuple[World, Attacker]]:
    """A victim made with `options`, an attacker, and at the end: does the victim serve and hear an honest node?"""
    async with world("libp2p") as w:
        victim = await w.node(**options)
        host = new_host(key_pair=create_new_key_pair(b"\xaa" * 32))
        async with host.run([]):
            attacker = Attacker(host, victim)
            await attacker.connect()
            yield w, attacker
            honest = await w.node()
            await honest.network.dial(victim.address)
            alive = await honest.network.request(victim.peer_id, RequestKind.STATUS, b"alive", timeout_s=5)
            assert alive == b"alive"
            await honest.network.broadcast(Topic.VOTES, b"still there?")
            await until(lambda: b"still there?" in victim.payloads(Topic.VOTES))


def _message(**fields: Any) -> bytes:
    message = rpc_pb2.Message(**{"data": b"x", "topicIDs": [TXS], "seqno": b"1", **fields})
    return encode_varint_prefixed(rpc_pb2.RPC(publish=[message]).SerializeToString())


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(encode_varint_prefixed(b"\xff\xff\xff\xff not protobuf"), id="broken-protobuf"),
        pytest.param(_message(from_id=b"junk", key=b"junk", signature=b"junk"), id="key-does-not-parse"),
        pytest.param(_message(from_id=b"", signature=b"junk"), id="no-sender"),
        pytest.param(
            _message(from_id=b"\x00\x24\x08\x01\x12\x20" + b"k" * 32, signature=b"s" * 64), id="forged"
        ),
        pytest.param(_message(from_id=b"\x00\x24\x08\x01\x12\x20" + b"k" * 32), id="unsigned"),
    ],
)
async def test_broken_gossip_is_penalised_and_hurts_nobody(packet: bytes) -> None:
    async with attack() as (_, attacker):
        await attacker.gossip(packet)
        await until(lambda: attacker.score() < 0)
        assert attacker.victim.received == []


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(b"\xff" * 11, id="endless-varint"),
        pytest.param(encode_varint_prefixed(b"")[:1] + b"\xff\xff\xff\x7f", id="huge-length"),
        pytest.param(_message(topicIDs=[TXS, TXS]), id="two-topics"),
        pytest.param(_message(topicIDs=["/elsewhere"]), id="unknown-topic"),
        pytest.param(_message(topicIDs=[]), id="no-topic"),
        pytest.param(
            encode_varint_prefixed(
                rpc_pb2.RPC(
                    control=rpc_pb2.ControlMessage(
                        ihave=[
                            rpc_pb2.ControlIHave(topicID=TXS, messageIDs=[b"%032d" % i for i in range(9000)])
                        ]
                    )
                ).SerializeToString()
            ),
            id="ihave-flood",
        ),
    ],
)
async def test_odd_gossip_hurts_nobody(packet: bytes) -> None:
    async with attack() as (_, attacker):
        await attacker.gossip(packet)


async def test_gossip_over_its_topics_size_is_penalised() -> None:
    async with attack() as (_, attacker):
        await attacker.gossip(_message(data=bytes(TOPICS[Topic.TXS].max_bytes + 1)))
        await until(lambda: attacker.score() < 0)
        assert attacker.victim.received == []


async def test_repeated_garbage_gets_the_sender_banned() -> None:
    async with attack() as (_, attacker):
        for _ in range(2):
            await attacker.gossip(encode_varint_prefixed(b"\xff\xff\xff\xff"))
        await until(lambda: attacker.victim.network.peers() == [])
        assert attacker.score() == -100


async def test_a_protocol_name_that_is_not_text_hurts_nobody() -> None:
    async with attack() as (_, attacker):
        stream = await attacker.host.get_network().new_stream(attacker.victim_id)
        await stream.write(encode_varint_prefixed(b"/multistream/1.0.0\n"))
        await stream.write(encode_varint_prefixed(b"\xff\xfe\xfd\n"))
        await until(lambda: attacker.score() < 0)


async def test_an_oversize_request_is_refused_unread_and_penalised() -> None:
    async with attack() as (_, attacker):
        kind = RequestKind.STATUS
        stream = await attacker.host.new_stream(attacker.victim_id, [protocol_name(kind, NETWORK_ID)])
        await stream.write(struct.pack(">I", REQUESTS[kind].max_request_bytes + 1))
        reply, length = answer_head(await read_exactly(stream, ANSWER_HEAD_BYTES))
        assert (reply, length) == (Reply.TOO_LARGE, 0)
        assert attacker.score() < 0


async def test_requests_above_the_rate_are_told_to_come_back() -> None:
    async with attack(now_ms=lambda: 0) as (_, attacker):  # time stands still, so that nothing is forgiven
        kind = RequestKind.STATUS
        replies = []
        for _ in range(REQUESTS[kind].rate.burst + 3):
            stream = await attacker.host.new_stream(attacker.victim_id, [protocol_name(kind, NETWORK_ID)])
            await stream.write(struct.pack(">I", 0))
            reply, _ = answer_head(await read_exactly(stream, ANSWER_HEAD_BYTES))
            replies.append(reply)
            await stream.close()
        burst = REQUESTS[kind].rate.burst
        assert replies == [Reply.OK] * burst + [Reply.BUSY] * 3
        assert attacker.score() < 0


@pytest.mark.parametrize(
    "answer", [b"\x00\xff\xff\xff\xff", b"\x07\x00\x00\x00\x00", b"\x01\x00\x10\x00\x00", b""]
)
async def test_a_broken_answer_is_a_failed_request(answer: bytes) -> None:
    async with attack() as (_, attacker):

        async def serve(stream: Any) -> None:
            await stream.write(answer)
            await stream.close()

        attacker.host.set_stream_handler(protocol_name(RequestKind.HEADERS, NETWORK_ID), serve)
        with pytest.raises(RequestFailed):
            await attacker.victim.network.request(attacker.peer_id, RequestKind.HEADERS, b"", timeout_s=5)


async def test_many_open_streams_leave_room_for_others() -> None:
    async with attack() as (_, attacker):
        network = attacker.host.get_network()
        streams = [await network.new_stream(attacker.victim_id) for _ in range(200)]
        assert len(streams) == 200


async def test_junk_on_the_socket_hurts_nobody() -> None:
    async with attack() as (_, attacker):
        port = int(attacker.victim.address.split("/")[4])
        for junk in (
            b"",
            b"\x00" * 10,
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x13/multistream/1.0.0\n\x07/noise\n" + b"\xff" * 500,
        ):
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            await stream.send_all(junk)
            await stream.aclose()


async def test_inbound_slots_come_back() -> None:
    async with world("libp2p") as w:
        limit = 2
        victim = await w.node(max_connections=limit)
        visitor = await w.node()
        for _ in range(2 * limit + 1):
            await visitor.network.dial(victim.address)
            answer = await visitor.network.request(victim.peer_id, RequestKind.STATUS, b"x", timeout_s=5)
            assert answer == b"x"
            await visitor.network.disconnect(victim.peer_id)
            await _gone(victim, visitor)


async def _gone(*nodes: Node) -> None:
    empty: Callable[[], bool] = lambda: all(node.network.peers() == [] for node in nodes)  # noqa: E731
    await until(empty)
