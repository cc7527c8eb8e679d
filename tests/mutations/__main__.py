"""Run mutations by hand: `python -m tests.mutations [--write] [words of their names]`.

With --write the table of which test caught which mutation, `tests/mutations/README.md`, is made anew.
"""

from __future__ import annotations

import argparse
import sys

from tests.mutations.report import PATH, report
from tests.mutations.runner import Outcome, run_all
from tests.mutations.table import MUTATIONS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("words", nargs="*", help="only mutations whose name or file has one of these")
    parser.add_argument("--write", action="store_true", help=f"write {PATH.name}")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    chosen = [
        mutation
        for mutation in MUTATIONS
        if not options.words or any(word in f"{mutation.name} {mutation.path}" for word in options.words)
    ]
    outcomes: list[Outcome] = []
    for outcome in run_all(chosen, options.workers):
        print(f"{outcome.mutation.name} -> {outcome.caught_by or 'SURVIVED'}", flush=True)
        outcomes.append(outcome)
    survivors = [outcome for outcome in outcomes if not outcome.caught_by]
    print(f"{len(outcomes)} mutations, {len(survivors)} survived")
    if options.write and not options.words:
        PATH.write_text(report(outcomes))
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
