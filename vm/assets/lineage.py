"""Who else earns on a sale: a flat table made once, when an asset is published.  Spec: [ASSET-LINEAGE], [ASSET-SPLIT].

A parent's share is split like a sale of the parent itself: its own payees get their shares, rounded down, and the
parent gets the rest. So the remainder of every division goes to whoever is nearer to the sale.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chain.ints import share_bp
from chain.types import AssetId
from vm.assets.record import Asset, Parent, Royalty


def flattened(lineage: Iterable[tuple[Parent, Asset]]) -> tuple[Royalty, ...]:
    """The table of a descendant; payees in the order in which they are met, each once, none with nothing."""
    shares: dict[AssetId, int] = {}
    for parent, facts in lineage:
        passed_on = split(parent.share_bp, facts.royalties)
        kept = parent.share_bp - sum(passed_on)
        shares[parent.asset] = shares.get(parent.asset, 0) + kept
        for royalty, share in zip(facts.royalties, passed_on, strict=True):
            shares[royalty.asset] = shares.get(royalty.asset, 0) + share
    return tuple(Royalty(asset, share) for asset, share in shares.items() if share)


def split(amount: int, royalties: Sequence[Royalty]) -> list[int]:
    """What each payee gets of an amount, rounded down; what is left belongs to whoever the table is of."""
    return [share_bp(amount, royalty.share_bp) for royalty in royalties]


def depth_below(parents: Iterable[Asset]) -> int:
    """Generations above a descendant of these."""
    return max((facts.depth + 1 for facts in parents), default=0)
