"""The loop: take a stored input, change it, run the target, keep what broke the promise.

Input number i of a seed is always the same bytes, so a finding is reproduced by its numbers, and a run of a given count
by anybody. No coverage is measured: the corpus holds one valid input of every kind, and mutations know the format.
"""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from chain.errors import TileworkError
from tests.fuzz.mutate import mutated
from tests.fuzz.targets import TARGETS, Target

CORPUS = Path(__file__).parent / "corpus"
MEMORY_EVERY = 32
"""Tracing memory is slow; every so many inputs are run under it."""
MEMORY_FACTOR = 120
MEMORY_CONSTANT = 4 << 20


@dataclass(frozen=True, slots=True)
class Finding:
    """An input after which something else than a value or an error of the tree came."""

    target: str
    data: bytes
    what: str

    @property
    def file_name(self) -> str:
        return f"found-{hashlib.sha256(self.data).hexdigest()[:16]}.bin"


def warm_up() -> None:
    """Make what targets make once: modules, layouts of records, the known certificate."""
    for target in TARGETS.values():
        broken(target, b"")


def stored(target: Target) -> list[Path]:
    """The corpus of a target, in a fixed order."""
    return sorted((CORPUS / target.name).glob("*.bin"))


def broken(target: Target, data: bytes, is_traced: bool = False) -> Finding | None:
    """What running `target` on `data` breaks, if anything."""
    if is_traced:
        tracemalloc.start()
    try:
        target.run(data)
    except TileworkError as error:
        what = "" if str(error).isprintable() else "an error that is not printable"
    except Exception as error:  # noqa: BLE001 - this is what is looked for
        what = f"{type(error).__name__}: {error}"[:300]
    else:
        what = ""
    finally:
        if is_traced:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    if is_traced and not what and peak > MEMORY_FACTOR * len(data) + MEMORY_CONSTANT:
        what = f"{peak} bytes of memory"
    return Finding(target.name, data, what) if what else None


def inputs(target: Target, seed: int) -> Iterator[bytes]:
    """Changed inputs without end."""
    pool = [path.read_bytes() for path in stored(target)]
    assert pool, f"no corpus for {target.name}: python -m tests.fuzz.make_corpus"
    number = 0
    while True:
        random = Random(f"{target.name}/{seed}/{number}")
        yield mutated(random.choice(pool), random.choice(pool), random, target.words)
        number += 1


def fuzz(target: Target, seed: int, count: int) -> list[Finding]:
    """Run `count` inputs; the findings."""
    warm_up()
    found = []
    for number, data in zip(range(count), inputs(target, seed), strict=False):
        finding = broken(target, data, is_traced=number % MEMORY_EVERY == 0)
        if finding is not None:
            found.append(finding)
    return found
