"""What a validator takes for its work, and how it announces that this will change.  Spec: [STAKE-TERMS]."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from chain.codec import U63, Raw, Uint
from chain.doc import Doc
from chain.ledger import AgendaItem, AgendaKind, Announcement
from chain.types import Address, Hash32, Height
from vm.context import Context
from vm.events import Happening
from vm.staking.validators import find_validator, load_validator, put_validator


@dataclass(frozen=True, slots=True)
class OperatorAnnounced(Happening):
    """A validator will take another commission."""

    operator: Annotated[Address, Raw(20), Doc("the validator")]
    commission_bp: Annotated[int, Uint(10_000), Doc("its commission then, in hundredths of a per cent")]
    max_change_bp: Annotated[int, Uint(10_000), Doc("by how much it may raise it at a time then")]
    height: Annotated[Height, U63, Doc("from when on")]


@dataclass(frozen=True, slots=True)
class OperatorUpdated(Happening):
    """What a validator takes, or says about itself, is different from now on."""

    operator: Annotated[Address, Raw(20), Doc("the validator")]
    commission_bp: Annotated[int, Uint(10_000), Doc("its commission, in hundredths of a per cent")]
    max_change_bp: Annotated[int, Uint(10_000), Doc("by how much it may raise it at a time")]
    meta_root: Annotated[Hash32, Raw(32), Doc("root of what it says about itself")]


def announce(context: Context, operator: Address, commission_bp: int, max_change_bp: int) -> None:
    """From the notice on, these terms hold."""
    height = Height(context.height + context.spec.staking.notice_blocks)
    announced = (Announcement(commission_bp, max_change_bp, height),)
    put_validator(context, operator, replace(load_validator(context, operator), announced=announced))
    context.schedule(height, AgendaKind.OPERATOR_CHANGES, operator)
    context.emit(OperatorAnnounced(operator, commission_bp, max_change_bp, height))


def describe(context: Context, operator: Address, meta_root: Hash32) -> None:
    """From now on, this is what the validator says about itself."""
    validator = replace(load_validator(context, operator), meta_root=meta_root)
    put_validator(context, operator, validator)
    context.emit(OperatorUpdated(operator, validator.commission_bp, validator.max_change_bp, meta_root))


def take_effect(context: Context, item: AgendaItem) -> None:
    """What was announced holds; a validator that is gone, or came back as a new one since, has announced nothing."""
    operator = Address(item.subject[:20])
    validator = find_validator(context, operator)
    for new in validator.announced if validator is not None else ():
        if validator is not None and new.height == context.height:
            changed = replace(
                validator, commission_bp=new.commission_bp, max_change_bp=new.max_change_bp, announced=()
            )
            put_validator(context, operator, changed)
            context.emit(OperatorUpdated(operator, new.commission_bp, new.max_change_bp, validator.meta_root))


STEPS = {AgendaKind.OPERATOR_CHANGES: take_effect}
