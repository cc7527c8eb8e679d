"""The engine in-process: orders in, exact panels and bound certificates out.  Spec: [POW-WORKER-*]."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from chain.errors import Invalid, Missing
from chain.types import Hash32, JobId
from compute.backends.cpu import CpuBackend, CpuPreparedB
from compute.bench import measure_rate
from compute.engine import Engine, idle_order, profile_of
from compute.messages import Drop, Load, Mine, Panel
from compute.spec.arrays import Int8Array
from compute.spec.certificate import Certificate
from compute.spec.claim import NO_BINDING, Binding, Mu, check_mu
from compute.spec.profiles import PROFILES, TEST, Profile
from compute.spec.reference import reference_attempt
from compute.spec.verify import verify_certificate
from tests.work_samples import SIGMA, random_matrix

A_ID, B_ID, JOB = Hash32(b"a" * 32), Hash32(b"b" * 32), JobId(b"j" * 32)
PANEL = Panel(
    template=9,
    sigma=SIGMA,
    target=TEST.max_target,
    profile_id=TEST.profile_id,
    job=JOB,
    step=1,
    a=A_ID,
    row_start=10,
    row_count=50,
    b=B_ID,
)
MINE = Mine(
    template=4,
    sigma=SIGMA,
    target=TEST.max_target,
    profile_id=TEST.profile_id,
    m=64,
    n=64,
    k=128,
    seed=bytes(range(32)),
)


class CountingBackend(CpuBackend):
    """Counts how often a B is prepared."""

    prepared = 0

    def prepare_b(self, sigma: bytes, profile: Profile, mu: Mu, b_t: Int8Array) -> CpuPreparedB:
        self.prepared += 1
        return super().prepare_b(sigma, profile, mu, b_t)


def loaded(matrix_id: Hash32, matrix: Int8Array) -> Load:
    return Load(matrix=matrix_id, rows=matrix.shape[0], columns=matrix.shape[1], data=matrix.tobytes())


@pytest.fixture
def engine() -> Engine:
    ready = Engine(CountingBackend())
    ready.load(loaded(A_ID, random_matrix(100, 70, 1)))
    ready.load(loaded(B_ID, random_matrix(40, 70, 2)))
    return ready


def test_panel_is_exact_and_its_win_is_bound_to_the_job(engine: Engine) -> None:
    found, done = engine.panel(PANEL)
    expected = random_matrix(100, 70, 1)[10:60].astype(np.int64) @ random_matrix(40, 70, 2).T.astype(np.int64)
    assert np.array_equal(np.frombuffer(done.product, "<i4").reshape(50, 40), expected)
    assert (done.template, done.job, done.step, done.row_start, done.row_count) == (9, JOB, 1, 10, 50)
    assert done.tickets == 4 * 3 * 2
    assert done.macs == 64 * 48 * 128
    assert found is not None
    certificate = Certificate.from_bytes(found.certificate)
    assert certificate.mu == Mu(profile_id=1, m=64, n=48, k=128, binding=Binding(job=JOB, step=1))
    reference = reference_attempt(
        SIGMA, TEST, random_matrix(100, 70, 1)[10:60], random_matrix(40, 70, 2), Binding(job=JOB, step=1)
    )
    winners = reference.winners(TEST.max_target)
    assert len(winners) == done.winners > 1
    assert certificate == reference.certificate(winners[0])
    assert verify_certificate(SIGMA, TEST.max_target, certificate, TEST) == found.ticket


def test_panel_without_a_win(engine: Engine) -> None:
    found, done = engine.panel(replace(PANEL, target=1))
    assert found is None
    assert done.winners == 0


def test_prepared_b_is_reused_under_one_template_only(engine: Engine) -> None:
    backend = engine.backend
    assert isinstance(backend, CountingBackend)
    engine.panel(PANEL)
    engine.panel(replace(PANEL, row_start=40))
    assert backend.prepared == 1
    engine.panel(replace(PANEL, sigma=b"next block"))
    assert backend.prepared == 2
    engine.panel(replace(PANEL, sigma=b"next block", step=2))
    engine.panel(replace(PANEL, sigma=b"next block", row_count=16))
    assert backend.prepared == 4
    engine.mine(MINE, 0)
    engine.mine(MINE, 1)
    assert backend.prepared == 5


def test_reloaded_matrix_is_prepared_again(engine: Engine) -> None:
    """The same id with other content must not meet the operand prepared for the old one."""
    engine.panel(PANEL)
    other = random_matrix(40, 70, 3)
    engine.load(loaded(B_ID, other))
    _, done = engine.panel(PANEL)
    expected = random_matrix(100, 70, 1)[10:60].astype(np.int64) @ other.T.astype(np.int64)
    assert np.array_equal(np.frombuffer(done.product, "<i4").reshape(50, 40), expected)


def test_panel_of_a_dropped_matrix(engine: Engine) -> None:
    engine.drop(Drop(matrix=B_ID))
    engine.drop(Drop(matrix=B_ID))
    with pytest.raises(Missing, match="WORK_MATRIX"):
        engine.panel(PANEL)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"row_count": 0}, "WORK_SHAPE"),
        ({"row_start": 51}, "WORK_SHAPE"),
        ({"b": A_ID, "a": B_ID, "row_count": 41, "row_start": 0}, "WORK_SHAPE"),
        ({"profile_id": 77}, "WORK_PROFILE"),
        ({"job": JobId(bytes(32))}, "WORK_STEP"),
    ],
    ids=str,
)
def test_impossible_panels_are_refused(engine: Engine, change: dict[str, object], code: str) -> None:
    with pytest.raises(Invalid) as caught:
        engine.panel(replace(PANEL, **change))  # type: ignore[arg-type]
    assert caught.value.code == code


def test_panel_of_unequal_depths_is_refused(engine: Engine) -> None:
    engine.load(loaded(B_ID, random_matrix(40, 71, 2)))
    with pytest.raises(Invalid, match="WORK_SHAPE"):
        engine.panel(PANEL)


@pytest.mark.parametrize(("rows", "columns", "data"), [(2, 3, bytes(5)), (0, 0, b""), (3, 2, bytes(7))])
def test_load_of_the_wrong_size_is_refused(engine: Engine, rows: int, columns: int, data: bytes) -> None:
    with pytest.raises(Invalid, match="WORK_SHAPE"):
        engine.load(Load(matrix=A_ID, rows=rows, columns=columns, data=data))


@pytest.mark.parametrize("entry", [64, -64, -128])
def test_load_checks_every_entry(engine: Engine, entry: int) -> None:
    matrix = random_matrix(5, 5)
    matrix[4, 4] = entry
    with pytest.raises(Invalid, match="WORK_RANGE"):
        engine.load(loaded(A_ID, matrix))


def test_idle_attempts_differ_and_are_bound_to_nothing(engine: Engine) -> None:
    tickets = set()
    for index in range(6):
        done = engine.mine(MINE, index)
        assert done.tickets == 4 * 4 * 2
        assert done.macs == 64 * 64 * 128
        if done.found is not None:
            certificate = Certificate.from_bytes(done.found.certificate)
            assert certificate.mu.binding == NO_BINDING
            assert verify_certificate(SIGMA, TEST.max_target, certificate, TEST) == done.found.ticket
            assert done.found.template == 4
            tickets.add(done.found.ticket)
    assert len(tickets) >= 2
    assert engine.mine(MINE, 0) == engine.mine(MINE, 0)


def test_idle_order_of_an_impossible_shape_is_refused(engine: Engine) -> None:
    with pytest.raises(Invalid, match="WORK_SHAPE"):
        engine.mine(replace(MINE, m=65), 0)
    with pytest.raises(Invalid, match="WORK_PROFILE"):
        profile_of(0)


def test_idle_orders_fit_their_profiles() -> None:
    backend = CpuBackend()
    for profile in PROFILES.values():
        order = idle_order(profile, 1, SIGMA, profile.max_target, bytes(32))
        assert Engine(backend).mine(order, 0).macs == order.m * order.n * order.k
        on_gpu = idle_order(profile, 1, SIGMA, profile.max_target, bytes(32), "cuda")
        assert on_gpu.m > order.m
        check_mu(Mu(profile.profile_id, on_gpu.m, on_gpu.n, on_gpu.k, NO_BINDING), profile)


def test_rate_is_positive_and_below_any_machine() -> None:
    assert 10**6 < measure_rate(CpuBackend(), TEST, 20) < 10**15
