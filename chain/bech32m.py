"""Addresses as text: bech32m (BIP-350) of the 20 address bytes.  Spec: [ADDR-TEXT].

The part before the separator names the network (`tile`, `tiletest`, `tiledev`), so an address of one network
is refused on another. 20 bytes are exactly 32 groups of five bits: there is no padding to disagree about.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chain.errors import Invalid
from chain.types import Address

ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
CHECKSUM_CONSTANT = 0x2BC830A3
MAX_CHARACTERS = 90
CHECKSUM_CHARACTERS = 6
GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)

_VALUE_OF = {character: value for value, character in enumerate(ALPHABET)}


def encode_address(network: str, address: Address) -> str:
    """`address` as text of the network, for example `tiledev1…`."""
    assert len(address) == 20
    number = int.from_bytes(address, "big")
    return encode(network, [number >> shift & 31 for shift in range(155, -1, -5)])


def decode_address(network: str, text: str) -> Address:
    """The address that `text` names on `network`.

    Raises:
        Invalid: ADDRESS_NETWORK, ADDRESS_LENGTH, or what `decode` raises.
    """
    found, groups = decode(text)
    if found != network:
        raise Invalid(
            "ADDRESS_NETWORK",
            found=f"{found}1…",
            allowed=f"{network}1…",
            hint="The address belongs to another network.",
        )
    if len(groups) != 32:
        raise Invalid("ADDRESS_LENGTH", found=f"{len(groups)} characters of data", allowed="32")
    number = 0
    for group in groups:
        number = number << 5 | group
    return Address(number.to_bytes(20, "big"))


def encode(prefix: str, groups: Sequence[int]) -> str:
    """BIP-350 text of five-bit `groups` behind a lower-case `prefix`."""
    checksum = _polymod([*_expanded(prefix), *groups, 0, 0, 0, 0, 0, 0]) ^ CHECKSUM_CONSTANT
    tail = [checksum >> shift & 31 for shift in range(25, -1, -5)]
    return prefix + "1" + "".join(ALPHABET[group] for group in [*groups, *tail])


def decode(text: str) -> tuple[str, list[int]]:
    """(prefix in lower case, five-bit groups) of BIP-350 text.

    Raises:
        Invalid: ADDRESS_CHARACTER, ADDRESS_CASE, ADDRESS_LENGTH, ADDRESS_PREFIX or ADDRESS_CHECKSUM, checked
        in
            this order.
    """
    if any(not 33 <= ord(character) <= 126 for character in text):
        raise Invalid("ADDRESS_CHARACTER", found=ascii(text[:MAX_CHARACTERS]), allowed="visible ASCII")
    if text.lower() != text and text.upper() != text:
        raise Invalid("ADDRESS_CASE", found="mixed case", allowed="all lower or all upper case")
    if len(text) > MAX_CHARACTERS:
        raise Invalid("ADDRESS_LENGTH", found=f"{len(text)} characters", allowed=f"at most {MAX_CHARACTERS}")
    prefix, separator, data = text.lower().rpartition("1")
    if not separator or not prefix:
        raise Invalid("ADDRESS_PREFIX", found=text, allowed="network name, the digit 1, data")
    if len(data) < CHECKSUM_CHARACTERS:
        raise Invalid("ADDRESS_LENGTH", found=f"{len(data)} characters after the 1", allowed="at least 6")
    wrong = sorted(set(data) - set(ALPHABET))
    if wrong:
        raise Invalid("ADDRESS_CHARACTER", found="".join(wrong), allowed=ALPHABET)
    groups = [_VALUE_OF[character] for character in data]
    if _polymod([*_expanded(prefix), *groups]) != CHECKSUM_CONSTANT:
        raise Invalid(
            "ADDRESS_CHECKSUM",
            found=text,
            allowed="a bech32m checksum",
            hint="Compare it with the original, character by character.",
        )
    return prefix, groups[:-CHECKSUM_CHARACTERS]


def _expanded(prefix: str) -> list[int]:
    return [ord(character) >> 5 for character in prefix] + [0] + [ord(character) & 31 for character in prefix]


def _polymod(values: Iterable[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(GENERATORS):
            if top >> bit & 1:
                check ^= generator
    return check
