"""Canonical msgpack: the only encoding of everything that is hashed, stored or sent.  Spec: [ENC-*].

A record is a frozen dataclass whose fields are annotated with their wire type::

    @dataclass(frozen=True, slots=True)
    class Transfer(Record):
        to: Annotated[Address, Raw(20)]
        amount_grains: Annotated[Grains, U63]

It travels as a msgpack array of its fields in declaration order. Decoding is total: a value or `Invalid`. The bytes
must be the ones that encoding the value gives again, so each value has exactly one encoding; that rules out long
integer forms, floats, nil, booleans, maps, extensions and trailing bytes at once [ENC-CANON].
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Annotated, Any, ClassVar, Self, get_args, get_origin, get_type_hints

import msgpack

from chain.compiled import Compiled, compile_record
from chain.errors import Invalid
from chain.ints import U63_MAX

MAX_DEPTH_ITEMS = 1 << 16
"""No array in the protocol is longer; the unpacker refuses before it allocates."""
MAX_TEXT_BYTES = 1024
_SMALL_BYTES = 256
"""Too short to expand beyond 200 KB, whatever it claims; longer data must first prove to be complete."""


NEVER = "False"
"""Source of the test that no value passes."""


class WireType(ABC):
    """One kind of field: turns a value into what msgpack carries and back, refusing everything outside its bounds."""

    __slots__ = ()

    @abstractmethod
    def encode(self, value: Any) -> Any:
        """What msgpack carries for `value`.  Raises: Invalid ENC_*."""

    @abstractmethod
    def decode(self, wire: Any) -> Any:
        """The value of what msgpack carried.  Raises: Invalid ENC_*."""

    def plain(self, value: str) -> str:
        """Source of a test that the variable `value` needs neither `encode` nor `decode`: it is inside the bounds and
        the same on the wire. Never true unless a type says more; see chain.compiled."""
        del value
        return NEVER

    def sure(self, value: str) -> str:
        """Source of a test that `encode` will take the variable `value`, for types of a few bytes."""
        del value
        return NEVER


@dataclass(frozen=True, slots=True)
class Uint(WireType):
    """Unsigned integer up to `maximum` (at most 2^63-1); `True` is not 1 [ENC-INT]."""

    maximum: int = U63_MAX
    minimum: int = 0

    def encode(self, value: Any) -> Any:
        return self.decode(value)

    def decode(self, wire: Any) -> Any:
        if type(wire) is not int or not self.minimum <= wire <= self.maximum:
            raise Invalid("ENC_INT", found=_shown(wire), allowed=f"integer {self.minimum}..{self.maximum}")
        return wire

    def plain(self, value: str) -> str:
        return f"type({value}) is int and {self.minimum} <= {value} <= {self.maximum}"

    def sure(self, value: str) -> str:
        return self.plain(value)


U63 = Uint()


@dataclass(frozen=True, slots=True)
class Raw(WireType):
    """Exactly `size` bytes."""

    size: int

    def encode(self, value: Any) -> Any:
        return self.decode(value)

    def decode(self, wire: Any) -> Any:
        if type(wire) is not bytes or len(wire) != self.size:
            raise Invalid("ENC_BYTES", found=_kind(wire), allowed=f"{self.size} bytes")
        return wire

    def plain(self, value: str) -> str:
        return f"type({value}) is bytes and len({value}) == {self.size}"

    def sure(self, value: str) -> str:
        return self.plain(value)


@dataclass(frozen=True, slots=True)
class Blob(WireType):
    """Between 0 and `maximum` bytes."""

    maximum: int

    def encode(self, value: Any) -> Any:
        return self.decode(value)

    def decode(self, wire: Any) -> Any:
        if type(wire) is not bytes or len(wire) > self.maximum:
            raise Invalid("ENC_BYTES", found=_kind(wire), allowed=f"at most {self.maximum} bytes")
        return wire

    def plain(self, value: str) -> str:
        return f"type({value}) is bytes and len({value}) <= {self.maximum}"


@dataclass(frozen=True, slots=True)
class Text(WireType):
    """UTF-8 text of at most `maximum` bytes; only where a rule asks for text."""

    maximum: int

    def encode(self, value: Any) -> Any:
        return self.decode(value)

    def decode(self, wire: Any) -> Any:
        if type(wire) is not str:
            raise Invalid("ENC_TEXT", found=_kind(wire), allowed="UTF-8 text")
        try:
            size_bytes = len(wire.encode())
        except UnicodeEncodeError as error:
            raise Invalid("ENC_TEXT", found="lone surrogate", allowed="UTF-8 text") from error
        if size_bytes > self.maximum:
            raise Invalid("ENC_TEXT", found=f"{size_bytes} bytes", allowed=f"at most {self.maximum} bytes")
        return wire

    def plain(self, value: str) -> str:
        return f"type({value}) is str and {value}.isascii() and len({value}) <= {self.maximum}"


@dataclass(frozen=True, slots=True)
class BigUint(WireType):
    """Unsigned integer as `size` big-endian bytes, for values that outgrow 63 bits (targets, chain work) [ENC-BIG]."""

    size: int = 32

    def encode(self, value: Any) -> Any:
        if type(value) is not int or not 0 <= value < 1 << (8 * self.size):
            raise Invalid("ENC_INT", found=_shown(value), allowed=f"0..2^{8 * self.size}-1")
        return value.to_bytes(self.size, "big")

    def decode(self, wire: Any) -> Any:
        if type(wire) is not bytes or len(wire) != self.size:
            raise Invalid("ENC_BYTES", found=_kind(wire), allowed=f"{self.size} bytes")
        return int.from_bytes(wire, "big")

    def sure(self, value: str) -> str:
        return f"type({value}) is int and 0 <= {value} < {1 << 8 * self.size}"


@dataclass(frozen=True, slots=True)
class OneOf(WireType):
    """A member of an integer enumeration; numbers without a name are refused."""

    members: type[IntEnum]

    def encode(self, value: Any) -> Any:
        return int(self.decode(int(value) if isinstance(value, self.members) else value))

    def decode(self, wire: Any) -> Any:
        if type(wire) is not int or wire not in self.members._value2member_map_:
            raise Invalid(
                "ENC_ENUM", found=_shown(wire), allowed=", ".join(str(int(member)) for member in self.members)
            )
        return self.members(wire)


@dataclass(frozen=True, slots=True)
class Seq(WireType):
    """A tuple of up to `maximum` items of one wire type."""

    item: WireType
    maximum: int
    minimum: int = 0

    def encode(self, value: Any) -> Any:
        if type(value) is not tuple or not self.minimum <= len(value) <= self.maximum:
            raise Invalid(
                "ENC_LIST", found=_kind(value), allowed=f"tuple of {self.minimum}..{self.maximum} items"
            )
        return [self.item.encode(item) for item in value]

    def decode(self, wire: Any) -> Any:
        if type(wire) is not tuple or not self.minimum <= len(wire) <= self.maximum:
            raise Invalid(
                "ENC_LIST", found=_kind(wire), allowed=f"array of {self.minimum}..{self.maximum} items"
            )
        return tuple([self.item.decode(item) for item in wire])

    def plain(self, value: str) -> str:
        item = self.item.plain("each")
        if item == NEVER:
            return NEVER
        sized = f"type({value}) is tuple and {self.minimum} <= len({value}) <= {self.maximum}"
        return f"{sized} and all([{item} for each in {value}])"


@dataclass(frozen=True, slots=True)
class Nested(WireType):
    """Another record, inline as an array."""

    record: type[Record]

    def encode(self, value: Any) -> Any:
        if type(value) is not self.record:
            raise Invalid("ENC_RECORD", found=_kind(value), allowed=self.record.__name__)
        return value.to_wire()

    def decode(self, wire: Any) -> Any:
        return self.record.from_wire(wire)


class Record:
    """Base of every wire and stored type; subclasses are frozen dataclasses with annotated fields."""

    __slots__ = ()

    MAX_BYTES: ClassVar[int] = 1 << 16
    """No encoding of this record may be longer; checked before anything is decoded."""

    def to_wire(self) -> list[Any]:
        return _COMPILED[type(self)].encode(self)

    def but(self, **changes: Any) -> Self:
        """This record with other values in some fields; `dataclasses.replace`, at a third of its cost."""
        changed: Self = _COMPILED[type(self)].change(self, **changes)
        return changed

    def to_bytes(self) -> bytes:
        """Canonical encoding.  Raises: Invalid if a field is out of its bounds."""
        packed: bytes = _PACKER.pack(_COMPILED[type(self)].encode(self))
        return packed

    def is_sure(self) -> bool:
        """Whether it has only a few numbers and digests, all in their bounds: encoding it cannot fail, and can wait."""
        return _COMPILED[type(self)].sure(self)

    @classmethod
    def from_wire(cls, wire: Any) -> Self:
        compiled = _COMPILED[cls]
        if type(wire) is not tuple or len(wire) != compiled.fields:
            raise Invalid(
                "ENC_RECORD", found=_kind(wire), allowed=f"{cls.__name__}: array of {compiled.fields} fields"
            )
        value: Self = compiled.decode(wire)
        return value

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode; the bytes must be the canonical encoding.  Raises: Invalid ENC_*."""
        if len(data) > cls.MAX_BYTES:
            raise Invalid("ENC_SIZE", found=f"{len(data)} bytes", allowed=f"at most {cls.MAX_BYTES} bytes")
        wire = unpack(data)
        value = cls.from_wire(wire)
        # Every wire type encodes what it decoded as what was on the wire, so the wire itself need not be made again.
        if _PACKER.pack(wire) != data:
            raise Invalid(
                "ENC_CANON", found=f"another encoding of a {cls.__name__}", allowed="the shortest form"
            )
        return value


