"""The HTTP face of the RPC: loopback only, one path, no browsers.  Spec: [RPC-HTTP].

There is no password yet, so whoever reaches the port is the operator. Three doors stay shut: other hosts (the socket
binds to loopback addresses only), web pages of other sites (any request with an Origin, and any body that is not
application/json, which a page cannot send without asking first), and DNS rebinding (Host must name this machine).
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from errno import EACCES, EADDRINUSE, EADDRNOTAVAIL
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import trio
from hypercorn.config import Config
from hypercorn.trio import serve

from chain.errors import LocalFault, Policy
from node.rpc import jsonrpc
from node.rpc.backend import NodeBackend
from node.rpc.registry import Cost, Method, bind
from node.rpc.table import METHODS, method_named

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trio_typing import TaskStatus

MAX_BODY_BYTES = 96 << 20
"""The largest blob_put: 64 MiB of matrix, a third more as base64, and the call around it."""
SMALL_BODY_BYTES = 1 << 20
"""Longer bodies wait for one of the few places for bulk calls before they are read on."""
BODY_TIMEOUT_S = 120
UNREAD_TIMEOUT_MS = 10_000
"""The kernel cuts a caller that does not read its answer for so long: the HTTP library shields its writes from
cancellation, so such a caller could keep a node from stopping."""
PARSE_IN_PLACE_BYTES = 1 << 16

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

_log = logging.getLogger("tilework.rpc")


class RpcApp:
    """An ASGI application that answers JSON-RPC for one node."""

    def __init__(
        self, node: NodeBackend, hosts: frozenset[str], methods: dict[str, Method] = METHODS
    ) -> None:
        self._node = node
        self._hosts = hosts
        self._methods = methods
        self._places = {cost: trio.CapacityLimiter(cost.value) for cost in Cost}
        self._bodies = trio.CapacityLimiter(Cost.BULK.value)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._serve_http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _serve_lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1003})

    async def call(self, name: str, parameters: jsonrpc.Parameters) -> Any:
        """Run one method.  Raises: TileworkError."""
        declared = method_named(name, self._methods)
        bound = bind(declared, parameters)
        async with self._places[declared.cost]:
            return await declared.handler(self._node, **bound)

    async def _serve_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        refusal = refuse(scope["method"], scope["path"], headers, self._hosts)
        if refusal is not None:
            await _respond(send, refusal[0], _explained(*refusal[1:]))
            return
        async with self._body_place(headers):
            try:
                with trio.fail_after(BODY_TIMEOUT_S):
                    body = await _read_body(receive)
            except trio.TooSlowError:
                await _respond(
                    send, 408, _explained(f"no whole body in {BODY_TIMEOUT_S} s", "send it faster")
                )
                return
            if body is None:
                return  # the caller went away
            if len(body) > MAX_BODY_BYTES:
                await _respond(send, 413, _explained(f"a body over {MAX_BODY_BYTES} bytes", "a shorter one"))
                return
            response = await self._answer(body)
        await _respond(send, 200 if response is not None else 204, response or b"")

    async def _answer(self, body: bytes) -> bytes | None:
        try:
            if len(body) > PARSE_IN_PLACE_BYTES:
                message = await trio.to_thread.run_sync(jsonrpc.parse, body)
            else:
                message = jsonrpc.parse(body)
        except ValueError:
            return jsonrpc.encode(jsonrpc.failure(None, jsonrpc.PARSE_ERROR, "Parse error"))
        response = await jsonrpc.answer(message, self.call)
        if response is None:
            return None
        return await trio.to_thread.run_sync(jsonrpc.encode, response)

    @asynccontextmanager
    async def _body_place(self, headers: dict[str, str]) -> AsyncIterator[None]:
        """Bounds the memory of request bodies: long ones, and ones of unknown length, are read two at a time."""
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) <= SMALL_BODY_BYTES:
            yield
            return
        async with self._bodies:
            yield


def refuse(
    method: str, path: str, headers: dict[str, str], hosts: frozenset[str]
) -> tuple[int, str, str] | None:
    """(status, found, allowed) if a request may not reach the methods; reads nothing but its head."""
    host = headers.get("host", "")
    if host.rpartition(":")[0] not in hosts and host not in hosts:
        return 403, f"Host {host[:80]!r}", "the address or name of this machine's loopback interface"
    if "origin" in headers:
        return 403, f"a web page of {headers['origin'][:80]!r}", "programs only, no browsers"
    if path != "/":
        return 404, f"path {path[:80]!r}", "/"
    if method != "POST":
        return 405, f"method {method[:16]!r}", "POST"
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return 415, f"content type {headers.get('content-type', '')[:80]!r}", "application/json"
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
        return 413, f"a body of {length[:24]} bytes", f"at most {MAX_BODY_BYTES} bytes"
    return None


async def serve_rpc(
    node: NodeBackend, host: str, port: int, *, task_status: TaskStatus[str] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve the methods until cancelled; `nursery.start` returns the URL, with the real port where 0 was asked for.

    Raises:
        Policy: RPC_HOST if the address is not a loopback address.
        LocalFault: RPC_PORT_IN_USE, RPC_LISTEN.
    """
    listener = _bind(host, port)
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.errorlog = logging.getLogger("tilework.rpc.http")
    config.errorlog.setLevel(logging.WARNING)
    config.include_server_header = False
    config.keep_alive_timeout = 60
    app = RpcApp(node, frozenset({"localhost", host, f"[{host}]", "127.0.0.1", "[::1]"}))
    async with trio.open_nursery() as nursery:
        (url,) = await nursery.start(partial(serve, app, config))  # type: ignore[arg-type]
        _log.info("rpc-listening url=%s", url)
        task_status.started(url)


