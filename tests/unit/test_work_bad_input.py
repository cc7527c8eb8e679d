"""What no product can use is refused by name, place and number, and nothing is computed for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chain.errors import Policy
from compute import Template, api, multiply
from compute.engines.numpy_blocks import NumpyEngine
from compute.spec.profiles import CPU, TEST
from tests.work_samples import SIGMA

EASY = Template(SIGMA, TEST.max_target, TEST)
FINE = np.ones((4, 4), np.int8)
RECORDS = np.zeros((4, 4), [("name", "i1"), ("other", "i1")])


@pytest.fixture(autouse=True)
def _nothing_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NumpyEngine, "prepare_b", lambda *_: pytest.fail("something was computed"))
    engines = {("numpy", profile.profile_id): NumpyEngine() for profile in (TEST, CPU)}
    monkeypatch.setattr(api, "_engines", engines)


def refusal(a: Any, b: Any, template: Template = EASY) -> Policy:
    with pytest.raises(Policy) as caught:
        multiply(a, b, template, engine="numpy")
    assert "\n" not in str(caught.value)
    return caught.value


class OnTheGpu:
    """Refuses as a tensor in device memory does."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy.\nUse Tensor.cpu() first.")


@pytest.mark.parametrize(
    ("matrix", "code", "words"),
    [
        (np.ones((4, 4)), "MATRIX_DTYPE", "found float64 in A, allowed an integer type. Quantise it first"),
        (np.ones((4, 4), np.float16), "MATRIX_DTYPE", "found float16 in A"),
        (np.ones((4, 4), complex), "MATRIX_DTYPE", "found complex128 in A"),
        (np.full((4, 4), np.nan), "MATRIX_DTYPE", "found float64 in A"),
        (np.ones((4, 4), bool), "MATRIX_DTYPE", "found bool in A, allowed an integer type. Convert it first"),
        (np.ones((4, 4), object), "MATRIX_DTYPE", "found object in A"),
        (RECORDS, "MATRIX_DTYPE", "Take one integer field of it: matrix['name']."),
        (np.array([["1", "2"]] * 4), "MATRIX_DTYPE", "Convert it to int8 first."),
        (np.ones((4, 4), "m8[s]"), "MATRIX_DTYPE", "found timedelta64[s] in A"),
        ([[1, 2**70, 3, 4]] * 4, "MATRIX_DTYPE", "found object in A"),
        ([[1, 2], [3]], "MATRIX_FORMAT", "found list for A"),
        (OnTheGpu(), "MATRIX_FORMAT", "Use Tensor.cpu() first., allowed what NumPy can read"),
        (None, "MATRIX_DTYPE", "found object in A"),
        (np.ones(4, np.int8), "MATRIX_SHAPE", "found 4 in A, allowed two dimensions, at least 1x1"),
        (np.int8(3), "MATRIX_SHAPE", "found a single number in A"),
        (np.ones((2, 2, 2), np.int8), "MATRIX_SHAPE", "found 2x2x2 in A"),
        (np.ones((0, 4), np.int8), "MATRIX_SHAPE", "found 0x4 in A"),
        (np.ones((4, 0), np.int8), "MATRIX_SHAPE", "found 4x0 in A"),
        (np.full((4, 4), 64), "MATRIX_RANGE", "found 64 at row 0, column 0 of A (16 such entries)"),
        (
            np.array([[0, 0, 0, -64]] * 4),
            "MATRIX_RANGE",
            "found -64 at row 0, column 3 of A (4 such entries)",
        ),
        (
            np.array([[1] * 4, [1, -128, 1, 1]], np.int8),
            "MATRIX_RANGE",
            "-128 at row 1, column 1 of A (1 such",
        ),
        (
            np.array([[300, 1, 1, 1]], ">i2"),
            "MATRIX_RANGE",
            "found 300 at row 0, column 0 of A (1 such entry)",
        ),
        (
            np.array([[1, 1, 2**63, 1]], np.uint64),
            "MATRIX_RANGE",
            "found 9223372036854775808 at row 0, column 2",
        ),
        (np.array([[255, 1, 1, 1]], np.uint8), "MATRIX_RANGE", "found 255 at row 0"),
        (
            np.ones((4, 5), np.int8),
            "MATRIX_SHAPES",
            "found A 4x5 and B 4x4, allowed as many rows in B as columns",
        ),
    ],
)
def test_matrices_that_no_product_can_use(matrix: Any, code: str, words: str) -> None:
    error = refusal(matrix, FINE)
    assert error.code == code
    assert words in str(error)


def test_b_is_judged_like_a() -> None:
    assert "float64 in B" in str(refusal(FINE, np.ones((4, 4))))
    assert "64 at row 3, column 1 of B" in str(refusal(FINE, np.array([[1, 1]] * 3 + [[1, 64]])))


@pytest.mark.parametrize(
    ("a_shape", "b_shape", "words"),
    [
        ((4, 16_385), (16_385, 4), "found 16385 as k, columns of A and rows of B, allowed at most 16384"),
        ((4, 4), (4, 16_385), "found 16385 as n, columns of B, allowed at most 16384 under profile cpu"),
    ],
)
def test_depth_and_width_beyond_the_profile(
    a_shape: tuple[int, int], b_shape: tuple[int, int], words: str
) -> None:
    a, b = np.broadcast_to(np.int8(1), a_shape), np.broadcast_to(np.int8(1), b_shape)
    error = refusal(a, b, Template(SIGMA, 1, CPU))
    assert error.code == "WORK_BOUNDS"
    assert words in str(error)


def test_memory_that_would_not_fit_is_predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A product of a quarter of a terabyte, made of matrices that take no memory at all."""
    monkeypatch.setattr(api, "available_bytes", lambda: 8 << 30)
    a = np.broadcast_to(np.int8(1), (4_000_000, 256))
    b = np.broadcast_to(np.int8(1), (256, 16_384))
    monkeypatch.setattr(
        api, "check_matrix", lambda matrix, _: matrix
    )  # reading a billion entries takes a second
    error = refusal(a, b, Template(SIGMA, 1, CPU))
    assert error.code == "WORK_MEMORY"
    needed_mib = int(str(error.found).partition(" ")[0])
    product_mib = 4 * 4_000_000 * 16_384 >> 20
    assert product_mib < needed_mib < 1.1 * product_mib
    assert "for 4000000 x 16384 x 256" in str(error)
    assert "allowed 8192 MiB free. Multiply fewer rows" in str(error)


def test_an_engine_that_does_not_exist() -> None:
    with pytest.raises(Policy) as caught:
        multiply(FINE, FINE, EASY, engine="abacus")
    assert caught.value.code == "WORK_ENGINE_NAME"
    assert "found abacus, allowed auto, " in str(caught.value)
