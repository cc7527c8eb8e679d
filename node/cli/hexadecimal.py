"""Bytes on the command line."""

from __future__ import annotations

from typing import Any

import click


class Hex(click.ParamType[str]):
    """Bytes in hexadecimal, within the bounds of a field; kept as text."""

    name = "hex"

    def __init__(self, least: int, most: int) -> None:
        self.least = least
        self.most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text: str = value.lower().removeprefix("0x")
        try:
            size = len(bytes.fromhex(text))
        except ValueError:
            size = -1
        if not self.least <= size <= self.most:
            bound = str(self.most) if self.least == self.most else f"at most {self.most}"
            self.fail(f"{value[:80]!r} is no hexadecimal of {bound} bytes.", param, ctx)
        return text
