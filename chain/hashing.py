"""Hash functions and the one list of domain tags.  Spec: [HASH-*] in docs/spec/encoding.md.

BLAKE2b-256 with the tag as personalisation makes ids, trees and headers; BLAKE3 in key-derivation mode with the tag as
context makes everything about bulk data: tensors, matrix commitments, noise and tickets. A hashed input is either one
byte string of fixed structure or the canonical encoding of a list, so no two inputs under one tag share bytes.
"""

from __future__ import annotations

import hashlib
from enum import Enum

from blake3 import blake3

from chain.types import Hash32


class Tag(Enum):
    """Domain tags of BLAKE2b-256; at most 16 bytes each (the personalisation field)."""

    def __init__(self, person: bytes) -> None:
        self.begin = hashlib.blake2b(digest_size=32, person=person).copy
        """A fresh hash state that has taken in the tag; copying one is faster than making one."""

    ADDRESS = b"tw/address"
    TX_ID = b"tw/tx-id"
    TX_LEAF = b"tw/tx-leaf"
    RECEIPT_LEAF = b"tw/receipt-leaf"
    VOTE_LEAF = b"tw/vote-leaf"
    LIST_NODE = b"tw/list-node"
    LIST_ROOT = b"tw/list-root"
    BLOCK_ID = b"tw/block-id"
    CERTIFICATE = b"tw/certificate"
    CHAIN_SPEC = b"tw/chain-spec"
    STATE_KEY = b"tw/state-key"
    STATE_LEAF = b"tw/state-leaf"
    STATE_NODE = b"tw/state-node"
    JOB_ID = b"tw/job-id"
    TRACE_LEAF = b"tw/trace-leaf"
    TRACE_KEY = b"tw/trace-key"
    BEACON = b"tw/beacon"
    DRAW = b"tw/draw"
    ATTEST = b"tw/attest"
    EVIDENCE_SEED = b"tw/evidence"
    AUDIT_SALT = b"tw/audit-salt"
    FRAUD_PROOF = b"tw/fraud-proof"
    NODE_IDENTITY = b"tw/node-identity"
    ASSET_ID = b"tw/asset-id"
    SESSION_ID = b"tw/session-id"
    PROPOSAL_ID = b"tw/proposal-id"
    PERMIT_ID = b"tw/permit-id"
    HEARTBEAT = b"tw/heartbeat"
    PROGRAM = b"tw/program"


class BulkTag(Enum):
    """Context strings of BLAKE3's key-derivation mode."""

    TENSOR_LEAF = "tilework v1 tensor leaf"
    TENSOR_NODE = "tilework v1 tensor node"
    TENSOR_ROOT = "tilework v1 tensor root"
    POW_KAPPA = "tilework v1 pow kappa"
    POW_LEAF_A = "tilework v1 pow leaf a"
    POW_LEAF_B = "tilework v1 pow leaf b"
    POW_NODE_A = "tilework v1 pow node a"
    POW_NODE_B = "tilework v1 pow node b"
    POW_SEED_A = "tilework v1 pow seed a"
    POW_SEED_B = "tilework v1 pow seed b"
    POW_NOISE_LEFT = "tilework v1 pow noise left"
    POW_NOISE_RIGHT = "tilework v1 pow noise right"
    FREIVALDS = "tilework v1 freivalds"
    POW_ENTRIES = "tilework v1 pow entries"
    CONTENT_FILE = "tilework v1 content file"
    CONTENT_TREE = "tilework v1 content tree"


def h256(tag: Tag, data: bytes) -> Hash32:
    """BLAKE2b-256 of `data` under `tag`."""
    state = tag.begin()
    state.update(data)
    return Hash32(state.digest())


def b3(tag: BulkTag, data: bytes) -> Hash32:
    """BLAKE3-256 of `data` in key-derivation mode under `tag`."""
    return Hash32(blake3(data, derive_key_context=tag.value).digest())


def b3_keyed(key: bytes, data: bytes | memoryview) -> Hash32:
    """BLAKE3-256 keyed by the 32-byte `key`."""
    return Hash32(blake3(data, key=key).digest())
