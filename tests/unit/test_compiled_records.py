"""The code made for a record says exactly what its wire types say, value by value."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, replace
from typing import Annotated, Any

import pytest

from chain.blocks import Atom
from chain.codec import Blob, Raw, Record, Seq, Text, Uint, layout, pack, unpack
from chain.errors import Invalid
from chain.ints import U63_MAX


@dataclass(frozen=True, slots=True)
class Mixed(Record):
    number: Annotated[int, Uint(9, 2)]
    fixed: Annotated[bytes, Raw(3)]
    some: Annotated[bytes, Blob(3)]
    text: Annotated[str, Text(4)]
    atoms: Annotated[tuple[int | bytes, ...], Seq(Atom(2), 3, 1)]
    lists: Annotated[tuple[tuple[int, ...], ...], Seq(Seq(Uint(5), 2), 2)]


GOOD = Mixed(2, b"abc", b"", "é", (0, b"xy"), ((), (5, 0)))
VALUES: list[Any] = [0, 2, 9, 10, -1, True, 2.0, None, U63_MAX + 1, b"", b"abc", b"abcd", bytearray(b"abc")]
VALUES += [
    "",
    "abcd",
    "abcde",
    "éé",
    "ééé",
    "\ud800",
    (),
    (1,),
    (1, b"x", 3),
    (1, 2, 3, 4),
    [1],
    ([1],),
    (True,),
]
VALUES += [(-1,), (b"xyz",), ((6,),), ((1, 2, 3),), ((1, 2), (3,)), ((), (), ())]


def _outcome(act: Any) -> Any:
    try:
        return act()
    except Invalid as error:
        return error.code, error.found, error.allowed


@pytest.mark.parametrize("field", [name for name, _ in layout(Mixed)])
def test_one_field_at_a_time(field: str) -> None:
    kind = dict(layout(Mixed))[field]
    place = [name for name, _ in layout(Mixed)].index(field)
    good = unpack(GOOD.to_bytes())
    refused = 0
    for value in VALUES:
        wire = (*good[:place], value, *good[place + 1 :])
        encoded = _outcome(lambda value=value: replace(GOOD, **{field: value}).to_wire()[place])
        decoded = _outcome(lambda wire=wire: getattr(Mixed.from_wire(wire), field))
        assert _plain(encoded) == _plain(_outcome(lambda value=value: kind.encode(value)))
        assert decoded == _outcome(lambda value=value: kind.decode(value))
        refused += isinstance(decoded, tuple) and len(decoded) == 3 and str(decoded[0]).startswith("ENC_")
    assert 0 < refused < len(VALUES)


def _plain(wire: Any) -> Any:
    """Lists and tuples are the same array on the wire."""
    return [_plain(item) for item in wire] if isinstance(wire, list | tuple) else wire


def test_a_changed_copy() -> None:
    assert GOOD.but(number=9, some=b"x") == replace(GOOD, number=9, some=b"x")
    assert GOOD.but() == GOOD
    with pytest.raises(TypeError):
        GOOD.but(unknown=1)


def test_made_records_are_as_closed_as_any_other() -> None:
    for made in (Mixed.from_bytes(GOOD.to_bytes()), GOOD.but(number=9)):
        assert type(made) is Mixed
        with pytest.raises(FrozenInstanceError):
            made.number = 5  # type: ignore[misc]
        with pytest.raises((AttributeError, TypeError)):
            made.another = 5  # type: ignore[attr-defined]
    assert hash(Mixed.from_bytes(GOOD.to_bytes())) == hash(GOOD)


def test_the_packer_forgets_what_it_could_not_pack() -> None:
    with pytest.raises(OverflowError):
        pack([b"left over", 1 << 64])
    assert pack([1]) == b"\x91\x01"
