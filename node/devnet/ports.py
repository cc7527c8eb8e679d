"""Free loopback ports, the same ones every time where nobody else holds them."""

from __future__ import annotations

import socket

from chain.errors import LocalFault

HOST = "127.0.0.1"
FIRST_RPC_PORT = 8645
FIRST_P2P_PORT = 9645
"""Both lie below the range from which systems choose ports of outgoing connections."""
SEARCHED = 900


def free_ports(first: int, count: int) -> list[int]:
    """`count` ports from `first` on at which nobody listens now.

    Raises: LocalFault DEVNET_PORTS.
    """
    found: list[int] = []
    for port in range(first, first + SEARCHED):
        if is_free(port):
            found.append(port)
        if len(found) == count:
            return found
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
