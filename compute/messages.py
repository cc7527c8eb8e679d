"""Messages between a node and its worker process.  Spec: [POW-WORKER-*].

A frame is a 4-byte big-endian length, one kind byte and the canonical encoding of a record. Commands go to the worker's
standard input, events come from its standard output, and nothing else travels on either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, TypeAlias, TypeVar

from chain.codec import U63, BigUint, Blob, Raw, Record, Text, Uint, pack
from chain.errors import Invalid
from chain.types import Hash32, JobId
from compute.spec.certificate import Certificate

MAX_MATRIX_BYTES = 1 << 28
"""16,384 squared entries of int8, or 8,192 squared of int32: the largest operand of a job step."""
MAX_SIGMA_BYTES = 2048
MAX_TEXT_BYTES = 512
_OVERHEAD_BYTES = 4096
LENGTH_BYTES = 4
MAX_FRAME_BYTES = MAX_MATRIX_BYTES + _OVERHEAD_BYTES


@dataclass(frozen=True, slots=True)
class Load(Record):
    """Keep a matrix, int8 row-major with entries in [-63, 63], under an id that the parent chooses."""

    matrix: Annotated[Hash32, Raw(32)]
    rows: Annotated[int, U63]
    columns: Annotated[int, U63]
    data: Annotated[bytes, Blob(MAX_MATRIX_BYTES)]

    MAX_BYTES: ClassVar[int] = MAX_FRAME_BYTES


@dataclass(frozen=True, slots=True)
class Drop(Record):
    """Forget a matrix; unknown ids are ignored."""

    matrix: Annotated[Hash32, Raw(32)]


@dataclass(frozen=True, slots=True)
class Mine(Record):
    """Standing order: attempts on seeded random matrices until another `Mine`, `Idle` or `Stop`.

    The engine chooses their shape: it knows what suits it, and every shape pays the same per multiplication.
    """

    template: Annotated[int, U63]
    sigma: Annotated[bytes, Blob(MAX_SIGMA_BYTES)]
    target: Annotated[int, BigUint()]
    profile_id: Annotated[int, U63]
    seed: Annotated[bytes, Raw(32)]
    patient: Annotated[int, Uint(1)] = 0
    """1 lets an attempt under way finish first: the block it builds on is the same, so what it wins still counts."""


@dataclass(frozen=True, slots=True)
class Panel(Record):
    """One attempt on rows [row_start, row_start + row_count) of a loaded A and a loaded B transposed."""

    template: Annotated[int, U63]
    sigma: Annotated[bytes, Blob(MAX_SIGMA_BYTES)]
    target: Annotated[int, BigUint()]
    profile_id: Annotated[int, U63]
    job: Annotated[JobId, Raw(32)]
    step: Annotated[int, U63]
    a: Annotated[Hash32, Raw(32)]
    row_start: Annotated[int, U63]
    row_count: Annotated[int, U63]
    b: Annotated[Hash32, Raw(32)]


@dataclass(frozen=True, slots=True)
class Bench(Record):
    """Measure this worker's rate under a profile."""

    profile_id: Annotated[int, U63]
    duration_ms: Annotated[int, Uint(maximum=60_000, minimum=1)]


@dataclass(frozen=True, slots=True)
class Idle(Record):
    """End the standing order."""


@dataclass(frozen=True, slots=True)
class Stop(Record):
    """Exit cleanly, as at the end of input."""


@dataclass(frozen=True, slots=True)
class Trying(Record):
    """An engine is about to be probed and tested: if nothing follows, this one brought the worker down."""

    engine: Annotated[str, Text(32)]


@dataclass(frozen=True, slots=True)
class Ready(Record):
    """The engine that was chosen and passed its self-test; orders are served from now on."""

    engine: Annotated[str, Text(32)]
    detail: Annotated[str, Text(MAX_TEXT_BYTES)]


@dataclass(frozen=True, slots=True)
class Found(Record):
    """A winning certificate, already replayed by the specification; at most one per attempt."""

    template: Annotated[int, U63]
    certificate: Annotated[bytes, Blob(Certificate.MAX_BYTES)]
    ticket: Annotated[Hash32, Raw(32)]

    MAX_BYTES: ClassVar[int] = Certificate.MAX_BYTES + _OVERHEAD_BYTES


