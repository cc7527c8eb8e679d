"""Penalty points and bans per peer.  Pure: the caller passes the time.  Spec: [NET-PENALTY].

Points add up and are forgiven one per FORGIVE_MS; at BAN_POINTS the peer is banned for BAN_MS.  A peer id
costs nothing to make, so bans only stop the same identity from wasting our time; sizes and rates protect
against the rest.
"""

from __future__ import annotations

from p2p.interface import PeerId
from p2p.wire import BAN_MS, BAN_POINTS, FORGIVE_MS

MAX_REMEMBERED_PEERS = 4096
"""Bound on memory; the peers closest to forgiveness are forgotten first."""


class PenaltyLedger:
    """Who misbehaved how much, and who is banned until when."""

    __slots__ = ("_banned_until_ms", "_clean_at_ms")

    def __init__(self) -> None:
        self._clean_at_ms: dict[PeerId, int] = {}  # when the last point of a peer will be forgiven
        self._banned_until_ms: dict[PeerId, int] = {}

    def penalise(self, peer: PeerId, points: int, now_ms: int) -> bool:
        """Add points; True when this has just made `peer` banned."""
        clean_at_ms = max(self._clean_at_ms.get(peer, now_ms), now_ms) + points * FORGIVE_MS
        self._clean_at_ms[peer] = clean_at_ms
        _forget_soonest(self._clean_at_ms)
        if self.score(peer, now_ms) > -BAN_POINTS or self.is_banned(peer, now_ms):
            return False
        self.ban(peer, now_ms)
        return True

    def ban(self, peer: PeerId, now_ms: int) -> None:
        """Refuse `peer` for BAN_MS from now."""
        self._banned_until_ms[peer] = now_ms + BAN_MS
        _forget_soonest(self._banned_until_ms)

    def is_banned(self, peer: PeerId, now_ms: int) -> bool:
        """Whether `peer` is refused at this time."""
        until_ms = self._banned_until_ms.get(peer)
        if until_ms is None:
            return False
        if now_ms >= until_ms:
            del self._banned_until_ms[peer]
            return False
        return True

    def score(self, peer: PeerId, now_ms: int) -> int:
        """0 for a spotless peer, minus one per point not yet forgiven (rounded up)."""
        return -max(0, -(-(self._clean_at_ms.get(peer, now_ms) - now_ms) // FORGIVE_MS))


def _forget_soonest(by_end_ms: dict[PeerId, int]) -> None:
    while len(by_end_ms) > MAX_REMEMBERED_PEERS:
        del by_end_ms[min(by_end_ms, key=lambda peer: by_end_ms[peer])]
