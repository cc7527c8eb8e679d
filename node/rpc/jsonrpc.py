"""JSON-RPC 2.0 messages: bytes in, bytes out; nothing about HTTP, nothing about methods.  Spec: jsonrpc.org, 2013.

Every request gets exactly the answer the specification asks for, whatever its bytes; notifications get none.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from chain.errors import TileworkError
from node.rpc.registry import BAD_PARAMETERS

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
TILEWORK_ERROR = -32000
"""Every expected failure; `data` holds the stable code, what was found, what was allowed, and a hint."""
MAX_BATCH = 100
UNKNOWN_METHOD = "RPC_METHOD"

Parameters = Mapping[str, Any] | Sequence[Any]
Call = Callable[[str, Parameters], Awaitable[Any]]
"""Runs one method.  Raises: TileworkError; RPC_METHOD and RPC_PARAMS become the specification's own codes."""

_log = logging.getLogger("tilework.rpc")
_STANDARD = {
    UNKNOWN_METHOD: (METHOD_NOT_FOUND, "Method not found"),
    BAD_PARAMETERS: (INVALID_PARAMS, "Invalid params"),
}


def parse(body: bytes) -> Any:
    """The JSON value of a request body.

    Raises: ValueError if it is not JSON (NaN and bad UTF-8 included) or holds a number that no float can hold.
    """
    try:
        return json.loads(body.decode(), parse_constant=_no_constant, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


async def answer(message: Any, call: Call) -> Any:
    """The response to a parsed request or batch; None where nothing may be sent."""
    if not isinstance(message, list):
        return await _answer_one(message, call)
    if not message:
        return failure(None, INVALID_REQUEST, "Invalid Request")
    if len(message) > MAX_BATCH:
        data = {
            "code": "RPC_BATCH",
            "found": f"{len(message)} calls",
            "allowed": f"at most {MAX_BATCH}",
            "hint": "",
        }
        return failure(None, INVALID_REQUEST, "Invalid Request", data)
    answers = [await _answer_one(item, call) for item in message]
    return [item for item in answers if item is not None] or None


def failure(identity: Any, code: int, message: str, data: Any = None) -> dict[str, Any]:
    """An error response; `identity` is the request's id, or None where it is not known."""
    error: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return {"jsonrpc": "2.0", "error": error, "id": identity}


def encode(response: Any) -> bytes:
    return json.dumps(response, separators=(",", ":")).encode()


async def _answer_one(request: Any, call: Call) -> dict[str, Any] | None:
    if not _is_request(request):
        return failure(None, INVALID_REQUEST, "Invalid Request")
    response = await _run(request, call)
    return response if "id" in request else None


async def _run(request: dict[str, Any], call: Call) -> dict[str, Any]:
    identity = request.get("id")
    try:
        result = await call(request["method"], request.get("params", []))
    except TileworkError as error:
        code, message = _STANDARD.get(error.code, (TILEWORK_ERROR, str(error)))
        return failure(identity, code, message, _described(error))
    except Exception:  # noqa: BLE001  one of the three boundaries: a bug in a handler must not end the node
        _log.exception("rpc-internal-error method=%s", request["method"])
        return failure(identity, INTERNAL_ERROR, "Internal error", {"code": "RPC_INTERNAL"})
    return {"jsonrpc": "2.0", "result": result, "id": identity}


def _is_request(request: Any) -> bool:
    return (
        isinstance(request, dict)
        and request.get("jsonrpc") == "2.0"
        and type(request.get("method")) is str
        and isinstance(request.get("params", []), dict | list)
        and (request.get("id") is None or type(request["id"]) in (str, int, float))
    )


def _described(error: TileworkError) -> dict[str, Any]:
    shown = {"found": error.found, "allowed": error.allowed}
    return {
        "code": error.code,
        "kind": type(error).__name__,
        **{
            name: value.hex() if isinstance(value, bytes) else value
            for name, value in shown.items()
            if _plain(value)
        },
        **{name: str(value) for name, value in shown.items() if not _plain(value)},
        "hint": error.hint,
    }


def _plain(value: object) -> bool:
    return value is None or isinstance(value, bytes | str | int)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is beyond every float")
    return number


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
