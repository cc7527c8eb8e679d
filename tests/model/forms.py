"""Which bytes are a transaction: msgpack, the shape of the envelope and of every body.  Spec: [ENC-*], [TX-ID]."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgpack

U63_MAX = (1 << 63) - 1

Shape = Callable[[Any], bool]
"""Whether a decoded msgpack value has the form of one field."""


class Refused(Exception):
    """A broken rule; `code` is the error code, `ENC` for anything wrong with an encoding."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def require(holds: bool, code: str) -> None:
    """Raises: Refused unless the rule holds."""
    if not holds:
        raise Refused(code)


def in_range(amount: int) -> int:
    """An amount, height or time.  Raises: Refused RANGE."""
    require(0 <= amount <= U63_MAX, "RANGE")
    return amount


def pack(value: Any) -> bytes:
    """Canonical msgpack."""
    packed: bytes = msgpack.packb(value, use_bin_type=True)
    return packed


def unpack(data: bytes, shape: Shape, most_bytes: int) -> Any:
    """The one value of this shape whose canonical encoding is `data`.  Raises: Refused ENC."""
    require(len(data) <= most_bytes, "ENC")
    try:
        value = msgpack.unpackb(data, raw=False)
    except (ValueError, TypeError, msgpack.exceptions.UnpackException) as error:
        raise Refused("ENC") from error
    require(shape(value) and pack(value) == data, "ENC")
    return value


def uint(least: int = 0, most: int = U63_MAX) -> Shape:
    return lambda value: type(value) is int and least <= value <= most


def exactly(size: int) -> Shape:
    return lambda value: type(value) is bytes and len(value) == size


def up_to(size: int) -> Shape:
    return lambda value: type(value) is bytes and len(value) <= size


def text(size: int) -> Shape:
    return lambda value: type(value) is str and len(value.encode()) <= size


def several(item: Shape, most: int, least: int = 0) -> Shape:
    return lambda value: type(value) is list and least <= len(value) <= most and all(map(item, value))


def record(*fields: Shape) -> Shape:
    def fits(value: Any) -> bool:
        if type(value) is not list or len(value) != len(fields):
            return False
        return all(field(part) for field, part in zip(fields, value, strict=True))

    return fits


HASH, ADDRESS, AMOUNT = exactly(32), exactly(20), uint()
TENSOR = record(uint(1, 1 << 24), uint(1, 1 << 20), uint(1, 2))
STEP = record(uint(1, 1), several(uint(0, 80), 4))
PROGRAM = record(several(TENSOR, 16, 1), several(STEP, 64, 1))
OPENING = record(uint(0, 1 << 24), up_to(65_536), several(HASH, 24))
PROOF = record(
    HASH,
    PROGRAM,
    several(HASH, 16),
    ADDRESS,
    HASH,
    uint(1, 2),
    uint(0, 16),
    uint(0, 16_384),
    several(OPENING, 3, 1),
)

PARENT = record(HASH, uint(1, 7), uint(0, 5_000))
PUBLICATION = (
    *(uint(1, 5), text(64), HASH, AMOUNT, HASH, HASH, HASH, HASH),
    *(uint(0, 1), uint(0, 5_000), several(PARENT, 8)),
)
SLOT, MARK = uint(0, 7), uint(0, 1)
SHARE = uint(0, 10_000)

DECLARATION = record(
    *(several(text(128), 4), HASH, HASH, several(record(uint(1, 2), AMOUNT, AMOUNT), 8)),
    *(AMOUNT, several(record(HASH, AMOUNT), 64), AMOUNT, text(32)),
)
PERMISSION = (
    *(HASH, HASH, ADDRESS, several(HASH, 8), several(ADDRESS, 8)),
    *(AMOUNT, uint(0, 2), AMOUNT, uint(1, 3), AMOUNT),
)

ENVELOPE_BYTES = 260 * 1024
ENVELOPE = record(
    uint(1, 1),
    up_to(32),
    text(32),
    ADDRESS,
    AMOUNT,
    AMOUNT,
    AMOUNT,
    AMOUNT,
    up_to(ENVELOPE_BYTES),
    several(record(HASH, exactly(64)), 16),
)

MEMBER = record(HASH, uint(1, 1_000))
PROPOSAL = (
    *(uint(1, 5), text(64), HASH, several(record(text(64), AMOUNT), 8), text(32), AMOUNT),
    *(ADDRESS, AMOUNT, several(text(32), 16), AMOUNT, AMOUNT),
)
PART = uint(0, 10_000)

