"""Whatever bytes come from outside, decoders answer with a value or an error of the tree.  Spec: [ENC-TOTAL].

The stored corpus of `tests/fuzz/` is replayed, then each target meets a fixed number of changed inputs, the same ones
on every run. `python -m tests.fuzz` looks further.
"""

from __future__ import annotations

import pytest

from chain.errors import Invalid, Policy
from tests.fuzz.fuzzer import CORPUS, broken, fuzz, inputs, stored, warm_up
from tests.fuzz.make_corpus import FAMILIES
from tests.fuzz.msgpack_tokens import tokens
from tests.fuzz.targets import TARGETS, Target
from tests.work_samples import sample_certificate

DEFAULT_COUNT = 150
"""Per target: about a tenth of a second each."""
SLOW_COUNT = 40_000
MAX_CORPUS_BYTES = 300_000

EVERY_TARGET = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)


@EVERY_TARGET
def test_the_corpus_breaks_nothing(target: Target) -> None:
    warm_up()
    assert stored(target)
    findings = [broken(target, path.read_bytes(), is_traced=True) for path in stored(target)]
    assert not [finding.what for finding in findings if finding is not None]


@EVERY_TARGET
def test_changed_inputs_break_nothing(target: Target) -> None:
    assert not [(finding.what, finding.data[:200]) for finding in fuzz(target, seed=1, count=DEFAULT_COUNT)]


@pytest.mark.slow
@EVERY_TARGET
def test_many_changed_inputs_break_nothing(target: Target) -> None:
    """About a minute over all targets; dear ones get fewer."""
    count = SLOW_COUNT // 10 if target.name in ("records", "matrix") else SLOW_COUNT
    assert not [(finding.what, finding.data[:200]) for finding in fuzz(target, seed=2, count=count)]


def test_every_target_has_a_family_and_the_corpus_is_small() -> None:
    assert list(TARGETS) == list(FAMILIES)
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
    assert sum(path.stat().st_size for path in CORPUS.rglob("*.bin")) < MAX_CORPUS_BYTES


GROWING = ("records", "block", "worker", "rpc")
"""Families that follow every new record and method: old inputs of theirs are as good as new ones."""


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in GROWING])
def test_stored_inputs_are_those_the_script_makes(name: str) -> None:
    """A format that changes leaves inputs behind that test nothing: run `python -m tests.fuzz.make_corpus`."""
    made = {f"seed-{kind}.bin": data for kind, data in FAMILIES[name]()}
    kept = {path.name: path.read_bytes() for path in stored(TARGETS[name]) if path.name.startswith("seed-")}
    assert made == kept


def test_inputs_follow_from_the_seed_alone() -> None:
    target = TARGETS["certificate"]
    first, again, other = inputs(target, 5), inputs(target, 5), inputs(target, 6)
    drawn = [next(first) for _ in range(20)]
    assert drawn == [next(again) for _ in range(20)]
    assert drawn != [next(other) for _ in range(20)]


def test_the_fuzzer_sees_what_is_broken() -> None:
    """A decoder that forgets one check is found within the default count."""

    def forgetful(data: bytes) -> None:
        if data[:1] == b"\x9a":
            data[3]  # a certificate cut short

    def greedy(data: bytes) -> None:
        bytes(1 << 27)

    def proper(data: bytes) -> None:
        raise Invalid("ENC_INT", found=1, allowed=2)

    def friendly(data: bytes) -> None:
        raise Policy("MATRIX_FORMAT")

    assert [f.what for f in fuzz(Target("certificate", forgetful), 1, 500)][:1] == [
        "IndexError: index out of range"
    ]
    finding = broken(Target("p2p", greedy), b"", is_traced=True)
    assert finding is not None
    assert "bytes of memory" in finding.what
    assert broken(Target("p2p", proper), b"") is None
    assert broken(Target("p2p", friendly), b"") is None


def test_tokens_are_the_values_of_a_frame() -> None:
    data = sample_certificate().to_bytes()
    found = tokens(data)
    assert (found[0].start, found[0].end) == (0, len(data))
    assert len(found) == 1 + 10 + 5 + 2 + len(sample_certificate().path_a) + len(sample_certificate().path_b)
    assert {data[token.start : token.end] for token in found if token.end - token.start == 34} >= {
        b"\xc4\x20" + sibling for sibling in sample_certificate().path_a
    }
