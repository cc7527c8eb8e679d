"""The one table of transaction kinds."""

from __future__ import annotations

from chain.errors import Invalid
from vm.kind import Kind
from vm.kinds import accounts, audits, jobs, staking

KINDS: dict[str, Kind] = {
    kind.name: kind for family in (accounts, staking, jobs, audits) for kind in family.KINDS
}


def kind_named(name: str) -> Kind:
    """Raises: Invalid KIND."""
    if name not in KINDS:
        raise Invalid("KIND", found=name, allowed=", ".join(KINDS))
    return KINDS[name]
