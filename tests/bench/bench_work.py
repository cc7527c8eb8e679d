"""Every ratio that the work is held to, measured in one run, each with its target beside it.

    python -m tests.bench.bench_work [--rounds N] [--sizes 1024,2048,4096] [--gpu-size 16384]

CPU time of one thread, medians of interleaved rounds (on a GPU the time of the device). An attempt is everything that
a wanted product takes: commitment and noise of both operands, product and transcript, tickets, denoising; the yardstick
is the plain exact product of the same engine. Nothing is asserted: a busy machine makes no test red.
"""

from __future__ import annotations

import argparse
import secrets
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from compute.blas_threads import use_one_blas_thread

use_one_blas_thread()

from chain.errors import TileworkError  # noqa: E402  NumPy reads the number of threads when it is imported
from compute.bench import certificate_cost  # noqa: E402
from compute.engines.base import Engine, Stage  # noqa: E402
from compute.engines.measure import BenchRow, measure  # noqa: E402
from compute.engines.select import CPU_ENGINES, ENGINES, GPU_ENGINES, choose_engine  # noqa: E402
from compute.entries import seeded_entries  # noqa: E402
from compute.spec.freivalds import find_wrong_row  # noqa: E402
from compute.spec.profiles import CPU, DEV, GPU, PROFILES, Profile  # noqa: E402
from node.cli.bench import heading, shares, table_line  # noqa: E402

SMALL_TILES = replace(GPU, profile_id=101, name="t16", tile=16)
"""Certificates of half the size of `gpu`; not one of the chain's profiles."""
LONG_SEGMENTS = replace(CPU, profile_id=102, name="s1024", segment=1024)
"""A quarter of the tickets and of the commitment's blocks of `cpu`; not one of the chain's profiles."""
SIZES = (1024, 2048, 4096)
FREIVALDS_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Target:
    """A figure and the bound it is held to."""

    what: str
    measured: float
    bound: float
    unit: str = ""

    def line(self) -> str:
        verdict = "ok" if self.measured <= self.bound else "MISSED"
        measured, bound = f"{self.measured:.2f}{self.unit}", f"{self.bound:g}{self.unit}"
        return f"{self.what:<72} {measured:>10}   target {bound:>8}   {verdict}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--sizes", default=",".join(map(str, SIZES)), help="edges of the cubes measured on the CPU"
    )
    parser.add_argument("--gpu-size", type=int, default=16_384)
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]

    targets = [*certificates()]
    rows = {size: cubes(CPU, size, options.rounds, usable(CPU_ENGINES, CPU)) for size in sizes}
    targets += [target for size in sizes for target in cpu_targets(size, rows[size])]
    numba = [engine for engine in usable(CPU_ENGINES, LONG_SEGMENTS) if engine.name == "numba"]
    for row in cubes(LONG_SEGMENTS, max(sizes), options.rounds, numba).values():
        if row.m >= 4096:
            targets.append(Target(f"numba attempt / plain at {row.m}, S = 1024", row.ratio, 1.25))
    gpus = usable(GPU_ENGINES, GPU)
    for row in cubes(GPU, options.gpu_size, options.rounds, gpus).values():
        targets += gpu_targets(row)
    useful_over_junk(rows[max(sizes)].values())
    freivalds(max(sizes))

    print("\nTargets")
    for target in targets:
        print(target.line())
    if not gpus:
        print("GPU targets: not measured, no GPU engine is usable here.")


def usable(engines: Sequence[type[Engine]], profile: Profile) -> list[Engine]:
    """Those that pass their self-test, without the reference; the others with the reason."""
    found = []
    for engine in engines:
        if engine.name == "reference":
            continue
        try:
            found.append(choose_engine(engine.name, profile, secrets.token_bytes(32))[0])
        except TileworkError as error:
            print(f"{engine.name} is not measured under {profile.name}: {error.found}")
    return found


