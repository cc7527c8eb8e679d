"""Refuse to start on any libp2p but the one our hardening was written and tested against.

The hardening replaces private methods of the library.  On another version it would silently stop
protecting, or break; a node that does not start is the better failure.
"""

from __future__ import annotations

from importlib import metadata

from chain.errors import LocalFault

LIBP2P_VERSION = "0.8.1"


def check_libp2p_version(found: str | None = None) -> None:
    """Check the installed libp2p (or the version given).

    Raises:
        LocalFault: NET_LIBP2P_VERSION.
    """
    if found is None:
        try:
            found = metadata.version("libp2p")
        except metadata.PackageNotFoundError:
            found = "none"
    if found != LIBP2P_VERSION:
        raise LocalFault(
            "NET_LIBP2P_VERSION",
            found=f"libp2p {found}",
            allowed=f"libp2p {LIBP2P_VERSION}",
            hint=f"Install it with: pip install libp2p=={LIBP2P_VERSION}",
        )
