"""Freivalds' check of a claimed product, exact over the field of p = 2^31 - 1.  Spec: [FREIVALDS-*].

Three vectors x, uniform in [0, p): a row of C that differs from its row of A * B passes one round with probability
below 2^-30.9, all three with less than 2^-92. Entries of C are range-checked first, so that no difference is a multiple
of p.

Products run in float64, which is exact while every sum stays below 2^53:
    A * y   |a| <= 63, y < 2^31, depth <= 2^16         63 * 2^31 * 2^16 < 2^53
    C * x   |c| <= 2^31, limbs of x below 2^8, 2^14 columns at a time    2^31 * 255 * 2^14 < 2^53
    B * x   |b| <= 63, x < 2^31, 128 rows at a time     63 * 2^31 * 2^7 < 2^53
Source: R. Freivalds, Probabilistic machines can use less running time, 1977.
"""

from __future__ import annotations

import numpy as np
from blake3 import blake3

from chain.codec import pack
from chain.errors import Invalid
from chain.hashing import BulkTag, b3
from compute.spec.arrays import Float64Array, Int8Array, Int32Array, Int64Array
from compute.spec.padding import check_entries
from compute.spec.profiles import MAX_DEPTH, MAX_ENTRY

PRIME = (1 << 31) - 1
ROUNDS = 3
_LIMB_BITS = 8
_LIMBS = 4
_BLOCK_ROWS = 128
"""Rows converted to float64 at a time: 16 MB at 16,384 columns."""
_BLOCK_COLUMNS = 1 << 14


def challenge(seed: bytes, length: int, rounds: int = ROUNDS) -> Int64Array:
    """int64[length, rounds] in [0, p): 64 stream bits per entry, reduced modulo p.

    No rejection: the bias of an entry is below 2^-32, and a fixed number of bytes keeps it seekable [FREIVALDS-1].
    """
    stream = blake3(b"", key=b3(BulkTag.FREIVALDS, pack([seed, length, rounds]))).digest(length * rounds * 8)
    return (np.frombuffer(stream, "<u8") % np.uint64(PRIME)).astype(np.int64).reshape(length, rounds)


def find_wrong_row(a: Int8Array, b_t: Int8Array, c: Int32Array, seed: bytes) -> int | None:
    """The first row in which int32[m, n] C is not int8[m, k] A times int8[n, k] B transposed, or None [FREIVALDS-2].

    `seed` must be unknown to whoever made C. A row that is reported is wrong with certainty; a wrong row is missed with
    probability below 2^-92.

    Raises:
        Invalid: WORK_RANGE if an entry of A or B is outside [-63, 63]; WORK_SHAPE if the shapes do not match.
    """
    (m, k), n = a.shape, b_t.shape[0]
    if b_t.shape[1] != k or c.shape != (m, n) or not (m and n and 0 < k <= MAX_DEPTH):
        raise Invalid(
            "WORK_SHAPE", found=f"A {a.shape}, B^T {b_t.shape}, C {c.shape}", allowed="[m, k], [n, k], [m, n]"
        )
    check_entries(a)
    check_entries(b_t)
    largest = MAX_ENTRY * MAX_ENTRY * k
    x = challenge(seed, n)
    limbs, bx = _limbs_of(x), _transposed_times(b_t, x)
    for first in range(0, m, _BLOCK_ROWS):
        rows = slice(first, min(first + _BLOCK_ROWS, m))
        claimed = c[rows]
        out_of_range = (claimed.max(axis=1) > largest) | (claimed.min(axis=1) < -largest)
        expected = (a[rows].astype(np.float64) @ bx).astype(np.int64) % PRIME
        differs = (_times(claimed, limbs) != expected).any(axis=1)
        wrong = np.flatnonzero(out_of_range | differs)
        if wrong.size:
            return first + int(wrong[0])
    return None


def exact_element(a_row: Int8Array, b_row: Int8Array) -> int:
    """One element of the product from int8[k] of A and int8[k] of B transposed: what a fraud proof re-runs."""
    return int(np.dot(a_row.astype(np.int64), b_row.astype(np.int64)))


def evidence_vector(c: Int32Array, seed: bytes) -> Int64Array:
    """int64[m] in [0, p): y = C * x for one vector x of `seed`; any rows of C may be given alone [FREIVALDS-3]."""
    limbs = _limbs_of(challenge(seed, c.shape[1], rounds=1))
    blocks = [
        _times(c[first : first + _BLOCK_ROWS], limbs)[:, 0] for first in range(0, c.shape[0], _BLOCK_ROWS)
    ]
    return np.concatenate(blocks)


def _limbs_of(x: Int64Array) -> Float64Array:
    """float64[n, 4 * rounds]: the four limbs of eight bits of every entry, lowest limbs first."""
    mask = (1 << _LIMB_BITS) - 1
    return np.concatenate([(x >> (_LIMB_BITS * limb)) & mask for limb in range(_LIMBS)], axis=1).astype(
        np.float64
    )


def _times(c: Int32Array, limbs: Float64Array) -> Int64Array:
    """int64[rows, rounds]: C * x modulo p, for any int32 entries."""
    sums = np.zeros((c.shape[0], limbs.shape[1]), np.int64)
    for first in range(0, c.shape[1], _BLOCK_COLUMNS):
        columns = slice(first, first + _BLOCK_COLUMNS)
        sums += (c[:, columns].astype(np.float64) @ limbs[columns]).astype(np.int64) % PRIME
    sums %= PRIME
    rounds = limbs.shape[1] // _LIMBS
    total = np.zeros((c.shape[0], rounds), np.int64)
    for limb in range(_LIMBS):
        total += sums[:, limb * rounds : (limb + 1) * rounds] << (_LIMB_BITS * limb)
    return total % PRIME


def _transposed_times(b_t: Int8Array, x: Int64Array) -> Float64Array:
    """float64[k, rounds] in [0, p): B * x, row block by row block of B transposed, reduced after each block."""
    total = np.zeros((b_t.shape[1], x.shape[1]), np.int64)
    for first in range(0, b_t.shape[0], _BLOCK_ROWS):
        rows = slice(first, first + _BLOCK_ROWS)
        total += (b_t[rows].astype(np.float64).T @ x[rows].astype(np.float64)).astype(np.int64)
        total %= PRIME
    return total.astype(np.float64)
