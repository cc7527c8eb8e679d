"""Miners who choose what to mine: shapes, segments, cubes, leaves nobody will open, and bits that can be foretold."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from compute.spec.arrays import Uint32Array
from compute.spec.profiles import LANES
from tests.attacks.counting import Integers, Operations, Yield
from tests.attacks.degenerate import middle_sums
from tests.attacks.draws import (
    Draw,
    book_noise,
    lanes_of,
    mine,
    prepare,
    prepare_next,
    valid_tickets,
)
from tests.attacks.reduction import Words, inner_dimension
from tests.attacks.settings import SIGMA, Setting, direct, direct_sums


def best_segment(setting: Setting, candidates: int = 8) -> Yield:
    """Zero matrices: draw many seeds by changing a leaf, look at the noise of every segment, mine the cheapest one."""
    account = Operations()
    a, b_t = setting.zeros()
    draw = prepare(account, SIGMA, setting.profile, a, b_t)
    choices = []
    for candidate in range(candidates):
        a = a.copy()
        a[-1, -1] = candidate
        draw = prepare_next(account, draw, a)
        choices += [
            (segment_cost(account, draw, segment), candidate, segment, draw)
            for segment in range(setting.k // setting.profile.segment)
        ]
    _, _, segment, draw = min(choices, key=lambda choice: choice[:3])
    # The leaf that holds the candidate is not mined: its entries are not zero.
    block_rows = range(setting.m // setting.profile.tile - 1)

    def partial_sums(wanted: int) -> Iterator[Words]:
        for partial in middle_sums(account, draw, wanted):
            yield partial[: block_rows.stop * setting.profile.tile]

    return Yield(account, valid_tickets(mine(account, draw, partial_sums, [segment], block_rows)))


def segment_cost(account: Operations, draw: Draw, segment: int) -> int:
    """Sum over the slices of a segment of the smallest inner dimension that zero matrices leave."""
    profile = draw.profile
    middle = np.zeros((profile.noise_rank, profile.noise_rank), np.int64)
    known, total = [middle], 0
    for index in range(segment * profile.slices, (segment + 1) * profile.slices):
        middle = middle + draw.e_slice(index) @ draw.f_slice(index)
        total += min(inner_dimension(middle - earlier) for earlier in known)
        account.book_words(len(known), *[profile.noise_rank] * 3)
        known.append(middle)
    return total


def best_shape(setting: Setting) -> Yield:
    """Flat, tall, deep and small products, the cheapest of them, with zero matrices so that committing is cheap too."""
    profile = setting.profile
    tile, segment = profile.tile, profile.segment
    shapes = (
        (tile, tile, segment),
        (tile, setting.n, setting.k),
        (setting.m, tile, setting.k),
        (8 * tile, 8 * tile, 8 * segment),
        (setting.m, setting.n, segment),
        (setting.m, setting.n, setting.k),
    )
    outcomes = []
    for shape in shapes:
        chosen = Setting(profile, *shape)
        outcomes.append(direct(chosen, *chosen.zeros()))
    return min(outcomes, key=lambda outcome: outcome.per_ticket())


def best_of_segments(setting: Setting) -> Yield:
    """Mine one segment only, the one that turns out cheapest per ticket."""
    outcomes = []
    for segment in range(setting.k // setting.profile.segment):
        account = Operations()
        draw = prepare(account, SIGMA, setting.profile, *setting.random())
        mined = mine(
            account, draw, lambda at, draw=draw, account=account: direct_sums(account, draw, at), [segment]
        )
        outcomes.append(Yield(account, valid_tickets(mined)))
    return min(outcomes, key=lambda outcome: outcome.per_ticket())


def some_block_rows(setting: Setting) -> Yield:
    """Compute a quarter of the cubes and leave the rest."""
    account = Operations()
    a, b_t = setting.random()
    draw = prepare(account, SIGMA, setting.profile, a, b_t)
    block_rows = range(setting.m // setting.profile.tile // 4)
    mined = mine(
        account, draw, lambda segment: row_sums(account, draw, segment, block_rows), block_rows=block_rows
    )
    return Yield(account, valid_tickets(mined))


def row_sums(account: Operations, draw: Draw, segment: int, block_rows: range) -> Iterator[Integers]:
    """Partial sums of some block rows."""
    profile = draw.profile
    rows = slice(block_rows.start * profile.tile, block_rows.stop * profile.tile)
    partial = np.zeros((rows.stop - rows.start, draw.mu.n), np.int64)
    for index in range(segment * profile.slices, (segment + 1) * profile.slices):
        account.book_words(2, len(partial) + draw.mu.n, profile.noise_rank)
        partial = partial + account.product(draw.a_noised(index)[rows], draw.b_noised(index))
        yield partial


def virtual_rows(setting: Setting, nonces: int = 8) -> Yield:
    """m as large as the profile allows, but one block row of it is ever computed; a leaf of another row is the nonce.

    Leaves that are never opened need not exist: their siblings on the way up are any bytes. So a nonce costs one leaf,
    one path and the noise of one block row, B' is made once, and the tickets of one block row come out.
    """
    profile = setting.profile
    account = Operations()
    a = np.zeros((profile.max_m, setting.k), np.int8)
    draw = prepare(account, SIGMA, profile, a, setting.zeros()[1])
    account.book_words(2, setting.n, setting.k)
    path = (profile.max_m // profile.tile * (setting.k // profile.segment)).bit_length()
    tickets = 0
    for nonce in range(nonces):
        a = a.copy()
        a[-1, -1] = nonce
        draw = prepare_next(Operations(), draw, a)
        account.book_hash(profile.block_bytes)
        account.book_hash(64, times=path)
        book_noise(account, profile, profile.tile, setting.k)
        mined = mine(
            account,
            draw,
            lambda segment, draw=draw: first_row_sums(account, draw, segment),
            block_rows=range(1),
        )
        tickets += valid_tickets(mined)
    return Yield(account, tickets)


def first_row_sums(account: Operations, draw: Draw, segment: int) -> Iterator[Integers]:
    """Partial sums of the first block row, B' being there already."""
    profile = draw.profile
    partial = np.zeros((profile.tile, draw.mu.n), np.int64)
    for index in range(segment * profile.slices, (segment + 1) * profile.slices):
        account.book_words(2, profile.tile, profile.noise_rank)
        partial = partial + account.product(draw.a_noised(index)[: profile.tile], draw.b_noised(index))
        yield partial


