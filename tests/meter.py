"""Counts what checking a certificate costs, in operations: the same figures on every machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import blake3 as blake3_library

import compute.spec.verify as verifier
from chain.hashing import Tag, h256
from compute.spec.commit import leaf_count
from compute.spec.profiles import Profile

PACKAGES = ("chain", "compute", "consensus")


@dataclass(slots=True)
class Meter:
    """Operations since the start of a measurement."""

    hashes: int = 0
    """Calls of BLAKE3 and BLAKE2b."""
    hashed_bytes: int = 0
    stream_bytes: int = 0
    """Output of BLAKE3 that is longer than a digest."""
    replays: int = 0
    """Cubes multiplied again."""
    macs: int = 0

    def within(self, bound: Meter) -> bool:
        return (
            self.hashes <= bound.hashes
            and self.hashed_bytes <= bound.hashed_bytes
            and self.stream_bytes <= bound.stream_bytes
            and self.replays <= bound.replays
            and self.macs <= bound.macs
        )


def worst_case(profile: Profile, frame_bytes: int) -> Meter:
    """The most that one certificate of `frame_bytes` can cost whoever checks it, whatever its bytes say.

    The header's hash of the frame and kappa; per side a leaf of t * S bytes, the longest path, keys of leaf and node, a
    seed, and two streams of t * r and 4 * S bytes, each with its key; one ticket; one cube.
    """
    leaves = leaf_count(max(profile.max_m, profile.max_n), profile.max_k, profile)
    depth = (leaves - 1).bit_length()
    short_input_bytes = 2048 + 256
    return Meter(
        hashes=1 + 1 + 2 * (1 + depth + 2 + 1 + 4) + 1,
        hashed_bytes=frame_bytes + 2 * profile.block_bytes + 2 * 64 * depth + short_input_bytes,
        stream_bytes=2 * (profile.tile * profile.noise_rank + 4 * profile.segment),
        replays=1,
        macs=profile.cube_macs,
    )


@contextmanager
def metered() -> Iterator[Meter]:
    """Count until the end of the block: every name in the program that stands for BLAKE3, BLAKE2b or the replay."""
    meter = Meter()
    plain_blake3, plain_replay = blake3_library.blake3, verifier.cube_transcript

    class CountingBlake3:
        """As much of the class as the program uses."""

        def __init__(self, data: Any = b"", /, **options: Any) -> None:
            meter.hashes += 1
            meter.hashed_bytes += memoryview(data).nbytes
            self._hasher = plain_blake3(data, **options)

        def update(self, data: Any) -> CountingBlake3:
            meter.hashed_bytes += memoryview(data).nbytes
            self._hasher.update(data)
            return self

        def digest(self, length: int = 32, *, seek: int = 0) -> bytes:
            meter.stream_bytes += length if length > 32 else 0
            return bytes(self._hasher.digest(length=length, seek=seek))

    def counting_h256(tag: Tag, data: bytes) -> Any:
        meter.hashes += 1
        meter.hashed_bytes += len(data)
        return h256(tag, data)

    def counting_replay(a_noised: Any, b_noised: Any, profile: Profile) -> Any:
        meter.replays += 1
        meter.macs += profile.cube_macs
        return plain_replay(a_noised, b_noised, profile)

    stand_ins = ((plain_blake3, CountingBlake3), (h256, counting_h256), (plain_replay, counting_replay))
    with _replaced(stand_ins):
        yield meter


@contextmanager
def _replaced(stand_ins: tuple[tuple[Any, Any], ...]) -> Iterator[None]:
    """Every module of `PACKAGES` that holds one of these under any name holds its stand-in instead."""
    places = [
        (module, name, stand_in)
        for module_name, module in list(sys.modules.items())
        if module_name.split(".")[0] in PACKAGES
        for name, value in list(vars(module).items())
        for plain, stand_in in stand_ins
        if value is plain
    ]
    patches = [patch.object(module, name, stand_in) for module, name, stand_in in places]
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in patches:
            each.stop()
