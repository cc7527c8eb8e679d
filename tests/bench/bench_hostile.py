"""What one invalid certificate can cost whoever checks it, and what it costs to make.

    python -m tests.bench.bench_hostile

The dearest one: at the bounds of the shape, with the longest paths, everything right but the ticket. Its author hashes
two leaves and two paths and multiplies nothing. Operations are counted (`tests/meter.py`), times are CPU medians.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import statistics
import time
from collections.abc import Callable
from contextlib import suppress

from chain.errors import Invalid
from chain.hashing import Tag, h256
from compute.spec.certificate import Certificate
from compute.spec.profiles import PROFILES, Profile
from compute.spec.verify import verify_certificate
from p2p.wire import BAN_MS, BAN_POINTS, TOPICS, Topic
from tests.meter import metered, worst_case
from tests.unit.test_work_hostile import virtual
from tests.work_samples import SIGMA

ROUNDS = 31


def median_us(call: Callable[[], object]) -> float:
    """CPU time of one call, in microseconds."""
    times = []
    for _ in range(ROUNDS):
        started = time.process_time_ns()
        call()
        times.append((time.process_time_ns() - started) / 1000)
    return statistics.median(times)


def checked(data: bytes, profile: Profile) -> None:
    """What a node does with a certificate: commitment, decoding, verification."""
    h256(Tag.CERTIFICATE, data)
    with suppress(Invalid):
        verify_certificate(SIGMA, 1, Certificate.from_bytes(data), profile)


def show(profile: Profile) -> None:
    """One row of the table."""
    data = virtual(profile).to_bytes()
    tampered = data[:-1] + bytes([data[-1] ^ 1])
    with metered() as meter:
        checked(data, profile)
    assert meter.within(worst_case(profile, len(data)))
    refuse = median_us(lambda: checked(data, profile))
    early = median_us(lambda: checked(tampered, profile))
    make = median_us(lambda: virtual(profile).to_bytes())
    counts = (
        f"{len(data):8,} {meter.hashes:7} {meter.hashed_bytes:9,} {meter.stream_bytes:8,} {meter.macs:10,}"
    )
    print(f"{profile.name:7} {counts} | {refuse:9.0f} {make:8.0f} {refuse / make:6.1f} {early:13.0f}")


def main() -> None:
    print("profile    bytes  hashes    hashed   stream       MACs | refuse us  make us  ratio  wrong path us")
    for profile in PROFILES.values():
        show(profile)
    count = -(-BAN_POINTS // TOPICS[Topic.BLOCKS].reject_points)
    print(
        f"A peer is banned for {BAN_MS // 60_000} minutes after {count} invalid blocks: no more refusals than that."
    )


if __name__ == "__main__":
    main()
