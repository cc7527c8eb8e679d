"""Curve parameters: none."""

from __future__ import annotations

from typing import NoReturn

from fastecdsa import refuse


class Curve:
    def __init__(self, *args: object, **kwargs: object) -> None:
        refuse("fastecdsa.curve.Curve")


def __getattr__(name: str) -> NoReturn:
    if name.startswith("__"):  # the import system and inspect probe for these
        raise AttributeError(name)
    refuse(f"fastecdsa.curve.{name}")
