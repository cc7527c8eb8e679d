"""Acts with money, batches of acts, and envelopes that are wrong or come again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgpack

from chain.codec import pack
from chain.hashing import Tag, h256
from chain.keys import SigningKey
from tests.acts_base import EVERYBODY, TILE, U63_MAX, Act, Signing, person, seal, spread

MONEY = (
    *("transfer", "transfer", "register", "undelegate", "batch", "batch", "batch"),
    *("spoil", "spoil", "again"),
)
"""How often each is drawn, beside what belongs to the families of kinds."""


class MoneyActs(Signing):
    MAKERS = ("transfer", "batch", "spoil", "again")

    def transfer(self, act: Act) -> bytes:
        signer, to = EVERYBODY[act.who], EVERYBODY[(act.who + act.choice) % len(EVERYBODY)].address
        tip = act.choice * 7
        if act.choice > 8:
            nobody = h256(Tag.ADDRESS, bytes([act.amount % 256]))[:20]
            amount = self.twins.ledger.spec.money.dust_grains - 1 + act.job % 2
            return self.signed(signer, "transfer", [nobody, amount, b""], tip)
        if act.choice:
            return self.signed(signer, "transfer", [to, act.amount, b"memo"], tip)
        return self.everything(signer, to, act.job % 3 - 1)

    def everything(self, signer: SigningKey, to: bytes, more: int) -> bytes:
        """What is left after the fee, and `more` than that."""
        model, amount = self.twins.model, self.twins.model.account(signer.address)["balance"]
        data = b""
        for _ in range(3):  # the amount changes the size, the size the fee
            data = self.signed(signer, "transfer", [to, max(0, amount), b""])
            burned = model.state.base_fee + self.twins.ledger.spec.money.byte_fee_grains * len(data)
            amount = model.account(signer.address)["balance"] - burned + more
        return data

    def batch(self, act: Act) -> bytes:
        """Some acts with money and jobs."""
        whats = ("transfer", "register", "open", "push", "claim", "push", "cancel", "transfer", "commit")
        return self.bundle(act, whats)

    def bundle(self, act: Act, whats: Sequence[str]) -> bytes:
        """Some of these acts, in the name of whoever does the first."""
        parts = []
        for place in range(1 + act.choice % 4):
            part = replace(
                act, what=whats[(act.choice + place + act.amount) % len(whats)], amount=act.amount + place
            )
            parts.append(msgpack.unpackb(self.makers[part.what](part)))
        operations = [[part[2], msgpack.unpackb(part[8])] for part in parts]
        if act.choice == 0:
            operations.append(["batch", [[]]])
        return self.signed(person(parts[0][3]), "batch", [operations], act.choice)

    def spoil(self, act: Act) -> bytes:
        """A good transfer with one thing wrong with it."""
        signer, other = EVERYBODY[act.who], EVERYBODY[act.who - 1]
        envelope = self.envelope(signer, "transfer", [other.address, 5_000, b""])
        model = self.twins.model
        burned = model.state.base_fee + self.twins.ledger.spec.money.byte_fee_grains * len(
            seal(signer, envelope)
        )
        breaks: list[tuple[int, Any]] = [
            (0, 2),
            (1, b"tilework-dev"),
            (2, "mint"),
            (3, other.address),
            (4, envelope[4] + 1),
            (4, max(0, envelope[4] - 1)),
            (5, burned - 5),
            (6, U63_MAX),
            (6, 10 * TILE),
            (7, model.height - 1),
            (7, model.height),
            (8, envelope[8] + b"\0"),
            (8, envelope[8].replace(pack(5_000), b"\xce\0\0\x13\x88")),
            (8, pack([other.address, -1, b""])),
            (8, pack([other.address, 1 << 63, b""])),
            (8, pack([other.address, True, b""])),
            (8, pack([other.address, 5_000, bytes(65)])),
            (8, pack([other.address, 5_000])),
            (8, b""),
            (8, bytes(2_000)),
        ]
        place, value = breaks[spread(act, len(breaks))]
        envelope[place] = value
        data = bytearray(seal(signer, envelope))
        if act.choice == 0:
            data[act.amount % len(data)] ^= 1 << act.job
        return bytes(data) + b"\0" * (act.choice == 1)

    def again(self, act: Act) -> bytes:
        """A transaction that was in a block or is in this one."""
        known = [data for block in self.twins.chain[-3:] for data in block.transactions] + self.twins.pending
        return known[act.amount % len(known)] if known else self.transfer(act)
