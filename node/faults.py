"""Deliberate faults, for networks whose spec allows them: how a devnet shows that cheating does not pay.

A faulty node differs from an honest one only in the bytes it commits; everything around that is the same code.
"""

from __future__ import annotations

from enum import Enum

from chain.errors import Policy
from genesis.spec import ChainSpec


class Fault(Enum):
    """What a node does wrong on purpose."""

    NONE = ""
    CORRUPT_RESULT = "corrupt-result"
    """Commit and serve a product with one wrong element."""

    def applied_to(self, product: bytes) -> bytes:
        """The bytes to commit for a product."""
        if self is Fault.NONE:
            return product
        middle = len(product) // 8 * 4
        return product[:middle] + bytes([product[middle] ^ 1]) + product[middle + 1 :]


def fault_named(name: str, spec: ChainSpec) -> Fault:
    """The fault with this name, if this network allows faults.  Raises: Policy FAULT, FAULT_FORBIDDEN."""
    try:
        fault = Fault(name)
    except ValueError:
        allowed = ", ".join(fault.value for fault in Fault if fault is not Fault.NONE)
        raise Policy("FAULT", found=name, allowed=allowed) from None
    if fault is not Fault.NONE and not spec.fault_injection:
        raise Policy("FAULT_FORBIDDEN", found=name, allowed="faults only on networks whose spec allows them")
    return fault
