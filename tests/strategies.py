"""Hypothesis strategies for every wire and stored type, derived from the types themselves.  Spec: [ENC-*].

`records(SomeRecord)` draws valid instances. `every_record()` finds all record classes of the program, so that a new
type is covered by the encoding properties the day it is written.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, is_dataclass
from functools import cache
from types import ModuleType
from typing import Any, TypeVar

import msgpack
from hypothesis import strategies as st

from chain.blocks import Atom
from chain.codec import BigUint, Blob, Nested, OneOf, Raw, Record, Seq, Text, Uint, WireType, layout, pack
from vm.kind import Kind
from vm.kinds.batch import Operation, OperationField
from vm.registry import KINDS

R = TypeVar("R", bound=Record)

PACKAGES = ("chain", "genesis", "vm", "compute", "consensus", "p2p", "node")
OPTIONAL_LIBRARIES = ("cupy",)
"""A module that needs one of these is skipped where it is not installed."""
DRAWN_BYTES = 96
DRAWN_ITEMS = 3
"""Long fields are drawn short: their bounds are checked by the codec's own tests."""


def records(record: type[R]) -> st.SearchStrategy[R]:
    """Valid instances of `record`."""
    return st.builds(record, **{name: wire_values(kind) for name, kind in layout(record)})


def wire_values(kind: WireType) -> st.SearchStrategy[Any]:
    """Values that a field of this wire type may hold; ends of ranges come up often."""
    match kind:
        case Uint():
            low, high = int(kind.minimum), int(kind.maximum)
            return st.sampled_from([low, high]) | st.integers(low, high)
        case BigUint():
            top = (1 << 8 * kind.size) - 1
            return st.sampled_from([0, top]) | st.integers(0, top)
        case Raw():
            return (
                st.binary(min_size=kind.size, max_size=kind.size)
                if kind.size <= DRAWN_BYTES
                else _long(kind.size)
            )
        case Blob():
            return st.binary(max_size=min(kind.maximum, DRAWN_BYTES))
        case Text():
            return st.text(max_size=min(kind.maximum, DRAWN_BYTES) // 4)
        case OneOf():
            return st.sampled_from(list(kind.members))
        case Seq():
            longest = max(kind.minimum, min(kind.maximum, DRAWN_ITEMS))
            return st.lists(wire_values(kind.item), min_size=kind.minimum, max_size=longest).map(tuple)
        case Nested():
            return records(kind.record)
        case OperationField():
            kinds = [kind for kind in KINDS.values() if kind.in_batch]
            return st.one_of([st.builds(Operation, st.just(kind.name), records(kind.body)) for kind in kinds])
        case Atom():
            return wire_values(Uint()) | wire_values(Blob(kind.maximum))
    raise TypeError(f"no strategy for fields of {type(kind).__name__}: add it here")


def valid_bodies(kind: Kind) -> st.SearchStrategy[Record]:
    """Bodies that decode; whether their checks hold depends on the state."""
    return records(kind.body)


def invalid_bodies(kind: Kind) -> st.SearchStrategy[tuple[str, bytes]]:
    """(what is wrong, bytes) of encodings that are nearly a body of this kind."""
    return valid_bodies(kind).flatmap(lambda body: st.sampled_from(list(near_misses(body))))


def near_misses(record: Record) -> Iterator[tuple[str, bytes]]:
    """Encodings that differ from the record's in one thing, each of which must be refused."""
    for what, wire in _misshapen(Nested(type(record)), record.to_wire()):
        yield what, packed(wire)


@dataclass(frozen=True)
class LongInt:
    """An integer in nine bytes, though fewer would do."""

    value: int


def packed(wire: Any) -> bytes:
    """Like chain.codec.pack, with the integers that are to be long in their long form."""
    if isinstance(wire, LongInt):
        return b"\xcf" + wire.value.to_bytes(8, "big")
    if isinstance(wire, list):
        return msgpack.Packer().pack_array_header(len(wire)) + b"".join(packed(item) for item in wire)
    return pack(wire)


def _misshapen(kind: WireType, wire: Any) -> Iterator[tuple[str, Any]]:
    """Variants of a value's wire form with one thing wrong, in it or below it."""
    for other in (None, True, 1.5, [[]], {}):
        yield "wrong type", other
    match kind:
        case Uint():
            yield "negative", -1
            yield "too large", kind.maximum + 1
            if kind.minimum:
                yield "too small", kind.minimum - 1
            if wire < 1 << 32:
                yield "non-minimal integer", LongInt(wire)
            yield "wrong type", b""
        case OneOf():
            yield "unknown member", 250
            yield "non-minimal integer", LongInt(wire)
        case Raw() | BigUint():
            yield "too short", bytes(kind.size - 1)
            yield "too long", bytes(kind.size + 1)
            yield "wrong type", "0" * kind.size
            yield "wrong type", 0
        case Blob():
            yield "too long", bytes(kind.maximum + 1)
            yield "wrong type", ""
        case Text():
            yield "too long", "x" * (kind.maximum + 1)
            yield "wrong type", b""
        case Seq():
            yield "over-long list", [*wire, *[wire[0] if wire else 0] * (kind.maximum + 1 - len(wire))]
            if kind.minimum:
                yield "short list", wire[: kind.minimum - 1]
            yield from _inside(wire, [kind.item] * len(wire))
        case Nested():
            yield "unknown field", [*wire, 0]
            if wire:
                yield "missing field", wire[:-1]
            yield from _inside(wire, [part for _, part in layout(kind.record)])
        case OperationField():
            yield "unknown field", [*wire, 0]
            yield "unknown kind", ["nothing", wire[1]]
            yield "kind that may not stand here", ["batch", wire[1]]
            yield from _inside(wire, [Text(32), Nested(KINDS[wire[0]].body)])


def _inside(wire: list[Any], kinds: Sequence[WireType]) -> Iterator[tuple[str, Any]]:
    for at, kind in enumerate(kinds):
        for what, other in _misshapen(kind, wire[at]):
            yield what, [*wire[:at], other, *wire[at + 1 :]]


@cache
def every_record() -> tuple[type[Record], ...]:
    """All record classes of the program, by module and name."""
    for package in PACKAGES:
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
            if not module.name.endswith("__main__"):
                _imported(module.name)
    concrete = (record for record in _descendants(Record) if is_dataclass(record))
    found = {f"{record.__module__}.{record.__qualname__}": record for record in concrete}
    return tuple(found[name] for name in sorted(found))


def _long(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(max_size=8).map(lambda head: head + bytes(size - len(head)))


def _imported(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name in OPTIONAL_LIBRARIES:
            return None
        raise


def _descendants(record: type[Record]) -> list[type[Record]]:
    """Subclasses that their module still names; `slots=True` leaves a nameless twin of each behind."""
    found = []
    for child in record.__subclasses__():
        module = sys.modules[child.__module__]
        if child.__module__.split(".")[0] in PACKAGES and getattr(module, child.__qualname__, None) is child:
            found.append(child)
        found += _descendants(child)
    return found
