"""Integer encoding: none."""

from __future__ import annotations

from typing import NoReturn

from fastecdsa import refuse


def int_bytelen(x: int) -> NoReturn:
    refuse("fastecdsa.encoding.util.int_bytelen")
