"""The GPU engines on a real device: correctness first, then the cost of the transcript and of whole attempts.

    python -m tests.bench.bench_gpu [--edges 8192,16384] [--profile gpu] [--engine NAME] [--rounds 7] [--json FILE]

Every engine first passes its self-test under every profile (products and tickets against the reference), and at each
edge its product is compared with cuBLAS's. Then, in interleaved rounds, CUDA-event medians of: the plain int8 product
of resident operands (gemmEx), the fused product with transcripts, the same without writing the product, and each of
the other kernels' steps; and wall-clock medians of whole attempts between two synchronisations, matrices uploaded and
the product downloaded. The targets are printed beside the ratios: at 16384, 1.15 for product and transcript, 1.25 for
the whole attempt with its operands on the device.

Without a usable GPU it says so and exits with 0; a wrong result of a GPU exits with 1.
"""

from __future__ import annotations

import argparse
import json
import secrets
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from chain.errors import LocalFault
from chain.types import Hash32
from compute.devices import list_cuda_devices
from compute.engines.base import Order, Output, self_test
from compute.engines.cuda_driver import CudaEngine, CudaPreparedB, CutBlocks
from compute.engines.cuda_mma import MmaEngine
from compute.engines.cuda_wgmma import WgmmaEngine
from compute.engines.cupy_portable import CupyEngine
from compute.entries import seeded_entries
from compute.spec.claim import NO_BINDING, Mu
from compute.spec.commit import Side
from compute.spec.padding import padded_mu
from compute.spec.profiles import LANES, PROFILES, Profile

ENGINES: tuple[type[CudaEngine], ...] = (WgmmaEngine, MmaEngine, CupyEngine)
TARGET_FUSED, TARGET_ATTEMPT, TARGET_EDGE = 1.15, 1.25, 16384
SIGMA = b"bench"
NO_WIN = 1


def usable_engines(names: list[str]) -> tuple[list[CudaEngine], int]:
    """Those that find a device and pass their self-test under every profile, and how many found one and failed."""
    found, failed = [], 0
    for kind in ENGINES:
        if names and kind.name not in names:
            continue
        engine = kind()
        capabilities = engine.probe()
        print(f"{kind.name:11s} {capabilities.detail}")
        if not capabilities.usable:
            continue
        try:
            for profile in PROFILES.values():
                self_test(engine, profile, secrets.token_bytes(32))
        except LocalFault as fault:
            print(f"{kind.name:11s} FAILED its self-test: {fault}")
            failed += 1
            continue
        print(
            f"{kind.name:11s} equals the reference under {', '.join(each.name for each in PROFILES.values())}"
        )
        found.append(engine)
    return found, failed


def bench_edge(engine: CudaEngine, profile: Profile, edge: int, rounds: int) -> dict[str, Any]:
    """Medians in milliseconds and ratios of one engine at one edge."""
    cupy = engine.cupy
    a, b_t = seeded_entries(b"bench", 0, edge, edge), seeded_entries(b"bench", 1, edge, edge)
    mu = padded_mu(profile, edge, edge, edge, NO_BINDING)
    prepared = engine.prepare_b(SIGMA, profile, mu, b_t)
    useful = Order(prepared, a, NO_WIN, Output.PRODUCT)
    resident_a, resident_b = cupy.asarray(a), cupy.asarray(b_t)
    plain = cupy.empty((edge, edge), np.int32)
    engine.multiply_int8(resident_a, resident_b, plain, accumulate=False)
    if not np.array_equal(engine.run(useful).product, cupy.asnumpy(plain)):
        raise LocalFault("WORK_SELF_TEST", found=f"a wrong product at {edge}", hint="Report this device.")

    on_device = {
        "plain": lambda: engine.multiply_int8(resident_a, resident_b, plain, accumulate=False),
        **steps(engine, prepared, mu, resident_a),
    }
    medians = event_medians_ms(cupy, on_device, rounds)
    medians |= wall_medians_ms(
        engine,
        {
            "attempt, host to host": lambda: engine.run(useful),
            "idle attempt, A seeded on it": lambda: engine.run(
                Order(prepared, engine.seeded(SIGMA, 2, edge, edge), NO_WIN, Output.TICKETS_ONLY)
            ),
            "prepare B, host to host": lambda: engine.prepare_b(SIGMA, profile, mu, b_t),
        },
        rounds,
    )
    fused = medians["product and transcript"]
    attempt = sum(medians[name] for name in ON_DEVICE_ATTEMPT)
    return {
        "engine": engine.name,
        "profile": profile.name,
        "edge": edge,
        "rounds": rounds,
        "median_ms": medians,
        "plain_tops": 2 * edge**3 / medians["plain"] / 1e9,
        "attempt_on_device_ms": attempt,
        "ratio_product_and_transcript": fused / medians["plain"],
        "ratio_attempt_on_device": attempt / medians["plain"],
        "ratio_attempt_host_to_host": medians["attempt, host to host"] / medians["plain"],
    }


