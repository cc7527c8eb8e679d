"""What an RPC method declares about itself; server, client, OpenRPC document and manual come from it.  Spec: [RPC-*].

A declaration is the single source of a method's name, parameters, result and cost. A handler is called only with
parameters that have the declared types, so it checks meaning, never form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from chain.errors import Policy

BAD_PARAMETERS = "RPC_PARAMS"
U63_MAX = (1 << 63) - 1
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})*")


class Form(Enum):
    """JSON types of parameters and results: name in the manual, JSON type."""

    INTEGER = "integer", "integer"
    TEXT = "text", "string"
    BOOLEAN = "boolean", "boolean"
    HASH = "hash", "string"
    """64 hexadecimal digits."""
    HEX = "hex", "string"
    BASE64 = "base64", "string"
    ADDRESS = "address", "string"
    """bech32m with the network's prefix."""
    GRAINS = "grains", "integer"
    OBJECT = "object", "object"
    LIST = "list", "array"

    def __init__(self, label: str, json_type: str) -> None:
        self.label = label
        self.json_type = json_type

    def accepts(self, value: Any) -> bool:
        """Whether a JSON value has this form; `true` is not 1, and integers are those of the protocol."""
        if self.json_type == "integer":
            return type(value) is int and 0 <= value <= U63_MAX
        if self.json_type == "boolean":
            return type(value) is bool
        if self.json_type != "string":
            return isinstance(value, dict if self is Form.OBJECT else list)
        if type(value) is not str:
            return False
        if self is Form.HASH:
            return len(value) == 64 and _HEX.fullmatch(value) is not None
        return self is not Form.HEX or _HEX.fullmatch(value) is not None


class Cost(Enum):
    """How dear a call is; the value is how many of the class run at once in one node."""

    CHEAP = 64
    """Reads a few records."""
    SCAN = 4
    """Reads many records, or asks peers."""
    BULK = 2
    """Moves or hashes megabytes."""
    WAIT = 56
    """Waits for news if asked to; more than may wait at a time, so that who does not wait is answered."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter; without `required` it may be left out or null, and the handler gets `default`."""

    name: str
    form: Form
    description: str
    required: bool = True
    default: Any = None


@dataclass(frozen=True, slots=True)
class Field:
    """One member of a result object."""

    name: str
    form: Form
    description: str


Handler = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Method:
    """One row of the table of methods; `handler` takes the node and the parameters by name."""

    name: str
    summary: str
    parameters: tuple[Parameter, ...]
    result: tuple[Field, ...]
    cost: Cost
    handler: Handler


def method(
    name: str,
    summary: str,
    *,
    parameters: Sequence[Parameter] = (),
    result: Sequence[Field] = (),
    cost: Cost = Cost.CHEAP,
) -> Callable[[Handler], Method]:
    """Declare the decorated coroutine function to be the handler of an RPC method."""
    return lambda handler: Method(name, summary, tuple(parameters), tuple(result), cost, handler)


def bind(declared: Method, given: Mapping[str, Any] | Sequence[Any]) -> dict[str, Any]:
    """Every declared parameter by name, from named or positional JSON values.

    Raises: Policy RPC_PARAMS naming the parameter that is unknown, missing or of another form.
    """
    names = [parameter.name for parameter in declared.parameters]
    if not isinstance(given, Mapping):
        if len(given) > len(names):
            raise _refused(declared, f"{len(given)} parameters")
        given = dict(zip(names, given, strict=False))
    unknown = [name for name in given if name not in names]
    if unknown:
        raise _refused(declared, f"unknown parameter {unknown[0]!r}")
    bound = {}
    for parameter in declared.parameters:
        value = given.get(parameter.name)
        if value is None:
            if parameter.required:
                raise _refused(declared, f"no {parameter.name!r}")
            value = parameter.default
        elif not parameter.form.accepts(value):
            raise Policy(
                BAD_PARAMETERS,
                found=f"{parameter.name} = {_shortened(value)}",
                allowed=f"{parameter.form.label} ({parameter.description})",
            )
        bound[parameter.name] = value
    return bound


def signature(declared: Method) -> str:
    """The call as a person would write it: `blob_get(root: hash, first: integer = 0)`."""
    parts = [
        f"{p.name}: {p.form.label}" + ("" if p.required else f" = {json.dumps(p.default)}")
        for p in declared.parameters
    ]
    return f"{declared.name}({', '.join(parts)})"


def _refused(declared: Method, found: str) -> Policy:
    return Policy(BAD_PARAMETERS, found=found, allowed=signature(declared))


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
