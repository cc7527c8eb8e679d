"""Golden vectors: the reference still makes them, and every engine gives them back bit for bit.  Spec: [POW-*]."""

from __future__ import annotations

import json
from typing import Any

import pytest

from compute.engines.base import Engine, Order, Output
from compute.engines.select import ENGINES
from compute.spec.certificate import Certificate, build_certificate
from compute.spec.claim import Mu
from compute.spec.profiles import PROFILES, Profile
from compute.spec.ticket import Cube
from compute.spec.verify import verify_certificate
from tests.vectors.make_work import PATH, SIGMA, build_case, inputs, place_of, sha256

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
    assert build_case(profile) == CASES[profile.name]


def test_engine_gives_the_vectors(profile: Profile, engine: Engine) -> None:
    case = CASES[profile.name]
    a, b_t, _ = inputs(profile)
    mu = Mu.from_bytes(bytes.fromhex(case["mu"]))
    prepared = engine.prepare_b(SIGMA, profile, mu, b_t)
    # A target above every ticket makes the engine show them all.
    shown = engine.run(Order(prepared, a, (1 << 256) // profile.cube_macs, Output.PRODUCT))
    won = engine.run(Order(prepared, a, profile.max_target, Output.TICKETS_ONLY))

    assert prepared.kappa.hex() == case["kappa"]
    assert prepared.commitment.root.hex() == case["root_b"]
    assert prepared.seed_b.hex() == case["seed_b"]
    assert shown.commitment_a.root.hex() == case["root_a"]
    assert {place_of(winner.cube): winner.ticket.hex() for winner in shown.winners} == case["tickets"]
    assert [place_of(winner.cube) for winner in won.winners] == case["winners"]
    assert won.product is None
    assert shown.product is not None
    assert shown.product.dtype.str == "<i4"
    assert sha256(shown.product) == case["product_sha256"]
    assert shown.tickets == won.tickets == len(case["tickets"])
    assert shown.macs == shown.tickets * profile.cube_macs

    place = case["winners"][0] if case["winners"] else "0,0,0"
    opened = build_certificate(
        mu, shown.commitment_a, prepared.commitment, Cube(*map(int, place.split(","))), profile
    )
    assert opened.certificate_hash.hex() == case["certificate_hash"]


def test_golden_certificate_verifies() -> None:
    case = CASES["test"]
    certificate = Certificate.from_bytes(bytes.fromhex(case["certificate"]))
    ticket = verify_certificate(
        SIGMA, int(case["target"], 16), certificate, PROFILES[certificate.mu.profile_id]
    )
    assert ticket.hex() == case["tickets"][case["winners"][0]]
