"""Ed25519 keys, signatures and addresses; the only signature verifier of the program.  Spec: [SIG-*],
[ADDR-HASH].

Correct libraries disagree on hundreds of edge cases, and every disagreement inside a network splits its
chain. So the rule below is ours, PyNaCl (libsodium) is pinned, there is no second verifier, no batch
verification, and a node whose library answers differently on the edge cases refuses to start (`self_check`).
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

import nacl.bindings
import nacl.exceptions

from chain.errors import Invalid, LocalFault
from chain.hashing import Tag, h256
from chain.signature_vectors import EDGE_CASES, RFC_8032_TEST_2, EdgeCase
from chain.types import Address, PublicKey, Signature

SEED_BYTES = 32
ADDRESS_BYTES = 20


class SigningKey:
    """An Ed25519 private key; never shows itself in a log or a traceback."""

    __slots__ = ("_secret", "public_key")

    def __init__(self, seed: bytes) -> None:
        """Derive the key pair of a 32-byte seed.  Raises: Invalid KEY_SEED."""
        if len(seed) != SEED_BYTES:
            raise Invalid("KEY_SEED", found=f"{len(seed)} bytes", allowed=f"{SEED_BYTES} bytes")
        public_key, self._secret = nacl.bindings.crypto_sign_seed_keypair(seed)
        self.public_key = PublicKey(public_key)

    @property
    def address(self) -> Address:
        return address_of(self.public_key)

    def sign(self, message: bytes) -> Signature:
        """Deterministic RFC 8032 signature of `message`."""
        return Signature(nacl.bindings.crypto_sign(message, self._secret)[:64])

    def seed(self) -> bytes:
        """The 32 bytes to keep secret; only a key file may ask for them."""
        return self._secret[:SEED_BYTES]

    def __repr__(self) -> str:
        return "SigningKey(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SigningKey) and hmac.compare_digest(self._secret, other._secret)

    def __hash__(self) -> int:
        return hash(self.public_key)


def verify(public_key: PublicKey, message: bytes, signature: Signature) -> bool:
    """Whether `signature` is accepted for `message` under `public_key` [SIG-VERIFY].

    With signature = R (32 bytes) | S (32 bytes little-endian), A the point that `public_key` encodes, B the
    base point and L = 2^252 + 27742317777372353535851937790883648493, accept if and only if, in this order:

    1. `public_key` has 32 bytes and `signature` has 64; 2. S < L; 3. R is none of the 14 encodings, canonical
    or not, of a point of small order; 4. `public_key` encodes a point of the curve canonically (y < 2^255 -
    19) and that point is not of small order;
    5. encode([S]B - [k]A) equals R byte for byte, k = SHA-512(R | public_key | message) mod L (no cofactor).
    """
    if len(public_key) != 32 or len(signature) != 64:
        return False
    try:
        nacl.bindings.crypto_sign_open(signature + message, public_key)
    except nacl.exceptions.BadSignatureError:
        return False
    return True


def address_of(public_key: PublicKey) -> Address:
    """The account that `public_key` controls: the first 20 bytes of its digest."""
    return Address(h256(Tag.ADDRESS, public_key)[:ADDRESS_BYTES])


def self_check(edge_cases: Sequence[EdgeCase] = EDGE_CASES) -> None:
    """Compare the installed library with our rule on every embedded edge case [SIG-CHECK].

    Raises:
        LocalFault: SIGNATURE_LIBRARY; running on would fork this node off the network.
    """
    seed, public_key, message, signature = (bytes.fromhex(text) for text in RFC_8032_TEST_2)
    key = SigningKey(seed)
    if key.public_key != public_key or key.sign(message) != signature:
        raise _library_fault("RFC 8032 test 2", "another signature")
    for what, accepted, public_hex, text, signature_hex in edge_cases:
        case = PublicKey(bytes.fromhex(public_hex)), text.encode(), Signature(bytes.fromhex(signature_hex))
        if verify(*case) is not accepted:
            raise _library_fault(what, "refused" if accepted else "accepted")


def _library_fault(what: str, found: str) -> LocalFault:
    return LocalFault(
        "SIGNATURE_LIBRARY",
        found=f"{what}: {found}",
        allowed="the verdicts of libsodium 1.0.20",
        hint="Install the pinned PyNaCl wheel (requirements.lock); another one may judge otherwise.",
    )
