"""Golden vectors: the reference still makes them, and every engine gives them back bit for bit.  Spec: [POW-*]."""

from __future__ import annotations

import json
from typing import Any

import pytest

from compute.engines.base import Engine, Order, Output
from compute.engines.select import ENGINES
from compute.spec.certificate import Certificate, build_certificate
from compute.spec.claim import Mu
from compute.spec.noise import noise
from compute.spec.padding import pad
from compute.spec.profiles import PROFILES, TEST, Profile
from compute.spec.reference import reference_attempt
from compute.spec.ticket import Cube
from compute.spec.tiles import cube_transcript
from compute.spec.verify import verify_certificate
from compute.vectors import FIELDS, SIGMA, build_case, build_files, inputs, place_of, sha256
from tests.vectors.make_work import PATH, committed_case

CASES: dict[str, Any] = {case["profile"]: case for case in json.loads(PATH.read_text(encoding="ascii"))}


@pytest.fixture(params=PROFILES.values(), ids=lambda profile: profile.name)
def profile(request: pytest.FixtureRequest) -> Profile:
    return request.param


@pytest.fixture(params=ENGINES.values(), ids=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    candidate: Engine = request.param()
    capabilities = candidate.probe()
    if not capabilities.usable:
        pytest.skip(f"engine {candidate.name} cannot run here: {capabilities.detail}")
    return candidate


def test_every_profile_has_a_case() -> None:
    assert list(CASES) == [profile.name for profile in PROFILES.values()]


def test_reference_makes_the_vectors(profile: Profile) -> None:
    assert committed_case(profile) == CASES[profile.name]


def test_every_field_has_a_rule_and_a_meaning() -> None:
    listed = [name for names, _, _ in FIELDS for name in names.split()]
    assert list(build_case(TEST)) == [name for name in listed if name in build_case(TEST)]
    assert set(listed) == {name for case in CASES.values() for name in case}


def test_the_stages_are_the_attempts_own(profile: Profile) -> None:
    """The vectors follow a cube slice by slice; the last transcript and the ticket are those of the attempt."""
    case, given = CASES[profile.name], inputs(profile)
    attempt = reference_attempt(SIGMA, profile, given.a, given.b_t, given.binding)
    for place, stages in case["cubes"].items():
        i, j, s = map(int, place.split(","))
        assert (
            stages["transcript_after_each_slice"][-1]
            == attempt.transcripts[i, j, s].astype("<u4").tobytes().hex()
        )
        assert len(stages["transcript_after_each_slice"]) == profile.slices
        assert stages["ticket"] == case["tickets"][place]


def test_noised_blocks_of_the_opened_cube() -> None:
    """What an implementation compares when its transcript differs: operands first."""
    case, given = CASES["test"], inputs(TEST)
    mu = Mu.from_bytes(bytes.fromhex(case["mu"]))
    i, j, s = map(int, case["opened"].split(","))
    blocks = []
    for matrix, rows, seed, row in ((given.a, mu.m, "seed_a", i), (given.b_t, mu.n, "seed_b", j)):
        block = pad(matrix, rows, mu.k)[row * 16 : row * 16 + 16, s * 64 : s * 64 + 64]
        blocks.append(block + noise(bytes.fromhex(case[seed]), TEST, row * 16, 16, s * 4, 4))
    assert [block.tobytes().hex() for block in blocks] == [case["opened_a_noised"], case["opened_b_t_noised"]]
    words = cube_transcript(blocks[0], blocks[1], TEST).astype("<u4").tobytes().hex()
    assert words == case["cubes"][case["opened"]]["transcript_after_each_slice"][-1]


def test_files_are_the_same_every_time() -> None:
    files = build_files()
    assert files == build_files()
    index = json.loads(files["index.json"])
    assert set(index["files"]) == {f"{profile.name}.json" for profile in PROFILES.values()}
    assert all(index["files"][name]["size_bytes"] == len(files[name]) for name in index["files"])
    assert all(entry["rule"].startswith("[POW-") for entry in index["fields"].values())


def test_engine_gives_the_vectors(profile: Profile, engine: Engine) -> None:
    case = CASES[profile.name]
    given = inputs(profile)
    mu = Mu.from_bytes(bytes.fromhex(case["mu"]))
    prepared = engine.prepare_b(SIGMA, profile, mu, given.b_t)
    # A target above every ticket makes the engine show them all.
    shown = engine.run(Order(prepared, given.a, (1 << 256) // profile.cube_macs, Output.PRODUCT))
    won = engine.run(Order(prepared, given.a, profile.max_target, Output.TICKETS_ONLY))

    assert prepared.kappa.hex() == case["kappa"]
    assert [leaf.hex() for leaf in prepared.commitment.levels[0]] == case["leaves_b"]
    assert prepared.commitment.root.hex() == case["root_b"]
    assert prepared.seed_b.hex() == case["seed_b"]
    assert [leaf.hex() for leaf in shown.commitment_a.levels[0]] == case["leaves_a"]
    assert shown.commitment_a.root.hex() == case["root_a"]
    assert {place_of(winner.cube): winner.ticket.hex() for winner in shown.winners} == case["tickets"]
    assert [place_of(winner.cube) for winner in won.winners] == case["winners"]
    assert won.product is None
    assert shown.product is not None
    assert shown.product.dtype.str == "<i4"
    assert sha256(shown.product) == case["product_sha256"]
    assert shown.tickets == won.tickets == len(case["tickets"])
    assert shown.macs == shown.tickets * profile.cube_macs

    opened = build_certificate(
        mu, shown.commitment_a, prepared.commitment, Cube(*map(int, case["opened"].split(","))), profile
    )
    assert len(opened.to_bytes()) == case["certificate_bytes"]
    assert opened.certificate_hash.hex() == case["certificate_hash"]
    ticket = verify_certificate(SIGMA, profile.max_target, opened, profile)
    assert ticket.hex() == case["tickets"][case["opened"]]


def test_golden_certificate_verifies() -> None:
    case = CASES["test"]
    certificate = Certificate.from_bytes(bytes.fromhex(case["certificate"]))
    ticket = verify_certificate(
        SIGMA, int(case["target"], 16), certificate, PROFILES[certificate.mu.profile_id]
    )
    assert place_of(certificate.cube) == case["opened"]
    assert ticket.hex() == case["tickets"][case["opened"]]
