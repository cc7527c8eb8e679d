"""Encoder and decoder of a record class as straight-line code, made from the wire types of its fields.

A block holds thousands of records of a few fields each, and asking every wire type in turn costs several times what
the checks themselves do. The made code checks inline what is certainly right and asks the wire type about anything
else, so every refusal, with its code and its words, still comes from the one place that states the rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

Encoder = Callable[[Any], list[Any]]
Decoder = Callable[[Sequence[Any]], Any]
Changer = Callable[..., Any]


class FieldType(Protocol):
    """What is needed of a wire type (see chain.codec)."""

    def plain(self, value: str) -> str:
        """Source of a test that the variable `value` is right and the same in memory and on the wire."""

    def encode(self, value: Any) -> Any: ...

    def decode(self, wire: Any) -> Any: ...


def compile_changer(record: type, names: Sequence[str]) -> Changer:
    """A function that takes a value, and fields by name, and makes the value with these fields instead of its own."""
    arguments = ", ".join(f"{name}=KEEP" for name in names)
    values = ", ".join(f"value.{name} if {name} is KEEP else {name}" for name in names)
    made: dict[str, Any] = {"new": record, "KEEP": object()}
    exec(f"def change(value, /, *, {arguments}):\n    return new({values})", made)
    change: Changer = made["change"]
    return change


def compile_record(record: type, fields: Sequence[tuple[str, FieldType]]) -> tuple[Encoder, Decoder]:
    """(value to list of wire values, wire values, as many as fields, to value); both raise what the fields raise."""
    values = [f"v{index}" for index in range(len(fields))]
    tests = [kind.plain(value) for value, (_, kind) in zip(values, fields, strict=True)]
    encoder = ["def encode(record):"]
    decoder = ["def decode(wire):", f"    [{', '.join(values)}] = wire"]
    for index, (value, test) in enumerate(zip(values, tests, strict=True)):
        encoder.append(f"    {value} = record.{fields[index][0]}")
        encoder.append(f"    if not ({test}): {value} = encode{index}({value})")
        decoder.append(f"    if not ({test}): {value} = decode{index}({value})")
    encoder.append(f"    return [{', '.join(values)}]")
    decoder.append(f"    return new({', '.join(values)})")
    names: dict[str, Any] = {"new": record}
    for index, (_, kind) in enumerate(fields):
        names[f"encode{index}"], names[f"decode{index}"] = kind.encode, kind.decode
    exec("\n".join(encoder + decoder), names)
    return names["encode"], names["decode"]
