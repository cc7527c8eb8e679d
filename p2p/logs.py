"""Logging that no peer can flood.

libp2p logs every broken packet, some of it on the root logger, so a hostile peer could fill a disk: all of
it is silenced.  Our own words about peers go through `PeerLog`, which lets only a few lines per window
through and counts the rest.
"""

from __future__ import annotations

import logging

from p2p.limits import TokenBucket
from p2p.wire import Rate

_PEER_LINES = Rate(per_window=2, burst=20)
_NOISY_LOGGERS = ("libp2p", "multiaddr", "async_service", "zeroconf")
_LIBRARY_MARK = "/libp2p/"


class PeerLog:
    """A logger for events that peers cause; bounded in lines per time."""

    __slots__ = ("_bucket", "_log", "_suppressed")

    def __init__(self, log: logging.Logger, now_ms: int) -> None:
        self._log = log
        self._bucket = TokenBucket(_PEER_LINES, now_ms)
        self._suppressed = 0

    def info(self, now_ms: int, event: str, **fields: object) -> None:
        """Log `event key=value …` unless too much was logged lately."""
        if not self._bucket.take(now_ms):
            self._suppressed += 1
            return
        if self._suppressed:
            fields["suppressed"] = self._suppressed
            self._suppressed = 0
        self._log.info("%s %s", event, " ".join(f"{key}={value}" for key, value in fields.items()))


def silence_libp2p() -> None:
    """Silence the library's loggers; idempotent, and harmless to everybody else's records."""
    for name in _NOISY_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    for name in list(logging.Logger.manager.loggerDict):
        if name.startswith("libp2p."):  # some set a level of their own when imported
            logging.getLogger(name).setLevel(logging.NOTSET)
    # swarm_connection.py calls `logging.warning(…)`, which goes to the root logger under no name of its own.
    root = logging.getLogger()
    if _not_from_libp2p not in root.filters:
        root.addFilter(_not_from_libp2p)


def _not_from_libp2p(record: logging.LogRecord) -> bool:
    return _LIBRARY_MARK not in record.pathname
