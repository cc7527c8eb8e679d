"""Ending a program cleanly when a person or the system asks for it."""

from __future__ import annotations

import logging
import signal

import trio

log = logging.getLogger("tilework.node")


async def stop_on_signal(scope: trio.CancelScope) -> None:
    """Cancel `scope` at the first SIGINT or SIGTERM."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for number in signals:
            log.info("stopping signal=%s", signal.Signals(number).name)
            scope.cancel()
            return
