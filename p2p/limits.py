"""Token buckets: how much of something a peer may do.  Pure: the caller passes the time.

Integer arithmetic only; one token is worth RATE_WINDOW_MS units, and a millisecond adds `per_window` units.
"""

from __future__ import annotations

from p2p.wire import RATE_WINDOW_MS, Rate


class TokenBucket:
    """Holds at most `rate.burst` tokens, refilled evenly with `rate.per_window` tokens per window; starts
    full.
    """

    __slots__ = ("_rate", "_then_ms", "_units")

    def __init__(self, rate: Rate, now_ms: int) -> None:
        self._rate = rate
        self._units = rate.burst * RATE_WINDOW_MS
        self._then_ms = now_ms

    def take(self, now_ms: int) -> bool:
        """Spend one token; False, and nothing is spent, when there is none."""
        self._refill(now_ms)
        if self._units < RATE_WINDOW_MS:
            return False
        self._units -= RATE_WINDOW_MS
        return True

    def wait_ms(self, now_ms: int) -> int:
        """Milliseconds until a token will be there; 0 when one is."""
        self._refill(now_ms)
        short = RATE_WINDOW_MS - self._units
        return 0 if short <= 0 else -(-short // self._rate.per_window)

    def is_full(self, now_ms: int) -> bool:
        """Whether the bucket carries no memory, so that it can be dropped."""
        self._refill(now_ms)
        return self._units == self._rate.burst * RATE_WINDOW_MS

    def _refill(self, now_ms: int) -> None:
        elapsed_ms = max(0, now_ms - self._then_ms)  # a clock set back neither adds nor takes
        self._then_ms = now_ms
        self._units = min(self._units + elapsed_ms * self._rate.per_window, self._rate.burst * RATE_WINDOW_MS)


def paced(rate: Rate) -> Rate:
    """The rate an honest asker keeps, so that network jitter never makes it look greedy to the server."""
    return Rate(per_window=max(1, rate.per_window * 9 // 10), burst=max(1, rate.burst * 3 // 4))
