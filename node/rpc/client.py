"""A synchronous client of a node's RPC, for the command line and for scripts.

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
        self.url = url
        self._next_id = 0
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise _bad_url(url) from error
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise _bad_url(url)
        timeout = httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S)
        self._http = httpx.Client(timeout=timeout, trust_env=False)  # a proxy has no business on the loopback

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
        bind(method_named(name), parameters)
        self._next_id += 1
        request = {"jsonrpc": "2.0", "id": self._next_id, "method": name, "params": parameters}
        try:
            response = self._http.post(self.url, json=request)
        except httpx.TimeoutException as error:
            raise LocalFault(
                UNREACHABLE,
                found=f"no answer from {self.url} to {name} in time",
                hint="Is the node busy or stopped? See its log.",
            ) from error
        except httpx.TransportError as error:
            raise LocalFault(
                UNREACHABLE,
                found=f"no node at {self.url}",
                hint="Start one with `tilework devnet up`, or name another with --rpc URL.",
            ) from error
        return self._result(response, self._next_id)

    def _result(self, response: httpx.Response, identity: int) -> Any:
        try:
            message = response.json()
        except ValueError as error:
            raise self._not_a_node(f"HTTP {response.status_code}, no JSON") from error
        if not isinstance(message, dict) or ("error" not in message and message.get("id") != identity):
            raise self._not_a_node("JSON that answers nothing we asked")
        if "error" in message:
            raise _refusal(message["error"])
        return message.get("result")

    def _not_a_node(self, found: str) -> LocalFault:
        return LocalFault(
            "RPC_ANSWER", found=f"{found} from {self.url}", allowed="a Tilework node", hint="Check --rpc URL."
        )


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
