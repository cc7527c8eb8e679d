"""The CUDA source compiled for the CPU: the same kernels, with cuda.hpp in place of device.cu and the PTX files."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compute.engines.cuda_source import source

HERE = Path(__file__).parent
REPLACED = ("device", "ptx", "ptx_sm90")
"""Files of the CUDA source that cuda.hpp stands for."""
KERNEL = re.compile(r'extern "C" __global__ void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\(')
UPWARDS, DOWNWARDS = 1, -1
"""In which order the threads of a block take their turns."""
FAILURES = {1: "a thread block hung", 2: "an impossible launch"}


def compiler() -> str:
    """A C++ compiler, or the test is skipped; CC and CXX of the environment are no concern of these tests."""
    for name in ("g++", "clang++"):
        found = shutil.which(name)
        if found is not None:
            return found
    pytest.skip("no g++ or clang++ on PATH: the emulated CUDA kernels cannot be compiled")


class Library:
    """Kernels by name."""

    def __init__(self, code: str, options: Sequence[str]) -> None:
        for name in REPLACED:
            code = code.replace(source((name,)), "")
        self.kernels = KERNEL.findall(code)
        assert self.kernels
        exports = "\n".join(f"KERNEL({name})" for name in self.kernels)
        with tempfile.TemporaryDirectory() as directory:
            text, made = Path(directory) / "kernels.cpp", Path(directory) / "kernels.so"
            text.write_text(f'#include "cuda.hpp"\n{code}\n{exports}\n')
            # Fortified longjmp refuses to change stacks, which is what fibers do.
            flags = ("-std=c++17", "-O1", "-w", "-fPIC", "-shared", "-U_FORTIFY_SOURCE", f"-I{HERE}")
            subprocess.run([compiler(), *flags, *options, str(text), "-o", str(made)], check=True)
            self._library = ctypes.CDLL(str(made))

    def launch(
        self,
        kernel: str,
        blocks: int,
        threads: int,
        arguments: Sequence[Any],
        shared_bytes: int = 0,
        direction: int = UPWARDS,
    ) -> None:
        """Run a kernel; arguments are contiguous arrays and NumPy scalars, as CuPy passes them."""
        assert kernel in self.kernels, kernel
        held = [_argument(argument) for argument in arguments]
        addresses = (ctypes.c_void_p * len(held))(*(ctypes.addressof(each) for each in held))
        launch = self._library[f"launch_{kernel}"]
        status = launch(blocks, threads, ctypes.c_long(shared_bytes), direction, addresses)
        assert status == 0, f"{kernel}: {FAILURES[status]}"


@cache
def library(code: str, options: tuple[str, ...]) -> Library:
    """One compilation per source and options."""
    return Library(code, [option for option in options if option.startswith("-D")])


def _argument(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        assert value.flags.c_contiguous, "a kernel sees a pointer, not strides"
        return ctypes.c_void_p(value.__array_interface__["data"][0])
    assert isinstance(value, np.generic), f"{value!r} has no size that a kernel could know"
    return np.ctypeslib.as_ctypes_type(value.dtype)(value.item())
