"""A stand-in for CuPy over NumPy, so that the GPU engine's own code runs where there is no GPU.

It holds device arrays in host memory, does each kernel's arithmetic in NumPy from the same arguments, and carries out
`gemmEx` on raw pointers with cuBLAS's column-major rules. What it cannot show: speed, and that the CUDA source is
right, which takes a GPU.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from blake3 import blake3

from compute.engines.cupy_kernels import SOURCE

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
        getDeviceProperties=lambda _: {"name": b"stand-in"},
        runtimeGetVersion=lambda: 0,
    )
    cuda = module("cupy.cuda", cublas=cublas, device=device, compiler=compiler, runtime=runtime)
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


class RawModule:
    """Kernels by name; the source must declare them."""

    def __init__(self, code: str) -> None:
        assert code == SOURCE

    def get_function(self, name: str) -> Any:
        assert f"__global__ void {name}(" in SOURCE

        def launch(grid: Sequence[int], block: Sequence[int], arguments: Sequence[Any]) -> None:
            for argument in arguments:
                if isinstance(argument, np.ndarray):
                    assert argument.flags.c_contiguous, "a kernel sees a pointer, not strides"
            KERNELS[name](grid[0], block[0], *arguments)

        return launch


def add_noise(
    grid: int, block: int, plain: Any, left: Any, order: Any, noised: Any, entries: Any, depth: Any, rank: Any
) -> None:
    assert grid * block >= entries == plain.size
    assert (order.dtype, order.size) == (np.uint16, depth)
    gathered = left[:, order.reshape(-1)].reshape(-1, depth // rank, rank).astype(np.int16)
    gathered[:, :, :-1] -= gathered[:, :, 1:].copy()
    noised[...] = plain + gathered.reshape(plain.shape)


def fold_tiles(
    grid: int,
    block: int,
    partial: Any,
    transcripts: Any,
    columns: Any,
    tile: Any,
    first_row: Any,
    first_column: Any,
    tiles_per_row: Any,
) -> None:
    rows = partial.size // columns
    tile_rows, tile_columns = rows // tile, columns // tile
    assert (grid, block % 16) == (tile_rows * tile_columns, 0)
    words = partial.view(np.uint32).reshape(tile_rows, tile, tile_columns, tile // 16, 16)
    lanes = np.bitwise_xor.reduce(words, axis=(1, 3))
    flat = transcripts.reshape(-1, tiles_per_row, 16)
    target = flat[first_row : first_row + tile_rows, first_column : first_column + tile_columns]
    target[...] = ((target << np.uint32(13)) | (target >> np.uint32(19))) ^ lanes


def hash_tickets(
    grid: int,
    block: int,
    transcripts: Any,
    key: Any,
    tickets: Any,
    count: Any,
    tile_rows: Any,
    tile_columns: Any,
) -> None:
    assert grid * block >= count
    words = np.array(transcripts).reshape(-1, 16)
    for at in range(int(count)):
        block_words = words[at].copy()
        block_words[0] ^= at // int(tile_columns) % int(tile_rows)
        block_words[1] ^= at % int(tile_columns)
        block_words[2] ^= at // int(tile_columns) // int(tile_rows)
        digest = blake3(block_words.astype("<u4").tobytes(), key=key.tobytes()).digest()
        tickets[at] = np.frombuffer(digest, "<u4")


def take_digit(
    grid: int, block: int, values: Any, out: Any, entries: Any, rank: Any, width: Any, first: Any, digit: Any
) -> None:
    assert grid * block >= entries == values.size
    assert (values.shape[1], out.shape[1]) == (rank, width)
    rest = np.array(values)
    for _ in range(int(digit)):
        rest = (rest + 64) >> 7
    out[:, first : first + rank] = ((rest + 64) & 127) - 64


def subtract_shifted(grid: int, block: int, product: Any, correction: Any, entries: Any, shift: Any) -> None:
    assert grid * block >= entries == correction.size == product.size
    product.view(np.uint32)[...] -= correction.view(np.uint32) << np.uint32(shift)


KERNELS: dict[str, Any] = {
    "add_noise": add_noise,
    "fold_tiles": fold_tiles,
    "hash_tickets": hash_tickets,
    "take_digit": take_digit,
    "subtract_shifted": subtract_shifted,
}


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
