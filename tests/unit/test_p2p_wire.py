"""The message table, frames, keys, addresses, and what may be imported from where."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.errors import Invalid, LocalFault, Policy
from p2p.addresses import DialAddress, ListenOn
from p2p.frames import (
    ANSWER_HEAD_BYTES,
    MAX_ERROR_BYTES,
    REQUEST_HEAD_BYTES,
    UNKNOWN_CODE,
    Answer,
    Reply,
    answer_frame,
    answer_head,
    error_answer,
    read_error,
    request_frame,
    request_length,
)
from p2p.keys import NodeSeed
from p2p.version import LIBP2P_VERSION, check_libp2p_version
from p2p.wire import (
    KIB,
    MAX_GOSSIP_RPC_BYTES,
    REQUESTS,
    TOPICS,
    Fault,
    RequestKind,
    Topic,
    protocol_name,
    topic_name,
)

PEER = "12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq"


def test_every_topic_and_request_has_a_row_with_sane_limits() -> None:
    assert list(TOPICS) == list(Topic)
    assert list(REQUESTS) == list(RequestKind)
    assert all(row.max_bytes <= MAX_GOSSIP_RPC_BYTES // 2 for row in TOPICS.values())
    assert all(row.max_response_bytes <= 8 << 20 for row in REQUESTS.values())


def test_names_carry_the_network_and_never_collide() -> None:
    names = [topic_name(topic, net) for topic in Topic for net in ("a", "b")]
    names += [protocol_name(kind, net) for kind in RequestKind for net in ("a", "b")]
    assert len(set(names)) == len(names)
    assert topic_name(Topic.TXS, "c0ffee") == "/tilework/txs/1/c0ffee"


@given(st.binary(max_size=2000))
def test_frames_round_trip(payload: bytes) -> None:
    request = request_frame(payload)
    assert request_length(request[:REQUEST_HEAD_BYTES]) == len(payload)
    assert request[REQUEST_HEAD_BYTES:] == payload
    for reply in Reply:
        frame = answer_frame(Answer(reply, payload))
        assert answer_head(frame[:ANSWER_HEAD_BYTES]) == (reply, len(payload))
        assert frame[ANSWER_HEAD_BYTES:] == payload


@pytest.mark.parametrize("code", [4, 255])
def test_an_unknown_reply_code_is_invalid(code: int) -> None:
    with pytest.raises(Invalid):
        answer_head(bytes([code, 0, 0, 0, 0]))


def test_errors_travel_and_are_bounded() -> None:
    assert read_error(error_answer("TX_FEE", "found 1, allowed 2").payload) == (
        "TX_FEE",
        "found 1, allowed 2",
    )
    long = error_answer("TX_FEE", "ä" * 5000)
    assert long.reply is Reply.ERROR
    assert len(long.payload) <= MAX_ERROR_BYTES


@given(st.binary(max_size=3000))
def test_reading_a_peers_error_is_total_and_printable(payload: bytes) -> None:
    code, text = read_error(payload)
    assert code == UNKNOWN_CODE or (code.isascii() and code.isprintable())
    assert text.isprintable()


def test_a_seed_gives_the_peer_id_libp2p_gives_and_is_never_shown() -> None:
    from libp2p.crypto.ed25519 import create_new_key_pair
    from libp2p.peer.id import ID

    for seed in (bytes(32), bytes(range(32)), b"\xff" * 32):
        expected = ID.from_pubkey(create_new_key_pair(seed).public_key).to_base58()
        assert NodeSeed(seed).peer_id() == expected
    assert repr(NodeSeed(bytes(32))) == "NodeSeed(***)"
    with pytest.raises(LocalFault):
        NodeSeed(b"short")


def test_listen_addresses() -> None:
    assert ListenOn.parse("127.0.0.1:0") == ListenOn("127.0.0.1", 0)
    assert ListenOn.parse("[::1]:4001").multiaddr() == "/ip6/::1/tcp/4001"
    assert ListenOn.parse("0.0.0.0:4001").multiaddr() == "/ip4/0.0.0.0/tcp/4001"
    for wrong in ("", "4001", "localhost:1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:²"):
        with pytest.raises(Policy):
            ListenOn.parse(wrong)


@pytest.mark.parametrize(
    "place", ["/ip4/127.0.0.1/tcp/1", "/ip6/::1/tcp/65535", "/dns4/node.example/tcp/4001"]
)
def test_dial_addresses_round_trip(place: str) -> None:
    address = DialAddress.parse(f"{place}/p2p/{PEER}")
    assert str(address) == f"{place}/p2p/{PEER}"
    assert address.peer_id == PEER


@given(st.text(max_size=80))
def test_parsing_a_dial_address_is_total(text: str) -> None:
    try:
        assert str(DialAddress.parse(text)) == text
    except Policy as refused:
        assert refused.code == "NET_ADDRESS"  # noqa: PT017 - both outcomes are right


def test_any_other_libp2p_is_refused() -> None:
    check_libp2p_version()
    check_libp2p_version(LIBP2P_VERSION)
    for other in ("0.8.0", "0.8.2", "0.9.0", "none"):
        with pytest.raises(LocalFault) as fault:
            check_libp2p_version(other)
        assert fault.value.code == "NET_LIBP2P_VERSION"
        assert other in str(fault.value)
        assert f"libp2p=={LIBP2P_VERSION}" in fault.value.hint


def test_only_the_host_and_its_neighbours_import_libp2p() -> None:
    light = (
        "interface wire limits penalties gate frames keys addresses serving base memory dialer logs version"
    )
    modules = ", ".join(f"p2p.{name}" for name in light.split())
    script = f"import sys, {modules}; sys.exit('libp2p' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode == 0


def test_the_specification_shows_the_numbers_of_the_table() -> None:
    text = (Path(__file__).parents[2] / "docs" / "spec" / "network.md").read_text()
    for row in TOPICS.values():
        (line,) = (line for line in text.splitlines() if line.startswith(f"| `{row.topic.value}` |"))
        assert line.endswith(f"| {row.max_bytes // KIB} KiB | {row.rate.per_window} |")
    for request in REQUESTS.values():
        (line,) = (line for line in text.splitlines() if line.startswith(f"| `{request.kind.value}` |"))
        assert line.endswith(f"| {request.rate.per_window} ({request.rate.burst}) |")
    for fault in Fault:
        assert f" {fault.value}" in text.split("[NET-PENALTY]")[1]
