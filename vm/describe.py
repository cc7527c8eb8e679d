"""Declarations in words: what each field of a record is, for command lines and manuals.  Spec: [TX-KIND]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from chain.codec import BigUint, Blob, Nested, OneOf, Raw, Record, Seq, Text, Uint, WireType, layout
from chain.doc import Doc
from chain.ints import U63_MAX
from chain.types import Address, Grains
from vm.kinds.batch import OperationField


@dataclass(frozen=True, slots=True)
class FieldText:
    """One field: its wire type and its type in the program, and what a person should know of it."""

    name: str
    wire: WireType
    hint: Any
    meaning: str

    @property
    def bounds(self) -> str:
        """What it may hold, in words."""
        return bounds(self.wire, self.hint)

    @property
    def nested(self) -> type[Record] | None:
        """The record that it holds, or holds a list of."""
        wire = self.wire.item if isinstance(self.wire, Seq) else self.wire
        return wire.record if isinstance(wire, Nested) else None


def fields_of(record: type[Record]) -> tuple[FieldText, ...]:
    """Every field of a record in wire order."""
    hints = get_type_hints(record, include_extras=True)
    return tuple(FieldText(name, wire, *_noted(hints[name])) for name, wire in layout(record))


def nested_records(record: type[Record]) -> tuple[type[Record], ...]:
    """Records inside a record, each once, outer ones first."""
    found: list[type[Record]] = []
    for field in fields_of(record):
        if field.nested is not None and field.nested not in found:
            found.append(field.nested)
            found += [inner for inner in nested_records(field.nested) if inner not in found]
    return tuple(found)


def item_hint(hint: Any) -> Any:
    """The type of the items of a tuple."""
    return get_args(hint)[0]


def bounds(wire: WireType, hint: Any) -> str:
    """What a field of this type may hold."""
    match wire:
        case Uint():
            unit = "grains" if hint is Grains else "integer"
            if wire.minimum == wire.maximum:
                return str(wire.minimum)
            return (
                f"{unit}, {wire.minimum:,} … {'2^63-1' if wire.maximum == U63_MAX else f'{wire.maximum:,}'}"
            )
        case BigUint():
            return f"integer, 0 … 2^{8 * wire.size}-1"
        case Raw():
            return "address" if hint is Address else f"{wire.size} bytes"
        case Blob():
            return f"at most {wire.maximum:,} bytes"
        case Text():
            return f"text of at most {wire.maximum:,} bytes"
        case OneOf():
            return ", ".join(member.name for member in wire.members)
        case Seq():
            return f"{wire.minimum} to {wire.maximum:,} times: {bounds(wire.item, item_hint(hint))}"
        case Nested():
            return wire.record.__name__
        case OperationField():
            return "a kind and its body"
    raise TypeError(f"no words for fields of {type(wire).__name__}: add them here")


def _noted(hint: Any) -> tuple[Any, str]:
    """(the type behind the annotations, the words of its Doc)."""
    if get_origin(hint) is not Annotated:
        return hint, ""
    plain, *notes = get_args(hint)
    return plain, " ".join(note.text for note in notes if isinstance(note, Doc))
