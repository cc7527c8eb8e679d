"""Clients of a node's RPC: a synchronous one for the command line and for scripts, and one for trio tasks.

client = RpcClient("http://127.0.0.1:8645")
client.call("chain_status")["height"]
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import httpx

from chain.errors import Invalid, LocalFault, Missing, Policy, TileworkError, TooEarly
from node.rpc.registry import bind
from node.rpc.table import method_named

CONNECT_TIMEOUT_S = 5
CALL_TIMEOUT_S = 120
"""A node may need this long to fetch a large matrix from its peers."""
UNREACHABLE = "NODE_UNREACHABLE"
_KINDS: dict[str, type[TileworkError]] = {
    kind.__name__: kind for kind in (Invalid, Missing, TooEarly, Policy, LocalFault)
}


class RpcClient:
    """Calls methods of one node; a context manager that closes its connection."""

    def __init__(self, url: str, *, timeout_s: float = CALL_TIMEOUT_S) -> None:
        """Raises: Policy RPC_URL."""
        self._calls = _Calls(url)
        self._http = httpx.Client(timeout=_timeout(timeout_s), trust_env=False)

    @property
    def url(self) -> str:
        return self._calls.url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def call(self, name: str, **parameters: Any) -> Any:
        """The result of one method.

        Raises:
            LocalFault: NODE_UNREACHABLE, RPC_ANSWER (something else than a node answers).
            Policy: RPC_METHOD, RPC_PARAMS, before anything is sent.
            TileworkError: the node's own refusal, with its code, found, allowed and hint.
        """
        request = self._calls.request(name, parameters)
        try:
            response = self._http.post(self.url, json=request)
        except httpx.TransportError as error:
            raise self._calls.unreachable(name, error) from error
        return self._calls.result(response, request)


class AsyncRpcClient:
    """The same for a trio task: a call that is cancelled is gone at once."""

    def __init__(self, url: str, *, timeout_s: float = CALL_TIMEOUT_S) -> None:
        """Raises: Policy RPC_URL."""
        self._calls = _Calls(url)
        self._http = httpx.AsyncClient(timeout=_timeout(timeout_s), trust_env=False)

    @property
    def url(self) -> str:
        return self._calls.url

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def call(self, name: str, **parameters: Any) -> Any:
        """The result of one method.  Raises: as `RpcClient.call`."""
        request = self._calls.request(name, parameters)
        try:
            response = await self._http.post(self.url, json=request)
        except httpx.TransportError as error:
            raise self._calls.unreachable(name, error) from error
        return self._calls.result(response, request)


class _Calls:
    """What goes to one node and what comes back, whatever carries it."""

    def __init__(self, url: str) -> None:
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise _bad_url(url) from error
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise _bad_url(url)
        self.url = url
        self._next_id = 0

    def request(self, name: str, parameters: dict[str, Any]) -> dict[str, Any]:
        bind(method_named(name), parameters)
        self._next_id += 1
        return {"jsonrpc": "2.0", "id": self._next_id, "method": name, "params": parameters}

    def unreachable(self, name: str, error: httpx.TransportError) -> LocalFault:
        if isinstance(error, httpx.TimeoutException):
            return LocalFault(
                UNREACHABLE,
                found=f"no answer from {self.url} to {name} in time",
                hint="Is the node busy or stopped? See its log.",
            )
        return LocalFault(
            UNREACHABLE,
            found=f"no node at {self.url}",
            hint="Start one with `tilework devnet up`, or name another with --rpc URL.",
        )

    def result(self, response: httpx.Response, request: dict[str, Any]) -> Any:
        try:
            message = response.json()
        except ValueError as error:
            raise self._not_a_node(f"HTTP {response.status_code}, no JSON") from error
        if not isinstance(message, dict) or ("error" not in message and message.get("id") != request["id"]):
            raise self._not_a_node("JSON that answers nothing we asked")
        if "error" in message:
            raise _refusal(message["error"])
        return message.get("result")

    def _not_a_node(self, found: str) -> LocalFault:
        return LocalFault(
            "RPC_ANSWER", found=f"{found} from {self.url}", allowed="a Tilework node", hint="Check --rpc URL."
        )


def _timeout(timeout_s: float) -> httpx.Timeout:
    return httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S)


def _refusal(error: Any) -> TileworkError:
    """The node's error as the class it had there."""
    data = error.get("data") if isinstance(error, dict) else None
    if not isinstance(data, dict) or not isinstance(data.get("code"), str):
        text = str(error.get("message")) if isinstance(error, dict) else "an unknown error"
        return LocalFault("RPC_ERROR", found=text, hint="See the node's log.")
    kind = _KINDS.get(str(data.get("kind")), LocalFault)
    return kind(
        data["code"], found=data.get("found"), allowed=data.get("allowed"), hint=str(data.get("hint") or "")
    )


def _bad_url(url: str) -> Policy:
    return Policy(
        "RPC_URL", found=url, allowed="http://HOST:PORT", hint="For example --rpc http://127.0.0.1:8645."
    )
