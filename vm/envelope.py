"""The envelope of every transaction: who, what, how often, at which price, and the signatures.  Spec: [TX-*]."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from chain.blocks import MAX_TRANSACTION_BYTES
from chain.codec import U63, Blob, Nested, Raw, Record, Seq, Text, Uint, pack
from chain.errors import Invalid
from chain.hashing import Tag, h256
from chain.keys import SigningKey, address_of, verify
from chain.types import Address, Grains, Height, PublicKey, Signature, TxId

TRANSACTION_VERSION = 1


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
    authorisations: Annotated[tuple[Authorisation, ...], Seq(Nested(Authorisation), 16)]

    @property
    def id(self) -> TxId:
        """BLAKE2b-256 of the body without signatures."""
        return TxId(h256(Tag.TX_ID, pack(self.to_wire()[:-1])))

    def signed(self, key: SigningKey) -> Transaction:
        """This transaction with the one authorisation of `key`."""
        return replace(
            self, authorisations=(Authorisation(PublicKey(key.public_key), Signature(key.sign(self.id))),)
        )


def check_authorisation(transaction: Transaction, identity: TxId) -> None:
    """The sender's own key, and nobody else's, has signed `identity`, which is the transaction's [TX-AUTH].

    Raises: Invalid BAD_AUTH.
    """
    if len(transaction.authorisations) != 1:
        raise Invalid("BAD_AUTH", found=f"{len(transaction.authorisations)} signatures", allowed="one")
    (authorisation,) = transaction.authorisations
    if address_of(authorisation.public_key) != transaction.sender:
        raise Invalid("BAD_AUTH", found="a key of another address", allowed="the sender's key")
    if not verify(authorisation.public_key, identity, authorisation.signature):
        raise Invalid(
            "BAD_AUTH", found="a signature that does not verify", allowed="a valid Ed25519 signature"
        )
