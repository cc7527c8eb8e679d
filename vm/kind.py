"""What one kind of transaction declares about itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chain.codec import Record
from vm.context import Context
from vm.envelope import Transaction


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the table of kinds.

    `apply` runs in a scope of its own and raises Invalid to fail: the fee stays paid, everything else is undone.
    `sponsor`, where given, makes the kind free for its sender: it raises Invalid if the transaction may not be in a
    block at all, burns the fee it is given, or as much as there is to burn, from somewhere else, and returns how much.
    """

    name: str
    body: type[Record]
    weight: int
    max_bytes: int
    apply: Callable[[Context, Transaction, Any], None]
    sponsor: Callable[[Context, Transaction, Any, int], int] | None = None
