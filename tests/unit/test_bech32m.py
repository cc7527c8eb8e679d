"""Addresses as text.  Spec: [ADDR-TEXT]."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.bech32m import ALPHABET, decode, decode_address, encode, encode_address
from chain.errors import Invalid
from chain.types import Address
from tests.outside import outside

ADDRESS = Address(bytes(range(20)))
TEXT = encode_address("tile", ADDRESS)


@given(st.binary(min_size=20, max_size=20), st.sampled_from(["tile", "tiletest", "tiledev"]))
def test_round_trip(address: bytes, network: str) -> None:
    text = encode_address(network, Address(address))
    assert text.startswith(network + "1")
    assert decode_address(network, text) == address
    assert decode_address(network, text.upper()) == address


@given(st.integers(5, len(TEXT) - 1), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_always_found(at: int, character: str) -> None:
    wrong = TEXT[:at] + character + TEXT[at + 1 :]
    if wrong != TEXT:
        with pytest.raises(Invalid, match="ADDRESS_CHECKSUM"):
            decode_address("tile", wrong)


@given(st.text(max_size=100))
def test_decoding_is_total(text: str) -> None:
    with pytest.raises(Invalid, match="ADDRESS_"):
        decode_address("tile", text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT[:8] + TEXT[8:].upper(), "ADDRESS_CASE: found mixed case, allowed all lower or all upper case"),
        (encode_address("tiledev", ADDRESS), "ADDRESS_NETWORK: found tiledev1…, allowed tile1…"),
        (encode("tile", [0] * 31), "ADDRESS_LENGTH: found 31 characters of data, allowed 32"),
        (encode("tile", [0] * 33), "ADDRESS_LENGTH: found 33 characters of data, allowed 32"),
        (TEXT[:-1], "ADDRESS_CHECKSUM"),
        (TEXT.replace("1", "", 1), "ADDRESS_PREFIX"),
        (TEXT[:7] + "b" + TEXT[8:], "ADDRESS_CHARACTER: found b, allowed qpzry"),
        (TEXT + " ", "ADDRESS_CHARACTER"),
        ("tile1qqq", "ADDRESS_LENGTH: found 3 characters after the 1"),
        ("", "ADDRESS_PREFIX"),
        ("x" * 200, "ADDRESS_LENGTH: found 200 characters, allowed at most 90"),
    ],
)
def test_what_a_person_is_told(text: str, message: str) -> None:
    with pytest.raises(Invalid) as error:
        decode_address("tile", text)
    assert str(error.value).startswith(message)


def test_bip_350_vectors() -> None:
    vectors = json.loads(outside("bech32m/bech32m.json").read_text())
    assert vectors["valid"]
    for text in vectors["valid"]:
        prefix, groups = decode(text)
        assert encode(prefix, groups) == text.lower()
    assert vectors["invalid"]
    for case in vectors["invalid"]:
        with pytest.raises(Invalid):
            decode(case["string"])
