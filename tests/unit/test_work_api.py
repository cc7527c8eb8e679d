"""`from compute import multiply`: exact products of anybody's matrices, and tickets that are worth something."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import compute
from chain.errors import Invalid, LocalFault, Policy
from chain.types import Hash32
from compute import Multiplication, Template, Tickets, api, multiply
from compute.engines import select
from compute.engines.base import Attempt, Order, Output
from compute.engines.numpy_blocks import NumpyEngine
from compute.spec.certificate import Certificate
from compute.spec.claim import NO_BINDING, kappa_of
from compute.spec.padding import padded_mu
from compute.spec.profiles import CPU, DEV, TEST
from compute.spec.reference import reference_attempt
from compute.spec.verify import verify_certificate
from tests.work_samples import SIGMA, random_matrix

EASY = Template(SIGMA, TEST.max_target, TEST)


def exact(a: npt.ArrayLike, b: npt.ArrayLike) -> npt.NDArray[np.int64]:
    return np.asarray(a, np.int64) @ np.asarray(b, np.int64)


def pair(m: int, n: int, k: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    return random_matrix(m, k, 1), random_matrix(k, n, 2)


def check_wins(template: Template, tickets: Tickets) -> None:
    assert tickets.winners
    for win in tickets.winners:
        certificate = Certificate.from_bytes(win.certificate)
        ticket = verify_certificate(template.sigma, template.target, certificate, template.profile)
        assert ticket == win.ticket


@pytest.mark.parametrize("shape", [(1, 1, 1), (16, 16, 64), (17, 31, 65), (40, 33, 190), (3, 200, 7)])
def test_any_shape_is_exact_and_pays_for_its_padding(shape: tuple[int, int, int]) -> None:
    m, n, k = shape
    a, b = pair(m, n, k)
    product, tickets = multiply(a, b, EASY, engine="numpy")
    assert product.dtype == np.int32
    assert np.array_equal(product, exact(a, b))
    tiles_and_segments = -(-m // 16) * -(-n // 16) * -(-k // 64)
    assert (tickets.drawn, tickets.macs) == (tiles_and_segments, tiles_and_segments * TEST.cube_macs)


def test_the_winners_are_those_of_the_specification() -> None:
    a, b = pair(75, 96, 190)
    _, tickets = multiply(a, b, EASY, engine="numpy")
    expected = reference_attempt(SIGMA, TEST, a, np.ascontiguousarray(b.T))
    cubes = expected.winners(TEST.max_target)
    assert tickets.won == len(cubes) > 1
    made = [Certificate.from_bytes(win.certificate).cube for win in tickets.winners]
    assert made == cubes[: api.MAX_CERTIFICATES]
    check_wins(EASY, tickets)


def test_an_easy_target_does_not_flood_the_caller_with_certificates() -> None:
    a, b = pair(256, 256, 128)
    _, tickets = multiply(a, b, EASY, engine="numpy")
    assert tickets.won > api.MAX_CERTIFICATES == len(tickets.winners)


def test_no_win_without_luck() -> None:
    _, tickets = multiply(*pair(20, 20, 20), Template(SIGMA, 1, TEST), engine="numpy")
    assert (tickets.won, tickets.winners) == (0, ())


@pytest.mark.parametrize("dtype", ["int8", "uint8", ">i2", "<u2", ">i4", "int64", ">u8"])
def test_any_integer_type_and_byte_order(dtype: str) -> None:
    a, b = np.abs(pair(20, 18, 70)[0]).astype(dtype), np.abs(pair(20, 18, 70)[1]).astype(dtype)
    product, _ = multiply(a, b, EASY, engine="numpy")
    assert np.array_equal(product, exact(a, b))


def test_any_memory_layout() -> None:
    a, b = random_matrix(60, 140, 3), random_matrix(140, 36, 4)
    for view_a, view_b in (
        (a[::3, ::2], b[::2]),
        (np.asfortranarray(a), np.asfortranarray(b)),
        (a[::-1], b[:, ::-1]),
        (np.broadcast_to(a[0], (50, 140)), b),
    ):
        product, _ = multiply(view_a, view_b, EASY, engine="numpy")
        assert np.array_equal(product, exact(view_a, view_b))


class OnlyDlpack:
    """A tensor of a library that NumPy does not know."""

    def __init__(self, array: npt.NDArray[Any]) -> None:
        self._array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        device: tuple[int, int] = self._array.__dlpack_device__()
        return device


class OnlyArray:
    """A tensor that turns itself into an array."""

    def __init__(self, array: npt.NDArray[Any]) -> None:
        self._array = array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return self._array if dtype is None else self._array.astype(dtype)


@pytest.mark.parametrize("wrap", [OnlyDlpack, OnlyArray, np.ndarray.tolist, memoryview])
def test_tensors_and_lists(wrap: Any) -> None:
    a, b = pair(18, 20, 30)
    product, _ = multiply(wrap(a.astype(np.int32)), wrap(b), EASY, engine="numpy")
    assert type(product) is np.ndarray
    assert np.array_equal(product, exact(a, b))


def test_operands_are_left_alone() -> None:
    a, b = pair(20, 20, 64)
    before = a.copy(), b.copy()
    a.flags.writeable = b.flags.writeable = False
    multiply(a, b, EASY, engine="numpy")
    assert np.array_equal(a, before[0])
    assert np.array_equal(b, before[1])


def test_a_tall_product_runs_as_panels_of_its_own_claims() -> None:
    a, b = pair(2 * TEST.max_m + 5, 32, 64)
    product, tickets = multiply(a, b, EASY, engine="numpy")
    assert np.array_equal(product, exact(a, b))
    rows = {Certificate.from_bytes(win.certificate).mu.m for win in tickets.winners}
    # 2,053 rows in three even panels of 43 tiles: 688, 688 and 677 real rows.
    assert rows == {688}
    assert len(tickets.winners) > api.MAX_CERTIFICATES
    check_wins(EASY, tickets)


def test_every_panel_can_have_a_template_of_its_own() -> None:
    a, b = pair(100, 32, 64)
    work, drawn = Multiplication(a, b, engine="numpy"), []
    while not work.finished:
        template = Template(SIGMA + bytes([len(drawn)]), TEST.max_target, TEST)
        tickets = work.advance(template, most_rows=30)
        drawn.append(tickets.drawn)
        for win in tickets.winners:
            verify_certificate(template.sigma, template.target, Certificate.from_bytes(win.certificate), TEST)
    assert np.array_equal(work.product, exact(a, b))
    assert drawn == [4, 4, 4, 2]


def test_b_is_prepared_once_for_panels_of_one_height(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = []
    original = NumpyEngine.prepare_b
    monkeypatch.setattr(
        NumpyEngine, "prepare_b", lambda *given: prepared.append(given[3].m) or original(*given)
    )
    work = Multiplication(*pair(96, 32, 64), engine="numpy")
    work.engine(TEST)  # the self-test prepares too
    prepared.clear()
    while not work.finished:
        work.advance(EASY, most_rows=32)
    assert prepared == [32]


def test_the_engine_is_chosen_once_per_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "_engines", {})
    chosen = []
    original = api.choose_engine
    monkeypatch.setattr(api, "choose_engine", lambda *given: chosen.append(given[:2]) or original(*given))
    for _ in range(3):
        multiply(*pair(5, 5, 5), EASY, engine="numpy")
    multiply(*pair(5, 5, 5), Template(SIGMA, 1, DEV), engine="numpy")
    assert chosen == [("numpy", TEST), ("numpy", DEV)]


class Lying(NumpyEngine):
    """Passes its self-test, then makes tickets up."""

    name = "lying"

    def run(self, order: Order) -> Attempt:
        attempt = super().run(order)
        if order.prepared.kappa == kappa_of(SIGMA, order.prepared.mu):
            return replace(
                attempt, winners=tuple(replace(each, ticket=Hash32(bytes(32))) for each in attempt.winners)
            )
        return attempt


def test_an_engine_that_proves_wrong_is_replaced_and_never_taken_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(api, "_engines", {})
    monkeypatch.setattr(api, "_distrusted", set())
    monkeypatch.setattr(select, "ENGINES", {"lying": Lying, "numpy": NumpyEngine})
    monkeypatch.setattr(select, "ENGINE_NAMES", ("auto", "lying", "numpy"))
    a, b = pair(75, 96, 190)
    for _ in range(2):
        product, tickets = multiply(a, b, EASY)
        assert np.array_equal(product, exact(a, b))
        check_wins(EASY, tickets)
    assert [record.message.partition(" why")[0] for record in caplog.records] == [
        "engine-failed engine=lying"
    ]
    multiply(a, b, Template(SIGMA, 1, DEV))
    assert {engine.name for engine in api._engines.values()} == {"numpy"}
    with pytest.raises(LocalFault) as caught:
        multiply(a, b, EASY, engine="lying")
    assert caught.value.code == "WORK_ENGINE"


def test_a_finished_product_can_be_checked() -> None:
    work = Multiplication(*pair(40, 33, 190), engine="numpy")
    work.advance(EASY)
    work.check()
    work.product[39, 32] ^= 1
    with pytest.raises(LocalFault) as caught:
        work.check()
    assert (caught.value.code, caught.value.found) == ("WORK_PRODUCT", "a wrong row, number 39")


def test_callers_in_several_threads_take_turns() -> None:
    pairs = [pair(30 + number, 40, 100) for number in range(6)]
    products: dict[int, Any] = {}

    def run(number: int) -> None:
        products[number], _ = multiply(*pairs[number], EASY, engine="numpy")

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(pairs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, (a, b) in enumerate(pairs):
        assert np.array_equal(products[number], exact(a, b))


def test_too_little_memory_means_lower_panels(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = pair(512, 64, 64)
    held = 4 * 512 * 64 + 64 * 64  # the product, and B turned
    panel = NumpyEngine().memory_needed(TEST, padded_mu(TEST, 128, 64, 64, NO_BINDING), Output.PRODUCT)
    monkeypatch.setattr(api, "available_bytes", lambda: held + panel)
    assert Multiplication(a, b, engine="numpy").panel_rows(TEST) == 128
    monkeypatch.setattr(api, "available_bytes", lambda: held + panel - 1)
    assert Multiplication(a, b, engine="numpy").panel_rows(TEST) == 64
    product, tickets = multiply(a, b, EASY, engine="numpy")
    assert np.array_equal(product, exact(a, b))
    assert tickets.drawn == 512 // 16 * 4


def test_what_cannot_fit_is_refused_before_anything_is_allocated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "available_bytes", lambda: 1 << 20)
    monkeypatch.setattr(NumpyEngine, "prepare_b", lambda *_: pytest.fail("something was prepared"))
    monkeypatch.setattr(np, "empty", lambda *_: pytest.fail("something was allocated"))
    monkeypatch.setattr(api, "_engines", {("numpy", CPU.profile_id): NumpyEngine()})
    a, b = np.broadcast_to(np.int8(1), (1000, 600)), np.broadcast_to(np.int8(1), (600, 1000))
    with pytest.raises(Policy) as caught:
        multiply(a, b, Template(SIGMA, 1, CPU), engine="numpy")
    assert caught.value.code == "WORK_MEMORY"
    assert "MiB for 1000 x 1000 x 600, 64 rows at a time, on engine numpy, allowed 1 MiB free" in str(
        caught.value
    )


def test_templates_are_checked_when_they_are_made() -> None:
    with pytest.raises(Invalid) as caught:
        Template(SIGMA, 0, TEST)
    assert caught.value.code == "WORK_TARGET_RANGE"
    with pytest.raises(Invalid) as caught:
        Template(SIGMA, TEST.max_target + 1, TEST)
    assert caught.value.code == "WORK_TARGET_RANGE"


def test_the_specification_alone_loads_no_engine() -> None:
    code = (
        "import sys, compute, compute.spec.verify; "
        "print([name for name in sys.modules if name.startswith('compute.') and '.spec' not in name])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_names_that_do_not_exist() -> None:
    assert not hasattr(compute, "divide")
    with pytest.raises(ImportError):
        exec("from compute import divide")
