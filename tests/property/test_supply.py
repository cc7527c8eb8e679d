"""No coin is lost or made, whatever people do.  Spec: [MONEY-IDENTITY], [TX-EXEC].

After every block the whole state is counted, entry by entry.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.world import Round, World, rounds

FREE_FOR_ALL = rounds(
    "transfer",
    "transfer",
    "stake",
    "open",
    "open",
    "cancel",
    "claim",
    "commit",
    "attest",
    "challenge",
    "push",
    "push",
)


@given(st.lists(FREE_FOR_ALL, min_size=5, max_size=25))
def test_supply_is_conserved_by_every_block(story: list[Round]) -> None:
    world = World()
    root = world.ledger.tree.root
    for this in story:
        world.play(this)
    for _ in range(world.ledger.height):
        world.ledger.undo()
    assert world.ledger.tree.root == root, "undoing every block leads back to genesis"
