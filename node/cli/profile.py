"""Work profiles on the command line, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from compute.spec.profiles import CPU, PROFILES, Profile

C = TypeVar("C", bound=Callable[..., Any])
_BY_NAME = {profile.name: profile for profile in PROFILES.values()}


class _ProfileName(click.ParamType[Profile]):
    name = "profile"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Profile:
        if isinstance(value, Profile):
            return value
        if value not in _BY_NAME:
            self.fail(f"{value!r} is none of {', '.join(_BY_NAME)}.", param, ctx)
        return _BY_NAME[value]


def profile_option(command: C) -> C:
    """Adds --profile NAME."""
    text = f"Constants of the work: {', '.join(_BY_NAME)}."
    return click.option(
        "--profile", type=_ProfileName(), default=CPU.name, show_default=True, metavar="NAME", help=text
    )(command)
