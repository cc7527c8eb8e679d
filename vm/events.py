"""Events: what a receipt says has happened, declared as records by whoever makes it happen.

A subclass names its fields and their types, is emitted as an instance, and travels as a name with values. The table of
all of them is in consensus/events.py.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from chain.blocks import Event
from chain.codec import Record


class Happening(Record):
    """Base of every event; a subclass is a frozen dataclass named like the event, its docstring says what happened."""

    __slots__ = ()

    def to_event(self) -> Event:
        """As receipts carry it."""
        return Event(type(self).__name__, tuple(self.to_wire()))


def declared_in(module: ModuleType) -> tuple[type[Happening], ...]:
    """Events that a module declares, in the order of its text."""
    return tuple(value for value in vars(module).values() if _is_declared(value, module))


def _is_declared(value: Any, module: ModuleType) -> bool:
    return isinstance(value, type) and issubclass(value, Happening) and value.__module__ == module.__name__
