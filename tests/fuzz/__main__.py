"""Fuzz by hand: `python -m tests.fuzz [target ...] [--seconds N] [--seed N] [--out DIR]`.

Every input that broke something is written under --out; put it into `tests/fuzz/corpus/TARGET/` once it is mended.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.fuzz.fuzzer import MEMORY_EVERY, broken, inputs, warm_up
from tests.fuzz.targets import TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", nargs="*", choices=[[], *TARGETS], help="all of them if none is named")
    parser.add_argument("--seconds", type=float, default=60, help="altogether")
    parser.add_argument(
        "--seed", type=int, default=time.time_ns() // 1_000_000, help="printed, to do it again"
    )
    parser.add_argument("--out", type=Path, default=Path("fuzz-findings"))
    options = parser.parse_args()

    chosen = [TARGETS[name] for name in options.target or TARGETS]
    total = 0
    warm_up()
    for target in chosen:
        until = time.monotonic() + options.seconds / len(chosen)
        count, seen = 0, set()
        for data in inputs(target, options.seed):
            if time.monotonic() > until:
                break
            finding = broken(target, data, is_traced=count % MEMORY_EVERY == 0)
            count += 1
            if finding is not None and finding.what[:60] not in seen:
                seen.add(finding.what[:60])
                folder = options.out / target.name
                folder.mkdir(parents=True, exist_ok=True)
                (folder / finding.file_name).write_bytes(data)
                print(f"{target.name}: {finding.what}: {folder / finding.file_name}")
        total += len(seen)
        print(f"{target.name}: {count} inputs of seed {options.seed}, {len(seen)} kinds of findings")
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
