"""What a proposal may ask for.  Spec: [GOV-PROPOSE], [GOV-PAUSE]."""

from __future__ import annotations

from typing import Any

from chain.types import NO_ADDRESS
from genesis.spec import ChainSpec
from vm.governance.parameters import out_of_bounds
from vm.governance.proposal import ProposalSort
from vm.letters import shown
from vm.rules import Refusal

_NOTHING: dict[str, Any] = {
    "changes": (),
    "upgrade": "",
    "upgrade_height": 0,
    "to": NO_ADDRESS,
    "amount_grains": 0,
    "paused": (),
    "pause_blocks": 0,
}
"""Fields that belong to one sort, and what stands there in the others."""
_NEEDED = {
    ProposalSort.PARAM: {"changes"},
    ProposalSort.UPGRADE: {"upgrade"},
    ProposalSort.TREASURY: {"to", "amount_grains"},
    ProposalSort.TEXT: set[str](),
    ProposalSort.PAUSE: {"paused", "pause_blocks"},
}
_ALLOWED = {**_NEEDED, ProposalSort.UPGRADE: {"upgrade", "upgrade_height"}}


def misfilled(body: Any) -> Refusal | None:
    """Whether a request has a field of another sort, or lacks one of its own."""
    filled = {name for name, nothing in _NOTHING.items() if getattr(body, name) != nothing}
    needed, allowed = _NEEDED[body.sort], _ALLOWED[body.sort]
    if needed <= filled <= allowed:
        return None
    return Refusal(
        ", ".join(sorted(filled)) or "nothing",
        f"{', '.join(sorted(allowed)) or 'nothing'} for {body.sort.name}",
    )


def beyond(body: Any, spec: ChainSpec, height: int) -> Refusal | None:
    """What of a request lies outside the bounds that are coded."""
    match body.sort:
        case ProposalSort.PARAM:
            return out_of_bounds(spec, body.changes)
        case ProposalSort.UPGRADE:
            return _upgrade_too_soon(body, spec, height)
        case ProposalSort.PAUSE:
            return _not_pausable(body, spec)
    return None


def _upgrade_too_soon(body: Any, spec: ChainSpec, height: int) -> Refusal | None:
    """The vote and its timelock come first."""
    rules = spec.governance
    earliest = height + rules.voting_blocks + rules.timelock_blocks + 1
    if not shown(body.upgrade):
        return Refusal(repr(body.upgrade), "letters that a person can see")
    if body.upgrade_height and body.upgrade_height < earliest:
        return Refusal(f"height {body.upgrade_height}", f"0, or at least {earliest}")
    return None


def _not_pausable(body: Any, spec: ChainSpec) -> Refusal | None:
    from vm.registry import KINDS  # the table of kinds has gov.propose in it

    for name in body.paused:
        kind = KINDS.get(name)
        if kind is None or not kind.pausable:
            pausable = ", ".join(each.name for each in KINDS.values() if each.pausable)
            return Refusal(name, pausable)
    if len(set(body.paused)) < len(body.paused):
        return Refusal(f"{len(body.paused)} kinds", "each of them once")
    most = spec.governance.pause_maximum_blocks
    return Refusal(body.pause_blocks, f"at most {most} blocks") if body.pause_blocks > most else None
