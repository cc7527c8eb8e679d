"""Every rule taken out once: the shortcut that it stops, and what that shortcut costs where the rule is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import numpy as np

from compute.spec.arrays import Uint32Array
from compute.spec.profiles import LANES, TEST, Profile
from compute.spec.ticket import Cube
from tests.attacks import broken, replays
from tests.attacks.broken import replaced
from tests.attacks.counting import Operations, Yield
from tests.attacks.degenerate import middle_sums, zero_both
from tests.attacks.draws import Draw, Mined, mine, mine_lanes, prepare, prepare_next, valid_tickets
from tests.attacks.reduction import Words
from tests.attacks.selection import lane_sums
from tests.attacks.settings import REPLAYED, SIGMA, SMALL, Setting


@dataclass(frozen=True)
class Counterfactual:
    """A missing rule and the miner who profits."""

    name: str
    tries: str
    rule: str
    """The rule that is taken out."""
    without: Callable[[], AbstractContextManager[None]]
    """The verifier without it."""
    run: Callable[[Setting], Yield]
    setting: Setting = SMALL


# -------------------------------------------------------------------------------------------------------- transcript


def after_last(place: int, profile: Profile) -> bool:
    """Only the final product of a segment."""
    return place == profile.slices - 1


def after_second(place: int, _: Profile) -> bool:
    """Slices twice as deep as the noise rank."""
    return place % 2 == 1


def after_first(place: int, _: Profile) -> bool:
    """Every slice but the first."""
    return place > 0


def folding(folds: Callable[[int, Profile], bool]) -> Callable[[Setting], Yield]:
    """The miner of zero matrices who leaves out what is not folded."""
    return lambda setting: zero_both(setting, folds=lambda place: folds(place, setting.profile))


def without_folds(folds: Callable[[int, Profile], bool]) -> Callable[[], AbstractContextManager[None]]:
    return lambda: replaced(cube_transcript=broken.folding_only(folds))


def linear_digest(setting: Setting) -> Yield:
    """Sums of lanes from sums of rows and columns; no product of a tile is ever computed."""
    account = Operations()
    draw = prepare(account, SIGMA, setting.profile, *setting.random())
    mined = mine_lanes(account, draw, lambda segment: lane_sums(account, draw, segment))
    return Yield(account, valid_tickets(mined))


# ------------------------------------------------------------------------------------------------------------- noise


def thin_noise(setting: Setting) -> Yield:
    """Zero matrices: every slice of the older noise falls into components, of which only differences count."""
    return zero_both(setting, noise=broken.TWO_ROWS)


def bare_padding(setting: Setting, attempts: int = 8) -> Yield:
    """A of one real row, its padding free of noise: one row of every tile is all there is to multiply and to fold."""
    account = Operations()
    profile = setting.profile
    a, b_t = np.zeros((profile.tile, setting.k), np.int8), setting.zeros()[1]
    a[0] = setting.random()[0][0]
    draw = prepare(account, SIGMA, profile, a, b_t, noise=broken.NO_NOISE_ON_PADDING)
    account.book_words(2, setting.n, setting.k)
    tickets = 0
    for attempt in range(attempts):
        a = a.copy()
        a[0, 0] = attempt
        draw = prepare_next(account, draw, a)
        tickets += valid_tickets(
            mine_lanes(account, draw, lambda segment, draw=draw: first_rows(account, draw, segment))
        )
    return Yield(account, tickets)


def first_rows(account: Operations, draw: Draw, segment: int) -> Iterator[Uint32Array]:
    """The words of the lanes where only row 0 of the tile is not zero."""
    profile = draw.profile
    partial = np.zeros((1, draw.mu.n), np.int64)
    for index in range(segment * profile.slices, (segment + 1) * profile.slices):
        partial = partial + account.product(draw.a_noised(index)[:1], draw.b_noised(index))
        account.book_words(*partial.shape)
        grid = (partial & 0xFFFFFFFF).astype(np.uint32).reshape(1, -1, profile.tile // LANES, LANES)
        yield np.bitwise_xor.reduce(grid, axis=2)


def equal_block_rows(setting: Setting) -> Yield:
    """Equal rows of A under equal noise: the transcripts of one block row serve all."""
    account = Operations()
    draw = prepare(account, SIGMA, setting.profile, *setting.zeros(), noise=broken.EQUAL_BLOCK_ROWS)
    tile = setting.profile.tile

    def partial_sums(segment: int) -> Iterator[Words]:
        one = replace(draw, mu=replace(draw.mu, m=tile))
        yield from middle_sums(account, one, segment)

    first = mine(account, draw, partial_sums, block_rows=range(1))
    return copied(account, draw, np.repeat(first.transcripts[:1], setting.m // tile, axis=0))


def equal_segments(setting: Setting) -> Yield:
    """Zero matrices under noise that repeats: the transcripts of one segment serve all."""
    account = Operations()
    draw = prepare(account, SIGMA, setting.profile, *setting.zeros(), noise=broken.EQUAL_SEGMENTS)
    first = mine(account, draw, lambda segment: middle_sums(account, draw, segment), segments=[0])
    segments = setting.k // setting.profile.segment
    return copied(account, draw, np.repeat(first.transcripts[:, :, :1], segments, axis=2))


def copied(account: Operations, draw: Draw, transcripts: Uint32Array) -> Yield:
    """Tickets of transcripts that were computed once and stand in many places."""
    cubes = tuple(Cube(*place) for place in np.ndindex(transcripts.shape[:3]))
    account.book_hash(64, times=len(cubes))
    return Yield(account, valid_tickets(Mined(draw, transcripts, cubes)))


def noise_first(setting: Setting) -> Yield:
    """The noise of A is known before A is chosen: A = -E leaves nothing to multiply."""
    account = Operations()
    a, b_t = setting.random()
    with replaced(seed_a_of=broken.seed_a_without_root):
        known = prepare(Operations(), SIGMA, setting.profile, a, b_t)
    slices = range(setting.k // setting.profile.noise_rank)
    opposite = -np.concatenate([known.e_left @ known.e_slice(index) for index in slices], axis=1)
    account.book_words(*opposite.shape)
    draw = prepare(account, SIGMA, setting.profile, opposite.astype(np.int8), b_t)
    transcripts = np.zeros(
        (
            setting.m // setting.profile.tile,
            setting.n // setting.profile.tile,
            setting.k // setting.profile.segment,
            16,
        ),
        np.uint32,
    )
    return copied(account, draw, transcripts)


# ----------------------------------------------------------------------------------------------------- the catalogue

DEEP = Setting(TEST, 256, 256, 512)

COUNTERFACTUALS = (
    Counterfactual(
        "final product hashed alone",
        "zero matrices; nothing but the sum over the segment is computed",
        "POW-TILE-2",
        without_folds(after_last),
        folding(after_last),
    ),
    Counterfactual(
        "slices twice as deep as the noise",
        "zero matrices; two slices in the work of one",
        "POW-PROFILE-2",
        without_folds(after_second),
        folding(after_second),
    ),
    Counterfactual(
        "first slice not folded",
        "zero matrices; the first two slices in the work of one",
        "POW-TILE-2",
        without_folds(after_first),
        folding(after_first),
    ),
    Counterfactual(
        "linear digest",
        "sums of rows times sums of columns",
        "POW-TILE-2",
        lambda: replaced(cube_transcript=broken.linear_transcript),
        linear_digest,
    ),
    Counterfactual(
        "two independent rows per column",
        "zero matrices; components of the noise of every slice",
        "POW-NOISE-3",
        lambda: replaced(noise=broken.noise_from(broken.TWO_ROWS)),
        thin_noise,
    ),
    Counterfactual(
        "padding without noise",
        "one real row per tile",
        "POW-PAD-1",
        lambda: replaced(noise=broken.noise_from(broken.NO_NOISE_ON_PADDING)),
        bare_padding,
    ),
    Counterfactual(
        "equal noise in every block row",
        "equal rows; one block row serves all",
        "POW-NOISE-1",
        lambda: replaced(noise=broken.noise_from(broken.EQUAL_BLOCK_ROWS)),
        equal_block_rows,
    ),
    Counterfactual(
        "equal noise in every segment",
        "zero matrices; one segment serves all",
        "POW-NOISE-2",
        lambda: replaced(noise=broken.noise_from(broken.EQUAL_SEGMENTS)),
        equal_segments,
        DEEP,
    ),
    Counterfactual(
        "noise before the commitment",
        "A = -E",
        "POW-SEED-2",
        lambda: replaced(seed_a_of=broken.seed_a_without_root),
        noise_first,
    ),
    Counterfactual(
        "result root in the ticket",
        "one wrong leaf after another",
        "POW-TICKET-1",
        lambda: replaced(ticket_of=broken.WordInTicket()),
        replays.with_other_results,
        REPLAYED,
    ),
    Counterfactual(
        "header in the ticket, not in the key",
        "grind the nonce after the multiplication",
        "POW-CLAIM-2",
        lambda: replaced(ticket_of=broken.WordInTicket(), kappa_of=broken.kappa_without_header),
        replays.under_new_headers,
        REPLAYED,
    ),
    Counterfactual(
        "header not in the key",
        "present a win under another address or height",
        "POW-CLAIM-2",
        lambda: replaced(kappa_of=broken.kappa_without_header),
        replays.under_other_headers,
        REPLAYED,
    ),
    Counterfactual(
        "binding not in the key",
        "present a job's win as another job's",
        "POW-CLAIM-1",
        lambda: replaced(kappa_of=broken.kappa_without_binding),
        replays.under_other_bindings,
        REPLAYED,
    ),
)
