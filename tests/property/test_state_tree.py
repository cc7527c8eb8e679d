"""The state tree against a naive reference, over random histories.  Spec: [STATE-ROOT], [STATE-PROOF], [STATE-UNDO]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from chain.hashing import Tag, h256
from chain.kv import MemoryKV, Sync
from chain.state import (
    AbsenceProof,
    InclusionProof,
    StateTree,
    decode_undo,
    encode_undo,
    verify_absence,
    verify_inclusion,
)
from chain.state.pages import PAGE_ENTRIES
from chain.state.proofs import Step, Witness
from chain.types import Hash32, StateKey

# Keys crowd together under few prefixes, so that pages are cut at depth and neighbours differ in late bits only.
KEYS = st.builds(
    lambda head, tail: StateKey((head + bytes(32))[: 32 - len(tail)] + tail),
    st.sampled_from([b"", b"\xff" * 30, b"\x80", b"\x12\x34", b"\x12\x35", bytes(31)]),
    st.binary(min_size=1, max_size=2),
)
CHANGES = st.dictionaries(KEYS, st.none() | st.binary(max_size=5), max_size=60)


def naive_root(state: Mapping[StateKey, bytes]) -> Hash32:
    """The definition, word for word: split at the first bit in which the keys differ."""
    return _naive(
        [(format(int.from_bytes(key, "big"), "0256b"), key, state[key]) for key in sorted(state)], 0
    )


def _naive(entries: list[tuple[str, StateKey, bytes]], depth: int) -> Hash32:
    if not entries:
        return Hash32(bytes(32))
    if len(entries) == 1:
        return h256(Tag.STATE_LEAF, entries[0][1] + entries[0][2])
    left = [entry for entry in entries if entry[0][depth] == "0"]
    right = [entry for entry in entries if entry[0][depth] == "1"]
    if not left or not right:
        return _naive(entries, depth + 1)
    return h256(Tag.STATE_NODE, bytes([depth]) + _naive(left, depth + 1) + _naive(right, depth + 1))


def changed(
    state: Mapping[StateKey, bytes], changes: Mapping[StateKey, bytes | None]
) -> dict[StateKey, bytes]:
    merged = {**state, **changes}
    return {key: value for key, value in merged.items() if value is not None}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(CHANGES, st.sampled_from(["keep", "undo", "discard", "reload"])), max_size=8))
def test_random_histories(history: list[tuple[dict[StateKey, bytes | None], str]]) -> None:
    store = MemoryKV()
    tree = StateTree.load(store, cache_bytes=4000)
    state: dict[StateKey, bytes] = {}
    for changes, what in history:
        before = tree.root
        staged = tree.stage(changes)
        assert tree.root == before
        assert staged.root == naive_root(changed(state, changes))
        if what == "discard":
            continue
        store.write(staged.writes, sync=Sync.DURABLE)
        tree.apply(staged)
        assert tree.root == staged.root
        if what == "undo":
            back = tree.stage(dict(decode_undo(encode_undo(staged.undo))))
            store.write(back.writes, sync=Sync.DURABLE)
            tree.apply(back)
            assert tree.root == before
        else:
            state = changed(state, changes)
        if what == "reload":
            tree = StateTree.load(store)
        assert tree.root == naive_root(state)
        assert list(tree.items()) == sorted(state.items())
        for key in changes:
            assert tree.get(key) == state.get(key)
    assert StateTree.load(store).root == tree.root


def test_the_layout_never_shows() -> None:
    """One big batch, single inserts and inserts after deletions make the same root; pages stay small."""
    numbers = range(3 * PAGE_ENTRIES)
    state = {h256(Tag.STATE_KEY, bytes([number])): bytes([number]) for number in numbers}
    state |= {StateKey(b"\xaa" * 31 + bytes([number])): b"x" for number in numbers}
    roots = []
    for order in (sorted(state), sorted(state, reverse=True)):
        store = MemoryKV()
        tree = StateTree.load(store)
        for key in order:
            for value in (b"first", None, state[key]):
                staged = tree.stage({StateKey(key): value})
                store.write(staged.writes, sync=Sync.DURABLE)
                tree.apply(staged)
        roots.append(tree.root)
        assert all(len(data) <= PAGE_ENTRIES * 37 for _, data in store.iterate(b"p"))
    whole = StateTree.load(MemoryKV()).stage({StateKey(key): value for key, value in state.items()})
    assert roots == [whole.root] * 2 == [naive_root(state)] * 2


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(KEYS, st.binary(max_size=5), max_size=80), st.lists(KEYS, max_size=20))
def test_proofs_are_complete_and_sound(state: dict[StateKey, bytes], asked: list[StateKey]) -> None:
    store = MemoryKV()
    tree = StateTree.load(store)
    staged = tree.stage(state)
    store.write(staged.writes, sync=Sync.DURABLE)
    tree.apply(staged)
    root = tree.root
    held = {key: tree.prove(key) for key in state}
    for key, proof in held.items():
        assert proof is not None
        assert proof == InclusionProof.from_bytes(proof.to_bytes())
        assert proof.value == state[key]
        assert verify_inclusion(root, key, proof)
        assert tree.prove_absent(key) is None
        for false in _damaged(proof):
            assert not verify_inclusion(root, key, false)
        # No entry of the tree, presented with its true path, shows that a present key is absent.
        for other, other_proof in held.items():
            assert other_proof is not None
            witness = Witness(other, other_proof.value, other_proof.path)
            assert not verify_absence(root, key, AbsenceProof((witness,)))
    for key in asked:
        if key in state:
            continue
        assert tree.prove(key) is None
        absent = tree.prove_absent(key)
        assert absent is not None
        assert absent == AbsenceProof.from_bytes(absent.to_bytes())
        assert verify_absence(root, key, absent)
        assert not any(verify_inclusion(root, key, proof) for proof in held.values() if proof)
        if state:
            assert not verify_absence(root, key, AbsenceProof(()))
            (witness,) = absent.witness
            assert not verify_absence(
                root, key, AbsenceProof((replace(witness, value=witness.value + b"x"),))
            )


def _damaged(proof: InclusionProof) -> list[InclusionProof]:
    """One lie per part of a proof."""
    path = proof.path
    lies = [
        replace(proof, value=proof.value + b"x"),
        replace(proof, path=(*path, Step(0, Hash32(bytes(32))))),
    ]
    for at, step in enumerate(path):
        others = (
            (),
            (replace(step, depth=step.depth ^ 1),),
            (replace(step, sibling=Hash32(bytes(32))),),
            (step, step),
        )
        lies += [replace(proof, path=(*path[:at], *other, *path[at + 1 :])) for other in others]
    return lies
