"""Free loopback ports, the same ones every time where nobody else holds them.

A node binds its port seconds after it was chosen. Until then the choice is held by a lock file, so that two networks
founded at the same moment never choose the same port.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from pathlib import Path

from chain.errors import LocalFault

HOST = "127.0.0.1"
FIRST_RPC_PORT = 8645
FIRST_P2P_PORT = 9645
"""Both lie below the range from which systems choose ports of outgoing connections."""
SEARCHED = 900
_held: list[int] = []
"""Descriptors of the lock files; they live as long as the process that founds or runs the network."""


def free_ports(first: int, count: int) -> list[int]:
    """`count` ports from `first` on at which nobody listens now, and that no other network has chosen.

    Raises: LocalFault DEVNET_PORTS.
    """
    found: dict[int, int] = {}
    for port in range(first, first + SEARCHED):
        lock = _lock(port)
        if lock is not None and is_free(port):
            found[port] = lock
        elif lock is not None:
            os.close(lock)
        if len(found) == count:
            _held.extend(found.values())
            return list(found)
    for lock in found.values():
        os.close(lock)
    raise LocalFault(
        "DEVNET_PORTS",
        found=f"{len(found)} free ports in {first}..{first + SEARCHED - 1}",
        allowed=f"{count} free ports on {HOST}",
        hint="Stop other local networks: `tilework devnet down --dir DIR`.",
    )


def is_free(port: int) -> bool:
    """Whether a server could listen at this port now."""
    with socket.socket() as probe:
        # as servers do: connections of the past do not count
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _lock(port: int) -> int | None:
    """Hold a port against other networks that choose one; None if one of them holds it."""
    directory = Path(tempfile.gettempdir()) / f"tilework-ports-{os.getuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(directory / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
