"""What a device is doing, as tables and the RPC show it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """What a slot is doing; the values are what people read."""

    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class SlotStatus:
    """A slot as tables and the RPC show it."""

    device: str
    model: str
    engine: str = ""
    """What runs; empty until an engine has passed its self-test."""
    state: State = State.STARTING
    macs_per_second: int = 0
    tickets: int = 0
    blocks: int = 0
    panels: int = 0
    """Pieces of jobs' products that it made."""
    failure: str = ""
    """The last thing that went wrong; empty if nothing did."""
