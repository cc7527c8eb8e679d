"""Applies one mutation to a copy of the program and runs the tests that have to notice it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

from tests.mutations.table import Mutation

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("chain", "compute", "consensus", "genesis", "vm", "node", "p2p", "tests", "docs/spec")
COPIED_FILES = ("pyproject.toml",)
TIMEOUT_S = 120
FAILED_TEST = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)
_TESTS_FAILED = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one mutation."""

    mutation: Mutation
    caught_by: str
    """The first test that failed; empty if the mutation survived."""
    output: str


class Copy:
    """A copy of the program of which one file at a time is changed; compiled files come along, to start faster."""

    def __init__(self, root: Path) -> None:
        self._root = root
        for name in COPIED:
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("corpus"))
        for name in COPIED_FILES:
            shutil.copy(ROOT / name, root / name)

    def run(self, mutation: Mutation) -> Outcome:
        """Change, test, change back.

        Raises: ValueError if the text to change does not stand there exactly once, or if the tests could not be run.
        """
        path = self._root / mutation.path
        text = path.read_text()
        path.write_text(mutated(text, mutation))
        # Two versions of a file can be of the same size and second: the changed one is never compiled to a file.
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            compiled.unlink()
        try:
            code, output = self._pytest(mutation.tests)
        finally:
            path.write_text(text)
        if code == 0:
            return Outcome(mutation, "", output)
        # A program that cannot even be imported is an error of collection: as red as it gets. A test that is not there
        # is an error of ours, and named on no such line.
        found = FAILED_TEST.search(output)
        if found is None:
            raise ValueError(f"{mutation.name}: pytest ended with {code}\n{output[-3000:]}")
        return Outcome(mutation, found[1], output)

    def baseline(self, tests: Iterable[str]) -> None:
        """The same tests pass without any mutation.  Raises: ValueError."""
        code, output = self._pytest(tests)
        if code:
            raise ValueError(f"red without a mutation\n{output[-3000:]}")

    def _pytest(self, tests: Iterable[str]) -> tuple[int, str]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(self._root),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-x",
            "-q",
            "--tb=no",
            "-o",
            "faulthandler_timeout=0",
            *tests,
        ]
        try:
            done = subprocess.run(
                command,
                cwd=self._root,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=TIMEOUT_S,
            )
        except subprocess.TimeoutExpired:
            return _TESTS_FAILED, f"FAILED {next(iter(tests))} - did not end in {TIMEOUT_S} s\n"
        return done.returncode, done.stdout + done.stderr


def mutated(text: str, mutation: Mutation) -> str:
    """`text` with the mutation.  Raises: ValueError if its old text does not stand there exactly once."""
    count = text.count(mutation.old)
    if count != 1:
        raise ValueError(
            f"{mutation.name}: {mutation.old!r} stands {count} times in {mutation.path}, not once"
        )
    return text.replace(mutation.old, mutation.new)


def run_all(mutations: Iterable[Mutation], workers: int = 2) -> Iterator[Outcome]:
    """Every outcome, in the order of the mutations; `workers` copies are changed at the same time."""
    with _copies(workers) as copies, ThreadPoolExecutor(workers) as pool:
        yield from pool.map(lambda mutation: _on_a_free_copy(copies, mutation), mutations)


def _on_a_free_copy(copies: Queue[Copy], mutation: Mutation) -> Outcome:
    copy = copies.get()
    try:
        return copy.run(mutation)
    finally:
        copies.put(copy)


@contextmanager
def _copies(count: int) -> Iterator[Queue[Copy]]:
    with tempfile.TemporaryDirectory(prefix="tilework-mutations-") as folder:
        copies: Queue[Copy] = Queue()
        for number in range(count):
            copies.put(Copy(Path(folder) / str(number)))
        yield copies
