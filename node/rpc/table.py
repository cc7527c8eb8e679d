"""The one table of RPC methods, and the OpenRPC document made from it."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from chain.errors import Policy
from node.release import release
from node.rpc import (
    account_methods,
    asset_methods,
    blob_methods,
    chain_methods,
    gov_methods,
    job_methods,
    market_methods,
    node_methods,
    panel_methods,
    provider_methods,
    stake_methods,
    state_methods,
    work_methods,
)
from node.rpc.backend import NodeBackend
from node.rpc.jsonrpc import UNKNOWN_METHOD
from node.rpc.registry import Field, Form, Method, Parameter, method

_FAMILIES = (
    chain_methods,
    account_methods,
    state_methods,
    job_methods,
    asset_methods,
    market_methods,
    stake_methods,
    gov_methods,
    provider_methods,
    blob_methods,
    work_methods,
    panel_methods,
    node_methods,
)


@method(
    "rpc.discover",
    "This list of methods as an OpenRPC document.",
    result=(Field("openrpc", Form.TEXT, "version of the OpenRPC format; methods and info follow"),),
)
async def rpc_discover(node: NodeBackend) -> dict[str, Any]:
    del node  # the document is the same for every node of a release
    return openrpc()


METHODS: dict[str, Method] = {
    declared.name: declared
    for declared in (*(m for family in _FAMILIES for m in family.METHODS), rpc_discover)
}


def method_named(name: str, methods: dict[str, Method] = METHODS) -> Method:
    """Raises: Policy RPC_METHOD, with the closest name as hint."""
    if name not in methods:
        close = get_close_matches(name, methods, n=1)
        hint = f"Did you mean {close[0]}?" if close else "See docs/reference/rpc.md."
        raise Policy(UNKNOWN_METHOD, found=name[:64], allowed=", ".join(methods), hint=hint)
    return methods[name]


def openrpc() -> dict[str, Any]:
    """The OpenRPC 1.3 description of every method."""
    return {
        "openrpc": "1.3.2",
        "info": {"title": "Tilework node", "version": release(), "license": {"name": "Apache-2.0"}},
        "methods": [_described(declared) for declared in METHODS.values()],
    }


def _described(declared: Method) -> dict[str, Any]:
    properties = {
        name: {"type": [field.form.json_type, "null"], "description": field.description}
        for field in declared.result
        for name in field.name.split(", ")
    }
    return {
        "name": declared.name,
        "summary": declared.summary,
        "paramStructure": "either",
        "params": [_parameter(parameter) for parameter in declared.parameters],
        "result": {"name": "result", "schema": {"type": "object", "properties": properties}},
        "x-cost": declared.cost.name.lower(),
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": parameter.form.json_type}
    if parameter.form is Form.HASH:
        schema["pattern"] = "^[0-9a-fA-F]{64}$"
    if not parameter.required:
        schema["default"] = parameter.default
    return {
        "name": parameter.name,
        "description": parameter.description,
        "required": parameter.required,
        "schema": schema,
    }
