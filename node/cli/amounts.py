"""Amounts and shares on the command line."""

from __future__ import annotations

from typing import Any

import click

from node.amounts import parse_amount, parse_per_cent


class Amount(click.ParamType[int]):
    """An amount on the command line, as grains."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        grains = parse_amount(value)
        if grains is None:
            self.fail(
                f"{value!r} is no amount: write grains (1500) or TILE (1.5tile, up to 9 decimals).",
                param,
                ctx,
            )
        return grains


class PerCent(click.ParamType[int]):
    """A share on the command line, as hundredths of a per cent."""

    name = "percent"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        share_bp = parse_per_cent(value)
        if share_bp is None:
            self.fail(f"{value!r} is no share: write 12.5, up to two decimals, at most 100.", param, ctx)
        return share_bp


AMOUNT = Amount()
PER_CENT = PerCent()
