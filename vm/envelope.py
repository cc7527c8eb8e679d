"""The envelope of every transaction: who, what, how often, at which price, and the signatures.  Spec: [TX-*]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Annotated, ClassVar

from chain.blocks import MAX_TRANSACTION_BYTES
from chain.codec import U63, Blob, Nested, Raw, Record, Seq, Text, Uint, pack
from chain.errors import Invalid
from chain.hashing import Tag, h256
from chain.keys import SigningKey, verify
from chain.types import Address, Grains, Height, PublicKey, Signature, TxId

TRANSACTION_VERSION = 1
MAX_SIGNATURES = 16
SIGNATURE_BYTES = 101
"""What one more signature adds to a transaction, with its key."""


@dataclass(frozen=True, slots=True)
class Authorisation(Record):
    """One signature over the transaction id, with the key that made it."""

    public_key: Annotated[PublicKey, Raw(32)]
    signature: Annotated[Signature, Raw(64)]


@dataclass(frozen=True, slots=True)
class Transaction(Record):
    """A signed request to change the state.

    The id covers every field but the signatures, so re-signing one body cannot change its name [TX-ID]; chain id and
    nonce stop replay [TX-REPLAY].
    """

    MAX_BYTES: ClassVar[int] = MAX_TRANSACTION_BYTES

    version: Annotated[int, Uint(TRANSACTION_VERSION, TRANSACTION_VERSION)]
    chain_id: Annotated[bytes, Blob(32)]
    kind: Annotated[str, Text(32)]
    sender: Annotated[Address, Raw(20)]
    nonce: Annotated[int, U63]
    max_fee_grains: Annotated[Grains, U63]
    tip_grains: Annotated[Grains, U63]
    valid_until: Annotated[Height, U63]
    body: Annotated[bytes, Blob(MAX_TRANSACTION_BYTES)]
    authorisations: Annotated[tuple[Authorisation, ...], Seq(Nested(Authorisation), MAX_SIGNATURES)]

    @property
    def id(self) -> TxId:
        """BLAKE2b-256 of the body without signatures."""
        return TxId(h256(Tag.TX_ID, pack(self.to_wire()[:-1])))

    @property
    def signers(self) -> list[PublicKey]:
        """The keys that it says have signed it."""
        return [each.public_key for each in self.authorisations]

    def signed(self, *keys: SigningKey) -> Transaction:
        """This transaction with the authorisations of these keys and no others."""
        made = (Authorisation(PublicKey(key.public_key), Signature(key.sign(self.id))) for key in keys)
        return self.with_signatures(tuple(made))

    def with_signatures(self, authorisations: Sequence[Authorisation]) -> Transaction:
        """This transaction with these authorisations, in their order on the wire."""
        ordered = sorted(authorisations, key=lambda each: each.public_key)
        return replace(self, authorisations=tuple(ordered))


def unsigned_id(data: bytes, signatures: int) -> TxId:
    """The id of the transaction with these canonical bytes: what comes before its signatures, as an array [TX-ID]."""
    head_bytes = 1 if signatures < 16 else 3
    unsigned = data[1 : len(data) - head_bytes - signatures * SIGNATURE_BYTES]
    return TxId(h256(Tag.TX_ID, _UNSIGNED_HEAD + unsigned))


_UNSIGNED_HEAD = pack([0] * (len(fields(Transaction)) - 1))[:1]
"""Begins an array of every field but the signatures."""


def check_signatures(transaction: Transaction, identity: TxId) -> None:
    """Every key that is named, each once and in ascending order, has signed `identity` [TX-SIGNED].

    `identity` is the transaction's. Whether these keys speak for the sender is a question to the state.

    Raises: Invalid BAD_AUTH.
    """
    named = [each.public_key for each in transaction.authorisations]
    if len(named) != 1 and (not named or any(key >= following for key, following in pairwise(named))):
        raise Invalid(
            "BAD_AUTH",
            found=f"{len(named)} signatures",
            allowed=f"1 to {MAX_SIGNATURES}, by ascending keys, each once",
        )
    for each in transaction.authorisations:
        if not verify(each.public_key, identity, each.signature):
            raise Invalid(
                "BAD_AUTH", found="a signature that does not verify", allowed="a valid Ed25519 signature"
            )
