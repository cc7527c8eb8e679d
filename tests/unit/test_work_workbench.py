"""The workbench in-process: orders in, exact panels and bound certificates out.  Spec: [POW-WORKER-*]."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from chain.errors import Invalid, Missing, Policy
from chain.types import Hash32, JobId
from compute.bench import measure_rate
from compute.engines.base import Engine, Progress, Stage, Withdrawn, unobserved
from compute.engines.numpy_blocks import NumpyEngine, NumpyPreparedB
from compute.engines.select import ENGINES
from compute.messages import Drop, Load, Mine, Panel
from compute.spec.arrays import Int8Array
from compute.spec.certificate import Certificate
from compute.spec.claim import NO_BINDING, Binding, Mu, check_mu
from compute.spec.profiles import PROFILES, TEST, Profile
from compute.spec.reference import reference_attempt
from compute.spec.verify import verify_certificate
from compute.workbench import Workbench, profile_of
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
    seed=bytes(range(32)),
)


class CountingEngine(NumpyEngine):
    """Counts how often a B is prepared."""

    prepared = 0

    def prepare_b(
        self, sigma: bytes, profile: Profile, mu: Mu, b_t: Int8Array, progress: Progress = unobserved
    ) -> NumpyPreparedB:
        self.prepared += 1
        return super().prepare_b(sigma, profile, mu, b_t, progress)


def loaded(matrix_id: Hash32, matrix: Int8Array) -> Load:
    return Load(matrix=matrix_id, rows=matrix.shape[0], columns=matrix.shape[1], data=matrix.tobytes())


@pytest.fixture
def workbench() -> Workbench:
    ready = Workbench(CountingEngine())
    ready.load(loaded(A_ID, random_matrix(100, 70, 1)))
    ready.load(loaded(B_ID, random_matrix(40, 70, 2)))
    return ready


def test_panel_is_exact_and_its_win_is_bound_to_the_job(workbench: Workbench) -> None:
    found, done = workbench.panel(PANEL)
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


def test_panel_without_a_win(workbench: Workbench) -> None:
    found, done = workbench.panel(replace(PANEL, target=1))
    assert found is None
    assert done.winners == 0


def test_prepared_b_is_reused_under_one_template_only(workbench: Workbench) -> None:
    engine = workbench.engine
    assert isinstance(engine, CountingEngine)
    workbench.panel(PANEL)
    workbench.panel(replace(PANEL, row_start=40))
    assert engine.prepared == 1
    workbench.panel(replace(PANEL, sigma=b"next block"))
    assert engine.prepared == 2
    workbench.panel(replace(PANEL, sigma=b"next block", step=2))
    workbench.panel(replace(PANEL, sigma=b"next block", row_count=16))
    assert engine.prepared == 4
    workbench.mine(MINE, 0)
    workbench.mine(MINE, 1)
    assert engine.prepared == 5


def test_reloaded_matrix_is_prepared_again(workbench: Workbench) -> None:
    """The same id with other content must not meet the operand prepared for the old one."""
    workbench.panel(PANEL)
    other = random_matrix(40, 70, 3)
    workbench.load(loaded(B_ID, other))
    _, done = workbench.panel(PANEL)
    expected = random_matrix(100, 70, 1)[10:60].astype(np.int64) @ other.T.astype(np.int64)
    assert np.array_equal(np.frombuffer(done.product, "<i4").reshape(50, 40), expected)


def test_panel_of_a_dropped_matrix(workbench: Workbench) -> None:
    workbench.drop(Drop(matrix=B_ID))
    workbench.drop(Drop(matrix=B_ID))
    with pytest.raises(Missing, match="WORK_MATRIX"):
        workbench.panel(PANEL)


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
def test_impossible_panels_are_refused(workbench: Workbench, change: dict[str, object], code: str) -> None:
    with pytest.raises(Invalid) as caught:
        workbench.panel(replace(PANEL, **change))  # type: ignore[arg-type]
    assert caught.value.code == code


def test_panel_of_unequal_depths_is_refused(workbench: Workbench) -> None:
    workbench.load(loaded(B_ID, random_matrix(40, 71, 2)))
    with pytest.raises(Invalid, match="WORK_SHAPE"):
        workbench.panel(PANEL)


@pytest.mark.parametrize(("rows", "columns", "data"), [(2, 3, bytes(5)), (0, 0, b""), (3, 2, bytes(7))])
def test_load_of_the_wrong_size_is_refused(
    workbench: Workbench, rows: int, columns: int, data: bytes
) -> None:
    with pytest.raises(Invalid, match="WORK_SHAPE"):
        workbench.load(Load(matrix=A_ID, rows=rows, columns=columns, data=data))


@pytest.mark.parametrize("entry", [64, -64, -128])
def test_load_checks_every_entry(workbench: Workbench, entry: int) -> None:
    matrix = random_matrix(5, 5)
    matrix[4, 4] = entry
    with pytest.raises(Invalid, match="WORK_RANGE"):
        workbench.load(loaded(A_ID, matrix))


def test_idle_attempts_differ_and_are_bound_to_nothing(workbench: Workbench) -> None:
    tickets = set()
    for index in range(6):
        done = workbench.mine(MINE, index)
        assert done.tickets == 4 * 4
        assert done.macs == 64**3
        if done.found is not None:
            certificate = Certificate.from_bytes(done.found.certificate)
            assert certificate.mu.binding == NO_BINDING
            assert verify_certificate(SIGMA, TEST.max_target, certificate, TEST) == done.found.ticket
            assert done.found.template == 4
            tickets.add(done.found.ticket)
    assert len(tickets) >= 2
    assert workbench.mine(MINE, 0) == workbench.mine(MINE, 0)


def test_order_of_an_unknown_profile_is_refused(workbench: Workbench) -> None:
    with pytest.raises(Invalid, match="WORK_PROFILE"):
        workbench.mine(replace(MINE, profile_id=0), 0)
    with pytest.raises(Invalid, match="WORK_PROFILE"):
        profile_of(0)


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_idle_shapes_fit_their_profiles(engine: type[Engine], profile: Profile) -> None:
    m, n, k = engine().idle_shape(profile)
    check_mu(Mu(profile.profile_id, m, n, k, NO_BINDING), profile)


def test_what_does_not_fit_is_refused_before_it_is_tried(workbench: Workbench) -> None:
    def too_little() -> int:
        return 1 << 20

    workbench.engine.memory_free = too_little  # type: ignore[method-assign]
    a, b_t = random_matrix(60, 600), random_matrix(900, 600)
    workbench.load(loaded(A_ID, a))
    workbench.load(loaded(B_ID, b_t))
    with pytest.raises(Policy, match=r"WORK_MEMORY.*found \d+ MiB.*allowed 1 MiB"):
        workbench.panel(PANEL)


@pytest.mark.parametrize("last", [Stage.COMMIT, Stage.NOISE, Stage.PRODUCT, Stage.HASH])
def test_a_withdrawn_attempt_ends_at_once_and_hurts_nothing(workbench: Workbench, last: Stage) -> None:
    def stop_at(stage: Stage) -> None:
        if stage is last:
            raise Withdrawn

    with pytest.raises(Withdrawn):
        workbench.mine(MINE, 3, stop_at)
    assert workbench.mine(MINE, 3) == workbench.mine(MINE, 3)


def test_rate_is_positive_and_below_any_machine() -> None:
    assert 10**6 < measure_rate(NumpyEngine(), TEST, 20) < 10**15
