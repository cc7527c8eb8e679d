"""Everything the chain remembers, as dicts, and the state entries that it stands for.  Spec: [STATE-ENTRIES]."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from chain.hashing import Tag, h256
from tests.model.books import Books, Item
from tests.model.forms import pack

ACCOUNT, VALIDATOR, JOB, AGENDA, WEIGHTS, VALIDATOR_INDEX, CHAIN, TICKETS, POOL, DELEGATION = range(1, 11)
EPOCH_WORK = 18
"""Namespaces."""
COINBASE_MATURES, JOB_EXPIRES, JOB_LATE, JOB_DRAW, JOB_SETTLES, WEIGHTS_PRUNED = range(1, 7)
"""Automatic steps."""
OPEN, CLAIMED, COMMITTED, ESCALATED, SETTLED, CANCELLED, EXPIRED, LATE, VOID, SLASHED = range(1, 11)
"""States of a job."""


def new_account(balance: int = 0) -> dict[str, int]:
    return {"nonce": 0, "balance": balance, "keyed": 0}


@dataclass
class State:
    """One state of the ledger; a pickle keeps it."""

    base_fee: int
    minted: int
    burned: int = 0
    treasury: int = 0
    staker_pool: int = 0
    pending_tips: int = 0
    settled_macs: int = 0
    accounts: dict[bytes, Item] = field(default_factory=dict)
    """Address to `nonce`, `balance` and `keyed`."""
    validators: dict[bytes, Item] = field(default_factory=dict)
    """Address to the fields of its record, in their order."""
    listed: set[bytes] = field(default_factory=set)
    """Validators that stand for committees; with too little stake, one has a record only."""
    pools: dict[bytes, Item] = field(default_factory=dict)
    """Validator to `staked` (by others), `shares` of it, `index`, `owed` (to them) and `operator` (owed to it)."""
    delegations: dict[tuple[bytes, bytes], Item] = field(default_factory=dict)
    """Validator and staker to `shares`, `index`, `past` (lists of epoch and grains when it began) and `until`."""
    jobs: dict[bytes, Item] = field(default_factory=dict)
    """Id to the fields of a job in the order of its record."""
    weights: dict[int, list[tuple[bytes, int]]] = field(default_factory=dict)
    """Epoch to (address, stake), ascending by address."""
    work: dict[int, dict[bytes, int]] = field(default_factory=dict)
    """Epoch to miner to the blocks it won."""
    tickets: list[tuple[int, bytes]] = field(default_factory=list)
    """(height, ticket), the newest last."""
    agenda: dict[int, list[tuple[int, bytes, int]]] = field(default_factory=dict)
    """Height to (step, subject, number), in the order in which they were asked for."""
    books: dict[str, Books] = field(default_factory=dict)
    """Family to what it keeps beside all this."""

    @property
    def locked(self) -> int:
        """Stakes, escrow and bond of every job that has not ended, and what families hold."""
        stakes: int = sum(validator["stake"] for validator in self.validators.values())
        stakes += sum(pool["staked"] + pool["owed"] + pool["operator"] for pool in self.pools.values())
        stakes += sum(books.locked for books in self.books.values())
        return stakes + sum(
            escrow_of(job) - job["attest_fees"] + job["bond"]
            for job in self.jobs.values()
            if job["status"] < SETTLED
        )

    @property
    def immature(self) -> int:
        """Coinbases on the agenda."""
        return self._due(COINBASE_MATURES)

    def _due(self, wanted: int) -> int:
        """What all steps of a kind will pay."""
        steps = [step for due in self.agenda.values() for step in due]
        return sum(amount for step, _, amount in steps if step == wanted)

    def conserves(self) -> bool:
        """The supply identity [MONEY-IDENTITY]."""
        held: int = sum(account["balance"] for account in self.accounts.values())
        held += self.locked + self.immature + self.pending_tips + self.treasury + self.staker_pool
        return held == self.minted - self.burned

    def entries(self) -> dict[bytes, tuple[str, bytes]]:
        """State key to what it is, for people, and its value."""
        found = {}

        def put(what: str, namespace: int, identifier: bytes, value: list[Any]) -> None:
            found[_place(namespace, identifier)] = (what, pack(value))

        for address, account in self.accounts.items():
            put(f"account {address.hex()}", ACCOUNT, address, list(account.values()))
        for address, validator in self.validators.items():
            put(f"validator {address.hex()}", VALIDATOR, address, list(validator.values()))
        for address, pool in self.pools.items():
            value = [pool["staked"], pool["shares"], pool["index"].to_bytes(16, "big")]
            value += [pool["owed"], pool["operator"]]
            put(f"pool {address.hex()}", POOL, address, value)
        for (operator, staker), found_there in self.delegations.items():
            value = [found_there["shares"], found_there["index"].to_bytes(16, "big")]
            value += [found_there["past"], found_there["until"]]
            put(f"delegation {staker.hex()}", DELEGATION, operator + staker, value)
        for identity, job in self.jobs.items():
            put(f"job {identity.hex()}", JOB, identity, [_wire(value) for value in job.values()])
        for epoch, weights in self.weights.items():
            value = [epoch, [list(weight) for weight in weights]]
            put(f"weights of epoch {epoch}", WEIGHTS, epoch.to_bytes(8, "big"), value)
        for epoch, won in self.work.items():
            value = [[[miner, won[miner]] for miner in sorted(won)]]
            put(f"work of epoch {epoch}", EPOCH_WORK, epoch.to_bytes(8, "big"), value)
        for height, steps in self.agenda.items():
            place = height.to_bytes(8, "big")
            put(f"agenda of {height}", AGENDA, place, [len(steps)])
            for index, (step, subject, number) in enumerate(steps):
                what = f"step {index} of {height}"
                padded = subject + bytes(32 - len(subject))
                put(what, AGENDA, place + index.to_bytes(4, "big"), [step, padded, number])
        for books in self.books.values():
            for entry in books.entries():
                put(*entry)
        put("validators", VALIDATOR_INDEX, b"", [sorted(self.listed)])
        if self.tickets:
            put("tickets", TICKETS, b"", [[list(ticket) for ticket in self.tickets]])
        numbers: list[Any] = [self.base_fee, self.minted, self.burned, self.treasury, self.staker_pool]
        numbers += [self.immature, self.pending_tips, self.locked, self.settled_macs.to_bytes(16, "big")]
        put("chain", CHAIN, b"", numbers)
        return found


def escrow_of(job: Item) -> int:
    """What the payer locked."""
    total: int = job["escrow_price"] + job["escrow_protocol"] + job["escrow_audit"]
    return total


def _wire(value: Any) -> Any:
    """Seats are dicts inside a job."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [list(seat.values()) for seat in value]
    return value


@cache
def _place(namespace: int, identifier: bytes) -> bytes:
    return h256(Tag.STATE_KEY, bytes([namespace]) + identifier)
