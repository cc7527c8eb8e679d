"""Amounts and rates as people write and read them; integers all the way.

An amount is a number of grains (`1500`), or of TILE with its unit (`1.5tile`, up to nine decimals).
"""

from __future__ import annotations

import re

from genesis.spec import GRAINS_PER_TILE

MAX_GRAINS = (1 << 63) - 1
_DECIMALS = 9
_AMOUNT = re.compile(
    r"(?P<whole>[0-9]{1,19})(?:\.(?P<part>[0-9]{1,9}))?\s*(?P<unit>tile|grains?)?", re.IGNORECASE
)
_SHARE = re.compile(r"(?P<whole>[0-9]{1,3})(?:\.(?P<part>[0-9]{1,2}))?\s*%?")
_SCALES = (("P", 10**15), ("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3))


def parse_amount(text: str) -> int | None:
    """Grains in an amount; None if it is none."""
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        return None
    if (match["unit"] or "").lower() == "tile":
        grains = int(match["whole"]) * GRAINS_PER_TILE + int((match["part"] or "0").ljust(_DECIMALS, "0"))
    elif match["part"] is None:
        grains = int(match["whole"])
    else:
        return None  # a grain has no parts
    return grains if grains <= MAX_GRAINS else None


def parse_per_cent(text: str) -> int | None:
    """Hundredths of a per cent in a share of at most 100 per cent, such as 12.5; None if it is none."""
    match = _SHARE.fullmatch(text.strip())
    if match is None:
        return None
    share_bp = int(match["whole"]) * 100 + int((match["part"] or "0").ljust(2, "0"))
    return share_bp if share_bp <= 10_000 else None


def tile(grains: int) -> str:
    """An amount in TILE with as many decimals as it needs: 10,000 TILE, 0.035 TILE."""
    whole, rest = divmod(abs(grains), GRAINS_PER_TILE)
    decimals = f".{rest:09}".rstrip("0") if rest else ""
    return f"{'-' if grains < 0 else ''}{whole:,}{decimals} TILE"


def money(grains: int) -> str:
    """An amount in TILE with the exact grains beside it: 0.035 TILE (35,000,000 grains)."""
    return f"{tile(grains)} ({grains:,} grain{'' if grains == 1 else 's'})"


def per_cent(share_bp: int) -> str:
    """A share in hundredths of a per cent: 12.5 %, 100 %."""
    whole, rest = divmod(share_bp, 100)
    decimals = f".{rest:02}".rstrip("0") if rest else ""
    return f"{whole}{decimals} %"


def scaled(number: int, unit: str) -> str:
    """A large count with three digits and a prefix: 12.3 GMAC, 950 MAC."""
    for prefix, size in _SCALES:
        if number >= size:
            tenths = number * 10 // size
            return (
                f"{tenths // 10}.{tenths % 10} {prefix}{unit}"
                if tenths < 1000
                else f"{tenths // 10} {prefix}{unit}"
            )
    return f"{number} {unit}"


def span(seconds: int) -> str:
    """A duration for people: 42 s, 5 min, 3 h 20 min, 4 d."""
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 86_400:
        return f"{seconds // 3600} h {seconds % 3600 // 60} min"
    return f"{seconds // 86_400} d"
