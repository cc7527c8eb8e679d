"""Range-checked integer arithmetic for everything that consensus counts.

Amounts, heights and times are unsigned 63-bit integers (`0 <= x < 2**63`): they fit a msgpack integer and a signed
machine word. Intermediate products are Python integers of any size and are checked when they become amounts again.
"""

from __future__ import annotations

from chain.errors import Invalid

U63_MAX = (1 << 63) - 1


def u63(value: int) -> int:
    """Return `value` if it is an unsigned 63-bit integer.  Raises: Invalid RANGE."""
    if not 0 <= value <= U63_MAX:
        raise Invalid("RANGE", found=value, allowed="0..2^63-1")
    return value


def add(left: int, right: int) -> int:
    """left + right, inside the range.  Raises: Invalid RANGE."""
    return u63(left + right)


def sub(left: int, right: int) -> int:
    """left - right, never below zero.  Raises: Invalid RANGE."""
    return u63(left - right)


def ceil_div(numerator: int, denominator: int) -> int:
    """Division of non-negative integers, rounded up."""
    return -(-numerator // denominator)


def share_bp(amount: int, basis_points: int) -> int:
    """floor(amount * basis_points / 10,000): the part of an amount that a share in basis points buys."""
    return amount * basis_points // 10_000