def certificates() -> Iterator[Target]:
    """Size and check of a certificate of a 4096 product, under every profile and one that only this file knows."""
    print("\nCertificates of a product of 4096 (1024 under test), checked by one CPU thread")
    for profile in (*PROFILES.values(), SMALL_TILES):
        edge = min(4096, profile.max_m)
        cost = certificate_cost(profile, (edge, edge, edge))
        size_kb, verify_ms = cost.size_bytes / 1000, cost.verify_ns / 1e6
        name = f"t = {profile.tile}, S = {profile.segment}"
        print(
            f"  {profile.name:<6} {name:<18} r = {profile.noise_rank:<4} {size_kb:8.1f} KB {verify_ms:8.2f} ms"
        )
        if profile in (DEV, SMALL_TILES):
            yield Target(f"verify one certificate, {name}", verify_ms, 0.5 if profile is DEV else 3, " ms")
            yield Target(f"size of a certificate, {name}", size_kb, 18 if profile is DEV else 140, " KB")


def cubes(profile: Profile, size: int, rounds: int, engines: Sequence[Engine]) -> dict[str, BenchRow]:
    """One row per engine, interleaved, printed."""
    if not engines:
        return {}
    print(f"\nProfile {profile.name}: r = {profile.noise_rank}, t = {profile.tile}, S = {profile.segment}")
    print(heading())
    cost, rows = certificate_cost(profile, (size, size, size)), measure(engines, profile, (size,) * 3, rounds)
    for row in rows:
        print(table_line(row, cost))
        print(shares(row))
    return {row.engine: row for row in rows}


def cpu_targets(size: int, rows: dict[str, BenchRow]) -> Iterator[Target]:
    """What the CPU engines are held to at this size."""
    numpy, numba = rows.get("numpy"), rows.get("numba")
    if numpy is not None and size >= 4096:
        yield Target(f"numpy attempt / plain at {size}", numpy.ratio, 1.65)
        yield Target(f"numpy noise + commitment + tickets at {size}", 100 * numpy.lottery_share, 8, " %")
    if numba is not None and size >= 2048:
        yield Target(f"numba attempt / plain at {size}", numba.ratio, 1.45 if size >= 4096 else 1.65)
    if numba is not None and size >= 4096:
        yield Target(f"numba noise + commitment + tickets at {size}", 100 * numba.lottery_share, 15, " %")
    if numba is not None and numpy is not None and size >= 1024:
        yield Target(f"numba attempt / numpy plain at {size}", numba.attempt_ns / numpy.plain_ns, 1)


def gpu_targets(row: BenchRow) -> Iterator[Target]:
    """What a GPU engine is held to."""
    place = f"{row.engine} at {row.m}"
    yield Target(f"{place}: product and transcript / plain", row.stage_ns[Stage.PRODUCT] / row.plain_ns, 1.15)
    yield Target(f"{place}: attempt / plain", row.ratio, 1.25)


def useful_over_junk(rows: Sequence[BenchRow] | Iterator[BenchRow]) -> None:
    """What a ticket costs somebody whose product is wanted, over somebody who multiplies anything and keeps B."""
    print("\nCost per ticket of an honest useful miner over a junk miner (random A, one B, no product)")
    for row in rows:
        new_b, kept_b = row.attempt_ns / row.tickets_only_ns, row.product_ns / row.tickets_only_ns
        print(
            f"  {row.engine:<10} {row.m:>6}: {new_b:.3f} with a new B per attempt, {kept_b:.3f} with B prepared once"
        )


def freivalds(size: int) -> None:
    """What checking a claimed product costs somebody who has the matrices."""
    a, b_t = seeded_entries(b"bench", 0, size, size), seeded_entries(b"bench", 1, size, size)
    product = ENGINES["numpy"]().plain(a, b_t)
    times_ns = []
    for _ in range(FREIVALDS_ROUNDS):
        started_ns = time.process_time_ns()
        assert find_wrong_row(a, b_t, product, bytes(32)) is None
        times_ns.append(time.process_time_ns() - started_ns)
    print(f"\nFreivalds' check of a product of {size}: {statistics.median(times_ns) / 1e6:.1f} ms")


if __name__ == "__main__":
    main()
