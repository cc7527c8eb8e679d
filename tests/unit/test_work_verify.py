"""Verification: every winner passes, and one test per way to be refused.  Spec: [POW-VERIFY-1]."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from chain.errors import Invalid
from chain.types import NO_JOB, Hash32
from compute.spec.certificate import Certificate
from compute.spec.claim import Binding, kappa_of
from compute.spec.commit import Side, commit
from compute.spec.padding import pad
from compute.spec.profiles import DEV, PROFILES, TEST, Profile
from compute.spec.reference import reference_attempt
from compute.spec.ticket import Cube
from compute.spec.verify import verify_certificate
from tests.work_samples import SIGMA, random_matrix, sample_attempt, sample_certificate

TARGET = TEST.max_target


def test_every_winner_verifies_and_no_loser_does() -> None:
    attempt = sample_attempt()
    winners = set(attempt.winners(TARGET))
    assert 0 < len(winners) < len(attempt.tickets)
    for cube, ticket in attempt.tickets.items():
        certificate = Certificate.from_bytes(attempt.certificate(cube).to_bytes())
        if cube in winners:
            assert verify_certificate(SIGMA, TARGET, certificate, TEST) == ticket
        else:
            assert refusal(certificate) == "WORK_TARGET"


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_every_profile_verifies(profile: Profile) -> None:
    """Headers are tried until a one-cube attempt wins: no ticket is easier than one in sixteen."""
    a, b_t = random_matrix(profile.tile, profile.segment, 1), random_matrix(profile.tile, profile.segment, 2)
    for nonce in range(200):
        sigma = nonce.to_bytes(4, "big")
        attempt = reference_attempt(sigma, profile, a, b_t)
        for cube in attempt.winners(profile.max_target):
            ticket = verify_certificate(sigma, profile.max_target, attempt.certificate(cube), profile)
            assert ticket == attempt.tickets[cube]
            return
    pytest.fail("200 tickets at a chance of one in sixteen")


def refusal(
    certificate: Certificate, sigma: bytes = SIGMA, target: int = TARGET, profile: Profile = TEST
) -> str:
    """The code with which `certificate` is refused."""
    with pytest.raises(Invalid) as caught:
        verify_certificate(sigma, target, certificate, profile)
    return caught.value.code


def test_sample_is_valid() -> None:
    """Otherwise nothing below would mean anything."""
    verify_certificate(SIGMA, TARGET, sample_certificate(), TEST)


def test_other_profile() -> None:
    assert refusal(sample_certificate(), profile=DEV) == "WORK_PROFILE"


@pytest.mark.parametrize("dimension", ["m", "n", "k"])
@pytest.mark.parametrize("size", [0, 1, 1 << 20])
def test_shape_out_of_bounds_or_ragged(dimension: str, size: int) -> None:
    certificate = sample_certificate()
    assert refusal(replace(certificate, mu=replace(certificate.mu, **{dimension: size}))) == "WORK_SHAPE"


def test_step_without_a_job() -> None:
    certificate = sample_certificate()
    changed = replace(certificate, mu=replace(certificate.mu, binding=Binding(job=NO_JOB, step=2)))
    assert refusal(changed) == "WORK_STEP"


@pytest.mark.parametrize("target", [0, TARGET + 1, 1 << 255])
def test_target_out_of_range(target: int) -> None:
    assert refusal(sample_certificate(), target=target) == "WORK_TARGET_RANGE"


@pytest.mark.parametrize(("field", "count"), [("tile_row", 5), ("tile_column", 6), ("segment", 3)])
def test_cube_outside_the_product(field: str, count: int) -> None:
    certificate = sample_certificate()
    assert refusal(replace(certificate, **{field: count})) == "WORK_INDEX"
    assert refusal(replace(certificate, **{field: 1 << 62})) == "WORK_INDEX"


@pytest.mark.parametrize("field", ["block_a", "block_b"])
@pytest.mark.parametrize("change", [lambda block: block[:-1], lambda block: block + b"\0", lambda block: b""])
def test_block_of_another_size(field: str, change: Callable[[bytes], bytes]) -> None:
    certificate = sample_certificate()
    assert refusal(replace(certificate, **{field: change(getattr(certificate, field))})) == "WORK_BLOCK_SIZE"


@pytest.mark.parametrize("field", ["path_a", "path_b"])
@pytest.mark.parametrize("change", [lambda path: path[:-1], lambda path: (*path, path[0]), lambda path: ()])
def test_path_of_another_length(field: str, change: Callable[[tuple[Hash32, ...]], object]) -> None:
    certificate = sample_certificate()
    assert refusal(replace(certificate, **{field: change(getattr(certificate, field))})) == "WORK_PATH_LENGTH"


@pytest.mark.parametrize("side", ["a", "b"])
def test_path_that_leads_elsewhere(side: str) -> None:
    certificate = sample_certificate()
    path = getattr(certificate, f"path_{side}")
    for level in range(len(path)):
        changed = (*path[:level], flipped(path[level]), *path[level + 1 :])
        assert refusal(replace(certificate, **{f"path_{side}": changed})) == f"WORK_PATH_{side.upper()}"


@pytest.mark.parametrize("side", ["a", "b"])
def test_root_of_something_else(side: str) -> None:
    certificate = sample_certificate()
    root = flipped(getattr(certificate, f"root_{side}"))
    assert refusal(replace(certificate, **{f"root_{side}": root})) == f"WORK_PATH_{side.upper()}"


@pytest.mark.parametrize("side", ["a", "b"])
def test_block_that_was_not_committed(side: str) -> None:
    certificate = sample_certificate()
    block = bytearray(getattr(certificate, f"block_{side}"))
    block[17] ^= 1
    assert refusal(replace(certificate, **{f"block_{side}": bytes(block)})) == f"WORK_PATH_{side.upper()}"


def test_sides_exchanged() -> None:
    """The trees of A and B hash under different keys, so A's opening never serves for B."""
    matrix = random_matrix(16, 64, 9)
    certificate = reference_attempt(SIGMA, TEST, matrix, matrix).certificate(Cube(0, 0, 0))
    assert certificate.block_a == certificate.block_b
    assert refusal(replace(certificate, root_a=certificate.root_b)) == "WORK_PATH_A"


