"""Which release of the program this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def release() -> str:
    """Version of the installed package; a tree that was never installed says so."""
    try:
        return version("tilework")
    except PackageNotFoundError:
        return "uninstalled"
