"""Curve points: none."""

from __future__ import annotations

from fastecdsa import refuse


class Point:
    def __init__(self, *args: object, **kwargs: object) -> None:
        refuse("fastecdsa.point.Point")
