"""Keys: none."""

from __future__ import annotations

from typing import NoReturn

from fastecdsa import refuse


def __getattr__(name: str) -> NoReturn:
    if name.startswith("__"):  # the import system and inspect probe for these
        raise AttributeError(name)
    refuse(f"fastecdsa.keys.{name}")
