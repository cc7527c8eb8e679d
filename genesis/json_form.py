"""The face of a chain spec that people read and edit: JSON with addresses, hex and names.  Spec: [GEN-JSON].

JSON is only a face: what is hashed is the canonical form. Unknown and missing keys are refused by name, so a typing
mistake never silently becomes a default.
"""

from __future__ import annotations

import json
from typing import Any

from chain.bech32m import decode_address, encode_address
from chain.codec import BigUint, Blob, Nested, Raw, Record, Seq, WireType, layout
from chain.errors import Policy, TileworkError
from genesis.build import check_spec
from genesis.spec import ChainSpec


def to_json(spec: ChainSpec) -> str:
    """Pretty JSON of a spec, ending with a newline."""
    return json.dumps(_show_record(spec, spec.address_prefix), indent=2) + "\n"


def from_json(text: str) -> ChainSpec:
    """Parse and check a spec.  Raises: Policy SPEC_*."""
    try:
        tree = json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:  # also integers of thousands of digits
        raise Policy("SPEC_JSON", found=str(error), allowed="one JSON object") from error
    prefix = tree.get("address_prefix") if isinstance(tree, dict) else None
    spec = _read_record(ChainSpec, tree, prefix if isinstance(prefix, str) else "", "spec")
    assert isinstance(spec, ChainSpec)
    check_spec(spec)
    return spec


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        twice = next(name for at, (name, _) in enumerate(pairs) if name in dict(pairs[:at]))
        raise Policy("SPEC_FIELD", found=f"{twice} twice", allowed="each key once")
    return tree


def _show_record(record: Record, prefix: str) -> dict[str, Any]:
    return {name: _show(kind, getattr(record, name), name, prefix) for name, kind in layout(type(record))}


def _show(kind: WireType, value: Any, name: str, prefix: str) -> Any:
    if isinstance(kind, Nested):
        return _show_record(value, prefix)
    if isinstance(kind, Seq):
        return [_show(kind.item, item, name, prefix) for item in value]
    if isinstance(kind, BigUint):
        return f"{value:#x}"
    if name == "address":
        return encode_address(prefix, value)
    if isinstance(kind, Blob):
        return value.decode("ascii")
    return value.hex() if isinstance(value, bytes) else value


def _read_record(record: type[Record], tree: Any, prefix: str, path: str) -> Record:
    if not isinstance(tree, dict):
        raise Policy("SPEC_FIELD", found=f"{path}: {type(tree).__name__}", allowed="an object")
    names = [name for name, _ in layout(record)]
    wrong = [name for name in tree if name not in names] + [name for name in names if name not in tree]
    if wrong:
        raise Policy("SPEC_FIELD", found=f"{path}.{wrong[0]} unknown or missing", allowed=", ".join(names))
    values = {name: _read(kind, tree[name], name, prefix, f"{path}.{name}") for name, kind in layout(record)}
    return record(**values)


def _read(kind: WireType, value: Any, name: str, prefix: str, path: str) -> Any:
    if isinstance(kind, Nested):
        return _read_record(kind.record, value, prefix, path)
    if isinstance(kind, Seq):
        if not isinstance(value, list):
            raise Policy("SPEC_FIELD", found=f"{path}: {type(value).__name__}", allowed="a list")
        return tuple(_read(kind.item, item, name, prefix, f"{path}[{i}]") for i, item in enumerate(value))
    try:
        parsed = _read_scalar(kind, value, name, prefix)
        kind.encode(parsed)
    except (TileworkError, ValueError, TypeError, AttributeError) as error:
        shown = type(value).__name__ if isinstance(value, dict | list) else repr(value)
        raise Policy("SPEC_FIELD", found=f"{path} = {shown}", allowed=str(error)) from error
    return parsed


def _read_scalar(kind: WireType, value: Any, name: str, prefix: str) -> Any:
    if isinstance(kind, BigUint):
        return int(value, 16)
    if name == "address":
        return decode_address(prefix, value)
    if isinstance(kind, Blob):
        return value.encode("ascii")
    return bytes.fromhex(value) if isinstance(kind, Raw) else value
