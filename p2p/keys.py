"""Node identity: an Ed25519 seed and the peer id it gives.  Needs no libp2p, so tools can print addresses
quickly.

A libp2p peer id of an Ed25519 key is the base58 text of an identity multihash (`00 24`) over the protobuf
public key (`08 01 12 20` and the 32 key bytes).  Source: libp2p specs, peer-ids.
"""

from __future__ import annotations

from nacl.signing import SigningKey

from chain.errors import LocalFault
from p2p.interface import PeerId

SEED_BYTES = 32
_PEER_ID_PREFIX = bytes.fromhex("002408011220")
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


class NodeSeed:
    """The secret behind a node's identity; never printed."""

    __slots__ = ("_seed",)

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise LocalFault("NET_SEED", found=f"{len(seed)} bytes", allowed=f"{SEED_BYTES} bytes")
        self._seed = seed

    def __repr__(self) -> str:
        return "NodeSeed(***)"

    def reveal(self) -> bytes:
        """The 32 secret bytes, for key files and for libp2p."""
        return self._seed

    def peer_id(self) -> PeerId:
        """The public identity of this seed."""
        return peer_id_of(bytes(SigningKey(self._seed).verify_key))


def peer_id_of(public_key: bytes) -> PeerId:
    """Peer id of a 32-byte Ed25519 public key."""
    return PeerId(_base58(_PEER_ID_PREFIX + public_key))


def _base58(data: bytes) -> str:
    number = int.from_bytes(data, "big")
    text = ""
    while number:
        number, digit = divmod(number, 58)
        text = _BASE58[digit] + text
    leading_zeros = len(data) - len(data.lstrip(b"\0"))
    return _BASE58[0] * leading_zeros + text