def test_other_header() -> None:
    """Ticket theft: the miner's address is in the header bytes, and those key every leaf."""
    assert refusal(sample_certificate(), sigma=SIGMA + b"x") == "WORK_PATH_A"


def test_other_binding_after_the_win() -> None:
    certificate = sample_certificate()
    stolen = replace(certificate.mu, binding=replace(certificate.mu.binding, step=3))
    assert refusal(replace(certificate, mu=stolen)) == "WORK_PATH_A"


@pytest.mark.parametrize("side", ["a", "b"])
@pytest.mark.parametrize("entry", [64, -64, 127, -128])
def test_committed_entry_out_of_range(side: str, entry: int) -> None:
    """Opens correctly, but no honest matrix holds it: the noised entry would leave its range."""
    attempt, certificate = sample_attempt(), sample_certificate()
    mu = attempt.mu
    block_row = certificate.tile_row if side == "a" else certificate.tile_column
    matrices = {
        "a": pad(random_matrix(75, 190, 1), mu.m, mu.k).copy(),
        "b": pad(random_matrix(96, 190, 2), mu.n, mu.k).copy(),
    }
    matrices[side][block_row * 16 + 3, certificate.segment * 64 + 5] = entry
    kappa = kappa_of(SIGMA, mu)
    bad = replace(
        attempt,
        commitment_a=commit(Side.A, kappa, matrices["a"], TEST),
        commitment_b=commit(Side.B, kappa, matrices["b"], TEST),
    )
    assert refusal(bad.certificate(certificate.cube)) == "WORK_RANGE"


def test_ticket_above_the_target() -> None:
    certificate = sample_certificate()
    ticket = int.from_bytes(sample_attempt().tickets[certificate.cube], "little")
    lowest_winning_target = ticket // TEST.cube_macs + 1
    verify_certificate(SIGMA, lowest_winning_target, certificate, TEST)
    assert refusal(certificate, target=lowest_winning_target - 1) == "WORK_TARGET"


def test_replayed_cube_of_other_leaves() -> None:
    """Another cube's coordinates and leaves, honestly opened, give another cube's ticket."""
    attempt, certificate = sample_attempt(), sample_certificate()
    loser = next(cube for cube in attempt.tickets if cube not in attempt.winners(TARGET))
    assert refusal(attempt.certificate(loser)) == "WORK_TARGET"
    moved = replace(certificate, segment=(certificate.segment + 1) % 3)
    assert refusal(moved) in {"WORK_PATH_A", "WORK_PATH_LENGTH"}


def test_claimed_dimensions_change_every_ticket() -> None:
    """One block row more in mu: same leaves cannot be opened under the new key."""
    certificate = sample_certificate()
    assert refusal(replace(certificate, mu=replace(certificate.mu, m=certificate.mu.m + 16))) in {
        "WORK_PATH_A",
        "WORK_PATH_LENGTH",
    }


def flipped(digest: Hash32) -> Hash32:
    return Hash32(bytes([digest[0] ^ 1]) + digest[1:])


def test_certificate_hash_covers_every_field() -> None:
    certificate = sample_certificate()
    values = np.unique(
        [
            replace(certificate, **{field: value}).certificate_hash
            for field, value in (
                ("mu", replace(certificate.mu, n=32)),
                ("root_a", flipped(certificate.root_a)),
                ("root_b", flipped(certificate.root_b)),
                ("tile_row", 0),
                ("tile_column", 0),
                ("segment", certificate.segment + 1),
                ("block_a", b""),
                ("block_b", b""),
                ("path_a", ()),
                ("path_b", ()),
            )
        ]
    )
    assert certificate.certificate_hash not in values
    assert len(values) == 10
