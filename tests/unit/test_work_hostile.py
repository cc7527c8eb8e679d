"""A certificate made to hurt whoever checks it: refused early, in bounded memory and a counted number of operations.

Spec: [POW-VERIFY-1], [ENC-TOTAL]. Work is counted, never timed; memory is what `tracemalloc` saw at most.
"""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from chain.blocks import Block, Header
from chain.codec import Record, pack, unpack
from chain.errors import Invalid, TileworkError
from chain.types import NO_JOB, Hash32
from compute.messages import MAX_FRAME_BYTES, payload_bytes
from compute.spec.certificate import MAX_BLOCK_BYTES, MAX_PATH_LENGTH, Certificate
from compute.spec.claim import NO_BINDING, Binding, Mu, kappa_of
from compute.spec.commit import Side, leaf_count, leaf_index, path_length, root_of_path
from compute.spec.profiles import PROFILES, TEST, Profile
from compute.spec.ticket import Cube
from compute.spec.verify import verify_certificate
from consensus.work import check_work
from tests.meter import Meter, metered, worst_case
from tests.unit.test_work_rules import HEADER, LEDGER, proof
from tests.work_samples import SIGMA, sample_attempt, sample_certificate

TARGET = TEST.max_target
CONSTANT_BYTES = 400_000
"""Of any refusal: import-time caches, the unpacker's own stack, the text of the error."""
EXPANSION = 80
"""Of complete msgpack: one byte can be one tuple."""


def peak_bytes(call: Callable[[], object]) -> tuple[str, int]:
    """The code with which `call` is refused (or "taken") and the most memory it held."""
    code = text = "taken"
    tracemalloc.start()
    try:
        call()
    except TileworkError as error:
        code, text = error.code, str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert len(text) < 1000, "what a peer sent does not fill our logs"
    return code, peak


def refused(data: bytes, record: type[Record] = Certificate, expansion: int = 4) -> str:
    """The code with which `data` is refused; asserts that its memory was a small multiple of its size."""
    code, peak = peak_bytes(lambda: record.from_bytes(data))
    assert peak <= expansion * len(data) + CONSTANT_BYTES, f"{len(data)} bytes took {peak}"
    return code


def parts() -> list[bytes]:
    """The encodings of the ten fields of a good certificate."""
    return [pack(field) for field in unpack(sample_certificate().to_bytes())]


def with_part(place: int, part: bytes) -> bytes:
    fields = parts()
    fields[place] = part
    return b"\x9a" + b"".join(fields)


# ------------------------------------------------------------------------------------------------------ bytes that lie

LENGTHS = (1 << 15, (1 << 16) - 1, 1 << 24, (1 << 31) - 1, (1 << 32) - 1)
FORMS = {
    "array16": (b"\xdc", ">H"),
    "array32": (b"\xdd", ">I"),
    "bin16": (b"\xc5", ">H"),
    "bin32": (b"\xc6", ">I"),
    "str16": (b"\xda", ">H"),
    "str32": (b"\xdb", ">I"),
    "map16": (b"\xde", ">H"),
    "map32": (b"\xdf", ">I"),
    "ext16": (b"\xc8", ">H"),
    "ext32": (b"\xc9", ">I"),
}


@pytest.mark.parametrize("form", FORMS)
def test_declared_lengths_that_do_not_follow(form: str) -> None:
    """Up to 4 GiB declared in a handful of bytes, alone and in the place of every field."""
    code, layout = FORMS[form]
    for length in LENGTHS:
        if length >= 1 << 8 * struct.calcsize(layout):
            continue
        head = code + struct.pack(layout, length)
        for data in (head, head + b"\x00" * 8, *(with_part(place, head) for place in range(10))):
            assert refused(data).startswith("ENC_")


@pytest.mark.parametrize("size", [300, 3000, 30_000, Certificate.MAX_BYTES])
@pytest.mark.parametrize("depth", [1, 100, 1000, 5000])
def test_arrays_in_arrays_that_never_come(size: int, depth: int) -> None:
    """An unpacker allocates an array when it reads its head: nested heads multiplied 30 KB into 80 MB once."""
    head = b"\xdc" + struct.pack(">H", min(size, 65535))
    data = (head * depth)[:size].ljust(size, b"\0")
    assert refused(data) == "ENC_MSGPACK"


@pytest.mark.parametrize("depth", [10, 500, 1000, 1020])
def test_arrays_in_arrays_that_do_come(depth: int) -> None:
    """Nested values are refused by their place, and the message does not nest with them."""
    for place in range(10):
        nested = b"\x91" * depth + b"\xc0"
        assert refused(with_part(place, nested), expansion=EXPANSION).startswith("ENC_")
    assert refused(b"\x91" * 100_000) == "ENC_MSGPACK"


