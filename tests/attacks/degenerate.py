"""Miners of matrices that need no multiplication themselves: zero, repeated, identity, rank one, low rank, cached.

What such a miner can save is A_l B'_l; the noise term E_L (E_R,l B'_l) is left, and its inner dimension is the rank of
the noise of the slice. `E_R,l B'_l` itself needs no multiplication: every column of E_R,l has at most two entries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from compute.spec.arrays import Int8Array
from tests.attacks.counting import Integers, Operations, Yield
from tests.attacks.draws import CHAINS, Draw, NoiseRule, mine, prepare, prepare_next, valid_tickets
from tests.attacks.reduction import Words, thin_factors
from tests.attacks.settings import SIGMA, Setting, direct


def cheaper(first: Yield, second: Yield) -> Yield:
    """A miner takes whichever way costs less."""
    return min(first, second, key=lambda outcome: outcome.per_ticket())


# ------------------------------------------------------------------------------------------------------- zero matrices


def zero_both(
    setting: Setting, noise: NoiseRule = CHAINS, folds: Callable[[int], bool] | None = None
) -> Yield:
    """A = B = 0: every partial sum is E_L N F_R with a known N, the sum of E_R,l F_L,l so far.

    Of each N the thinnest factors are found, and of its difference to every earlier N of the segment: whatever costs
    least. `folds` says after which slices of a segment the transcript is folded; others are skipped.
    """
    account = Operations()
    draw = prepare(account, SIGMA, setting.profile, *setting.zeros(), noise=noise)
    mined = mine(account, draw, lambda segment: middle_sums(account, draw, segment, folds))
    return Yield(account, valid_tickets(mined))


def middle_sums(
    account: Operations, draw: Draw, segment: int, folds: Callable[[int], bool] | None = None
) -> Iterator[Words]:
    """Partial sums of zero matrices after the slices that are folded."""
    profile = draw.profile
    middle = np.zeros((profile.noise_rank, profile.noise_rank), np.int64)
    known = [(middle, np.zeros((draw.mu.m, draw.mu.n), np.uint32))]
    for place in range(profile.slices):
        index = segment * profile.slices + place
        middle = middle + draw.e_slice(index) @ draw.f_slice(index)
        if folds is not None and not folds(place):
            continue
        partial = thinnest_step(account, draw, middle, known)
        known.append((middle, partial))
        yield partial


def thinnest_step(
    account: Operations, draw: Draw, middle: Integers, known: list[tuple[Integers, Words]]
) -> Words:
    """E_L `middle` F_R from the known partial sum that leaves the thinnest difference."""
    choices = [(thin_factors(middle - earlier), middle - earlier, partial) for earlier, partial in known]
    (u, v), difference, partial = min(choices, key=lambda choice: choice[0][0].shape[1])
    # Eliminations on r x r words.
    account.book_words(len(known), *[len(middle)] * 3)
    e_left, f_right = draw.e_left.astype(np.uint32), draw.f_right.astype(np.uint32)
    if u.shape[1] < len(middle):
        left, right = account.apply_sparse(e_left, u, sparse=u), account.apply_sparse(v, f_right, sparse=v)
    else:
        left, right = (
            e_left,
            account.apply_sparse(difference.astype(np.uint32), f_right, _as_words(difference)),
        )
    return partial + account.word_product(left, right)


def _as_words(matrix: Integers) -> Words:
    return matrix.astype(np.uint32)


# ------------------------------------------------------------------------------- matrices whose product is nearly free

Plain = Callable[[Operations, Draw, int], Integers]
"""A_l B'_l of a slice, int64[m, n], by whatever way is cheapest, booked."""


def noise_term_sums(account: Operations, draw: Draw, segment: int, plain: Plain) -> Iterator[Integers]:
    """Partial sums as A_l B'_l + E_L (E_R,l B'_l)."""
    profile = draw.profile
    partial = np.zeros((draw.mu.m, draw.mu.n), np.int64)
    for index in range(segment * profile.slices, (segment + 1) * profile.slices):
        # B' itself, then the differences of its rows.
        account.book_words(3, profile.noise_rank, draw.mu.n)
        mixed = draw.e_slice(index) @ draw.b_noised(index)
        partial = partial + plain(account, draw, index) + account.product(draw.e_left, mixed)
        yield partial


def factored(setting: Setting, a: Int8Array, b_t: Int8Array, plain: Plain) -> Yield:
    """A mined through `noise_term_sums`."""
    account = Operations()
    draw = prepare(account, SIGMA, setting.profile, a, b_t)
    mined = mine(account, draw, lambda segment: noise_term_sums(account, draw, segment, plain))
    return Yield(account, valid_tickets(mined))


def zero_a(setting: Setting) -> Yield:
    """A = 0, B random: only the noise of A is multiplied."""
    a, b_t = setting.zeros()[0], setting.random()[1]
    return factored(setting, a, b_t, lambda _, draw, __: np.zeros((draw.mu.m, draw.mu.n), np.int64))