ON_DEVICE_ATTEMPT = ("leaves of A", "noise of A", "product and transcript", "tickets", "denoising")
"""What an attempt with its operands on the device and B prepared consists of."""


def steps(
    engine: CudaEngine, prepared: CudaPreparedB, mu: Mu, resident_a: Any
) -> dict[str, Callable[[], object]]:
    """An attempt's steps on resident operands, each to be timed alone."""
    cupy, profile, seed = engine.cupy, prepared.profile, Hash32(bytes(32))
    noised = engine._noise(resident_a, seed, profile, engine.block_rows[0])
    counts = (mu.k // profile.segment, mu.m // profile.tile, mu.n // profile.tile, LANES)
    transcripts = cupy.zeros(counts, np.uint32)
    product = cupy.zeros((mu.m, mu.n), np.int32)

    def multiply(out: Any) -> None:
        for _ in engine._multiply(noised, prepared.noised, mu, profile, transcripts, out):
            pass

    blocks = CutBlocks(resident_a, profile, cupy.asnumpy)
    return {
        "leaves of A": lambda: engine._commit(Side.A, prepared.kappa, resident_a, blocks, profile),
        "noise of A": lambda: engine._noise(resident_a, seed, profile, engine.block_rows[0]),
        "product and transcript": lambda: multiply(product),
        "transcript without product": lambda: multiply(None),
        "tickets": lambda: engine._find_winners(seed, transcripts, NO_WIN, profile),
        "denoising": lambda: engine._subtract_noise(product, resident_a, noised, prepared),
    }


def event_medians_ms(cupy: Any, functions: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median time of the device's own clock for each, taken in turns after one warm-up."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for round_number in range(rounds + 1):
        for name, function in functions.items():
            started, ended = cupy.cuda.Event(), cupy.cuda.Event()
            started.record()
            function()
            ended.record()
            ended.synchronize()
            if round_number > 0:
                times[name].append(cupy.cuda.get_elapsed_time(started, ended))
    return {name: statistics.median(taken) for name, taken in times.items()}


def wall_medians_ms(
    engine: CudaEngine, functions: dict[str, Callable[[], object]], rounds: int
) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            started = engine.clock_ns()
            function()
            times[name].append((engine.clock_ns() - started) / 1e6)
    return {name: statistics.median(taken) for name, taken in times.items()}


def report(row: dict[str, Any]) -> None:
    print(f"\n{row['engine']}, profile {row['profile']}, {row['edge']}^3: plain {row['plain_tops']:.0f} TOPS")
    plain = row["median_ms"]["plain"]
    for name, milliseconds in row["median_ms"].items():
        print(f"  {name:28s} {milliseconds:10.3f} ms  {milliseconds / plain:6.3f} x plain")
    aim = row["edge"] == TARGET_EDGE
    for name, target in (("product_and_transcript", TARGET_FUSED), ("attempt_on_device", TARGET_ATTEMPT)):
        wanted = f"  (target {target})" if aim else ""
        print(f"  {name.replace('_', ' '):28s} {'':13s}  {row[f'ratio_{name}']:6.3f} x plain{wanted}")


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Correctness and speed of the GPU engines on a real device.")
    parser.add_argument("--edges", default="8192,16384")
    parser.add_argument("--profile", default="gpu", choices=[profile.name for profile in PROFILES.values()])
    parser.add_argument("--engine", action="append", default=[])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args(given)

    devices = list_cuda_devices()
    rows: list[dict[str, Any]] = []
    failed = 0
    if not devices.devices:
        print(f"No GPU could be used here: {devices.reason}. Nothing was measured.")
    else:
        for device in devices.devices:
            print(
                f"{device.name}, compute capability {device.compute_capability}, driver {device.driver_version}"
            )
        engines, failed = usable_engines(arguments.engine)
        if not engines:
            print("No GPU engine could be used here. Nothing was measured.")
        (profile,) = (each for each in PROFILES.values() if each.name == arguments.profile)
        for edge in map(int, arguments.edges.split(",")):
            for engine in engines:
                try:
                    rows.append(bench_edge(engine, profile, edge, arguments.rounds))
                except LocalFault as fault:
                    print(f"\n{engine.name} at {edge}: {fault}")
                    failed += 1
                    continue
                report(rows[-1])
    if arguments.json is not None:
        names = [device.name for device in devices.devices]
        measured = {"unix_time": int(time.time()), "devices": names, "reason": devices.reason, "rows": rows}
        arguments.json.write_text(json.dumps(measured, indent=2) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
