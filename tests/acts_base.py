"""What all random acts have in common: who people are, how an act is drawn, how bytes are signed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chain.codec import pack
from chain.hashing import Tag, h256
from chain.keys import SigningKey
from tests.builders import key
from tests.twins import PEOPLE, STRANGERS, Twins

ZERO = bytes(32)
U63_MAX = (1 << 63) - 1
TILE = 10**9
EVERYBODY = (*PEOPLE, *STRANGERS)
SPARE_KEYS = [key(number) for number in range(30, 36)]
"""Nobody's own: for accounts with several keys, and for sessions."""


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
        """With whatever keys speak for the signer's account now."""
        return seal(self.speakers(signer), self.envelope(signer, kind, body, tip))

    def speakers(self, owner: SigningKey) -> list[SigningKey]:
        """The own key, or as many of the set as it takes."""
        keys = self.twins.model.state.books["accounts"].current.get(owner.address)
        if keys is None:
            return [owner]
        threshold, members, _ = keys
        chosen, reached = [], 0
        for member, weight in members:
            if reached < threshold:
                chosen.append(next(each for each in (*EVERYBODY, *SPARE_KEYS) if each.public_key == member))
                reached += weight
        return chosen


def seal(signers: SigningKey | list[SigningKey], envelope: list[Any]) -> bytes:
    """The bytes of an envelope with its signatures."""
    identity = h256(Tag.TX_ID, pack(envelope))
    keys = sorted(signers if isinstance(signers, list) else [signers], key=lambda each: each.public_key)
    return pack([*envelope, [[key.public_key, key.sign(identity)] for key in keys]])


def person(address: bytes) -> SigningKey:
    """Who has this address; one of them if nobody has."""
    return next((person for person in EVERYBODY if person.address == address), PEOPLE[0])


def spread(act: Act, ways: int) -> int:
    """A choice among many: amounts alone favour a few."""
    return (act.amount + 5 * act.choice + act.job) % ways