def identity(setting: Setting) -> Yield:
    """A of stacked identities: A_l B'_l copies rows of B'."""
    a, b_t = setting.zeros()[0], setting.random()[1]
    a[np.arange(setting.m), np.arange(setting.m) % setting.k] = 1

    def copied(account: Operations, draw: Draw, index: int) -> Integers:
        rows = draw.a[:, draw.depth(index)].astype(np.int64)
        account.book_words(int(rows.sum()), draw.mu.n)
        return rows @ draw.b_noised(index)

    return cheaper(direct(setting, a, b_t), factored(setting, a, b_t, copied))


def low_rank(setting: Setting, rank: int, factored_only: bool = False) -> Yield:
    """A = X Y with `rank` columns in X: X (Y_l B'_l) next to the noise term, or multiplied directly if that is less."""
    rng = np.random.default_rng(rank)
    x = rng.integers(-1, 2, (setting.m, rank))
    y = rng.integers(-63 // rank, 63 // rank + 1, (rank, setting.k))
    a, b_t = (x @ y).astype(np.int8), setting.random()[1]

    def through_factors(account: Operations, draw: Draw, index: int) -> Integers:
        return account.product(x, account.product(y[:, draw.depth(index)], draw.b_noised(index)))

    outcome = factored(setting, a, b_t, through_factors)
    return outcome if factored_only else cheaper(direct(setting, a, b_t), outcome)


def repeated_rows(setting: Setting) -> Yield:
    """Every row of A equal and every column of B equal: one row times B', added to all rows."""
    a, b_t = setting.zeros()
    a[:], b_t[:] = setting.random()[0][0], setting.random()[1][0]

    def one_row(account: Operations, draw: Draw, index: int) -> Integers:
        row = account.product(draw.a[:1, draw.depth(index)], draw.b_noised(index))
        account.book_words(draw.mu.m, draw.mu.n)
        return np.repeat(row, draw.mu.m, axis=0)

    return cheaper(direct(setting, a, b_t), factored(setting, a, b_t, one_row))


def ragged(setting: Setting) -> Yield:
    """One real row and one real column per operand, the rest padding: everything but the noise is nearly empty."""
    a, b_t = setting.zeros()
    a[0], b_t[0] = setting.random()[0][0], setting.random()[1][0]

    def one_row(account: Operations, draw: Draw, index: int) -> Integers:
        product = np.zeros((draw.mu.m, draw.mu.n), np.int64)
        product[:1] = account.product(draw.a[:1, draw.depth(index)], draw.b_noised(index))
        return product

    return factored(setting, a, b_t, one_row)


# --------------------------------------------------------------------------------------------------------- cached work


def cached_product(setting: Setting, attempts: int = 2) -> Yield:
    """One header, one B', one A: the products A_l B'_l are kept, and a leaf that is never opened changes the noise.

    The products of the first attempt are not even charged for. Every attempt then needs the noise term and one addition
    per entry and slice. The block row of the changing leaf is not mined.
    """
    account = Operations()
    a, b_t = setting.random()
    profile = setting.profile
    block_rows = range(setting.m // profile.tile - 1)
    draw = prepare(account, SIGMA, profile, a, b_t)
    kept = [
        draw.a[:, draw.depth(index)] @ draw.b_noised(index)
        for index in range(setting.k // profile.noise_rank)
    ]
    account.book_words(2, setting.n, setting.k)
    tickets = 0
    for attempt in range(attempts):
        a = draw.a.copy()
        a[-1, -1] = attempt
        draw = prepare_next(account, draw, a)
        mined = mine(
            account,
            draw,
            lambda segment, draw=draw: cached_sums(account, draw, segment, kept),
            block_rows=block_rows,
        )
        tickets += valid_tickets(mined)
    return Yield(account, tickets)


def cached_sums(account: Operations, draw: Draw, segment: int, kept: list[Integers]) -> Iterator[Integers]:
    """Partial sums of all block rows but the last, from kept products and the noise term."""
    profile = draw.profile
    rows = draw.mu.m - profile.tile
    partial = np.zeros((rows, draw.mu.n), np.int64)
    for index in range(segment * profile.slices, (segment + 1) * profile.slices):
        account.book_words(profile.noise_rank, draw.mu.n)
        account.book_words(rows, draw.mu.n)
        mixed = draw.e_slice(index) @ draw.b_noised(index)
        partial = partial + kept[index][:rows] + account.product(draw.e_left[:rows], mixed)
        yield partial


def cached_b(setting: Setting, expanded_only: bool = False) -> Yield:
    """A and B of an earlier header: A B is kept per slice, free of charge, and the new noise is expanded around it.

    A'_l B'_l = A_l B_l + (A_l F_L,l) F_R + E_L (E_R,l B'_l): twice the inner dimension, so a miner multiplies directly.
    """
    a, b_t = setting.random()

    def expanded(account: Operations, draw: Draw, index: int) -> Integers:
        depth = draw.depth(index)
        kept = draw.a[:, depth].astype(np.int64) @ draw.b_t.T[depth].astype(np.int64)
        account.book_words(draw.mu.m, draw.mu.n + draw.profile.noise_rank)
        left = draw.a[:, depth].astype(np.int64) @ draw.f_slice(index)
        return kept + account.product(left, draw.f_right)

    outcome = factored(setting, a, b_t, expanded)
    return outcome if expanded_only else cheaper(direct(setting, a, b_t), outcome)
