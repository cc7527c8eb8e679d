"""Reading the state, and how its keys are made.  Spec: [STATE-KEY], [STATE-VALUE].

A plain dictionary is a `StateReader` too, which is what tests of rules use.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

from chain.hashing import Tag, h256
from chain.types import StateKey

MAX_VALUE_BYTES = 1 << 20
"""No entry is larger; rules of single kinds set much smaller bounds."""


class StateReader(Protocol):
    """Anything that answers what the state holds under a key."""

    def get(self, key: StateKey, /) -> bytes | None:
        """The value under `key`; None if there is none."""


@lru_cache(maxsize=1 << 14)
def state_key(namespace: int, identifier: bytes) -> StateKey:
    """The key of object `identifier` of a namespace (0..255).

    Always a digest: whoever chooses identifiers does not choose places in the tree, so nobody grows one
    branch of it cheaply. The last keys are remembered: one transaction asks for that of its sender a dozen times.
    """
    return StateKey(h256(Tag.STATE_KEY, bytes([namespace]) + identifier))
