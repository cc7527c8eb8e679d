"""Hypothesis strategies for every wire and stored type, derived from the types themselves.  Spec: [ENC-*].

`records(SomeRecord)` draws valid instances. `every_record()` finds all record classes of the program, so that a new
type is covered by the encoding properties the day it is written.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from dataclasses import is_dataclass
from functools import cache
from types import ModuleType
from typing import Any, TypeVar

from hypothesis import strategies as st

from chain.blocks import Atom
from chain.codec import BigUint, Blob, Nested, OneOf, Raw, Record, Seq, Text, Uint, WireType, layout
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
