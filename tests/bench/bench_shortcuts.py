"""What shortcuts cost per valid ticket, relative to honest work of the same shape; at least 0.9 is wanted.

    python -m tests.bench.bench_shortcuts [test | dev | cpu]

Operations are counted, not timed (tests/attacks/counting.py). `x1` prices a word operation like one
multiply-accumulate, the rate most generous to an attacker, `x4` like four, as AVX512-VNNI does; `product` leaves out
the hashing, whose share shrinks as shapes grow. Replays, other arithmetic and missing rules are counted under the test
profile alone; `dev` and `cpu` show the choices of input at larger shapes.

The only clock is in the last table: CPU time per ticket of the NumPy engine on degenerate matrices, relative to random
ones, medians of interleaved rounds.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import statistics
import sys
import time
from collections.abc import Iterable

import numpy as np

from compute.engines.base import Order, Output
from compute.engines.numpy_blocks import NumpyEngine
from compute.spec.claim import NO_BINDING
from compute.spec.padding import padded_mu
from compute.spec.profiles import CPU, DEV, GPU
from tests.attacks.arithmetic import NOISE_BITS, NOISED_BITS, table_words_per_mac
from tests.attacks.catalogue import ARITHMETIC, CHOICES_OF_INPUT, REPLAYS, Attack
from tests.attacks.counterfactuals import COUNTERFACTUALS
from tests.attacks.counting import VECTOR_WORD_COST, Yield
from tests.attacks.settings import SIGMA, SMALL, Setting, honest

SETTINGS = {"test": SMALL, "dev": Setting(DEV, 1024, 1024, 512), "cpu": Setting(CPU, 1024, 1024, 256)}
ROUNDS = 9


def print_head(title: str) -> None:
    print(f"\n{title:36s} {'x1':>6s} {'x4':>6s} {'product':>8s}")


def print_row(name: str, outcome: Yield, yardstick: Yield, remark: str) -> None:
    print(
        f"{name:36s} {outcome.relative_to(yardstick):6.3f} {outcome.relative_to(yardstick, VECTOR_WORD_COST):6.3f}"
        f" {outcome.product_relative_to(yardstick):8.3f}   {remark}",
        flush=True,
    )


def bench_attacks(title: str, attacks: Iterable[Attack], setting: Setting | None = None) -> None:
    print_head(title)
    for attack in attacks:
        place = setting or attack.setting
        print_row(attack.name, attack.run(place), honest(place), f"{attack.tries} [{attack.rule}]")


def bench_missing_rules() -> None:
    print_head("one rule missing")
    for missing in COUNTERFACTUALS:
        yardstick = honest(missing.setting)
        with missing.without():
            outcome = missing.run(missing.setting)
        print_row(missing.name, outcome, yardstick, f"{missing.tries} [{missing.rule}]")


def bench_tables() -> None:
    """Additions that replace one multiply-accumulate, the loads being free."""
    print("\ntables of sums, additions per multiply-accumulate: zero and random matrices")
    for profile, rows in ((DEV, 2048), (CPU, 4096), (CPU, 16_384), (GPU, 65_536)):
        zero, noised = (
            table_words_per_mac(profile.noise_rank, rows, planes) for planes in (NOISE_BITS, NOISED_BITS)
        )
        print(f"{f'{profile.name}, {rows} rows':36s} {zero:6.2f} {noised:6.2f}")


def bench_engine(setting: Setting) -> None:
    """The engine that everybody has, on matrices it might find easier."""
    profile, engine = setting.profile, NumpyEngine()
    mu = padded_mu(profile, setting.m, setting.n, setting.k, NO_BINDING)
    zero_a, zero_b = setting.zeros()
    random_a, random_b = setting.random()
    one = np.ones_like(random_a)
    inputs = {
        "random": (random_a, random_b),
        "zero": (zero_a, zero_b),
        "zero A": (zero_a, random_b),
        "identity": (np.eye(setting.m, setting.k, dtype=np.int8), random_b),
        "equal rows": (one * random_a[0], np.ones_like(random_b) * random_b[0]),
    }
    times: dict[str, list[float]] = {name: [] for name in inputs}
    for _ in range(ROUNDS):
        for name, (a, b_t) in inputs.items():
            started = time.process_time()
            engine.run(Order(engine.prepare_b(SIGMA, profile, mu, b_t), a, 1, Output.TICKETS_ONLY))
            times[name].append(time.process_time() - started)
    print(f"\ntime of the {engine.name} engine per ticket, relative to random matrices")
    for name, taken in times.items():
        print(f"{name:36s} {statistics.median(taken) / statistics.median(times['random']):6.2f}")


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "test"
    setting = SETTINGS[name]
    print(f"profile {name}, m n k = {setting.m} {setting.n} {setting.k}")
    share = float(honest(setting).per_ticket()) / setting.profile.cube_macs
    print(f"an honest ticket costs {share:.3f} of its cube, everything counted at x1")
    bench_attacks("choices of input", CHOICES_OF_INPUT, setting)
    if name == "test":
        bench_attacks("paid twice", REPLAYS)
        bench_attacks("other arithmetic", ARITHMETIC)
        bench_missing_rules()
        bench_tables()
    bench_engine(setting)


if __name__ == "__main__":
    main()