def layout(record: type[Record]) -> tuple[tuple[str, WireType], ...]:
    """(field name, wire type) of a record in wire order, read from its annotations."""
    found = _LAYOUTS.get(record)
    if found is None:
        hints = get_type_hints(record, include_extras=True)
        named = fields(record)  # type: ignore[arg-type]
        found = _LAYOUTS[record] = tuple((field.name, _wire_type(hints[field.name])) for field in named)
    return found


_LAYOUTS: dict[type[Record], tuple[tuple[str, WireType], ...]] = {}
"""Reading annotations is slow; classes do not change."""


class _Compiled(dict[type[Record], Compiled]):
    """What was made for every record class that was used so far."""

    def __missing__(self, record: type[Record]) -> Compiled:
        made = self[record] = compile_record(record, layout(record))
        return made


_COMPILED = _Compiled()


def pack(wire: Any) -> bytes:
    """Canonical msgpack of nested lists, integers, bytes and text."""
    packed: bytes = _PACKER.pack(wire)
    return packed


_PACKER = msgpack.Packer(use_bin_type=True)
"""One for all: making it costs six times what packing a small record does. It runs no Python code and keeps nothing
from call to call, so threads cannot meet inside it."""


def unpack(data: bytes) -> Any:
    """Decode one msgpack value into nested tuples.  Raises: Invalid ENC_MSGPACK.

    Limits are checked by the unpacker before it allocates. It also allocates an array before it has seen the items, so
    data is first walked without building anything: arrays that claim more items than follow, nested a thousand deep,
    would otherwise turn 30 KB into 80 MB. What is complete expands about 80 times at most.
    """
    try:
        if len(data) > _SMALL_BYTES:
            walker = msgpack.Unpacker(max_buffer_size=len(data), read_size=1)
            walker.feed(data)
            walker.skip()
        return msgpack.unpackb(
            data,
            raw=False,
            use_list=False,
            strict_map_key=True,
            max_str_len=MAX_TEXT_BYTES,
            max_map_len=0,
            max_ext_len=0,
            max_array_len=min(len(data), MAX_DEPTH_ITEMS),
            max_bin_len=len(data),
        )
    except (ValueError, TypeError, msgpack.exceptions.UnpackException) as error:
        raise Invalid(
            "ENC_MSGPACK", found=f"{type(error).__name__}", allowed="one canonical msgpack value"
        ) from error


def _wire_type(hint: Any) -> WireType:
    """The first wire type among a field's annotations; what else stands there is for people (see chain/doc.py)."""
    if get_origin(hint) is Annotated:
        hint, *notes = get_args(hint)
        for note in notes:
            if isinstance(note, WireType):
                return note
    if isinstance(hint, type) and issubclass(hint, Record):
        return Nested(hint)
    raise TypeError(f"field without a wire type: {hint!r}")


def _shown(value: Any) -> str:
    """An integer as it is, anything else by its kind: a peer's nested arrays have no business in a message."""
    return str(value) if isinstance(value, int) else _kind(value)


def _kind(value: Any) -> str:
    size = f" of {len(value)}" if isinstance(value, bytes | str | tuple | list) else ""
    return f"{type(value).__name__}{size}"
