"""Names for the byte strings and integers of the protocol, so that no signature speaks of bare `bytes`."""

from __future__ import annotations

from typing import NewType

Hash32 = NewType("Hash32", bytes)
"""Any 32-byte digest without a more special name."""
BlockHash = NewType("BlockHash", bytes)
TxId = NewType("TxId", bytes)
JobId = NewType("JobId", bytes)
AssetId = NewType("AssetId", bytes)
ProposalId = NewType("ProposalId", bytes)
PermitId = NewType("PermitId", bytes)
OBJECT_IDS = frozenset((JobId, AssetId, ProposalId, PermitId))
"""Names, 32 bytes each, of what transactions make and act on; a session key can be bound to some of them."""
TensorRoot = NewType("TensorRoot", bytes)
StateKey = NewType("StateKey", bytes)
"""32 bytes; always a digest, so nobody chooses where in the state tree an entry lands."""
Address = NewType("Address", bytes)
"""20 bytes, the head of a digest of an Ed25519 public key."""
PublicKey = NewType("PublicKey", bytes)
Signature = NewType("Signature", bytes)
Height = NewType("Height", int)
Grains = NewType("Grains", int)
"""The smallest unit of money; 10**9 grains make one TILE."""

ZERO_HASH = bytes(32)
NO_ADDRESS = Address(bytes(20))
NO_JOB = JobId(ZERO_HASH)
NO_ASSET = AssetId(ZERO_HASH)
NO_PERMIT = PermitId(ZERO_HASH)
