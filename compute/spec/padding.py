"""Padding of real matrices to whole tiles and segments.  Spec: [POW-PAD-*].

Padding is zeros below and to the right; it counts in the committed dimensions and carries noise like any entry, so a
padded cube costs and wins exactly as much as a full one.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from chain.errors import Invalid
from chain.ints import ceil_div
from compute.spec.arrays import Int8Array
from compute.spec.claim import Binding, Mu
from compute.spec.profiles import MAX_ENTRY, Profile


def padded_mu(profile: Profile, rows: int, columns: int, depth: int, binding: Binding) -> Mu:
    """The claim for a product of int8[rows, depth] and int8[columns, depth], rounded up [POW-PAD-1]."""
    return Mu(
        profile_id=profile.profile_id,
        m=round_up(rows, profile.tile),
        n=round_up(columns, profile.tile),
        k=round_up(depth, profile.segment),
        binding=binding,
    )


def round_up(size: int, unit: int) -> int:
    """The smallest multiple of `unit` that holds `size`."""
    return ceil_div(size, unit) * unit


def pad(matrix: Int8Array, rows: int, depth: int) -> Int8Array:
    """`matrix` as contiguous int8[rows, depth], zeros added below and to the right; never a copy of a full one."""
    if matrix.shape == (rows, depth):
        return np.ascontiguousarray(matrix)
    full = np.zeros((rows, depth), np.int8)
    full[: matrix.shape[0], : matrix.shape[1]] = matrix
    return full


def check_entries(matrix: Int8Array) -> None:
    """Refuse entries outside [-63, 63], -128 included.  Raises: Invalid WORK_RANGE."""
    lowest, highest = int(matrix.min()), int(matrix.max())
    if lowest < -MAX_ENTRY or highest > MAX_ENTRY:
        found = lowest if lowest < -MAX_ENTRY else highest
        raise Invalid("WORK_RANGE", found=f"entry {found}", allowed=f"-{MAX_ENTRY}..{MAX_ENTRY}")


def row_panels(rows: int, panel_rows: int) -> Iterator[tuple[int, int]]:
    """(first row, row count) of each panel of a product of `rows` rows, in order [POW-PAD-2]."""
    for first in range(0, rows, panel_rows):
        yield first, min(panel_rows, rows - first)