# ------------------------------------------------------------------------------------------------------------ parities


def parities(setting: Setting) -> Yield:
    """Foretell bit 0 of every lane of every fold from sums of rows and columns, then multiply as before.

    The bits come out right, but a ticket is the hash of all 512 bits: what is foretold spares nothing.
    """
    account = Operations()
    a, b_t = setting.random()
    draw = prepare(account, SIGMA, setting.profile, a, b_t)
    profile = setting.profile

    def partial_sums(segment: int) -> Iterator[Integers]:
        foretold = lane_sums(account, draw, segment)
        for partial, sums in zip(direct_sums(account, draw, segment), foretold, strict=True):
            lanes = lanes_of(Operations(), partial, profile.tile)
            assert not ((lanes ^ sums) & np.uint32(1)).any()
            yield partial

    return Yield(account, valid_tickets(mine(account, draw, partial_sums)))


def lane_sums(account: Operations, draw: Draw, segment: int) -> list[Uint32Array]:
    """uint32[m/t, n/t, 16] per fold: the sum of each lane modulo 2^32, from one row and 16 columns per tile."""
    profile = draw.profile
    tile_rows, tile_columns = draw.mu.m // profile.tile, draw.mu.n // profile.tile
    total: Integers = np.zeros((tile_rows, tile_columns * LANES), np.int64)
    parts = []
    for index in range(segment * profile.slices, (segment + 1) * profile.slices):
        account.book_words(draw.mu.m + draw.mu.n, profile.noise_rank)
        rows = draw.a_noised(index).reshape(tile_rows, profile.tile, -1).sum(axis=1)
        columns = draw.b_noised(index).reshape(-1, tile_columns, profile.tile // LANES, LANES).sum(axis=2)
        total = total + account.product(rows, columns.reshape(len(columns), -1))
        parts.append((total & 0xFFFFFFFF).astype(np.uint32).reshape(tile_rows, tile_columns, LANES))
    return parts
