"""Ed25519 in plain integers: the acceptance rule of docs/spec/encoding.md written a second time.  Spec:
[SIG-*].

Slow and obvious. It judges the outside vectors by our rule and makes the vectors of the start-up self-check;
`python -m tests.ed25519_reference` prints that table.
"""

from __future__ import annotations

import hashlib
from functools import cache

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)

Point = tuple[int, int]
Extended = tuple[int, int, int, int]
NEUTRAL: Point = (0, 1)


def add(left: Point, right: Point) -> Point:
    (x1, y1), (x2, y2) = left, right
    k = D * x1 * x2 * y1 * y2 % P
    return (
        (x1 * y2 + x2 * y1) * pow(1 + k, P - 2, P) % P,
        (y1 * y2 + x1 * x2) * pow(1 - k, P - 2, P) % P,
    )


def mul(scalar: int, point: Point) -> Point:
    """Double and add in extended coordinates (x = X/Z, y = Y/Z, T = XY/Z), which need one division at the end."""
    total, power = (0, 1, 1, 0), (*point, 1, point[0] * point[1] % P)
    while scalar:
        if scalar & 1:
            total = _add_extended(total, power)
        power = _add_extended(power, power)
        scalar >>= 1
    inverse = pow(total[2], P - 2, P)
    return total[0] * inverse % P, total[1] * inverse % P


def _add_extended(left: Extended, right: Extended) -> Extended:
    """RFC 8032 section 5.1.4."""
    (x1, y1, z1, t1), (x2, y2, z2, t2) = left, right
    a, b = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    c, d = 2 * t1 * t2 * D % P, 2 * z1 * z2 % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def recover_x(y: int, sign: int) -> int | None:
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - x2) % P:
        return None
    return P - x if x & 1 != sign else x


def encode(point: Point) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def decode(data: bytes) -> tuple[Point | None, bool]:
    """(the point or None, whether `data` is its one canonical encoding)."""
    number = int.from_bytes(data, "little")
    y, sign = number & (1 << 255) - 1, number >> 255
    x = recover_x(y % P, sign)
    if x is None:
        return None, False
    point = (x % P, y % P)
    return point, encode(point) == data


def challenge(*parts: bytes) -> int:
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % ORDER


BASE: Point = (recover_x(4 * pow(5, P - 2, P) % P, 0) or 0, 4 * pow(5, P - 2, P) % P)


def torsion_point() -> Point:
    """A point of order eight."""
    y = 3
    while True:
        x = recover_x(y, 0)
        if x is not None:
            point = mul(ORDER, (x, y))
            if mul(4, point) != NEUTRAL:
                return point
        y += 1


@cache
def small_order_encodings() -> list[bytes]:
    """The 14 strings that decode, canonically or not, to one of the eight points of small order."""
    torsion = torsion_point()
    points = [mul(i, torsion) for i in range(8)]
    found = set()
    for x, y in points:
        for written_y in (y, y + P):
            for sign in (0, 1):
                fits = written_y < 1 << 255
                if fits and (x == 0 or sign == x & 1):
                    found.add((written_y | sign << 255).to_bytes(32, "little"))
    return sorted(found)


def accepts(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """The acceptance rule, steps in the order of [SIG-VERIFY]."""
    if len(public_key) != 32 or len(signature) != 64:
        return False
    r_bytes, s = signature[:32], int.from_bytes(signature[32:], "little")
    if s >= ORDER:
        return False
    small = small_order_encodings()
    if r_bytes in small or public_key in small:
        return False
    point, canonical = decode(public_key)
    if point is None or not canonical:
        return False
    k = challenge(r_bytes, public_key, message)
    minus_a = (P - point[0], point[1])
    return encode(add(mul(s, BASE), mul(k, minus_a))) == r_bytes


def sign_with(scalar: int, public_key: bytes, message: bytes, nonce: int, r_shift: Point = NEUTRAL) -> bytes:
    """A signature by a raw scalar; `public_key` and R may carry a torsion part besides."""
    r_bytes = encode(add(mul(nonce, BASE), r_shift))
    k = challenge(r_bytes, public_key, message)
    return r_bytes + ((nonce + k * scalar) % ORDER).to_bytes(32, "little")


def self_check_rows() -> list[tuple[str, bytes, bytes, bytes]]:
    """(what it shows, public key, message, signature); verdicts come from `accepts`."""
    scalar = challenge(b"tilework self check scalar")
    honest = mul(scalar, BASE)
    key, message, torsion = encode(honest), b"tilework", torsion_point()
    good = sign_with(scalar, key, message, nonce=challenge(b"nonce"))
    s = int.from_bytes(good[32:], "little")
    rows = [
        ("honest", key, message, good),
        ("other message", key, b"tileworks", good),
        ("S + L", key, message, good[:32] + (s + ORDER).to_bytes(32, "little")),
        ("R = neutral, S = k*a", key, message, _known_r(scalar, key, message)),
    ]
    for encoding in small_order_encodings():
        rows.append(("small-order A", encoding, *_for_small_a(encoding)))
        k = challenge(encoding, key, message)
        small_r = encoding + (k * scalar % ORDER).to_bytes(32, "little")
        rows.append(("small-order R", key, message, small_r))
    for shift in range(1, 8):
        mixed = encode(add(honest, mul(shift, torsion)))
        rows.append((f"mixed-order A, k = 0 mod {8}", mixed, *_mixed(scalar, mixed, wanted=0)))
        rows.append((f"mixed-order A, k = {shift} mod {8}", mixed, *_mixed(scalar, mixed, wanted=shift)))
        r_mixed = sign_with(scalar, key, message, nonce=shift, r_shift=mul(shift, torsion))
        rows.append(("mixed-order R", key, message, r_mixed))
    return rows


def _known_r(scalar: int, key: bytes, message: bytes) -> bytes:
    r_bytes = encode(NEUTRAL)
    return r_bytes + (challenge(r_bytes, key, message) * scalar % ORDER).to_bytes(32, "little")


def _for_small_a(encoding: bytes) -> tuple[bytes, bytes]:
    """A message whose challenge kills the torsion, so that only the small-order rule can refuse."""
    r_bytes = encode(mul(5, BASE))
    message = next(m for i in range(999) if challenge(r_bytes, encoding, m := b"%d" % i) % 8 == 0)
    return message, r_bytes + (5).to_bytes(32, "little")


def _mixed(scalar: int, key: bytes, wanted: int) -> tuple[bytes, bytes]:
    for i in range(999):
        message = b"%d" % i
        signature = sign_with(scalar, key, message, nonce=9)
        if challenge(signature[:32], key, message) % 8 == wanted:
            return message, signature
    raise AssertionError("no such challenge among 999 messages")


if __name__ == "__main__":
    for what, row_key, row_message, row_signature in self_check_rows():
        verdict = accepts(row_key, row_message, row_signature)
        print(f'    ("{what}", {verdict},')
        print(f'     "{row_key.hex()}", "{row_message.decode()}",')
        print(f'     "{row_signature[:32].hex()}"')
        print(f'     "{row_signature[32:].hex()}"),')
