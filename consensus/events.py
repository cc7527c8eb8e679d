"""Every event a block can carry: those that kinds declare, and those of what the protocol does by itself."""

from __future__ import annotations

from chain.blocks import Event
from consensus import epochs, rewards, transition
from vm.assets import permits
from vm.events import Happening, declared_in
from vm.governance import deposits, execution
from vm.jobs import lifecycle
from vm.registry import KINDS
from vm.staking import jail, liability, pools, slash, terms, unbonding

PROTOCOL: tuple[type[Happening], ...] = tuple(
    happening
    for module in (
        lifecycle,
        transition,
        rewards,
        epochs,
        unbonding,
        liability,
        pools,
        terms,
        jail,
        slash,
        deposits,
        execution,
        permits,
    )
    for happening in declared_in(module)
)
"""What happens without a transaction of its own."""
EVENTS: dict[str, type[Happening]] = {
    happening.__name__: happening
    for happening in (*(each for kind in KINDS.values() for each in kind.events), *PROTOCOL)
}


def described(event: Event) -> Happening:
    """An event with its values by name and type.  Raises: Invalid ENC_* if it is none that this release makes."""
    return EVENTS[event.name].from_wire(event.values)
