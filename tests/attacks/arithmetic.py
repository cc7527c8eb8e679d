"""Other ways to compute the same products: tables of sums, and fast multiplication.

Neither looks at what A and B are, so both serve the honest miner too; where the matrices are degenerate they can serve
a little better, because E_L has entries of 6 bits and A' has 8. Each is run on both, to show the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil

import numpy as np

from tests.attacks.counting import Integers, Operations, Yield
from tests.attacks.draws import Draw, mine, prepare, valid_tickets
from tests.attacks.settings import SIGMA, Setting

NOISE_BITS = 6
"""E_L lies in [-32, 31]."""
NOISED_BITS = 8
"""A' lies in [-126, 126]."""

Operands = Callable[[Operations, Draw, int], tuple[Integers, Integers]]
"""The two factors of a slice, int64[m, r] and int64[r, n], booked."""


# ------------------------------------------------------------------------------------------------------ tables of sums


def tables_on_zero(setting: Setting) -> Yield:
    """A = B = 0, E_L W for W = E_R,l F_L,l F_R, with tables of W indexed by the six bit planes of E_L."""
    account = Operations()
    draw = prepare(account, SIGMA, setting.profile, *setting.zeros())
    return _table_miner(account, draw, NOISE_BITS, _zero_operands)


def tables_on_random(setting: Setting) -> Yield:
    """The honest miner with tables of B' indexed by the eight bit planes of A'."""
    account = Operations()
    draw = prepare(account, SIGMA, setting.profile, *setting.random())
    return _table_miner(account, draw, NOISED_BITS, _noised_operands)


def _zero_operands(account: Operations, draw: Draw, index: int) -> tuple[Integers, Integers]:
    """E_L and (E_R,l F_L,l) F_R, two differences per entry."""
    account.book_words(2, draw.profile.noise_rank, draw.mu.n)
    return draw.e_left, draw.e_slice(index) @ draw.f_slice(index) @ draw.f_right


def _noised_operands(account: Operations, draw: Draw, index: int) -> tuple[Integers, Integers]:
    """A'_l and B'_l."""
    account.book_words(2, draw.mu.m + draw.mu.n, draw.profile.noise_rank)
    return draw.a_noised(index), draw.b_noised(index)


def _table_miner(account: Operations, draw: Draw, planes: int, operands: Operands) -> Yield:
    profile = draw.profile
    width = best_width(profile.noise_rank, draw.mu.m, planes)

    def partial_sums(segment: int) -> Iterator[Integers]:
        partial = np.zeros((draw.mu.m, draw.mu.n), np.int64)
        for index in range(segment * profile.slices, (segment + 1) * profile.slices):
            left, right = operands(account, draw, index)
            partial = partial + table_product(account, left, right, planes, width)
            account.book_words(*partial.shape)
            yield partial

    return Yield(account, valid_tickets(mine(account, draw, partial_sums)))


def table_product(account: Operations, left: Integers, right: Integers, planes: int, width: int) -> Integers:
    """left right without one multiplication: for every `width` rows of `right` a table of all their sums, looked up
    by the bits of `left`, plane after plane. A lookup is booked as one addition; its load is free of charge."""
    rows, columns = left.shape[0], right.shape[1]
    tables, places = [], []
    for first in range(0, left.shape[1], width):
        part = right[first : first + width]
        table = np.zeros((1, columns), np.int64)
        for row in part:
            table = np.concatenate([table, table + row])
        account.book_words(*table.shape)
        tables.append(table)
        places.append(1 << np.arange(len(part)))
    total = np.zeros((rows, columns), np.int64)
    for plane in reversed(range(planes)):
        total *= 2
        bits = left >> plane & 1
        sign = -1 if plane == planes - 1 else 1
        for table, place, first in zip(tables, places, range(0, left.shape[1], width), strict=True):
            total += sign * table[bits[:, first : first + len(place)] @ place]
        account.book_words(len(tables) + 1, rows, columns)
    return total


def best_width(rank: int, rows: int, planes: int) -> int:
    """Rows of `right` per table that make the product cheapest."""
    return min(range(1, rank + 1), key=lambda width: table_words_per_mac(rank, rows, planes, width))


def table_words_per_mac(rank: int, rows: int, planes: int, width: int | None = None) -> float:
    """Word operations of `table_product` and its accumulation for every multiply-accumulate that it replaces."""
    if width is None:
        width = best_width(rank, rows, planes)
    tables = ceil(rank / width)
    building = tables * 2.0 ** min(width, rank) / rows
    return (planes * (tables + 1) + 1 + building) / rank


# ------------------------------------------------------------------------------------------------- fast multiplication


def winograd_on_zero(setting: Setting) -> Yield:
    """A = B = 0: E_L W with seven products in place of eight."""
    account = Operations()
    return _winograd_miner(
        account, prepare(account, SIGMA, setting.profile, *setting.zeros()), _zero_operands
    )


def winograd_on_random(setting: Setting) -> Yield:
    """The honest miner with seven products in place of eight."""
    account = Operations()
    return _winograd_miner(
        account, prepare(account, SIGMA, setting.profile, *setting.random()), _noised_operands
    )


def _winograd_miner(account: Operations, draw: Draw, operands: Operands) -> Yield:
    profile = draw.profile

    def partial_sums(segment: int) -> Iterator[Integers]:
        kept: list[Integers] | None = None
        for index in range(segment * profile.slices, (segment + 1) * profile.slices):
            products = winograd_products(account, *operands(account, draw, index))
            # The sums of the seven products run on by themselves: accumulating costs nothing more.
            kept = products if kept is None else [old + new for old, new in zip(kept, products, strict=True)]
            yield winograd_sum(account, kept)

    return Yield(account, valid_tickets(mine(account, draw, partial_sums)))


def winograd_products(account: Operations, left: Integers, right: Integers) -> list[Integers]:
    """The seven half-size products of the Strassen-Winograd form: an eighth fewer multiply-accumulates."""
    (a11, a12), (a21, a22) = _quarters(left)
    (b11, b12), (b21, b22) = _quarters(right)
    s1 = a21 + a22
    s2 = s1 - a11
    s3 = a11 - a21
    s4 = a12 - s2
    t1 = b12 - b11
    t2 = b22 - t1
    t3 = b22 - b12
    t4 = t2 - b21
    account.book_words(4, *a11.shape)
    account.book_words(4, *b11.shape)
    factors = ((a11, b11), (a12, b21), (s4, b22), (a22, t4), (s1, t1), (s2, t2), (s3, t3))
    return [account.product(x, y) for x, y in factors]


def winograd_sum(account: Operations, products: list[Integers]) -> Integers:
    """The product from the seven: seven additions of a quarter of it."""
    m1, m2, m3, m4, m5, m6, m7 = products
    u2 = m1 + m6
    u3 = u2 + m7
    account.book_words(7, *m1.shape)
    return np.block([[m1 + m2, u2 + m5 + m3], [u3 - m4, u3 + m5]])


def _quarters(matrix: Integers) -> list[list[Integers]]:
    return [np.hsplit(half, 2) for half in np.vsplit(matrix, 2)]
