"""Every attack under the rules as they are: what it tries, how it is run, what stands in its way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.attacks import arithmetic, degenerate, replays, selection
from tests.attacks.counting import Yield
from tests.attacks.settings import REPLAYED, SMALL, Setting


@dataclass(frozen=True)
class Attack:
    """A miner that hopes to pay less than an honest one."""

    name: str
    tries: str
    rule: str
    """What stops it."""
    run: Callable[[Setting], Yield]
    setting: Setting = SMALL


CHOICES_OF_INPUT = (
    Attack(
        "zero matrices", "A = B = 0, noise reduced to its components", "POW-NOISE-3", degenerate.zero_both
    ),
    Attack("zero A", "A = 0, B random", "POW-NOISE-3", degenerate.zero_a),
    Attack("identity", "A of stacked identities", "POW-NOISE-3", degenerate.identity),
    Attack("rank one", "A = x y", "POW-NOISE-3", lambda setting: degenerate.low_rank(setting, 1)),
    Attack(
        "rank one, factored",
        "x (y B') and the noise apart",
        "POW-NOISE-3",
        lambda setting: degenerate.low_rank(setting, 1, factored_only=True),
    ),
    Attack(
        "rank four, factored",
        "X (Y B') and the noise apart",
        "POW-NOISE-3",
        lambda setting: degenerate.low_rank(setting, 4, factored_only=True),
    ),
    Attack(
        "repeated rows and columns",
        "all rows of A equal, all columns of B",
        "POW-NOISE-1",
        degenerate.repeated_rows,
    ),
    Attack("ragged shape", "one real row and column, the rest padding", "POW-PAD-1", degenerate.ragged),
    Attack(
        "cached product", "A B' kept, a leaf changed for new noise", "POW-SEED-2", degenerate.cached_product
    ),
    Attack(
        "cached B, new header",
        "A B kept, the new noise expanded around it",
        "POW-CLAIM-2",
        lambda setting: degenerate.cached_b(setting, expanded_only=True),
    ),
    Attack(
        "best segment of many seeds",
        "mine where the noise is thinnest",
        "POW-NOISE-3",
        selection.best_segment,
    ),
    Attack("choosing a segment", "mine one segment, the cheapest", "POW-NOISE-2", selection.best_of_segments),
    Attack("choosing a shape", "flat, tall, deep, small, largest", "POW-SHAPE-1", selection.best_shape),
    Attack("some cubes only", "compute a quarter of the cubes", "POW-TARGET-1", selection.some_block_rows),
    Attack(
        "virtual rows",
        "unopened leaves as nonces, one block row computed",
        "POW-SEED-2",
        selection.virtual_rows,
    ),
    Attack("parity bits", "foretell bit 0 of every lane", "POW-TICKET-1", selection.parities),
)
"""What to multiply, and which part of it."""

REPLAYS = (
    Attack(
        "another address or height",
        "present a win under a header with one field changed",
        "POW-CLAIM-2",
        replays.under_other_headers,
        REPLAYED,
    ),
    Attack(
        "another binding",
        "strip or swap the job of a win",
        "POW-CLAIM-1",
        replays.under_other_bindings,
        REPLAYED,
    ),
    Attack(
        "grinding the header",
        "change the nonce after the multiplication",
        "POW-CLAIM-2",
        replays.under_new_headers,
        REPLAYED,
    ),
    Attack(
        "grinding the result",
        "commit to one wrong leaf of the result after another",
        "POW-TICKET-1",
        replays.with_other_results,
        REPLAYED,
    ),
)
"""Being paid twice for one multiplication."""

ARITHMETIC = (
    Attack(
        "tables on zero matrices",
        "no multiplication, sums looked up",
        "POW-NOISE-1",
        arithmetic.tables_on_zero,
    ),
    Attack(
        "tables on random matrices",
        "the honest miner with tables",
        "none: open to all",
        arithmetic.tables_on_random,
    ),
    Attack(
        "Winograd on zero matrices", "seven products for eight", "POW-NOISE-3", arithmetic.winograd_on_zero
    ),
    Attack(
        "Winograd on random matrices",
        "the honest miner with the same",
        "none: open to all",
        arithmetic.winograd_on_random,
    ),
)
"""Multiplying without multiplications, or with fewer."""
