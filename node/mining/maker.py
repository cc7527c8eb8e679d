"""What a product's row panels are made by: a device of this machine, or one that a miner beside the node lends."""

from __future__ import annotations

from typing import Protocol

from chain.errors import LocalFault
from chain.types import Hash32
from compute.messages import Load, Panel, PanelDone
from node.feed import Feed
from node.mining.devices import Device
from node.mining.status import SlotStatus


class PanelMaker(Protocol):
    """A device as `Miner.multiply` uses it."""

    @property
    def device(self) -> Device: ...
    @property
    def status(self) -> SlotStatus: ...
    @property
    def rate(self) -> int:
        """MAC/s; 0 until measured."""

    @property
    def life(self) -> int:
        """Number of the worker that makes panels now; another one is answerable for its own panels only."""

    @property
    def max_product_bytes(self) -> int:
        """Size of the largest product of one panel that can be handed over."""

    @property
    def ready(self) -> Feed:
        """Published when the device begins to run, and when it never will again."""

    @property
    def is_running(self) -> bool: ...
    @property
    def is_quarantined(self) -> bool:
        """Whether there is nothing to wait for."""

    async def panel(self, order: Panel, a: Load, b: Load) -> PanelDone:
        """The product of a row panel.  Raises: LocalFault if the device fails; somebody else can make the panel."""

    async def drop(self, *matrices: Hash32) -> None:
        """Forget matrices; nothing happens if they are not there."""

    def distrust(self, life: int, why: LocalFault) -> None:
        """What the worker with this number said turned out to be wrong."""
