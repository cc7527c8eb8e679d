"""The signature rule against outside vectors and our own arithmetic.  Spec: [SIG-*], [ADDR-HASH]."""

from __future__ import annotations

import json
import re

import pytest

from chain.errors import Invalid, LocalFault
from chain.hashing import Tag, h256
from chain.keys import SigningKey, address_of, self_check, verify
from chain.signature_vectors import EDGE_CASES
from chain.types import PublicKey, Signature
from tests.ed25519_reference import ORDER, accepts, self_check_rows, small_order_encodings
from tests.outside import outside

KEY = SigningKey(bytes(range(32)))


def judged(public_key: str, message: bytes, signature: str) -> bool:
    """Our verdict, which must be the reference's too."""
    case = PublicKey(bytes.fromhex(public_key)), message, Signature(bytes.fromhex(signature))
    verdict = verify(*case)
    assert verdict is accepts(*case)
    return verdict


def test_sign_and_verify() -> None:
    signature = KEY.sign(b"message")
    assert len(signature) == 64
    assert verify(KEY.public_key, b"message", signature)
    assert not verify(KEY.public_key, b"message!", signature)
    assert not verify(SigningKey(bytes(32)).public_key, b"message", signature)
    assert KEY.sign(b"message") == signature


@pytest.mark.parametrize("bit", range(0, 512, 7))
def test_every_bit_of_a_signature_counts(bit: int) -> None:
    signature = bytearray(KEY.sign(b"message"))
    signature[bit // 8] ^= 1 << bit % 8
    assert not verify(KEY.public_key, b"message", Signature(bytes(signature)))


def test_wrong_lengths_are_refused_not_raised() -> None:
    signature = KEY.sign(b"message")
    for size in (0, 31, 33):
        assert not verify(PublicKey(bytes(size)), b"message", signature)
    for bad in (b"", signature[:63], signature + b"\0"):
        assert not verify(KEY.public_key, b"message", Signature(bad))


def test_a_key_never_shows_its_secret() -> None:
    assert repr(KEY) == str(KEY) == f"{KEY}" == "SigningKey(***)"
    with pytest.raises(Invalid, match="KEY_SEED: found 31 bytes"):
        SigningKey(bytes(31))


def test_keys_compare_by_their_seed() -> None:
    assert SigningKey(KEY.seed()) == KEY
    assert SigningKey(bytes(32)) != KEY
    assert len({KEY, SigningKey(KEY.seed()), SigningKey(bytes(32))}) == 2


def test_address_is_the_head_of_a_digest() -> None:
    assert address_of(KEY.public_key) == KEY.address == h256(Tag.ADDRESS, KEY.public_key)[:20]


def test_self_check_passes_with_the_pinned_library() -> None:
    self_check()


def test_self_check_vectors_are_those_of_the_reference() -> None:
    """[SIG-CHECK] The table in the code is what independent arithmetic gives."""
    rows = [
        (what, accepts(key, message, signature), key.hex(), message.decode(), signature.hex())
        for what, key, message, signature in self_check_rows()
    ]
    assert tuple(rows) == EDGE_CASES
    assert len(small_order_encodings()) == 14


@pytest.mark.parametrize("wrong", [0, 1, 2, len(EDGE_CASES) - 3])
def test_a_library_that_answers_differently_is_refused(wrong: int) -> None:
    """A row with the opposite verdict stands for a library with another rule."""
    what, accepted, *rest = EDGE_CASES[wrong]
    rows = list(EDGE_CASES)
    rows[wrong] = (what, not accepted, rest[0], rest[1], rest[2])
    with pytest.raises(LocalFault, match=f"SIGNATURE_LIBRARY: found {re.escape(what)}"):
        self_check(rows)


def test_rfc_8032() -> None:
    cases = json.loads(outside("ed25519-rfc8032/rfc8032.json").read_text())
    assert len(cases) == 3
    for case in cases:
        key = SigningKey(bytes.fromhex(case["sk"]))
        assert key.public_key.hex() == case["pk"]
        assert key.sign(bytes.fromhex(case["msg"])).hex() == case["sig"]
        assert judged(case["pk"], bytes.fromhex(case["msg"]), case["sig"])


def test_known_answers() -> None:
    lines = outside("ed25519-kat/kat-ed25519.txt").read_text().split()
    assert len(lines) == 1024
    for line in lines:
        secret, public_key, text, signed = line.split(":")[:4]
        key, message = SigningKey(bytes.fromhex(secret[:64])), bytes.fromhex(text)
        assert key.public_key.hex() == public_key
        assert (key.sign(message) + message).hex() == signed
        assert verify(key.public_key, message, key.sign(message))


def test_wycheproof() -> None:
    groups = json.loads(outside("ed25519-wycheproof/ed25519_test.json").read_text())["testGroups"]
    count = 0
    for group in groups:
        for case in group["tests"]:
            verdict = judged(group["publicKey"]["pk"], bytes.fromhex(case["msg"]), case["sig"])
            assert verdict is (case["result"] == "valid"), case["tcId"]
            count += 1
    assert count > 100


def test_speccheck_accepts_only_number_three() -> None:
    cases = json.loads(outside("ed25519-speccheck/cases.json").read_text())
    verdicts = [judged(case["pub_key"], bytes.fromhex(case["message"]), case["signature"]) for case in cases]
    assert [number for number, verdict in enumerate(verdicts) if verdict] == [3]
    assert len(verdicts) == 12


def test_zip215_cases_are_all_refused() -> None:
    data = json.loads(outside("ed25519-zip215/zip215.json").read_text())
    assert len(data["cases"]) == 196
    assert not any(judged(case["pk"], b"Zcash", case["sig"]) for case in data["cases"])


def test_cctv() -> None:
    """Small order, other encodings, or a torsion part left over in the equation: any of these refuses."""
    cases = json.loads(outside("ed25519-cctv/ed25519vectors.json").read_text())
    refusing = {
        "low_order_R",
        "low_order_A",
        "low_order_residue",
        "non_canonical_R",
        "non_canonical_A",
        "reencoded_k",
    }
    accepted = 0
    for number, case in enumerate(cases):
        expected = not refusing & set(case["flags"] or ())
        public_key, signature = bytes.fromhex(case["key"]), bytes.fromhex(case["sig"])
        assert verify(PublicKey(public_key), case["msg"].encode(), Signature(signature)) is expected, number
        accepted += expected
        if number % 8 == 0:
            judged(case["key"], case["msg"].encode(), case["sig"])
    assert 0 < accepted < len(cases)


def test_adding_the_group_order_is_refused() -> None:
    """[SIG-VERIFY] step 2: otherwise anybody could give a signature a second form."""
    signature = KEY.sign(b"message")
    s = int.from_bytes(signature[32:], "little")
    assert s < ORDER
    other = signature[:32] + (s + ORDER).to_bytes(32, "little")
    assert not verify(KEY.public_key, b"message", Signature(other))
