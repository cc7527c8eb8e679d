"""Several operations in one transaction: all of them happen, or none.  Spec: [TX-BATCH]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from chain.codec import U63, Nested, Raw, Record, Seq, Text, WireType
from chain.doc import Doc
from chain.errors import Invalid
from chain.types import Address
from vm.act import Act
from vm.events import Happening
from vm.kind import Kind
from vm.kinds.accounts import ACCOUNTS
from vm.rules import Rule

MAX_OPERATIONS = 16
MAX_BATCH_BYTES = 1 << 14
_NAME = Text(32)


@dataclass(frozen=True, slots=True)
class Operation:
    """One step of a batch: the name of a kind and a body of that kind."""

    kind: str
    body: Record


@dataclass(frozen=True, slots=True)
class OperationField(WireType):
    """An operation, inline as (name, body). A body of another kind, and a kind that is not allowed here, is refused."""

    def encode(self, value: Any) -> Any:
        if type(value) is not Operation:
            raise Invalid("ENC_RECORD", found=type(value).__name__, allowed="an operation")
        return [_NAME.encode(value.kind), Nested(_allowed(value.kind).body).encode(value.body)]

    def decode(self, wire: Any) -> Any:
        if type(wire) is not tuple or len(wire) != 2:
            raise Invalid(
                "ENC_RECORD", found=type(wire).__name__, allowed="array of a kind's name and a body"
            )
        name = _NAME.decode(wire[0])
        return Operation(name, Nested(_allowed(name).body).decode(wire[1]))


@dataclass(frozen=True, slots=True)
class Batch(Record):
    """Do several things in the sender's name, in order: if one fails, nothing has happened but the fee."""

    MAX_BYTES: ClassVar[int] = MAX_BATCH_BYTES

    operations: Annotated[
        tuple[Operation, ...],
        Seq(OperationField(), MAX_OPERATIONS, 1),
        Doc("what is done; no batch, no challenge, nothing that a sponsor pays for"),
    ]


@dataclass(frozen=True, slots=True)
class BatchDone(Happening):
    """Every operation of a batch succeeded; their own events come before."""

    sender: Annotated[Address, Raw(20), Doc("in whose name")]
    operations: Annotated[int, U63, Doc("how many")]


def _allowed(name: str) -> Kind:
    """The kind of an operation.  Raises: Invalid KIND, BATCH_KIND."""
    from vm.registry import kind_named  # the table of kinds has this one in it

    kind = kind_named(name)
    if not kind.in_batch:
        raise Invalid(
            "BATCH_KIND", found=name, allowed="a kind that may stand in a batch", hint="Send it by itself."
        )
    return kind


def _weight(body: Batch) -> int:
    """Signature, envelope and fee, which make most of the lightest kinds, are there once [TX-BATCH]."""
    alone = sum(_allowed(each.kind).weight_of(each.body) for each in body.operations)
    return alone - len(body.operations) // 2


def _do_all(act: Act[Batch]) -> None:
    for place, each in enumerate(act.body.operations):
        try:
            _allowed(each.kind).perform(act.context, act.call.at(place), each.body)
        except Invalid as error:
            code = f"BATCH({place},{error.code})"
            raise Invalid(code, found=error.found, allowed=error.allowed) from error
    act.context.emit(BatchDone(act.call.sender, len(act.body.operations)))


BATCH = Kind(
    "batch",
    ACCOUNTS,
    Batch,
    who="anyone",
    weight=1,
    weigh=_weight,
    max_bytes=MAX_BATCH_BYTES,
    effect=_do_all,
    events=(BatchDone,),
    failures=(
        Rule(
            "BATCH", "every operation succeeds; `BATCH(3,DUST)` says that number 3, from 0, fails with DUST"
        ),
    ),
    alone=True,
)