def test_empty_tuples_by_the_hundred_thousand() -> None:
    """The widest complete value: every byte an item."""
    data = b"\xdd" + struct.pack(">I", 65_535) + b"\x90" * 65_535
    assert refused(data, expansion=EXPANSION) == "ENC_RECORD"
    data = b"\xdd" + struct.pack(">I", 65_537) + b"\x90" * 65_537
    assert refused(data, expansion=EXPANSION) == "ENC_MSGPACK"


@pytest.mark.parametrize("record", [Header, Block], ids=lambda record: record.__name__)
def test_the_records_around_a_certificate_are_as_frugal(record: type[Record]) -> None:
    size = min(record.MAX_BYTES, 1 << 18)
    head = b"\xdc" + struct.pack(">H", min(size, 65535))
    assert refused((head * 1000)[:size].ljust(size, b"\0"), record).startswith("ENC_")
    assert refused(b"\xc6\xff\xff\xff\xff", record) == "ENC_MSGPACK"


OTHER_FORMS = {
    "nil": b"\xc0",
    "false": b"\xc2",
    "true": b"\xc3",
    "never used": b"\xc1",
    "float32": b"\xca" + bytes(4),
    "float64": b"\xcb" + bytes(8),
    "infinity": b"\xcb\x7f\xf0" + bytes(6),
    "minus one": b"\xff",
    "int8": b"\xd0\x01",
    "int64": b"\xd3" + bytes(7) + b"\x01",
    "uint8, longer": b"\xcc\x01",
    "uint16, longer": b"\xcd\x00\x01",
    "uint32, longer": b"\xce\x00\x00\x00\x01",
    "uint64, longer": b"\xcf" + bytes(7) + b"\x01",
    "2^63": b"\xcf\x80" + bytes(7),
    "2^64 - 1": b"\xcf" + b"\xff" * 8,
    "text": b"\xa1x",
    "text that is not UTF-8": b"\xa2\xff\xfe",
    "empty map": b"\x80",
    "map": b"\x81\x01\x02",
    "ext of nothing": b"\xc7\x00\x05",
    "timestamp": b"\xd6\xff" + bytes(4),
    "bin32 of nothing": b"\xc6" + bytes(4),
    "array32 of nothing": b"\xdd" + bytes(4),
}


@pytest.mark.parametrize("form", OTHER_FORMS)
def test_no_field_takes_another_form(form: str) -> None:
    for place in range(10):
        assert refused(with_part(place, OTHER_FORMS[form])).startswith("ENC_")
    for place in range(5):
        mu = [pack(item) for item in unpack(sample_certificate().mu.to_bytes())]
        mu[place] = OTHER_FORMS[form]
        assert refused(with_part(0, b"\x95" + b"".join(mu))).startswith("ENC_")


def test_other_forms_of_the_same_certificate() -> None:
    """Each says the same in more bytes: refused for that alone."""
    good = sample_certificate()
    same = [
        with_part(1, b"\xc5\x00\x20" + good.root_a),
        with_part(6, b"\xc6" + struct.pack(">I", len(good.block_a)) + good.block_a),
        with_part(3, b"\xcd" + struct.pack(">H", good.tile_row)),
        with_part(8, b"\xdc" + struct.pack(">H", len(good.path_a)) + b"".join(map(pack, good.path_a))),
        b"\xdc\x00\x0a" + b"".join(parts()),
        b"\xdd\x00\x00\x00\x0a" + b"".join(parts()),
    ]
    assert {refused(data) for data in same} == {"ENC_CANON"}


def test_every_prefix_and_every_suffix_is_refused() -> None:
    data = sample_certificate().to_bytes()
    with metered() as meter:
        for size in range(len(data)):
            with pytest.raises(Invalid):
                Certificate.from_bytes(data[:size])
            with pytest.raises(Invalid):
                Certificate.from_bytes(data[size + 1 :])
    for more in (b"\0", b"\xc0", data, bytes(1000)):
        assert refused(data + more) == "ENC_MSGPACK"
    assert meter == Meter(), "nothing is hashed before a certificate has decoded"


@pytest.mark.parametrize("place", [6, 7])
def test_blocks_over_the_bound(place: int) -> None:
    fields = [pack(b"") if at in (6, 7) else part for at, part in enumerate(parts())]
    fields[place] = pack(bytes(MAX_BLOCK_BYTES + 1))
    assert refused(b"\x9a" + b"".join(fields)) == "ENC_BYTES"
    fields[place] = pack(bytes(Certificate.MAX_BYTES))
    assert refused(b"\x9a" + b"".join(fields)) == "ENC_SIZE"