KINDS: dict[str, tuple[int, int, Shape]] = {
    "transfer": (1, 1024, record(ADDRESS, AMOUNT, up_to(64))),
    "batch": (1, 16_384, lambda value: batch(value)),
    "account.set_auth": (3, 2048, record(AMOUNT, several(MEMBER, 16), uint(0, 1 << 32))),
    "session.grant": (
        3,
        2048,
        record(
            HASH,
            several(text(32), 16, 1),
            AMOUNT,
            uint(0, 1 << 32),
            AMOUNT,
            several(ADDRESS, 8),
            several(HASH, 8),
            uint(0, 62),
            uint(0, 1),
            AMOUNT,
        ),
    ),
    "session.revoke": (1, 1024, record(HASH)),
    "stake.register": (2, 1024, record(AMOUNT, SHARE, SHARE, HASH)),
    "stake.update": (2, 1024, record(SHARE, SHARE, HASH)),
    "stake.unjail": (2, 1024, record()),
    "stake.delegate": (3, 1024, record(ADDRESS, AMOUNT)),
    "stake.undelegate": (3, 1024, record(ADDRESS, AMOUNT)),
    "stake.redelegate": (3, 1024, record(ADDRESS, ADDRESS, AMOUNT)),
    "stake.claim": (1, 1024, record(ADDRESS)),
    "job.open": (
        3,
        16_384,
        record(PROGRAM, several(HASH, 16), uint(1), AMOUNT, AMOUNT, ADDRESS, HASH, uint(0, 8)),
    ),
    "job.cancel": (1, 1024, record(HASH)),
    "job.claim": (3, 1024, record(HASH, uint(1))),
    "job.commit": (4, 2048, record(HASH, HASH, HASH, several(HASH, 8))),
    "job.attest": (
        3,
        1024,
        record(HASH, uint(1, 1), uint(1, 2), HASH, uint(0, 3), HASH, HASH, uint(0, 0)),
    ),
    "challenge.prove": (2, 263_168, record(PROOF)),
    "asset.permit": (2, 2048, record(*PERMISSION)),
    "provider.register": (2, 8192, record(DECLARATION)),
    "provider.update": (1, 8192, record(uint(1, 3), DECLARATION)),
    "provider.heartbeat": (3, 1024, record(HASH)),
    "asset.publish": (3, 2048, record(*PUBLICATION)),
    "asset.version": (2, 1024, record(HASH, AMOUNT, HASH, AMOUNT, HASH, HASH)),
    "asset.transfer": (1, 1024, record(HASH, ADDRESS)),
    "asset.retire": (1, 1024, record(HASH, uint(0, 8))),
    "asset.claim": (1, 1024, record(HASH)),
    "asset.offer": (
        1,
        1024,
        record(HASH, SLOT, uint(1, 6), AMOUNT, uint(0, 1 << 32), AMOUNT, AMOUNT, MARK),
    ),
    "asset.acquire": (5, 1024, record(HASH, SLOT, AMOUNT, uint(1), ADDRESS, AMOUNT)),
    "asset.attest": (
        2,
        1024,
        record(HASH, AMOUNT, uint(1, 4), SLOT, HASH, text(32), AMOUNT, HASH, HASH),
    ),
    "gov.propose": (3, 2048, record(*PROPOSAL)),
    "gov.deposit": (2, 1024, record(HASH, AMOUNT)),
    "gov.vote": (2, 1024, record(HASH, ADDRESS, PART, PART, PART, PART)),
    "gov.cancel": (2, 1024, record(HASH)),
}
"""Name: weight, largest transaction in bytes, body.  What weighs more with its body is in `weight_of`."""
NOT_IN_A_BATCH = ("batch", "job.attest", "challenge.prove")
BODY_BYTES = {"challenge.prove": 262_144}
"""Bodies with a bound of their own, narrower than that of the transaction."""


def batch(value: Any) -> bool:
    """Operation by operation; a name may be wrong in ways that have codes of their own.  Raises: Refused."""
    if not record(several(record(text(32), lambda body: True), 16, 1))(value):
        return False
    for name, body in value[0]:
        require(name in KINDS, "KIND")
        require(name not in NOT_IN_A_BATCH, "BATCH_KIND")
        require(KINDS[name][2](body), "ENC")
    return True


def weight_of(kind: str, body: Any) -> int:
    if kind == "batch":
        return sum(weight_of(*operation) for operation in body[0]) - len(body[0]) // 2
    more = {
        "asset.publish": lambda: (len(body[-1]) + 1) // 2,
        "challenge.prove": lambda: -(-sum(len(leaf) for _, leaf, _ in body[0][8]) // 16_384),
        "gov.propose": lambda: (len(body[3]) + 1) // 2,
        "job.open": lambda: (len(body[1]) + 1) // 2 + (body[6] != bytes(32)),
        "provider.register": lambda: -(-len(body[0][5]) // 8),
        "provider.update": lambda: -(-len(body[1][5]) // 8),
    }
    return KINDS[kind][0] + (more[kind]() if kind in more else 0)
