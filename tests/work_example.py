"""The worked example of docs/spec/work.md, computed by the reference: name to value, as the page writes them.

`python -m tests.work_example` prints the lines for the page; `tests/unit/test_work_example.py` compares them with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import wrap

import numpy as np
from blake3 import blake3

from chain.codec import pack
from chain.hashing import BulkTag, b3, b3_keyed
from compute.spec.arrays import Int8Array
from compute.spec.claim import kappa_of
from compute.spec.commit import Side
from compute.spec.noise import left_factor, noise, permutations, right_factor
from compute.spec.padding import pad
from compute.spec.profiles import TEST
from compute.spec.reference import ReferenceAttempt, reference_attempt
from compute.spec.ticket import Cube, ticket_input
from compute.vectors import transcript_steps

SIGMA = b"worked example 16"
ROWS, COLUMNS, DEPTH = 20, 18, 70
CUBE = Cube(1, 0, 1)
"""The only winner."""
_WIDTH = 104


def matrix(rows: int, row_factor: int, depth_factor: int, cross_factor: int) -> Int8Array:
    """int8[rows, 70]: entry (i, d) is (row_factor i + depth_factor d + cross_factor i d) mod 127 - 63."""
    i, d = np.arange(rows)[:, None], np.arange(DEPTH)[None, :]
    return ((row_factor * i + depth_factor * d + cross_factor * i * d) % 127 - 63).astype(np.int8)


def example_attempt() -> ReferenceAttempt:
    """A int8[20, 70] times B int8[70, 18] under the `test` profile."""
    return reference_attempt(SIGMA, TEST, matrix(ROWS, 7, 5, 3), matrix(COLUMNS, 11, 4, 5))


def example_facts() -> dict[str, str]:
    """Every number of the page in its order."""
    attempt = example_attempt()
    return _claim(attempt) | _noise(attempt) | _ticket(attempt) | _certificate(attempt) | _product(attempt)


def _claim(attempt: ReferenceAttempt) -> dict[str, str]:
    kappa, mu = attempt.kappa, attempt.mu
    a, b = attempt.commitment_a, attempt.commitment_b
    assert kappa == kappa_of(SIGMA, mu)
    return {
        "sigma": SIGMA.hex(),
        "mu": mu.to_bytes().hex(),
        "kappa_input": pack([SIGMA, mu.to_bytes()]).hex(),
        "kappa": kappa.hex(),
        "leaf_key_a": Side.A.leaf_key(kappa).hex(),
        "node_key_a": Side.A.node_key(kappa).hex(),
        "leaf_key_b": Side.B.leaf_key(kappa).hex(),
        "node_key_b": Side.B.node_key(kappa).hex(),
        "block_a_0[0:8]": a.blocks[0][:8].tobytes().hex(),
        "leaf_a_0": a.levels[0][0].hex(),
        "leaf_a_1": a.levels[0][1].hex(),
        "leaf_a_2": a.levels[0][2].hex(),
        "leaf_a_3": a.levels[0][3].hex(),
        "node_a_01": b3_keyed(Side.A.node_key(kappa), a.levels[0][0] + a.levels[0][1]).hex(),
        "root_a": a.root.hex(),
        "leaf_b_0": b.levels[0][0].hex(),
        "root_b": b.root.hex(),
        "seed_b_input": pack([kappa, b.root, mu.n]).hex(),
        "seed_b": attempt.seed_b.hex(),
        "seed_a_input": pack([attempt.seed_b, a.root, mu.m]).hex(),
        "seed_a": attempt.seed_a.hex(),
    }


def _noise(attempt: ReferenceAttempt) -> dict[str, str]:
    seed_a, seed_b, mu = attempt.seed_a, attempt.seed_b, attempt.mu
    a, b_t = pad(matrix(ROWS, 7, 5, 3), mu.m, mu.k), pad(matrix(COLUMNS, 11, 4, 5), mu.n, mu.k)
    e, f_t = noise(seed_a, TEST, 0, mu.m, 0, 8), noise(seed_b, TEST, 0, mu.n, 0, 8)
    left_key, right_key = b3(BulkTag.POW_NOISE_LEFT, seed_a), b3(BulkTag.POW_NOISE_RIGHT, seed_a)
    return {
        "left_key_a": left_key.hex(),
        "left_stream_a[0:16]": _stream(left_key, 0, 16).hex(),
        "E_L[0, 0:16]": ints(left_factor(seed_a, TEST, 0, 1)[0]),
        "right_key_a": right_key.hex(),
        "right_stream_a[0:16]": _stream(right_key, 0, 16).hex(),
        "words[0:4]": ints(np.frombuffer(_stream(right_key, 0, 16), "<u4")),
        "pi of slice 0": ints(permutations(seed_a, TEST, 0, 1)[0]),
        "E[0, 0:16]": ints(e[0, :16]),
        "A[0, 0:16]": ints(a[0, :16]),
        "A'[0, 0:16]": ints((a + e)[0, :16]),
        "A'[31, 112:128]": ints((a + e)[31, 112:]),
        "F^T[0, 0:16]": ints(f_t[0, :16]),
        "B'^T[0, 0:16]": ints((b_t + f_t)[0, :16]),
    }


def _ticket(attempt: ReferenceAttempt) -> dict[str, str]:
    mu = attempt.mu
    a, b_t = pad(matrix(ROWS, 7, 5, 3), mu.m, mu.k), pad(matrix(COLUMNS, 11, 4, 5), mu.n, mu.k)
    block_a = (a + noise(attempt.seed_a, TEST, 0, mu.m, 0, 8))[16:32, 64:128]
    block_b = (b_t + noise(attempt.seed_b, TEST, 0, mu.n, 0, 8))[0:16, 64:128]
    steps, partial = transcript_steps(block_a, block_b, TEST)
    first = block_a[:1, :16].astype(int) @ block_b[:, :16].T.astype(int)
    ticket, target = attempt.tickets[CUBE], TEST.max_target
    return {
        "P[0, 0:16] after slice 0": ints(first[0]),
        "P[0, 0:16] after slice 3": ints(partial[0]),
        **{f"T after slice {at}": words.astype("<u4").tobytes().hex() for at, words in enumerate(steps)},
        "ticket_input": ticket_input(steps[-1], CUBE).hex(),
        "ticket": ticket.hex(),
        "ticket as integer": f"{int.from_bytes(ticket, 'little'):064x}",
        "target": f"{target:064x}",
        "target * 16384": f"{target * TEST.cube_macs:064x}",
    }


def _certificate(attempt: ReferenceAttempt) -> dict[str, str]:
    certificate = attempt.certificate(CUBE)
    encoded = certificate.to_bytes()
    mu_end = 1 + len(attempt.mu.to_bytes())
    cube_at = mu_end + 2 * 34
    block_a_at = cube_at + 3
    block_b_at = block_a_at + 3 + 1024
    path_a_at = block_b_at + 3 + 1024
    path_b_at = path_a_at + 1 + 2 * 34
    shown = [
        (0, 1),
        (1, mu_end),
        (mu_end, mu_end + 34),
        (mu_end + 34, cube_at),
        (cube_at, block_a_at),
        (block_a_at, block_a_at + 11),
        (block_b_at, block_b_at + 11),
        (path_a_at, path_a_at + 1),
        (path_a_at + 1, path_a_at + 35),
        (path_a_at + 35, path_b_at),
        (path_b_at, path_b_at + 1),
        (path_b_at + 1, path_b_at + 35),
        (path_b_at + 35, len(encoded)),
    ]
    return {
        "length of certificate": str(len(encoded)),
        **{f"certificate[{start}:{end}]": encoded[start:end].hex() for start, end in shown},
        "certificate_hash": certificate.certificate_hash.hex(),
    }


def _product(attempt: ReferenceAttempt) -> dict[str, str]:
    seed_a, seed_b, mu = attempt.seed_a, attempt.seed_b, attempt.mu
    a = pad(matrix(ROWS, 7, 5, 3), mu.m, mu.k).astype(int)
    b = pad(matrix(COLUMNS, 11, 4, 5), mu.n, mu.k).astype(int).T
    e_left, e_right = (
        left_factor(seed_a, TEST, 0, mu.m).astype(int),
        right_factor(seed_a, TEST, 0, 8).astype(int),
    )
    f_right, f_left = (
        left_factor(seed_b, TEST, 0, mu.n).astype(int).T,
        right_factor(seed_b, TEST, 0, 8).astype(int).T,
    )
    b_noised = b + f_left @ f_right
    return {
        "(A'B')[0, 0:4]": ints(((a + e_left @ e_right) @ b_noised)[0, :4]),
        "((A F_L) F_R)[0, 0:4]": ints((a @ f_left @ f_right)[0, :4]),
        "(E_L (E_R B'))[0, 0:4]": ints((e_left @ (e_right @ b_noised))[0, :4]),
        "C[0, 0:4]": ints(attempt.product[0, :4]),
        "C[19, 14:18]": ints(attempt.product[19, 14:]),
    }


def ints(values: Iterable[int]) -> str:
    """Numbers as the page writes them."""
    return " ".join(str(int(value)) for value in values)


def _stream(key: bytes, start: int, size: int) -> bytes:
    return bytes(blake3(b"", key=key).digest(length=size, seek=start))


def lines(facts: dict[str, str]) -> list[str]:
    """`name = value`, long values on indented lines below."""
    written = []
    for name, value in facts.items():
        first, *rest = wrap(f"{name} = {value}", _WIDTH, subsequent_indent="    ", break_on_hyphens=False)
        written += [first, *rest]
    return written


if __name__ == "__main__":
    print("\n".join(lines(example_facts())))
