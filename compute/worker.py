"""The worker process: `python -m compute.worker --engine auto|NAME [--exclude NAME]…`.

Speaks the frames of compute/messages.py on standard input and output; people and errors get standard error. It lives as
long as its standard input is open, so it never outlives the node that started it.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys

DEFAULT_NICE = 10
"""Mining gives way to the node's own work."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m compute.worker", description=__doc__)
    parser.add_argument("--engine", default="auto", help="auto, or the name of an engine")
    parser.add_argument(
        "--exclude", action="append", default=[], metavar="NAME", help="an engine that auto must not take"
    )
    parser.add_argument("--profile", type=int, default=2, help="profile id of the start-up self-test")
    parser.add_argument(
        "--nice", type=int, default=DEFAULT_NICE, help="added to the niceness of this process"
    )
    options = parser.parse_args(arguments)

    # One BLAS thread: with more, BLAS collapses as soon as another process wants a core. Read when NumPy is imported.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    os.nice(options.nice)
    # Ctrl-C reaches the whole process group; the node decides when its worker stops.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Whatever a library prints must not enter the event stream.
    events = os.dup(1)
    os.dup2(2, 1)

    from chain.errors import TileworkError
    from chain.types import NO_JOB
    from compute.messages import MAX_TEXT_BYTES, Failed, Trying, to_frame
    from compute.service import Service
    from compute.start import first_engine
    from compute.workbench import Workbench, profile_of

    with open(events, "wb", buffering=0) as sink, open(0, "rb", buffering=0, closefd=False) as source:
        try:
            engine, detail = first_engine(
                options.engine,
                frozenset(options.exclude),
                profile_of(options.profile),
                os.urandom(32),
                lambda name: sink.write(to_frame(Trying(name))),
            )
        except TileworkError as error:
            print(error, file=sys.stderr)
            sink.write(to_frame(Failed(code=error.code, text=str(error)[:MAX_TEXT_BYTES], job=NO_JOB)))
            return 2
        try:
            return Service(Workbench(engine), source, sink).run(detail)
        except BrokenPipeError:
            return 0


if __name__ == "__main__":
    sys.exit(main())
