"""Proof files over random states: every key, there or not, has a proof that holds; nothing else does.

Spec: [STATE-FILE], [STATE-PROOF].
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain.errors import TileworkError
from chain.ledger import Namespace
from chain.state.proofs import AbsenceProof, InclusionProof
from chain.state_proof import StateProof, parse, to_json
from chain.types import Hash32
from tests.state_proof_cases import ProvingState, accounts, address

PLACES = st.tuples(st.sampled_from(Namespace), st.binary(max_size=32))
STATES = st.dictionaries(PLACES, st.binary(max_size=40), max_size=80)


@settings(max_examples=80, deadline=None)
@given(STATES, st.lists(PLACES, max_size=10))
def test_random_keys_verify_after_a_way_through_a_file(
    entries: dict[tuple[Namespace, bytes], bytes], others: list[tuple[Namespace, bytes]]
) -> None:
    state = ProvingState(entries)
    for place in [*list(entries)[:10], *others]:
        read = parse(to_json(state.prove(*place)))
        read.check()
        assert read.value == entries.get(place)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 400), st.data())
def test_a_proof_shows_nothing_but_what_it_was_made_for(count: int, data: st.DataObject) -> None:
    """Another value, another identifier, a proof of the other sort, another state: each is refused."""
    state = accounts(count)
    one, two = data.draw(st.permutations(range(min(count, 9))))[:2]
    proof = state.prove(Namespace.ACCOUNT, address(one))
    assert isinstance(proof.proof, InclusionProof)
    proof.check()
    absent = state.prove(Namespace.ACCOUNT, address(count + 5))
    assert isinstance(absent.proof, AbsenceProof)
    absent.check()
    wrong = [
        replace(proof, identifier=address(two)),
        replace(proof, namespace=Namespace.VALIDATOR),
        replace(proof, proof=replace(proof.proof, value=proof.proof.value + b"\0")),
        replace(proof, proof=replace(proof.proof, path=proof.proof.path[1:])),
        replace(proof, proof=replace(proof.proof, path=proof.proof.path[::-1])) if count > 2 else None,
        replace(proof, header=replace(state.header, state_root=Hash32(b"\1" * 32))),
        replace(absent, identifier=address(one)),
        replace(absent, identifier=address(two)),
        replace(absent, proof=AbsenceProof(())),
    ]
    for forged in wrong:
        if forged is None or forged == proof:
            continue
        with pytest.raises(TileworkError, match="STATE_PROOF_ROOT"):
            parse(to_json(forged)).check()


def refused(data: bytes) -> bool:
    try:
        parse(data).check()
    except TileworkError:
        return True
    return False


def proofs() -> list[StateProof]:
    """There, and absent before the first key, between two keys and after the last one."""
    state = accounts(300)
    keys = sorted(state.prove(Namespace.ACCOUNT, address(i)).key for i in range(300))
    found: dict[str, StateProof] = {"there": state.prove(Namespace.ACCOUNT, address(17))}
    for number in range(300, 20_000):
        proof = state.prove(Namespace.ACCOUNT, address(number))
        where = "before" if proof.key < keys[0] else "after" if proof.key > keys[-1] else "between"
        found.setdefault(where, proof)
        if len(found) == 4:
            break
    assert len(found) == 4
    return list(found.values())


def test_every_bit_flip_of_a_file_fails() -> None:
    """All bits of four whole files."""
    flipped = 0
    for proof in proofs():
        data = to_json(proof)
        assert not refused(data)
        for bit in range(8 * len(data)):
            changed = bytearray(data)
            changed[bit >> 3] ^= 1 << (bit & 7)
            assert refused(bytes(changed)), bit
            flipped += 1
    assert flipped > 40_000


def test_every_bit_flip_of_the_proof_inside_fails_by_itself() -> None:
    """Whatever the text around it says: the canonical bytes of path, value and witness, each bit of them."""
    for proof in proofs():
        kind, data = type(proof.proof), proof.proof.to_bytes()
        for bit in range(8 * len(data)):
            changed = bytearray(data)
            changed[bit >> 3] ^= 1 << (bit & 7)
            with pytest.raises(TileworkError):
                replace(proof, proof=kind.from_bytes(bytes(changed))).check()


def test_every_bit_of_the_key_counts() -> None:
    for proof in proofs():
        for bit in range(8 * len(proof.identifier)):
            changed = bytearray(proof.identifier)
            changed[bit >> 3] ^= 1 << (bit & 7)
            other = replace(proof, identifier=bytes(changed))
            if proof.value is not None:
                with pytest.raises(TileworkError, match="STATE_PROOF_ROOT"):
                    other.check()
