"""Profiles keep their promises; claims and padding are exact.  Spec: [POW-PROFILE-*], [POW-CLAIM-*], [POW-PAD-*]."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from chain.errors import Invalid
from chain.types import NO_JOB, JobId
from compute.spec.certificate import MAX_BLOCK_BYTES, MAX_PATH_LENGTH
from compute.spec.claim import NO_BINDING, Binding, Mu, check_mu, kappa_of
from compute.spec.commit import leaf_count
from compute.spec.padding import check_entries, pad, padded_mu, row_panels
from compute.spec.profiles import CPU, DEV, GPU, PROFILES, TEST, Profile, assert_sound
from tests.work_samples import BINDING, SIGMA, random_matrix


def test_constants_are_those_of_the_specification() -> None:
    constants = [(p.profile_id, p.name, p.noise_rank, p.tile, p.segment) for p in PROFILES.values()]
    assert constants == [
        (1, "test", 16, 16, 64),
        (2, "dev", 32, 32, 256),
        (3, "cpu", 64, 64, 256),
        (4, "gpu", 128, 32, 4096),
    ]
    assert {profile.profile_id: profile for profile in (TEST, DEV, CPU, GPU)} == PROFILES


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_easiest_target_is_the_last_below_the_ticket_space(profile: Profile) -> None:
    assert profile.max_target * profile.cube_macs < 1 << 252 <= (profile.max_target + 1) * profile.cube_macs


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_certificates_fit_their_bounds(profile: Profile) -> None:
    assert leaf_count(max(profile.max_m, profile.max_n), profile.max_k, profile) <= 1 << MAX_PATH_LENGTH
    assert profile.block_bytes <= MAX_BLOCK_BYTES


@pytest.mark.parametrize(
    "change",
    [
        {"segment": 72},  # a partial slice
        {"tile": 24},  # lanes of unequal size
        {"tile": 8},
        {"noise_rank": 1},
        {"noise_rank": 128},  # deeper than the segment
        {"segment": 4 * 16 * 16 + 16},  # outgrows the noise
        {"noise_rank": 1072, "segment": 1072},  # a slice not exact in float32
        {"max_k": 1 << 17},  # int32 wraps
        {"max_m": 1000},
        {"max_k": 1000},
    ],
    ids=str,
)
def test_unsound_constants_are_refused(change: dict[str, int]) -> None:
    assert_sound(TEST)
    with pytest.raises(AssertionError):
        assert_sound(replace(TEST, **change))


def test_kappa_binds_header_claim_and_job() -> None:
    mu = padded_mu(TEST, 20, 30, 40, BINDING)
    others = [
        kappa_of(SIGMA + b"x", mu),
        kappa_of(SIGMA, replace(mu, profile_id=2)),
        kappa_of(SIGMA, replace(mu, m=mu.m + 16)),
        kappa_of(SIGMA, replace(mu, n=mu.n + 16)),
        kappa_of(SIGMA, replace(mu, k=mu.k + 64)),
        kappa_of(SIGMA, replace(mu, binding=replace(BINDING, step=3))),
        kappa_of(SIGMA, replace(mu, binding=replace(BINDING, job=JobId(b"\x06" * 32)))),
    ]
    assert len({kappa_of(SIGMA, mu), *others}) == len(others) + 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"profile_id": 2}, "WORK_PROFILE"),
        ({"m": 0}, "WORK_SHAPE"),
        ({"m": 24}, "WORK_SHAPE"),
        ({"m": 1024 + 16}, "WORK_SHAPE"),
        ({"n": 0}, "WORK_SHAPE"),
        ({"n": 24}, "WORK_SHAPE"),
        ({"n": 1024 + 16}, "WORK_SHAPE"),
        ({"k": 0}, "WORK_SHAPE"),
        ({"k": 96}, "WORK_SHAPE"),
        ({"k": 1024 + 64}, "WORK_SHAPE"),
        ({"binding": Binding(job=NO_JOB, step=1)}, "WORK_STEP"),
    ],
    ids=str,
)
def test_impossible_claims_are_refused(change: dict[str, object], code: str) -> None:
    mu = Mu(profile_id=1, m=1024, n=1024, k=1024, binding=NO_BINDING)
    check_mu(mu, TEST)
    with pytest.raises(Invalid) as caught:
        check_mu(replace(mu, **change), TEST)  # type: ignore[arg-type]
    assert caught.value.code == code


def test_padding_rounds_up_and_adds_zeros_only() -> None:
    assert padded_mu(TEST, 1, 17, 65, NO_BINDING) == Mu(profile_id=1, m=16, n=32, k=128, binding=NO_BINDING)
    assert padded_mu(TEST, 16, 32, 128, NO_BINDING) == Mu(profile_id=1, m=16, n=32, k=128, binding=NO_BINDING)
    matrix = random_matrix(3, 5)
    full = pad(matrix, 16, 64)
    assert full.shape == (16, 64)
    assert np.array_equal(full[:3, :5], matrix)
    assert not full[3:].any()
    assert not full[:, 5:].any()
    assert pad(full, 16, 64) is full


def test_row_panels_cover_every_row_once() -> None:
    assert list(row_panels(10, 4)) == [(0, 4), (4, 4), (8, 2)]
    assert list(row_panels(8, 4)) == [(0, 4), (4, 4)]


@pytest.mark.parametrize("entry", [64, -64, 127, -128])
def test_entries_out_of_range_are_refused(entry: int) -> None:
    matrix = random_matrix(4, 4)
    check_entries(matrix)
    matrix[2, 3] = entry
    with pytest.raises(Invalid, match="WORK_RANGE"):
        check_entries(matrix)
