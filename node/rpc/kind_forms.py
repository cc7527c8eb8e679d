"""Declarations of kinds as JSON, with a JSON schema of each body.  Spec: [TX-KIND].

The schema describes the form in which RPC shows bodies (node/rpc/forms.py) and in which people may write them
(node/bodies.py).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from chain.codec import BigUint, Blob, Nested, OneOf, Raw, Record, Seq, Text, Uint, WireType
from chain.types import Address, Grains
from node.rpc.forms import Json
from vm.describe import fields_of, item_hint
from vm.events import Happening
from vm.kind import Kind
from vm.kinds.batch import OperationField
from vm.registry import KINDS


def kind_form(kind: Kind) -> Json:
    """Everything a kind declares."""
    return {
        "name": kind.name,
        "family": kind.family.name,
        "summary": kind.summary,
        "who": kind.who,
        "weight": kind.weight,
        "weight_of_body": kind.weigh is not None,
        "max_bytes": kind.max_bytes,
        "deposit_grains": kind.deposit_grains,
        "sponsored": kind.sponsor is not None,
        "in_batch": kind.in_batch,
        "body": record_schema(kind.body),
        "checks": [{"code": rule.code, "requires": rule.requires} for rule in kind.rules],
        "events": [event_schema(each) for each in kind.events],
    }


def event_schema(happening: type[Happening]) -> Json:
    """An event as RPC shows it."""
    return {"event": happening.__name__, "fields": record_schema(happening)}


def record_schema(record: type[Record]) -> Json:
    """JSON schema of a record; its properties are in wire order."""
    properties = {}
    for field in fields_of(record):
        properties[field.name] = value_schema(field.wire, field.hint)
        if field.meaning:
            properties[field.name]["description"] = field.meaning
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def value_schema(wire: WireType, hint: Any) -> Json:
    """JSON schema of one value."""
    match wire:
        case Uint():
            form: Json = {"type": "integer", "minimum": wire.minimum, "maximum": wire.maximum}
            return form | {"format": "grains"} if hint is Grains else form
        case BigUint():
            return {"type": "string", "pattern": "^0x[0-9a-f]+$"}
        case Raw():
            if hint is Address:
                return {"type": ["string", "null"], "format": "address"}
            return {"type": "string", "format": "hex", "minLength": 2 * wire.size, "maxLength": 2 * wire.size}
        case Blob():
            return {"type": "string", "format": "hex", "maxLength": 2 * wire.maximum}
        case Text():
            return {"type": "string", "maxLength": wire.maximum}
        case OneOf():
            return {"enum": _names(wire.members)}
        case Seq():
            items = value_schema(wire.item, item_hint(hint))
            return {"type": "array", "items": items, "minItems": wire.minimum, "maxItems": wire.maximum}
        case Nested():
            return record_schema(wire.record)
        case OperationField():
            names = [kind.name for kind in KINDS.values() if kind.in_batch]
            properties = {"kind": {"enum": names}, "body": {"type": "object"}}
            return {
                "type": "object",
                "properties": properties,
                "required": list(properties),
                "additionalProperties": False,
            }
    raise TypeError(f"no schema for fields of {type(wire).__name__}: add it here")


def _names(members: type[IntEnum]) -> list[str]:
    return [member.name for member in members]
