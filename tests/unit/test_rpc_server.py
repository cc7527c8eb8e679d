"""The HTTP face of the RPC: who may come in, how much they may send, and what they read.  Spec: [RPC-HTTP]."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from chain.errors import LocalFault, Missing, Policy
from node.rpc.client import RpcClient
from node.rpc.server import MAX_BODY_BYTES, UNREAD_TIMEOUT_MS, _bind, refuse, serve_rpc
from node.rpc.table import METHODS
from tests.unit.rpc_node import MemoryNode, served

CALL = {"jsonrpc": "2.0", "id": 1, "method": "chain_status"}
HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
GOOD = {"host": "127.0.0.1:8645", "content-type": "application/json", "content-length": "2"}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(MemoryNode(tmp_path_factory.mktemp("node"))) as address:
        yield address


@pytest.fixture
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, trust_env=False) as client:
        yield client


def test_a_call_is_answered(http: httpx.Client) -> None:
    response = http.post("/", json=CALL)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json()["result"]["chain_id"] == "tilework-test"


def test_a_notification_gets_no_content(http: httpx.Client) -> None:
    response = http.post("/", json={"jsonrpc": "2.0", "method": "chain_status"})
    assert (response.status_code, response.content) == (204, b"")


def test_a_batch_is_answered_in_one(http: httpx.Client) -> None:
    answers = http.post("/", json=[CALL, CALL | {"id": "two"}]).json()
    assert [answer["id"] for answer in answers] == [1, "two"]


def test_bad_json_is_a_parse_error(http: httpx.Client) -> None:
    response = http.post("/", content=b"{", headers={"content-type": "application/json"})
    assert response.json()["error"]["code"] == -32700


def test_a_long_body_of_unknown_length_is_read(http: httpx.Client) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"jsonrpc":"2.0","id":1,"method":"chain_status","params":{}'
        yield b" " * 200_000
        yield b"}"

    response = http.post("/", content=chunks(), headers={"content-type": "application/json"})
    assert response.json()["result"]["height"] == 0


@pytest.mark.parametrize(
    "noise",
    [
        b"\0" * 2_000,
        b"GET\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\n{",
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Type: application/json\r\n\r\nzz\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(100),
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    ],
)
def test_noise_on_the_port_harms_nobody(http: httpx.Client, url: str, noise: bytes) -> None:
    port = int(url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as caller:
        caller.sendall(noise)
        caller.shutdown(socket.SHUT_WR)
        assert b'"result"' not in caller.recv(4096)
    assert http.post("/", json=CALL).json()["result"]["height"] == 0


@pytest.mark.parametrize(
    ("status", "changed", "method", "path"),
    [
        (403, {"host": "evil.example:8645"}, "POST", "/"),
        (403, {"host": ""}, "POST", "/"),
        (403, {"origin": "https://evil.example"}, "POST", "/"),
        (403, {"origin": "null"}, "POST", "/"),
        (404, {}, "POST", "/metrics"),
        (405, {}, "GET", "/"),
        (405, {}, "OPTIONS", "/"),
        (415, {"content-type": "text/plain"}, "POST", "/"),
        (415, {"content-type": ""}, "POST", "/"),
        (413, {"content-length": str(MAX_BODY_BYTES + 1)}, "POST", "/"),
        (413, {"content-length": "-1"}, "POST", "/"),
    ],
)
def test_who_stays_outside(status: int, changed: dict[str, str], method: str, path: str) -> None:
    refusal = refuse(method, path, GOOD | changed, HOSTS)
    assert refusal is not None
    assert refusal[0] == status


@pytest.mark.parametrize("host", ["127.0.0.1:1", "127.0.0.1", "localhost:8645", "[::1]:8645", "[::1]"])
def test_names_of_this_machine_come_in(host: str) -> None:
    assert refuse("POST", "/", GOOD | {"host": host}, HOSTS) is None


def test_a_rebound_name_is_refused_over_http(http: httpx.Client) -> None:
    response = http.post("/", json=CALL, headers={"host": "evil.example"})
    assert response.status_code == 403
    assert response.json()["error"]["data"]["code"] == "RPC_HTTP"


async def test_a_port_in_use_says_so(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(LocalFault) as caught:
            await serve_rpc(MemoryNode(tmp_path), "127.0.0.1", port)
    assert caught.value.code == "RPC_PORT_IN_USE"
    assert "--rpc" in str(caught.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.org", "::"])
async def test_only_loopback_is_served(tmp_path: Path, host: str) -> None:
    with pytest.raises(Policy) as caught:
        await serve_rpc(MemoryNode(tmp_path), host, 0)
    assert caught.value.code == "RPC_HOST"


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="a Linux option")
def test_a_caller_that_does_not_read_is_cut_by_the_kernel() -> None:
    """Otherwise it keeps the node from stopping: the HTTP library shields its writes from cancellation."""
    with _bind("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == UNREAD_TIMEOUT_MS


def test_the_client_gives_back_results_and_refusals(url: str) -> None:
    with RpcClient(url) as client:
        assert client.call("chain_status")["height"] == 0
        with pytest.raises(Missing) as caught:
            client.call("chain_block", id="7")
        assert (caught.value.code, caught.value.found, caught.value.allowed) == (
            "BLOCK_UNKNOWN",
            "height 7",
            "0..0",
        )
        with pytest.raises(Policy) as refused:
            client.call("chain_block", height=7)
        assert refused.value.code == "RPC_PARAMS"


def test_the_client_says_when_nobody_answers() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with RpcClient(f"http://127.0.0.1:{port}") as client, pytest.raises(LocalFault) as caught:
        client.call("chain_status")
    assert caught.value.code == "NODE_UNREACHABLE"
    assert "tilework devnet up" in caught.value.hint


@pytest.mark.parametrize("url", ["", "127.0.0.1:8645", "ftp://127.0.0.1", "http://", "http://[::1"])
def test_the_client_refuses_what_is_no_url(url: str) -> None:
    with pytest.raises(Policy) as caught:
        RpcClient(url)
    assert caught.value.code == "RPC_URL"


def test_the_openrpc_document_lists_every_method(url: str) -> None:
    with RpcClient(url) as client:
        document = client.call("rpc.discover")
    assert [entry["name"] for entry in document["methods"]] == list(METHODS)
    assert all(parameter["description"] for entry in document["methods"] for parameter in entry["params"])
