"""What a session key may ask for: kinds, addresses and objects, read off the fields of a body.  Spec: [SESSION-SCOPE].

Which fields name whom is not listed anywhere: it is their type. A field of type Address names a counterparty, one whose
type is among OBJECT_IDS names an object.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chain.codec import Record
from chain.errors import Invalid
from chain.types import NO_ADDRESS, OBJECT_IDS, ZERO_HASH, Address
from vm.accounts.session import Session
from vm.describe import FieldText, fields_of, item_hint
from vm.kinds.batch import Batch


def require_scope(session: Session, kind: str, body: Record) -> None:
    """Raises: Invalid SCOPE for a kind, an address or an object that the session was not granted."""
    for name, part in _operations(kind, body):
        if name not in session.kinds:
            raise Invalid("SCOPE", found=name, allowed=", ".join(session.kinds))
        for value, is_object in _named(part):
            granted: tuple[bytes, ...] = session.objects if is_object else session.counterparties
            if granted and value not in granted and value != session.owner:
                raise Invalid("SCOPE", found=value, allowed=" or ".join(each.hex() for each in granted))


def kinds_in(kind: str, body: Record) -> Iterator[str]:
    """Names of the kinds that a transaction does: its own, or those of its operations."""
    return (name for name, _ in _operations(kind, body))


def _operations(kind: str, body: Record) -> Iterator[tuple[str, Record]]:
    if isinstance(body, Batch):
        yield from ((each.kind, each.body) for each in body.operations)
    else:
        yield kind, body


def _named(body: Record) -> Iterator[tuple[bytes, bool]]:
    """(address or object id, whether it is an object) for everything that a body names."""
    for field in fields(type(body)):
        value = getattr(body, field.name)
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, Record):
                yield from _named(each)
            elif each not in (NO_ADDRESS, ZERO_HASH):
                yield each, _plain(field) in OBJECT_IDS


def fields(record: type[Record]) -> tuple[FieldText, ...]:
    """Fields that name somebody or something, or hold records that do."""
    found = _FIELDS.get(record)
    if found is None:
        found = _FIELDS[record] = tuple(field for field in fields_of(record) if _names_something(field))
    return found


_FIELDS: dict[type[Record], tuple[FieldText, ...]] = {}
"""Reading annotations is slow; classes do not change."""


def _names_something(field: FieldText) -> bool:
    if field.nested is not None:
        return bool(fields(field.nested))
    hint = _plain(field)
    return hint is Address or hint in OBJECT_IDS


def _plain(field: FieldText) -> Any:
    """The type of the field, or of the items of its list."""
    return item_hint(field.hint) if getattr(field.hint, "__origin__", None) is tuple else field.hint
