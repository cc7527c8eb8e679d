"""Validators that may not stand for committees for a while, or ever.  Spec: [STAKE-JAIL].

No transaction sends anybody to jail yet: evidence will.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from chain.codec import U63, Raw, Uint
from chain.doc import Doc
from chain.types import Address, Height
from vm.context import Context
from vm.events import Happening
from vm.staking.validators import load_validator, put_validator


@dataclass(frozen=True, slots=True)
class Jailed(Happening):
    """A validator leaves the list at the next epoch boundary, and may not come back for a while."""

    operator: Annotated[Address, Raw(20), Doc("the validator")]
    until: Annotated[Height, U63, Doc("from this height on it may ask to come back")]
    forever: Annotated[int, Uint(1), Doc("1: it may never come back")]


def jail(context: Context, operator: Address, until: int, *, forever: bool) -> None:
    """Send a validator to jail; a second sentence makes the first longer, never shorter."""
    validator = load_validator(context, operator)
    height = Height(max(validator.jailed_until, until))
    tombstoned = int(validator.tombstoned or forever)
    put_validator(context, operator, replace(validator, jailed_until=height, tombstoned=tombstoned))
    context.emit(Jailed(operator, height, tombstoned))
