"""The one table of transaction kinds: whatever a module of a family declares is in it."""

from __future__ import annotations

from chain.errors import Invalid
from vm.kind import Kind
from vm.kinds import (
    accounts,
    assets,
    attestations,
    audits,
    batch,
    governance,
    jobs,
    keys,
    operators,
    permits,
    providers,
    sales,
    sessions,
    staking,
)

_FAMILIES = (
    accounts,
    batch,
    keys,
    sessions,
    operators,
    staking,
    jobs,
    audits,
    assets,
    sales,
    attestations,
    permits,
    providers,
    governance,
)

KINDS: dict[str, Kind] = {
    kind.name: kind for module in _FAMILIES for kind in vars(module).values() if isinstance(kind, Kind)
}


def kind_named(name: str) -> Kind:
    """Raises: Invalid KIND."""
    if name not in KINDS:
        raise Invalid("KIND", found=name, allowed=", ".join(KINDS))
    return KINDS[name]
