"""Test vectors made by others, kept beside the repository and never copied into it."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "vectors"


def outside(name: str) -> Path:
    """The vector file `name`; skips the test, saying why, where it is absent."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"outside vectors {name} are not beside this checkout")
    return path
