"""What all random acts have in common: who people are, how an act is drawn, how bytes are signed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chain.codec import pack
from chain.hashing import Tag, h256
from chain.keys import SigningKey
from tests.twins import PEOPLE, STRANGERS, Twins

ZERO = bytes(32)
U63_MAX = (1 << 63) - 1
TILE = 10**9
EVERYBODY = (*PEOPLE, *STRANGERS)


@dataclass(frozen=True)
class Act:
    """One attempt: what, by whom, about which job; `choice` and `amount` fill in the rest."""

    what: str
    who: int
    job: int
    choice: int
    amount: int


class Signing:
    """Makes signed bytes for one pair of ledgers; the acts of a family are the methods that its MAKERS name."""

    MAKERS: tuple[str, ...] = ()

    def __init__(self, twins: Twins) -> None:
        self.twins = twins
        families = [family for family in type(self).__mro__ if "MAKERS" in vars(family)]
        names = [name for family in families for name in vars(family)["MAKERS"]]
        assert len(set(names)) == len(names), "two families have acts of one name"
        self.makers: dict[str, Callable[[Act], bytes]] = {name: getattr(self, name) for name in names}
        """Of all families."""

    def envelope(self, signer: SigningKey, kind: str, body: Any, tip: int = 0) -> list[Any]:
        model = self.twins.model
        nonce = model.account(signer.address)["nonce"]
        chain_id, until = self.twins.ledger.spec.chain_id, model.height + 2
        return [1, chain_id, kind, signer.address, nonce, 10 * TILE, tip, until, pack(body)]

    def signed(self, signer: SigningKey, kind: str, body: Any, tip: int = 0) -> bytes:
        return seal(signer, self.envelope(signer, kind, body, tip))


def seal(signer: SigningKey, envelope: list[Any]) -> bytes:
    """The bytes of an envelope with its one signature."""
    signature = signer.sign(h256(Tag.TX_ID, pack(envelope)))
    return pack([*envelope, [[signer.public_key, signature]]])


def person(address: bytes) -> SigningKey:
    """Who has this address; one of them if nobody has."""
    return next((person for person in EVERYBODY if person.address == address), PEOPLE[0])


def spread(act: Act, ways: int) -> int:
    """A choice among many: amounts alone favour a few."""
    return (act.amount + 5 * act.choice + act.job) % ways