def _bind(host: str, port: int) -> socket.socket:
    try:
        address = ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        raise Policy(
            "RPC_HOST",
            found=host,
            allowed="127.0.0.1, ::1 or localhost: the RPC has no password",
            hint="From another machine, use an SSH tunnel: ssh -L 8645:127.0.0.1:8645 HOST.",
        )
    listener = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; connections inherit it
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_TIMEOUT_MS)
    try:
        listener.bind((str(address), port))
        listener.listen(64)
    except OSError as error:
        listener.close()
        raise _bind_fault(error, host, port) from error
    return listener


def _bind_fault(error: OSError, host: str, port: int) -> LocalFault:
    if error.errno == EADDRINUSE:
        return LocalFault(
            "RPC_PORT_IN_USE",
            found=f"another program on {host}:{port}",
            allowed="a free port",
            hint="Choose another with --rpc HOST:PORT (port 0 takes any free one), or stop the other program.",
        )
    reason = {EACCES: "no permission", EADDRNOTAVAIL: "no such address here"}.get(
        error.errno or 0, str(error)
    )
    return LocalFault(
        "RPC_LISTEN",
        found=f"{host}:{port}: {reason}",
        allowed="a port above 1023",
        hint="Use --rpc HOST:PORT.",
    )


async def _serve_lifespan(receive: Receive, send: Send) -> None:
    while True:
        event = await receive()
        await send({"type": f"{event['type']}.complete"})
        if event["type"] == "lifespan.shutdown":
            return


async def _read_body(receive: Receive) -> bytes | None:
    """The whole body, or a little more than allowed; None if the caller went away."""
    parts: list[bytes] = []
    size_bytes = 0
    while size_bytes <= MAX_BODY_BYTES:
        event = await receive()
        if event["type"] == "http.disconnect":
            return None
        parts.append(event.get("body", b""))
        size_bytes += len(parts[-1])
        if not event.get("more_body", False):
            break
    return b"".join(parts)


async def _respond(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers if body else []})
    await send({"type": "http.response.body", "body": body})


def _explained(found: str, allowed: str) -> bytes:
    data = {"code": "RPC_HTTP", "found": found, "allowed": allowed, "hint": "See docs/reference/rpc.md."}
    message = f"RPC_HTTP: found {found}, allowed {allowed}"
    return jsonrpc.encode(jsonrpc.failure(None, jsonrpc.INVALID_REQUEST, message, data))
