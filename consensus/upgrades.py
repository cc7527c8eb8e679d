"""Upgrades that this release knows, and what happens at one that it does not know.  Spec: [GOV-UPGRADE].

A release that implements an upgrade names it here. One that does not must stop before it: what it would build or accept
by the old rules is on another network.
"""

from __future__ import annotations

from chain.errors import LocalFault
from chain.ledger import Governed

KNOWN_UPGRADES: frozenset[str] = frozenset()
UPGRADE_UNKNOWN = "UPGRADE_UNKNOWN"


def require_known(governed: Governed, height: int) -> None:
    """Refuse to run a block at or past an upgrade that this release does not know.

    Raises: LocalFault UPGRADE_UNKNOWN; nobody else is to blame.
    """
    due = governed.upgrade_height and height >= governed.upgrade_height
    if due and governed.upgrade not in KNOWN_UPGRADES:
        raise LocalFault(
            UPGRADE_UNKNOWN,
            found=f"the upgrade {governed.upgrade!r} from height {governed.upgrade_height} on",
            allowed=", ".join(sorted(KNOWN_UPGRADES)) or "no upgrade: this release knows none",
            hint="Install the release that knows it and start again: the chain is kept.",
        )
