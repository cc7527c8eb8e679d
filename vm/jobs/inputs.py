"""Whose data a job may be given: what guards an input, and what a permit asks of job and provider.  Spec: [JOB-DATA].

An input counts as somebody's dataset if a version published exactly its root. At most two look-ups per input, and one
more for each dataset that is guarded and not the payer's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chain.types import Address, AssetId, Hash32, TensorRoot
from vm.assets.limits import SLOTS
from vm.assets.permits import Permit, allows_payer, allows_program, allows_provider
from vm.assets.record import ContentUse, content_key, holding_of
from vm.assets.sales import Grant, grant_key
from vm.context import Context
from vm.rules import Refusal
from vm.tensor.program import Program

NO_SLOT = SLOTS
"""The payer names no grant."""


def guarded_datasets(
    context: Context, payer: Address, slot: int, roots: Sequence[TensorRoot]
) -> Iterator[AssetId]:
    """Datasets among the inputs that are guarded, and that the payer neither owns nor has a good grant on."""
    for root in roots:
        use = context.state.load(content_key(Hash32(root)), ContentUse)
        if use is None:
            continue
        holding = holding_of(context, use.asset)
        if holding.permits and holding.owner != payer and not _granted(context, use.asset, slot, payer):
            yield use.asset


def _granted(context: Context, asset: AssetId, slot: int, payer: Address) -> bool:
    if slot == NO_SLOT:
        return False
    grant = context.state.load(grant_key(asset, slot, payer), Grant)
    return grant is not None and grant.good_at(context.height)


def refused_order(context: Context, permit: Permit, payer: Address, program: Program) -> Refusal | None:
    """What a permit has against a job, whoever will run it."""
    if not allows_payer(permit, payer):
        return Refusal(payer, permit.grantee)
    if not allows_program(context, permit, program):
        return Refusal("another program", "code that the permit names")
    return None


def refused_run(
    context: Context, permit: Permit | None, provider: Address | None, bond_grains: int
) -> Refusal | None:
    """What a permit, None if it has expired, has against a run now, by this provider if one is known."""
    if permit is None or not permit.usable:
        found = "expired" if permit is None else f"revoked, or {permit.runs} of {permit.max_runs} runs used"
        return Refusal(found, "a permit with a run left")
    if bond_grains < permit.min_bond_grains:
        return Refusal(bond_grains, f"a bond of at least {permit.min_bond_grains} grains")
    if provider is not None and not allows_provider(context, permit, provider):
        return Refusal(provider, "a provider that the permit allows")
    return None
