"""Bodies of transactions as people write them: from the JSON form of a record to the record.  Spec: [RPC-FORM].

The inverse of node.rpc.forms.record_form. Bounds are those of the declaration; nothing is guessed and nothing left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from chain.codec import BigUint, Nested, OneOf, Record, Seq, Text, Uint, WireType
from chain.errors import Policy
from chain.types import NO_ADDRESS, Address
from vm.describe import bounds, fields_of, item_hint
from vm.kinds.batch import Operation, OperationField
from vm.registry import kind_named

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads forms; `address` knows whom a name or a bech32m text means."""

    address: Callable[[str], Address]

    def record(self, record: type[R], form: Any, place: str = "") -> R:
        """The record of an object of its fields.

        Raises: Policy BODY_FIELDS (one is missing or unknown), BODY_VALUE; Invalid ENC_*.
        """
        fields = fields_of(record)
        names = [field.name for field in fields]
        if not isinstance(form, dict) or set(form) != set(names):
            found = ", ".join(map(str, form)) if isinstance(form, dict) else type(form).__name__
            raise Policy(
                "BODY_FIELDS", found=f"{place or record.__name__}: {found}", allowed=", ".join(names)
            )
        values = {
            field.name: self._value(field.wire, field.hint, form[field.name], field.name) for field in fields
        }
        made = record(**values)
        made.to_wire()  # every bound of the declaration
        return made

    def _value(self, wire: WireType, hint: Any, form: Any, place: str) -> Any:
        try:
            return self._read(wire, hint, form, place)
        except (ValueError, TypeError, KeyError) as error:
            raise Policy(
                "BODY_VALUE", found=f"{place} = {str(form)[:80]}", allowed=bounds(wire, hint)
            ) from error

    def _read(self, wire: WireType, hint: Any, form: Any, place: str) -> Any:
        match wire:
            case Nested():
                return self.record(wire.record, form, place)
            case Seq():
                if not isinstance(form, list | tuple):
                    raise TypeError
                return tuple(self._value(wire.item, item_hint(hint), item, place) for item in form)
            case OperationField():
                kind = kind_named(form["kind"])
                return Operation(kind.name, self.record(kind.body, form["body"], kind.name))
            case OneOf():
                return wire.members[form]
            case Uint():
                if type(form) is not int:
                    raise TypeError
                return form
            case BigUint():
                return int(form, 16)
            case Text():
                if type(form) is not str:
                    raise TypeError
                return form
        if hint is Address:
            return NO_ADDRESS if form is None else self.address(form)
        return bytes.fromhex(form)
