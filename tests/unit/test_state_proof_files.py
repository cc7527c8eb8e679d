"""What a proof file may look like, and what checking one needs.  Spec: [STATE-FILE]."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chain.errors import Invalid
from chain.kv import MemoryKV
from chain.ledger import Namespace
from chain.state import AbsenceProof, InclusionProof, StateTree
from chain.state.proofs import MAX_PROOF_BYTES, Step
from chain.state.reader import MAX_VALUE_BYTES
from chain.state_proof import MAX_FILE_BYTES, MAX_IDENTIFIER_BYTES, namespace_named, parse, to_form, to_json
from chain.types import Hash32
from tests.state_proof_cases import ProvingState, accounts, address

ROOT = Path(__file__).resolve().parents[2]
STATE = accounts(50)
PROOF = STATE.prove(Namespace.ACCOUNT, address(3))


def text(**changes: Any) -> bytes:
    return (json.dumps(to_form(PROOF) | changes, indent=1) + "\n").encode()


def without(name: str) -> bytes:
    form = to_form(PROOF)
    del form[name]
    return json.dumps(form, indent=1).encode() + b"\n"


def test_a_file_says_the_same_after_reading() -> None:
    assert parse(to_json(PROOF)) == PROOF
    absent = STATE.prove(Namespace.ACCOUNT, address(99))
    assert parse(to_json(absent)) == absent
    assert absent.value is None


@pytest.mark.parametrize("name", to_form(PROOF))
def test_every_field_is_needed(name: str) -> None:
    with pytest.raises(Invalid, match=r"STATE_PROOF_F|ENC_"):
        parse(without(name))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format", "tilework-state-proof-2"),
        ("chain_id", "other"),
        ("height", 8),
        ("height", "7"),
        ("height", 10**4000),
        ("block", "00" * 32),
        ("namespace", "accounts"),
        ("namespace", 1),
        ("identifier", "zz"),
        ("identifier", "00" * (MAX_IDENTIFIER_BYTES + 1)),
        ("key", "11" * 32),
        ("present", 1),
        ("header", 5),
        ("proof", None),
        ("proof", to_form(STATE.prove(Namespace.ACCOUNT, address(99)))["proof"]),
    ],
)
def test_a_field_that_contradicts_the_others_is_named(name: str, value: Any) -> None:
    with pytest.raises(Invalid, match=r"STATE_PROOF_FIELD|ENC_") as caught:
        parse(text(**{name: value}))
    assert name in str(caught.value) or caught.value.code.startswith("ENC_")
    assert len(str(caught.value)) < 600


def test_an_identifier_must_have_the_key_beside_it() -> None:
    with pytest.raises(Invalid, match="STATE_PROOF_FIELD: found key"):
        parse(text(identifier=address(4).hex()))


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"\xff" + data,
        lambda data: b"[1]",
        lambda data: b"",
        lambda data: b"[" * 100_000,
        lambda data: data[:-1],
        lambda data: data + b" ",
        lambda data: data.replace(b"\n", b""),
        lambda data: data.replace(b'"height": 7', b'"height": 7.0'),
        lambda data: data.replace(b'"present": true', b'"present": 1'),
        lambda data: data.replace(b'{\n "format"', b'{\n "note": "hi",\n "format"'),
        lambda data: data.replace(b'{\n "format"', b'{\n "height": 9,\n "format"'),
        lambda data: data.upper().replace(b"TRUE", b"true"),
    ],
)
def test_a_proof_has_one_text(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(Invalid, match="STATE_PROOF_F"):
        parse(change(to_json(PROOF)))


def test_a_file_beyond_the_bound_is_refused_unread_and_the_largest_proof_fits() -> None:
    with pytest.raises(Invalid, match="STATE_PROOF_SIZE"):
        parse(b" " * (MAX_FILE_BYTES + 1))
    steps = tuple(Step(depth, Hash32(bytes(32))) for depth in range(255, -1, -1))
    largest = replace(
        PROOF, identifier=bytes(MAX_IDENTIFIER_BYTES), proof=InclusionProof(bytes(MAX_VALUE_BYTES), steps)
    )
    data = to_json(largest)
    assert MAX_FILE_BYTES * 0.98 < len(data) <= MAX_FILE_BYTES
    assert len(largest.proof.to_bytes()) < MAX_PROOF_BYTES
    with pytest.raises(Invalid, match="STATE_PROOF_ROOT"):
        parse(data).check()


def test_a_path_longer_than_a_key_is_not_climbed() -> None:
    assert isinstance(PROOF.proof, InclusionProof)
    step = PROOF.proof.path[0]
    with pytest.raises(Invalid, match="ENC_LIST"):
        to_json(replace(PROOF, proof=InclusionProof(b"", (step,) * 257)))


def test_the_empty_state_holds_nothing() -> None:
    empty = ProvingState({})
    proof = empty.prove(Namespace.CHAIN, b"")
    parse(to_json(proof)).check()
    with pytest.raises(Invalid, match="STATE_PROOF_ROOT"):
        replace(proof, header=STATE.header).check()
    with pytest.raises(Invalid, match="STATE_PROOF_ROOT"):
        replace(STATE.prove(Namespace.ACCOUNT, address(99)), proof=AbsenceProof(())).check()


def test_a_namespace_goes_by_its_name() -> None:
    assert [namespace_named(member.name.lower()) for member in Namespace] == list(Namespace)
    with pytest.raises(Invalid, match=r"STATE_PROOF_FIELD.*account, "):
        namespace_named("ACCOUNT")


def test_every_key_has_a_proof_of_one_sort() -> None:
    tree = StateTree.load(MemoryKV())
    assert isinstance(tree.prove_either(PROOF.key), AbsenceProof)
    assert isinstance(STATE.tree.prove_either(PROOF.key), InclusionProof)


def test_checking_needs_no_store_no_network_and_no_node(tmp_path: Path) -> None:
    """In a fresh interpreter in which those cannot be imported at all."""
    file = tmp_path / "proof.json"
    file.write_bytes(to_json(PROOF))
    program = f"""
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {{"plyvel", "trio", "httpx", "libp2p", "numpy", "node", "p2p", "nacl"}}:
            raise ImportError("blocked: " + name)

sys.meta_path.insert(0, Blocked())
from pathlib import Path
from chain.state_proof import parse
proof = parse(Path({str(file)!r}).read_bytes())
proof.check()
assert proof.value and "chain.leveldb" not in sys.modules
print(proof.header.height)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert (ran.returncode, ran.stdout.strip()) == (0, "7"), ran.stderr
