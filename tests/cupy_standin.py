"""A stand-in for CuPy over NumPy, so that the GPU engines' own code runs where there is no GPU.

It holds device arrays in host memory, runs the kernels' own source in a CPU emulation (tests/emulation), and carries
out `gemmEx` on raw pointers with cuBLAS's column-major rules. What it cannot show: speed, and whatever a device does
otherwise than its documentation says.
"""

from __future__ import annotations

import ctypes
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from tests.emulation.library import library

GARBAGE = 77
"""What fresh device memory holds: nobody may rely on zeros."""


class DeviceArray(np.ndarray):
    """An array that knows its address, as cupy.ndarray does."""

    @property
    def data(self) -> Any:  # type: ignore[override]
        return SimpleNamespace(ptr=self.__array_interface__["data"][0])


def install(modules: dict[str, Any]) -> None:
    """Put the stand-in under CuPy's names into a table of modules (`sys.modules`, through a test's monkeypatch)."""
    cublas = module("cupy.cuda.cublas", gemmEx=gemm_ex, CUBLAS_OP_N=0, CUBLAS_OP_T=1)
    cublas.CUBLAS_COMPUTE_32I, cublas.CUBLAS_GEMM_DEFAULT = 72, -1
    device = module("cupy.cuda.device", get_cublas_handle=lambda: 0)
    compiler = module("cupy.cuda.compiler", CompileException=type("CompileException", (Exception,), {}))
    runtime = SimpleNamespace(
        getDeviceCount=lambda: 1,
        driverGetVersion=lambda: 13000,
        getDeviceProperties=lambda _: {
            "name": b"stand-in",
            "major": 9,
            "minor": 0,
            "totalGlobalMem": 1 << 31,
        },
        runtimeGetVersion=lambda: 0,
        deviceSynchronize=lambda: None,
        memGetInfo=lambda: (1 << 30, 1 << 31),
    )
    cuda = module("cupy.cuda", cublas=cublas, device=device, compiler=compiler, runtime=runtime, Event=Event)
    cuda.get_elapsed_time = lambda started, ended: (ended.at_ns - started.at_ns) / 1e6
    cuda.Device = lambda: SimpleNamespace(id=0, compute_capability="90")
    cupy = module(
        "cupy",
        __version__="stand-in",
        cuda=cuda,
        asarray=lambda array: on_device(np.array(array, copy=True, order="C")),
        asnumpy=lambda array: np.array(array),
        empty=lambda shape, dtype: on_device(np.full(shape, GARBAGE, dtype)),
        zeros=lambda shape, dtype: on_device(np.zeros(shape, dtype)),
        flatnonzero=lambda array: on_device(np.flatnonzero(array)),
        get_default_memory_pool=lambda: SimpleNamespace(free_bytes=lambda: 0),
        RawModule=RawModule,
    )
    for each in (cupy, cuda, cublas, device, compiler):
        modules[each.__name__] = each


def module(name: str, **members: Any) -> Any:
    made = ModuleType(name)
    made.__dict__.update(members)
    return made


def on_device(array: np.ndarray) -> DeviceArray:
    return array.view(DeviceArray)


class Event:
    """A moment; everything here is done when it returns."""

    def record(self) -> None:
        self.at_ns = time.perf_counter_ns()

    def synchronize(self) -> None:
        pass


class RawModule:
    """Kernels by name, run by the CPU emulation of tests/emulation; compiled when one is wanted.

    A `path` names what `cubin_of` wrote: nobody can load machine code of a GPU here.
    """

    def __init__(self, code: str = "", options: Sequence[str] = (), path: str = "") -> None:
        if path:
            made = json.loads(Path(path).read_text())
            code, options = made["code"], made["options"]
        self._code = code
        self._options = tuple(options)

    def get_function(self, name: str) -> Any:
        return Function(self._code, self._options, name)


def cubin_of(path: Path, code: str, options: Sequence[str]) -> None:
    """Write what this RawModule takes for machine code."""
    path.write_text(json.dumps({"code": code, "options": list(options)}))


class Function:
    """A kernel, with CUDA's rules of launching."""

    def __init__(self, code: str, options: tuple[str, ...], name: str) -> None:
        self.max_dynamic_shared_size_bytes = 48 << 10
        self._code = code
        self._options = options
        self._name = name

    def __call__(
        self, grid: Sequence[int], block: Sequence[int], arguments: Sequence[Any], *, shared_mem: int = 0
    ) -> None:
        (blocks,), (threads,) = grid, block
        assert 0 < blocks < 1 << 31
        assert 0 < threads <= 1024
        assert shared_mem <= self.max_dynamic_shared_size_bytes
        replacement = REPLACEMENTS.get(self._name)
        if replacement is not None:
            replacement(*arguments)
            return
        library(self._code, self._options).launch(self._name, blocks, threads, arguments, shared_mem)


REPLACEMENTS: dict[str, Callable[..., None]] = {}
"""Kernels that a test wants to behave otherwise."""


def gemm_ex(
    handle: int,
    transpose_a: int,
    transpose_b: int,
    m: int,
    n: int,
    k: int,
    alpha: int,
    a: int,
    a_type: int,
    lda: int,
    b: int,
    b_type: int,
    ldb: int,
    beta: int,
    c: int,
    c_type: int,
    ldc: int,
    compute_type: int,
    algorithm: int,
) -> None:
    """int32[m, n] C = int8 A^T * int8 B + beta * C, all column-major, by address."""
    assert (transpose_a, transpose_b, a_type, b_type, c_type, compute_type) == (1, 0, 3, 3, 10, 72)
    assert k % 4 == lda % 4 == ldb % 4 == a % 4 == b % 4 == c % 4 == 0, "cuBLAS wants int8 operands aligned"
    assert (scalar(alpha), scalar(beta) in (0, 1)) == (1, True)
    left = column_major(a, np.int8, k, m, lda).T.astype(np.int64)
    right = column_major(b, np.int8, k, n, ldb).astype(np.int64)
    out = column_major(c, np.int32, m, n, ldc)
    out[...] = left @ right + scalar(beta) * out


def scalar(address: int) -> int:
    return ctypes.c_int32.from_address(address).value


def column_major(address: int, dtype: Any, rows: int, columns: int, leading: int) -> np.ndarray:
    size_bytes = np.dtype(dtype).itemsize
    span_bytes = ((columns - 1) * leading + rows) * size_bytes
    memory = np.frombuffer((ctypes.c_char * span_bytes).from_address(address), dtype)
    return np.lib.stride_tricks.as_strided(memory, (rows, columns), (size_bytes, leading * size_bytes))
