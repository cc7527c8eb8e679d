"""Encoder and decoder of a record class as straight-line code, made from the wire types of its fields.

A block holds thousands of records of a few fields each, and asking every wire type in turn costs several times what
the checks themselves do. The made code checks inline what is certainly right and asks the wire type about anything
else, so every refusal, with its code and its words, still comes from the one place that states the rule.

A frozen dataclass sets its fields one call at a time, which for a record of nine costs six times what plain assignment
does. The made code therefore fills an open twin, a class with the same slots, and turns it into the record when it is
complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol


class Compiled(NamedTuple):
    """What is made for one record class; whatever refuses, raises what the fields raise."""

    encode: Callable[[Any], list[Any]]
    """The wire values of a record."""
    decode: Callable[[Sequence[Any]], Any]
    """The record of wire values, which are as many as its fields."""
    change: Callable[..., Any]
    """A record like the given one, with other values for the fields that are given by name."""
    sure: Callable[[Any], bool]
    """Whether `encode` will take a record and give little; False is no proof of the opposite."""
    fields: int
    """How many there are."""


class FieldType(Protocol):
    """What is needed of a wire type (see chain.codec)."""

    def plain(self, value: str) -> str:
        """Source of a test that the variable `value` is right and the same in memory and on the wire."""

    def sure(self, value: str) -> str:
        """Source of a test that `encode` takes the variable `value` and gives a few bytes."""

    def encode(self, value: Any) -> Any: ...

    def decode(self, wire: Any) -> Any: ...


def compile_record(record: type, fields: Sequence[tuple[str, FieldType]]) -> Compiled:
    """Make it, of (name, type) of each field in their order."""
    names = [name for name, _ in fields]
    values = [f"v{index}" for index in range(len(fields))]
    tests = [kind.plain(value) for value, (_, kind) in zip(values, fields, strict=True)]
    encoder = ["def encode(record):"]
    decoder = ["def decode(wire):", f"    [{', '.join(values)}] = wire"]
    sure = ["def sure(record):"]
    for index, (value, test) in enumerate(zip(values, tests, strict=True)):
        encoder.append(f"    {value} = record.{names[index]}")
        encoder.append(f"    if not ({test}): {value} = encode{index}({value})")
        decoder.append(f"    if not ({test}): {value} = decode{index}({value})")
        sure.append(f"    {value} = record.{names[index]}")
        sure.append(f"    if not ({fields[index][1].sure(value)}): return False")
    encoder.append(f"    return [{', '.join(values)}]")
    decoder += _filled(zip(names, values, strict=True))
    sure.append("    return True")
    change = [f"def change(record, /{''.join(f', {name}=KEEP' for name in names)}):"]
    change += _filled((name, f"record.{name} if {name} is KEEP else {name}") for name in names)
    made: dict[str, Any] = {"Twin": _open_twin(record), "Record": record, "KEEP": object()}
    for index, (_, kind) in enumerate(fields):
        made[f"encode{index}"], made[f"decode{index}"] = kind.encode, kind.decode
    exec("\n".join(encoder + decoder + sure + change), made)
    return Compiled(made["encode"], made["decode"], made["change"], made["sure"], len(fields))


def _open_twin(record: type) -> type:
    """A class whose instances can become instances of `record`, but have fields that can be set."""
    twin: type = type(record.__name__, record.__bases__, {"__slots__": record.__dict__["__slots__"]})
    return twin


def _filled(fields: Iterable[tuple[str, str]]) -> list[str]:
    """Source that returns a record, of (name, source of the value) of its fields."""
    return [
        "    made = Twin()",
        *(f"    made.{name} = {value}" for name, value in fields),
        "    made.__class__ = Record",
        "    return made",
    ]
