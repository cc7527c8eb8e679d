"""How fast the miners of a local network will multiply, measured on this machine with all of them at once.

Several miners share cores, caches and memory bandwidth, so the rate of one is not simply multiplied: as many processes
as there will be miners measure at the same time, each on one thread as a worker runs, and their rates are added.

A measuring process (`python -m node.devnet.rate PROFILE_ID DURATION_MS`) says `ready`, waits for a line, and prints
its rate; so all of them start together, however long each took to load.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from typing import IO

from chain.errors import LocalFault
from node.devnet.environment import process_environment

LEFT_FOR_MINING_PERCENT = 80
"""The rest goes to the nodes themselves: every one of them verifies, executes and gossips on the same cores."""


def measure_mining(miners: int, profile_id: int, duration_ms: int) -> int:
    """MAC/s that `miners` workers reach together beside their nodes; takes `duration_ms` and the start of processes.

    Raises: LocalFault DEVNET_MEASURE if a measuring process fails.
    """
    command = [sys.executable, "-m", "node.devnet.rate", str(profile_id), str(duration_ms)]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    command,
                    env=process_environment(),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(miners)
        ]
        for process in processes:
            _line(process.stdout)
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        total = sum(int(_line(process.stdout)) for process in processes)
    return total * LEFT_FOR_MINING_PERCENT // 100


def _line(output: IO[str] | None) -> str:
    assert output is not None
    line = output.readline()
    if not line:
        raise LocalFault(
            "DEVNET_MEASURE", found="a measuring process that failed", hint="Its last words stand above."
        )
    return line


def _measure(profile_id: int, duration_ms: int) -> None:
    from compute.bench import measure_rate
    from compute.engines.select import AUTO, choose_engine
    from compute.spec.profiles import PROFILES

    profile = PROFILES[profile_id]
    engine, _ = choose_engine(AUTO, profile, os.urandom(32))
    print("ready", flush=True)
    sys.stdin.readline()
    print(measure_rate(engine, profile, duration_ms), flush=True)


if __name__ == "__main__":
    _measure(int(sys.argv[1]), int(sys.argv[2]))
