"""Useful proof of work: the specification, the engines that carry it out fast, and the worker process.

For whoever brings products of their own:

    from compute import Template, multiply

    product, tickets = multiply(a, b, Template(sigma, target, profile))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compute.api import Multiplication, Template, Tickets, Win, multiply

__all__ = ["multiply", "Template", "Tickets", "Win", "Multiplication"]


def __getattr__(name: str) -> object:
    """The public names, imported when they are used: the specification in this package must not load engines."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("compute.api"), name)
