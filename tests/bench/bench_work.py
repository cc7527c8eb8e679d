"""Cost of attempts against the plain exact product, and of certificates and checks.

    python -m tests.bench.bench_work [profile name] [edges, such as 512,1024,2048]

CPU time of one thread, medians of interleaved rounds. The plain product is NumPy's exact float32 product with its
conversions, of the same shape and without noise or tickets.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from compute.engines.base import Order, Output, checked_certificate
from compute.engines.numpy_blocks import NumpyEngine
from compute.entries import seeded_entries
from compute.spec.arrays import Int8Array, Int32Array
from compute.spec.claim import NO_BINDING
from compute.spec.freivalds import find_wrong_row
from compute.spec.padding import padded_mu
from compute.spec.profiles import PROFILES, Profile
from compute.spec.verify import verify_certificate

ROUNDS = 7
EXACT_DEPTH = 4096
"""63^2 times this is below 2^24: one float32 block."""


def plain_product(a: Int8Array, b_t: Int8Array) -> Int32Array:
    total = np.zeros((a.shape[0], b_t.shape[0]), np.int32)
    for first in range(0, a.shape[1], EXACT_DEPTH):
        depth = slice(first, first + EXACT_DEPTH)
        total += (a[:, depth].astype(np.float32) @ b_t[:, depth].astype(np.float32).T).astype(np.int32)
    return total


def bench_attempts(profile: Profile, edge: int) -> None:
    a, b_t = seeded_entries(b"bench", 0, edge, edge), seeded_entries(b"bench", 1, edge, edge)
    mu = padded_mu(profile, edge, edge, edge, NO_BINDING)
    engine = NumpyEngine()
    prepared = engine.prepare_b(b"bench", profile, mu, b_t)
    product = engine.run(Order(prepared, a, 1, Output.PRODUCT)).product
    expected = plain_product(a, b_t)
    assert np.array_equal(product, expected)
    plain, prepare, idle, useful, freivalds = medians_ms(
        lambda: plain_product(a, b_t),
        lambda: engine.prepare_b(b"bench", profile, mu, b_t),
        lambda: engine.run(Order(prepared, a, 1, Output.TICKETS_ONLY)),
        lambda: engine.run(Order(prepared, a, 1, Output.PRODUCT)),
        lambda: find_wrong_row(a, b_t, expected, bytes(32)),
    )
    print(
        f"{profile.name} {edge:5d}^3  plain {plain:8.1f} ms  prepare B {prepare:6.1f} ms"
        f"  attempt {idle:8.1f} ms = {idle / plain:.2f}x  with product {useful:8.1f} ms = {useful / plain:.2f}x"
        f"  (B included {(useful + prepare) / plain:.2f}x)  {edge**3 / useful / 1e6:6.1f} GMAC/s"
        f"  Freivalds {freivalds:6.1f} ms"
    )


def bench_certificate(profile: Profile) -> None:
    rows, depth = 4 * profile.tile, 4 * profile.segment
    a, b_t = seeded_entries(b"bench", 2, rows, depth), seeded_entries(b"bench", 3, rows, depth)
    mu = padded_mu(profile, rows, rows, depth, NO_BINDING)
    engine, target = NumpyEngine(), profile.max_target
    for nonce in range(100):
        sigma = nonce.to_bytes(4, "big")
        attempt = engine.run(Order(engine.prepare_b(sigma, profile, mu, b_t), a, target, Output.TICKETS_ONLY))
        if attempt.winners:
            break
    certificate = checked_certificate(sigma, target, attempt, attempt.winners[0])
    (verify,) = medians_ms(lambda: verify_certificate(sigma, target, certificate, profile), rounds=101)
    print(f"{profile.name}  certificate {len(certificate.to_bytes())} bytes  verify {verify:.2f} ms")


def medians_ms(*functions: Callable[[], object], rounds: int = ROUNDS) -> list[float]:
    """Median CPU time of each, taken in turns so that a busy machine hits all alike."""
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(rounds):
        for function, taken in zip(functions, times, strict=True):
            started = time.process_time_ns()
            function()
            taken.append((time.process_time_ns() - started) / 1e6)
    return [statistics.median(taken) for taken in times]


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "dev"
    edges = [int(edge) for edge in (sys.argv[2] if len(sys.argv) > 2 else "512,1024,2048").split(",")]
    for profile in PROFILES.values():
        bench_certificate(profile)
    for profile in PROFILES.values():
        if profile.name == name:
            for edge in edges:
                bench_attempts(profile, edge)


if __name__ == "__main__":
    main()
