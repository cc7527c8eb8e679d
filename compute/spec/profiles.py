"""Work profiles: the whitelisted sets of constants under which products are mined.  Spec: [POW-PROFILE-*].

A network has one active profile per height. Constants chosen by the miner would be mispriced, so none of them travels
in a block: a claim names the profile by id and everything else follows.
"""

from __future__ import annotations

from dataclasses import dataclass

LANES = 16
"""Words of a transcript: 16 times 32 bits fill exactly one BLAKE3 block."""
MAX_ENTRY = 63
"""Largest magnitude of an entry of A and B: leaves the other half of an int8 to the noise."""
MAX_NOISED = 126
"""Largest magnitude of an entry of A' and B': MAX_ENTRY plus noise of at most 63."""
MAX_DEPTH = 1 << 16
"""k * MAX_NOISED^2 stays below 2^31, so int32 accumulators never wrap."""
TICKET_SPACE_BITS = 252
"""The easiest target wins 1 ticket in 16 at most; comparison needs no clamp [POW-TARGET-2]."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One set of work constants; every bound on m, n, k includes the padding."""

    profile_id: int
    name: str
    noise_rank: int
    """r: rank of the noise and depth of one slice; a deeper slice than the rank would open a shortcut."""
    tile: int
    """t: edge of an output tile."""
    segment: int
    """S: depth over which one cube's partial sums run."""
    max_m: int
    max_n: int
    max_k: int

    @property
    def cube_macs(self) -> int:
        """Multiply-accumulates behind one ticket."""
        return self.tile * self.tile * self.segment

    @property
    def block_bytes(self) -> int:
        """Size of one committed t x S block, which is one Merkle leaf."""
        return self.tile * self.segment

    @property
    def slices(self) -> int:
        """Depth slices folded into one transcript."""
        return self.segment // self.noise_rank

    @property
    def max_target(self) -> int:
        """The easiest target: target * cube_macs stays below 2^252 [POW-TARGET-2]."""
        return ((1 << TICKET_SPACE_BITS) - 1) // self.cube_macs


TEST = Profile(
    profile_id=1,
    name="test",
    noise_rank=16,  # smallest rank that still has one slice per lane set; whole attempts run in milliseconds
    tile=16,  # one column per lane
    segment=64,  # four slices, so rotation and restart are both exercised
    max_m=1024,  # a test never needs more
    max_n=1024,
    max_k=1024,
)
DEV = Profile(
    profile_id=2,
    name="dev",
    noise_rank=32,  # cheapest correction up to n = 2048, where a local network works
    tile=32,  # with S = 256 a certificate of 17 KB
    segment=256,  # the deepest at which the float32 bit trick is exact (256 * 126^2 < 2^22)
    max_m=16_384,  # the largest operand of a job step
    max_n=16_384,
    max_k=16_384,
)
CPU = Profile(
    profile_id=3,
    name="cpu",
    noise_rank=64,  # half the folds of r = 32, worth it from n = 4096
    tile=64,  # a quarter of the hashes; certificate 33 KB
    segment=256,
    max_m=16_384,
    max_n=16_384,
    max_k=16_384,
)
GPU = Profile(
    profile_id=4,
    name="gpu",
    noise_rank=128,  # four tensor-core steps of 32 between folds
    tile=32,  # certificate 263 KB; t = 64 would double it
    segment=4096,  # a restart inside a kernel needs a second accumulator set, so segments are long
    max_m=65_536,
    max_n=65_536,
    max_k=65_536,
)

PROFILES: dict[int, Profile] = {profile.profile_id: profile for profile in (TEST, DEV, CPU, GPU)}


def assert_sound(profile: Profile) -> None:
    """Fail unless the constants keep every promise the security argument relies on [POW-PROFILE-2]."""
    rank, tile, segment = profile.noise_rank, profile.tile, profile.segment
    assert 2 <= rank <= segment
    assert tile >= LANES
    assert segment % rank == 0, "a partial slice would be cheaper than its fold"
    assert tile % LANES == 0, "every lane must see the same number of columns"
    assert segment <= 4 * rank * rank, "prudence: a cube must not outgrow its noise"
    assert rank * MAX_NOISED**2 <= 1 << 24, "one slice must be exact in float32"
    assert MAX_DEPTH * MAX_NOISED**2 < 1 << 31, "int32 accumulators must not wrap"
    assert profile.max_k <= MAX_DEPTH
    assert profile.max_m % tile == profile.max_n % tile == profile.max_k % segment == 0
    assert profile.max_target * profile.cube_macs < 1 << TICKET_SPACE_BITS


for _profile in PROFILES.values():
    assert_sound(_profile)