@dataclass(frozen=True, slots=True)
class PanelDone(Record):
    """The exact product of a panel, int32 little-endian row-major, and what its attempt drew."""

    template: Annotated[int, U63]
    job: Annotated[JobId, Raw(32)]
    step: Annotated[int, U63]
    row_start: Annotated[int, U63]
    row_count: Annotated[int, U63]
    product: Annotated[bytes, Blob(MAX_MATRIX_BYTES)]
    tickets: Annotated[int, U63]
    winners: Annotated[int, U63]
    macs: Annotated[int, U63]

    MAX_BYTES: ClassVar[int] = MAX_FRAME_BYTES


@dataclass(frozen=True, slots=True)
class Progress(Record):
    """What was done since the last one, panels included, about once per second of work.

    All zeros but the template: an attempt takes long, and the worker lives.
    """

    template: Annotated[int, U63]
    attempts: Annotated[int, U63]
    macs: Annotated[int, U63]
    tickets: Annotated[int, U63]
    busy_ms: Annotated[int, U63]


@dataclass(frozen=True, slots=True)
class BenchDone(Record):
    """Measured rate in multiply-accumulates per second, the unit of every hash rate."""

    profile_id: Annotated[int, U63]
    macs_per_second: Annotated[int, U63]


@dataclass(frozen=True, slots=True)
class Failed(Record):
    """A command was refused (the worker goes on) or the engine proved unreliable (the worker exits)."""

    code: Annotated[str, Text(64)]
    text: Annotated[str, Text(MAX_TEXT_BYTES)]
    job: Annotated[JobId, Raw(32)]
    """The job of the panel that failed, or zeros."""


Command: TypeAlias = Load | Drop | Mine | Panel | Bench | Idle | Stop
Event: TypeAlias = Trying | Ready | Found | PanelDone | Progress | BenchDone | Failed

_COMMANDS: dict[int, type[Command]] = {1: Load, 2: Drop, 3: Mine, 4: Panel, 5: Bench, 6: Idle, 7: Stop}
_EVENTS: dict[int, type[Event]] = {
    65: Ready,
    66: Found,
    67: PanelDone,
    68: Progress,
    69: BenchDone,
    70: Failed,
    71: Trying,
}
_R = TypeVar("_R", bound=Record)
_KINDS: dict[type[Record], int] = {
    record: kind for table in (_COMMANDS, _EVENTS) for kind, record in table.items()
}


def to_frame(message: Command | Event) -> bytes:
    """Length, kind and body of a message."""
    return b"".join(frame_parts(message))


def frame_parts(message: Command | Event) -> tuple[bytes, bytes]:
    """The frame of a message in two parts; a matrix is the second one, as it is, and not copied."""
    if isinstance(message, Load):
        body, tail = _head_of(message), message.data
    else:
        body, tail = message.to_bytes(), b""
    size = 1 + len(body) + len(tail)
    return size.to_bytes(LENGTH_BYTES, "big") + bytes([_KINDS[type(message)]]) + body, tail


def _head_of(message: Load) -> bytes:
    """The record's encoding up to its last field, which is the data behind its msgpack length."""
    *fields, data = message.to_wire()
    head = pack([*fields, b""])[: -len(pack(b""))]
    size = len(data)
    for limit, code, size_bytes in ((1 << 8, 0xC4, 1), (1 << 16, 0xC5, 2)):
        if size < limit:
            return head + bytes([code]) + size.to_bytes(size_bytes, "big")
    return head + b"\xc6" + size.to_bytes(4, "big")


def payload_bytes(length: bytes) -> int:
    """Size of the payload that follows these four bytes.  Raises: Invalid WORKER_FRAME."""
    size = int.from_bytes(length, "big")
    if len(length) != LENGTH_BYTES or not 1 <= size <= MAX_FRAME_BYTES:
        raise Invalid("WORKER_FRAME", found=f"{size} bytes", allowed=f"1..{MAX_FRAME_BYTES} bytes")
    return size


def parse_command(payload: bytes) -> Command:
    """The command in a payload (kind and body).  Raises: Invalid WORKER_KIND or ENC_*."""
    return _record(_COMMANDS, payload).from_bytes(payload[1:])


def parse_event(payload: bytes) -> Event:
    """The event in a payload (kind and body).  Raises: Invalid WORKER_KIND or ENC_*."""
    return _record(_EVENTS, payload).from_bytes(payload[1:])


def _record(table: dict[int, type[_R]], payload: bytes) -> type[_R]:
    if not payload or payload[0] not in table:
        raise Invalid("WORKER_KIND", found=payload[:1], allowed=", ".join(map(str, table)))
    return table[payload[0]]
