"""The work once more, from docs/spec/work.md alone: plain Python integers and lists, nothing of the program.

It exists to show that the page is enough. When a rule changes, the page changes first, then this file from the page.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from blake3 import blake3

Matrix = list[list[int]]
Cube = tuple[int, int, int]


@dataclass(frozen=True)
class Profile:
    """[POW-PROFILE]: id, noise rank r, tile edge t, segment depth S, and the bound on m, n and k."""

    identity: int
    r: int
    t: int
    s: int
    largest: int


PROFILES = {
    "test": Profile(1, 16, 16, 64, 1024),
    "dev": Profile(2, 32, 32, 256, 16384),
    "cpu": Profile(3, 64, 64, 256, 16384),
    "gpu": Profile(4, 128, 32, 4096, 65536),
}


class Refused(Exception):
    """A certificate is not valid; the argument is the code."""


# ---------------------------------------------------------------------------------------- [POW-BYTES] bytes and hashes


def pack(value: Any) -> bytes:
    """[POW-BYTES-1]."""
    if isinstance(value, list):
        head = bytes([0x90 + len(value)]) if len(value) < 16 else b"\xdc" + len(value).to_bytes(2, "big")
        return head + b"".join(map(pack, value))
    if isinstance(value, bytes):
        return _sized((0xC4, 0xC5, 0xC6), len(value)) + value
    return bytes([value]) if value < 128 else _sized((0xCC, 0xCD, 0xCE, 0xCF), value)


def _sized(codes: tuple[int, ...], number: int) -> bytes:
    for code, width in zip(codes, (1, 2, 4, 8), strict=False):
        if number < 1 << 8 * width:
            return bytes([code]) + number.to_bytes(width, "big")
    raise ValueError(number)


def unpack(data: bytes) -> Any:
    """The value of canonical bytes no longer than any certificate; whatever packs to other bytes is refused."""
    if len(data) > 263488:
        raise Refused("ENC")
    try:
        value, end = _unpack(data, 0)
        canonical = end == len(data) and pack(value) == data
    except (IndexError, ValueError, RecursionError):
        canonical = False
    if not canonical:
        raise Refused("ENC")
    return value


def _unpack(data: bytes, at: int) -> tuple[Any, int]:
    first = data[at]
    if first < 0x80:
        return first, at + 1
    if 0x90 <= first < 0xA0:
        items, at = [], at + 1
        for _ in range(first - 0x90):
            item, at = _unpack(data, at)
            items.append(item)
        return items, at
    widths = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}
    if first not in widths:
        raise ValueError(first)
    start = at + 1 + widths[first]
    number = int.from_bytes(data[at + 1 : start], "big")
    return (data[start : start + number], start + number) if first < 0xCC else (number, start)


def b3(name: str, x: bytes) -> bytes:
    """[POW-BYTES-2]: BLAKE3 in key-derivation mode."""
    return blake3(x, derive_key_context=f"tilework v1 {name}").digest()


def keyed(key: bytes, x: bytes) -> bytes:
    return blake3(x, key=key).digest()


def stream(name: str, seed: bytes, start: int, size: int) -> bytes:
    return blake3(b"", key=b3(name, seed)).digest(length=size, seek=start)


# ---------------------------------------------------------------------------------------- commitments and seeds


def leaves_of(side: str, kappa: bytes, matrix: Matrix, profile: Profile) -> list[bytes]:
    """[POW-COMMIT-1]: one hash per t x S block, along a block row first."""
    key = b3(f"pow leaf {side}", kappa)
    return [
        keyed(key, block_bytes(matrix, row, at, profile))
        for row in range(len(matrix) // profile.t)
        for at in range(len(matrix[0]) // profile.s)
    ]


def block_bytes(matrix: Matrix, row: int, segment: int, profile: Profile) -> bytes:
    rows = matrix[row * profile.t : (row + 1) * profile.t]
    depth = slice(segment * profile.s, (segment + 1) * profile.s)
    return bytes(entry & 0xFF for line in rows for entry in line[depth])


def tree(side: str, kappa: bytes, leaves: list[bytes]) -> list[list[bytes]]:
    """[POW-COMMIT-2]: every level, leaves first."""
    key, levels = b3(f"pow node {side}", kappa), [leaves]
    while len(levels[-1]) > 1:
        below = levels[-1]
        pairs = [keyed(key, below[at] + below[at + 1]) for at in range(0, len(below) - 1, 2)]
        levels.append(pairs + below[len(pairs) * 2 :])
    return levels


def turns(index: int, count: int) -> list[bool]:
    """[POW-COMMIT-3]: for each sibling of a path, does it stand on the left?"""
    found = []
    while count > 1:
        if index ^ 1 < count:
            found.append(index % 2 == 1)
        index, count = index // 2, (count + 1) // 2
    return found


def path_of(levels: list[list[bytes]], index: int) -> list[bytes]:
    siblings = []
    for level in levels[:-1]:
        if index ^ 1 < len(level):
            siblings.append(level[index ^ 1])
        index //= 2
    return siblings


def root_of_path(
    side: str, kappa: bytes, block: bytes, index: int, count: int, siblings: list[bytes]
) -> bytes:
    key, node = b3(f"pow node {side}", kappa), keyed(b3(f"pow leaf {side}", kappa), block)
    for on_left, sibling in zip(turns(index, count), siblings, strict=True):
        node = keyed(key, sibling + node if on_left else node + sibling)
    return node


# ---------------------------------------------------------------------------------------- noise


def left_rows(seed: bytes, first: int, rows: int, profile: Profile) -> Matrix:
    """[POW-NOISE-1]."""
    data = stream("pow noise left", seed, first * profile.r, rows * profile.r)
    return [[(byte & 63) - 32 for byte in data[at : at + profile.r]] for at in range(0, len(data), profile.r)]


def permutation(seed: bytes, place: int, profile: Profile) -> list[int]:
    """[POW-NOISE-2] of slice number `place`."""
    data = stream("pow noise right", seed, 4 * profile.r * place, 4 * profile.r)
    words = [int.from_bytes(data[4 * at : 4 * at + 4], "little") for at in range(profile.r)]
    return sorted(range(profile.r), key=words.__getitem__)  # stable


def noised(block: Matrix, seed: bytes, first_row: int, first_slice: int, profile: Profile) -> Matrix:
    """[POW-NOISE-4]: the rows of a block that starts at a slice, plus their noise."""
    left = left_rows(seed, first_row, len(block), profile)
    orders = [permutation(seed, first_slice + at, profile) for at in range(len(block[0]) // profile.r)]
    result = []
    for line, row in zip(block, left, strict=True):
        entries = []
        for pi in orders:
            entries += [row[pi[d]] - row[pi[d + 1]] for d in range(profile.r - 1)] + [row[pi[-1]]]
        result.append([entry + more for entry, more in zip(line, entries, strict=True)])
    return result


# ---------------------------------------------------------------------------------------- transcript, ticket


def transcript_steps(left: Matrix, right: Matrix, profile: Profile) -> list[list[int]]:
    """[POW-TILE-1], [POW-TILE-2]: T after every slice, from the t x S blocks of A' and of B' transposed."""
    t, words, steps = profile.t, [0] * 16, []
    partial = [[0] * t for _ in range(t)]
    for start in range(0, profile.s, profile.r):
        xors = [0] * 16
        for row in range(t):
            part = left[row][start : start + profile.r]
            for column in range(t):
                other = right[column][start : start + profile.r]
                partial[row][column] += sum(x * y for x, y in zip(part, other, strict=True))
                xors[column % 16] ^= partial[row][column] & 0xFFFFFFFF
        words = [(word << 13 | word >> 19) & 0xFFFFFFFF ^ xor for word, xor in zip(words, xors, strict=True)]
        steps.append(words)
    return steps


def ticket_input(transcript: list[int], cube: Cube) -> bytes:
    """[POW-TICKET-1]."""
    words = [word ^ place for word, place in zip(transcript, (*cube, *[0] * 13), strict=True)]
    return b"".join(word.to_bytes(4, "little") for word in words)


def wins(ticket: bytes, target: int, profile: Profile) -> bool:
    """[POW-TARGET-1]."""
    return int.from_bytes(ticket, "little") < target * profile.t * profile.t * profile.s


# ---------------------------------------------------------------------------------------- attempt


@dataclass
class Attempt:
    """Everything an attempt derives."""

    mu: list[Any]
    kappa: bytes
    tree_a: list[list[bytes]]
    tree_b: list[list[bytes]]
    seed_b: bytes
    seed_a: bytes
    steps: dict[Cube, list[list[int]]]
    tickets: dict[Cube, bytes]
    product: Matrix
    a: Matrix
    b_t: Matrix

    def certificate(self, cube: Cube, profile: Profile) -> bytes:
        """[POW-CERT-1]."""
        i, j, s = cube
        columns = self.mu[3] // profile.s
        return pack(
            [
                self.mu,
                self.tree_a[-1][0],
                self.tree_b[-1][0],
                i,
                j,
                s,
                block_bytes(self.a, i, s, profile),
                block_bytes(self.b_t, j, s, profile),
                path_of(self.tree_a, i * columns + s),
                path_of(self.tree_b, j * columns + s),
            ]
        )


def attempt(sigma: bytes, profile: Profile, a: Matrix, b_t: Matrix, job: bytes, step: int) -> Attempt:
    """A times B, committed, noised, multiplied cube by cube, and denoised [POW-ATTEMPT]."""
    rows, columns = len(a), len(b_t)
    a, b_t = padded(a, profile), padded(b_t, profile)
    m, n, k = len(a), len(b_t), len(a[0])
    mu = [profile.identity, m, n, k, [job, step]]
    kappa = b3("pow kappa", pack([sigma, pack(mu)]))
    tree_b = tree("b", kappa, leaves_of("b", kappa, b_t, profile))
    seed_b = b3("pow seed b", pack([kappa, tree_b[-1][0], n]))
    tree_a = tree("a", kappa, leaves_of("a", kappa, a, profile))
    seed_a = b3("pow seed a", pack([seed_b, tree_a[-1][0], m]))
    a_noised, b_noised = noised(a, seed_a, 0, 0, profile), noised(b_t, seed_b, 0, 0, profile)

    steps, tickets = {}, {}
    for i in range(m // profile.t):
        for j in range(n // profile.t):
            for s in range(k // profile.s):
                steps[i, j, s] = transcript_steps(
                    part(a_noised, i, s, profile), part(b_noised, j, s, profile), profile
                )
                tickets[i, j, s] = keyed(seed_a, ticket_input(steps[i, j, s][-1], (i, j, s)))
    product = denoised(a, a_noised, b_noised, seed_a, seed_b, profile)
    product = [line[:columns] for line in product[:rows]]
    return Attempt(mu, kappa, tree_a, tree_b, seed_b, seed_a, steps, tickets, product, a, b_t)


def padded(matrix: Matrix, profile: Profile) -> Matrix:
    """[POW-PAD-1]."""
    right, below = -len(matrix[0]) % profile.s, -len(matrix) % profile.t
    width = len(matrix[0]) + right
    return [line + [0] * right for line in matrix] + [[0] * width for _ in range(below)]


def part(matrix: Matrix, row: int, segment: int, profile: Profile) -> Matrix:
    lines = matrix[row * profile.t : (row + 1) * profile.t]
    return [line[segment * profile.s : (segment + 1) * profile.s] for line in lines]


def denoised(
    a: Matrix, a_noised: Matrix, b_noised: Matrix, seed_a: bytes, seed_b: bytes, profile: Profile
) -> Matrix:
    """[POW-DENOISE-1]: A'B' - (A F_L) F_R - E_L (E_R B'), every matrix transposed where B is."""
    m, n, k = len(a), len(b_noised), len(a[0])
    e_left, f_right = left_rows(seed_a, 0, m, profile), left_rows(seed_b, 0, n, profile)
    e_right, f_left = right_factor(seed_a, k, profile), right_factor(seed_b, k, profile)
    a_f_left = times(a, f_left)
    b_e_right = times(b_noised, e_right)  # (E_R B') transposed
    return [
        [x - y - z for x, y, z in zip(*lines, strict=True)]
        for lines in zip(
            times(a_noised, b_noised), times(a_f_left, f_right), times(e_left, b_e_right), strict=True
        )
    ]


def right_factor(seed: bytes, k: int, profile: Profile) -> Matrix:
    """[POW-NOISE-3]: r rows of k entries; for F this is F_L transposed."""
    factor = [[0] * k for _ in range(profile.r)]
    for place in range(k // profile.r):
        pi = permutation(seed, place, profile)
        for d in range(profile.r):
            factor[pi[d]][place * profile.r + d] = 1
            if d < profile.r - 1:
                factor[pi[d + 1]][place * profile.r + d] = -1
    return factor


def times(left: Matrix, right_transposed: Matrix) -> Matrix:
    return [
        [sum(x * y for x, y in zip(line, other, strict=True)) for other in right_transposed] for line in left
    ]


# ---------------------------------------------------------------------------------------- verification


def verify(sigma: bytes, target: int, certificate: bytes, profile: Profile) -> bytes:
    """[POW-VERIFY-1]: the ticket, or Refused with the code of the first check that fails."""
    mu, root_a, root_b, i, j, s, bytes_a, bytes_b, path_a, path_b = _fields(unpack(certificate))
    identity, m, n, k, (job, step) = mu
    t, depth = profile.t, profile.s
    _require(identity == profile.identity, "WORK_PROFILE")
    for size, unit in ((m, t), (n, t), (k, depth)):
        _require(unit <= size <= profile.largest and size % unit == 0, "WORK_SHAPE")
    _require(any(job) or step == 0, "WORK_STEP")
    _require(1 <= target <= ((1 << 252) - 1) // (t * t * depth), "WORK_TARGET_RANGE")
    _require(i < m // t and j < n // t and s < k // depth, "WORK_INDEX")
    _require(len(bytes_a) == len(bytes_b) == t * depth, "WORK_BLOCK_SIZE")
    columns = k // depth
    leaf_a, count_a, leaf_b, count_b = i * columns + s, m // t * columns, j * columns + s, n // t * columns
    _require(len(path_a) == len(turns(leaf_a, count_a)), "WORK_PATH_LENGTH")
    _require(len(path_b) == len(turns(leaf_b, count_b)), "WORK_PATH_LENGTH")
    kappa = b3("pow kappa", pack([sigma, pack(mu)]))
    _require(root_of_path("a", kappa, bytes_a, leaf_a, count_a, path_a) == root_a, "WORK_PATH_A")
    _require(root_of_path("b", kappa, bytes_b, leaf_b, count_b, path_b) == root_b, "WORK_PATH_B")
    block_a, block_b = signed(bytes_a, depth), signed(bytes_b, depth)
    for block in (block_a, block_b):
        _require(all(-63 <= entry <= 63 for line in block for entry in line), "WORK_RANGE")
    seed_b = b3("pow seed b", pack([kappa, root_b, n]))
    seed_a = b3("pow seed a", pack([seed_b, root_a, m]))
    first_slice = s * depth // profile.r
    left = noised(block_a, seed_a, i * t, first_slice, profile)
    right = noised(block_b, seed_b, j * t, first_slice, profile)
    ticket = keyed(seed_a, ticket_input(transcript_steps(left, right, profile)[-1], (i, j, s)))
    _require(wins(ticket, target, profile), "WORK_TARGET")
    return ticket


def _fields(value: Any) -> list[Any]:
    """The ten fields, if they have the types and bounds of [POW-CERT-1]."""
    shape = [["i", "i", "i", "i", [32, "i"]], 32, 32, "i", "i", "i", "b", "b", "p", "p"]
    _require(_fits(value, shape), "ENC")
    fields: list[Any] = value
    return fields


def _fits(value: Any, shape: Any) -> bool:
    if isinstance(shape, list):
        return (
            isinstance(value, list)
            and len(value) == len(shape)
            and all(_fits(item, kind) for item, kind in zip(value, shape, strict=True))
        )
    if shape == "i":
        return isinstance(value, int) and value < 1 << 63
    if shape == "p":
        return isinstance(value, list) and len(value) <= 16 and all(_fits(item, 32) for item in value)
    return isinstance(value, bytes) and (len(value) <= 131072 if shape == "b" else len(value) == shape)


def _require(holds: bool, code: str) -> None:
    if not holds:
        raise Refused(code)


def signed(data: bytes, width: int) -> Matrix:
    entries = [byte - 256 if byte > 127 else byte for byte in data]
    return [entries[at : at + width] for at in range(0, len(entries), width)]


def certificate_hash(certificate: bytes) -> bytes:
    """[POW-CERT-2]."""
    return hashlib.blake2b(certificate, digest_size=32, person=b"tw/certificate").digest()


def seeded(seed: bytes, number: int, rows: int, depth: int) -> Matrix:
    """[POW-ENTRIES-1]."""
    data = stream("pow entries", pack([seed, number]), 0, rows * depth)
    return [[127 * byte // 256 - 63 for byte in data[at : at + depth]] for at in range(0, len(data), depth)]
