"""JSON-RPC 2.0, against the examples of its specification and against hostile bytes.  Spec: [RPC-*]."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.errors import Policy
from node.rpc import jsonrpc
from node.rpc.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS, METHOD_NOT_FOUND, TILEWORK_ERROR, answer, parse
from node.rpc.registry import Cost, Form, Method, Parameter, bind
from node.rpc.table import method_named
from tests.outside import outside


async def _subtract(node: None, *, minuend: int, subtrahend: int) -> int:
    return minuend - subtrahend


async def _sum(node: None, *, a: int, b: int, c: int) -> int:
    return a + b + c


async def _data(node: None) -> list[Any]:
    return ["hello", 5]


async def _quiet(node: None, *, a: Any, b: Any, c: Any, d: Any, e: Any) -> None:
    return None


async def _fault(node: None) -> None:
    raise ZeroDivisionError


async def _refusal(node: None) -> None:
    raise Policy("BALANCE", found=3, allowed="at least 5 grains", hint="Earn some.")


def _method(name: str, handler: Any, *parameters: str, required: bool = True) -> Method:
    declared = tuple(Parameter(p, Form.INTEGER, p, required) for p in parameters)
    return Method(name, name, declared, (), Cost.CHEAP, handler)


METHODS = {
    declared.name: declared
    for declared in (
        _method("subtract", _subtract, "minuend", "subtrahend"),
        _method("sum", _sum, "a", "b", "c"),
        _method("get_data", _data),
        *(
            _method(name, _quiet, *"abcde", required=False)
            for name in ("update", "notify_sum", "notify_hello")
        ),
        _method("fault", _fault),
        _method("refusal", _refusal),
    )
}


async def call(name: str, parameters: jsonrpc.Parameters) -> Any:
    declared = method_named(name, METHODS)
    return await declared.handler(None, **bind(declared, parameters))


async def respond(body: str) -> Any:
    """What a client would read, without the `data` of errors, which the specification leaves to us."""
    try:
        message = parse(body.encode())
    except ValueError:
        return {"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": None}
    response = await answer(message, call)
    for item in response if isinstance(response, list) else [response]:
        if item is not None and "error" in item:
            item["error"].pop("data", None)
    return response


async def test_examples_of_the_specification() -> None:
    for example in json.loads(outside("jsonrpc/examples.json").read_text())["examples"]:
        found, expected = await respond(example["request"]), example["response"]
        if isinstance(found, list):  # the order inside a batch is free
            found, expected = sorted(found, key=json.dumps), sorted(expected, key=json.dumps)
        assert found == expected, example["name"]


async def one(method: str, params: Any = None) -> Any:
    request = {"jsonrpc": "2.0", "id": 1, "method": method}
    response = await answer(request | ({} if params is None else {"params": params}), call)
    return response["error"]


async def test_a_refusal_carries_its_code_and_what_to_do() -> None:
    error = await one("refusal")
    assert error["code"] == TILEWORK_ERROR
    assert error["message"] == "BALANCE: found 3, allowed at least 5 grains. Earn some."
    assert error["data"] == {
        "code": "BALANCE",
        "kind": "Policy",
        "found": 3,
        "allowed": "at least 5 grains",
        "hint": "Earn some.",
    }


async def test_a_bug_in_a_handler_is_an_internal_error_and_says_nothing_more() -> None:
    error = await one("fault")
    assert error["code"] == INTERNAL_ERROR
    assert error["data"] == {"code": "RPC_INTERNAL"}


@pytest.mark.parametrize(
    "params",
    [
        [1],
        [1, 2, 3],
        [1, True],
        [1, "2"],
        [1, -1],
        [1, 1 << 63],
        {"minuend": 1},
        {"minuend": 1, "other": 2},
        [1.0, 2],
    ],
)
async def test_wrong_parameters_are_named(params: Any) -> None:
    error = await one("subtract", params)
    assert error["code"] == INVALID_PARAMS
    assert error["data"]["code"] == "RPC_PARAMS"
    assert error["data"]["allowed"]


async def test_an_unknown_method_gets_a_suggestion() -> None:
    error = await one("substract")
    assert error["code"] == METHOD_NOT_FOUND
    assert error["data"]["hint"] == "Did you mean subtract?"


async def test_batches_are_bounded() -> None:
    response = await answer([{"jsonrpc": "2.0", "method": "get_data", "id": 1}] * 101, call)
    assert response["error"]["data"]["allowed"] == "at most 100"


@pytest.mark.parametrize("body", [b"", b"\xff", b"NaN", b"[" * 100_000, b"{", b'{"a": Infinity}'])
def test_bytes_that_are_no_json_are_one_kind_of_error(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  any ValueError becomes a parse error
        parse(body)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["jsonrpc", "method", "params", "id", "x"]), inner, max_size=5)
    ),
    max_leaves=12,
)


@given(message=JSON, valid=st.booleans())
async def test_any_json_gets_a_response_or_silence(message: Any, valid: bool) -> None:
    if valid and isinstance(message, dict):
        message["jsonrpc"] = "2.0"
    response = await answer(message, call)
    for item in response if isinstance(response, list) else [response]:
        assert item is None or ("result" in item) != ("error" in item)
        assert item is None or set(item) <= {"jsonrpc", "result", "error", "id"}