@pytest.mark.parametrize("count", [MAX_PATH_LENGTH + 1, 1000, 7000])
def test_paths_over_the_bound(count: int) -> None:
    siblings = b"\xdc" + struct.pack(">H", count) + pack(bytes(32)) * count
    assert refused(with_part(8, siblings), expansion=16) == "ENC_LIST"


def test_a_path_of_a_million_siblings_is_refused_by_its_size() -> None:
    data = with_part(9, b"\xdd" + struct.pack(">I", 1_000_000) + pack(bytes(32)) * 1_000_000)
    code, peak = peak_bytes(lambda: Certificate.from_bytes(data))
    assert code == "ENC_SIZE"
    assert peak < 10_000, "nothing is decoded, nothing is copied"


def test_worker_frames_are_refused_by_their_head() -> None:
    for size in (0, MAX_FRAME_BYTES + 1, (1 << 32) - 1):
        code, peak = peak_bytes(lambda size=size: payload_bytes(size.to_bytes(4, "big")))
        assert code == "WORKER_FRAME"
        assert peak < 10_000


# ----------------------------------------------------------------------------------- cheapest check first [POW-VERIFY]


def cost(call: Callable[[], object]) -> tuple[str, Meter]:
    with metered() as meter:
        try:
            call()
        except Invalid as error:
            return error.code, meter
    return "taken", meter


def verify(certificate: Certificate, target: int = TARGET, profile: Profile = TEST) -> Callable[[], object]:
    return lambda: verify_certificate(SIGMA, target, certificate, profile)


def million_siblings() -> tuple[Hash32, ...]:
    """No frame carries it; the verifier does not rely on that."""
    return (Hash32(bytes(32)),) * 1_000_000


def before_any_hash() -> Iterator[tuple[str, Certificate, int]]:
    good = sample_certificate()
    for name, size in (("profile_id", 2), ("m", 0), ("n", 17), ("k", (1 << 63) - 1)):
        code = "WORK_PROFILE" if name == "profile_id" else "WORK_SHAPE"
        yield code, replace(good, mu=replace(good.mu, **{name: size})), TARGET
    yield "WORK_STEP", replace(good, mu=replace(good.mu, binding=Binding(NO_JOB, 1))), TARGET
    yield "WORK_TARGET_RANGE", good, 0
    yield "WORK_TARGET_RANGE", good, TARGET + 1
    for name in ("tile_row", "tile_column", "segment"):
        yield "WORK_INDEX", replace(good, **{name: (1 << 63) - 1}), TARGET
    for name in ("block_a", "block_b"):
        yield "WORK_BLOCK_SIZE", replace(good, **{name: bytes(MAX_BLOCK_BYTES)}), TARGET
    for name in ("path_a", "path_b"):
        yield "WORK_PATH_LENGTH", replace(good, **{name: million_siblings()}), TARGET


def test_whatever_needs_no_hash_is_refused_before_any() -> None:
    for code, certificate, target in before_any_hash():
        assert cost(verify(certificate, target)) == (code, Meter())


def test_a_wrong_path_costs_one_side_and_no_replay() -> None:
    good = sample_certificate()
    code, meter = cost(verify(replace(good, root_a=Hash32(bytes(32)))))
    assert code == "WORK_PATH_A"
    assert meter.replays == meter.stream_bytes == 0
    assert meter.hashed_bytes < TEST.block_bytes + 64 * len(good.path_a) + 1024
    code, second = cost(verify(replace(good, root_b=Hash32(bytes(32)))))
    assert code == "WORK_PATH_B"
    assert second.replays == second.stream_bytes == 0
    assert meter.hashes < second.hashes


def test_entries_are_checked_before_noise_and_replay() -> None:
    for profile in PROFILES.values():
        bad = virtual(profile, entry=-128)
        code, meter = cost(verify(bad, profile.max_target, profile))
        assert code == "WORK_RANGE"
        assert meter.replays == meter.macs == 0
        assert meter.stream_bytes == 0, "entries are cheaper than noise"


def test_a_loser_costs_exactly_one_replay() -> None:
    attempt = sample_attempt()
    loser = next(cube for cube in attempt.tickets if cube not in attempt.winners(TARGET))
    code, meter = cost(verify(attempt.certificate(loser)))
    assert (code, meter.replays, meter.macs) == ("WORK_TARGET", 1, TEST.cube_macs)
    assert meter.stream_bytes > 0


def test_the_order_of_checks_is_the_order_of_the_table() -> None:
    """A certificate wrong in every way at once, mended one check after the other."""
    good, losing = sample_certificate(), 1
    bad_row, bad_step = 1 << 40, Binding(NO_JOB, 7)
    wrong = replace(
        good,
        mu=replace(good.mu, profile_id=9, m=7, binding=bad_step),
        tile_row=bad_row,
        block_a=b"",
        path_a=million_siblings(),
        root_a=Hash32(bytes(32)),
        root_b=Hash32(bytes(32)),
    )
    steps: list[tuple[str, dict[str, Any]]] = [
        ("WORK_PROFILE", {}),
        ("WORK_SHAPE", {"mu": replace(good.mu, m=7, binding=bad_step)}),
        ("WORK_STEP", {"mu": replace(good.mu, binding=bad_step)}),
        ("WORK_TARGET_RANGE", {"mu": good.mu}),
        ("WORK_INDEX", {}),
        ("WORK_BLOCK_SIZE", {"tile_row": good.tile_row}),
        ("WORK_PATH_LENGTH", {"block_a": good.block_a}),
        ("WORK_PATH_A", {"path_a": good.path_a}),
        ("WORK_PATH_B", {"root_a": good.root_a}),
        ("WORK_TARGET", {"root_b": good.root_b}),
    ]
    costs = []
    for at, (code, mended) in enumerate(steps):
        wrong = replace(wrong, **mended)
        found, meter = cost(verify(wrong, 0 if at <= 3 else losing))
        assert found == code
        costs.append((meter.macs, meter.stream_bytes, meter.hashes))
    assert all(earlier <= later for earlier, later in pairwise(costs))


def test_nothing_of_a_block_is_decoded_unless_its_header_commits_to_it() -> None:
    """[WORK-COMMIT]: one hash over the bytes, then everything else."""
    data = proof().to_bytes() + b"\0"
    code, meter = cost(lambda: check_work(HEADER, data, LEDGER.spec))
    assert code == "WORK_COMMITMENT"
    assert (meter.hashes, meter.hashed_bytes) == (1, len(data))
    assert meter.replays == 0


# ------------------------------------------------------------------------------------------------- the dearest refusal


def virtual(profile: Profile, entry: int = 0) -> Certificate:
    """A certificate at the bounds of the shape that opens correctly and loses, made with two leaves and two paths.

    The cheapest thing that makes a verifier go all the way: its author multiplies nothing.
    """
    mu = Mu(profile.profile_id, profile.max_m, profile.max_n, profile.max_k, NO_BINDING)
    cube = Cube(mu.m // profile.tile - 1, mu.n // profile.tile - 1, mu.k // profile.segment - 1)
    kappa = kappa_of(SIGMA, mu)
    block = np.full(profile.block_bytes, entry, np.int8).tobytes()
    roots, paths = [], []
    for side, rows, block_row in ((Side.A, mu.m, cube.tile_row), (Side.B, mu.n, cube.tile_column)):
        count, index = leaf_count(rows, mu.k, profile), leaf_index(block_row, cube.segment, mu.k, profile)
        path = (Hash32(b"\x07" * 32),) * path_length(index, count)
        roots.append(root_of_path(side, kappa, block, index, count, path))
        paths.append(path)
    return Certificate(
        mu, roots[0], roots[1], cube.tile_row, cube.tile_column, cube.segment, block, block, *paths
    )


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_the_dearest_invalid_certificate_has_a_fixed_cost(profile: Profile) -> None:
    """At the largest shape, with the longest paths, everything right but the ticket: one cube, whatever m, n, k."""
    certificate = virtual(profile)
    data = certificate.to_bytes()
    bound = worst_case(profile, len(data))

    expected = certificate.certificate_hash

    def check() -> None:
        decoded = Certificate.from_bytes(data)
        assert decoded.certificate_hash == expected
        verify(decoded, 1, profile)()

    code, meter = cost(check)
    assert code == "WORK_TARGET"
    assert meter.within(bound)
    assert meter.replays == 1
    assert meter.hashes > 0.9 * bound.hashes, "a bound that nothing comes near says nothing"
    assert meter.hashed_bytes > 0.7 * bound.hashed_bytes
    _, peak = peak_bytes(verify(certificate, 1, profile))
    assert peak < 40 * len(data) + CONSTANT_BYTES


def test_every_tampered_certificate_stays_below_that_cost() -> None:
    data = sample_certificate().to_bytes()
    bound = worst_case(TEST, len(data))
    for at in range(0, len(data), 5):
        changed = bytes([*data[:at], data[at] ^ 0x15, *data[at + 1 :]])
        code, meter = cost(lambda changed=changed: verify(Certificate.from_bytes(changed))())
        assert code != "taken"
        assert meter.within(bound)
