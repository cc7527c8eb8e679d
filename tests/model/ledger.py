"""Blocks and transactions on the naive state.  Spec: [STF-*], [TX-*], [FEE-*], [MONEY-*], [EPOCH-FREEZE]."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chain.hashing import Tag, h256
from chain.keys import address_of, verify
from chain.types import PublicKey, Signature
from genesis.spec import ChainSpec
from tests.model import (
    accounts,
    assets,
    departures,
    governance,
    jobs,
    permits,
    providers,
    staking,
)
from tests.model.books import Books
from tests.model.forms import (
    BODY_BYTES,
    ENVELOPE,
    ENVELOPE_BYTES,
    KINDS,
    U63_MAX,
    Refused,
    in_range,
    pack,
    require,
    unpack,
    weight_of,
)
from tests.model.jobs import burn_attest_fee, check_attest
from tests.model.state import (
    COINBASE_MATURES,
    SETTLED,
    WEIGHTS_PRUNED,
    State,
    new_account,
)

EFFECTS = {
    **jobs.EFFECTS,
    **assets.EFFECTS,
    **accounts.EFFECTS,
    **governance.EFFECTS,
    **permits.EFFECTS,
    **providers.EFFECTS,
}
AGENDA_STEPS = {
    **jobs.AGENDA_STEPS,
    **accounts.AGENDA_STEPS,
    **governance.AGENDA_STEPS,
    **permits.AGENDA_STEPS,
}
BOOKS: dict[str, Callable[[], Books]] = {
    "assets": assets.Assets,
    "accounts": accounts.Keys,
    "governance": governance.Governance,
    "departures": departures.Departures,
    "permits": permits.Permits,
    "providers": providers.Providers,
}
"""One line here for each family."""
TICKET_RING = 16
AGENDA_ROOM = 4096
BODY_LIMIT_BYTES = 2 << 20


@dataclass(frozen=True)
class Winner:
    """What the proof of a block brought: known when the next block begins."""

    miner: bytes
    ticket: bytes
    job: bytes
    """The job it is bound to, or zeros."""


@dataclass(frozen=True)
class Receipt:
    code: str
    weight: int
    burned: int
    tip: int


class Model:
    """The chain: `begin`, any number of `add`, `end`; `undo` takes the last block back."""

    def __init__(self, spec: ChainSpec) -> None:
        """Genesis."""
        self.founding = self.spec = spec
        """The second are the constants in force in the block under construction."""
        self.paused: list[str] = []
        """Kinds that may not be in it."""
        self.height = 0
        """Of the block under construction, or of the head between blocks."""
        self.winner: Winner | None = None
        """Of the head; genesis has none."""
        given = sum(allocation.balance_grains for allocation in spec.allocations)
        staked = sum(founder.stake_grains for founder in spec.validators)
        self.state = State(base_fee=spec.money.base_fee_grains, minted=given + staked)
        self.state.books = {family: books() for family, books in BOOKS.items()}
        for allocation in spec.allocations:
            self.state.accounts[allocation.address] = new_account(allocation.balance_grains)
        for founder in spec.validators:
            staking.found(self, address_of(founder.public_key), founder.public_key, founder.stake_grains)
        self.state.weights[0] = self._weights()
        self.history: list[tuple[bytes, Winner | None]] = []
        """State, copied by pickling it, and winner before each block."""
        self.weight = self.bytes = 0
        """Of the block under construction."""
        self.acting: tuple[bytes, bytes] | None = None
        """Account and key of the session that signed the transaction under way, if one did."""

    # -- blocks ---------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Everything that comes before the transactions of the next block."""
        self.history.append((pickle.dumps(self.state), self.winner))
        self.height += 1
        self.weight = self.bytes = 0
        self.spec = governance.in_force(self.founding, governance.books_of(self).values)
        self.paused = governance.paused_now(self)
        if self.winner is not None:
            self._credit(self.winner)
        if self.height % self.spec.pace.epoch_blocks == 0:
            self._start_epoch(self.height // self.spec.pace.epoch_blocks)
        for step, subject, number in self.state.agenda.pop(self.height, []):
            if step == COINBASE_MATURES:
                self.credit(subject, number)
            elif step in staking.STEPS:
                staking.step(self, step, subject, number)
            elif step == WEIGHTS_PRUNED:
                del self.state.weights[number]
                self.state.work.pop(number - 1, None)
            else:
                AGENDA_STEPS[step](self, subject)
        assert self.state.conserves()

    def end(self, winner: Winner) -> None:
        """The base fee; the block is the head now."""
        money, state = self.spec.money, self.state
        target = max(1, money.block_weight_limit * money.block_target_bp // 10_000)
        change = state.base_fee * abs(self.weight - target) // target // money.base_fee_step_divisor
        if self.weight > target:
            state.base_fee += max(1, change)
        else:
            state.base_fee = max(money.base_fee_floor_grains, state.base_fee - change)
        self.winner = winner

    def undo(self) -> None:
        before, self.winner = self.history.pop()
        self.state = pickle.loads(before)
        self.height -= 1

    def _credit(self, parent: Winner) -> None:
        """[STF-PARENT]"""
        state, money = self.state, self.spec.money
        emitted = max(0, money.cap_grains - state.minted) // money.emission_divisor
        if emitted + state.pending_tips:
            due = self.height + money.coinbase_maturity_blocks
            self.schedule(due, COINBASE_MATURES, parent.miner, emitted + state.pending_tips)
            state.minted += emitted
            state.pending_tips = 0
        won = state.work.setdefault((self.height - 1) // self.spec.pace.epoch_blocks, {})
        won[parent.miner] = won.get(parent.miner, 0) + 1
        state.tickets = [*state.tickets, (self.height - 1, parent.ticket)][-TICKET_RING:]
        job = state.jobs.get(parent.job)
        if job is not None and job["status"] < SETTLED:
            job["bound_blocks"] += 1

    def _start_epoch(self, epoch: int) -> None:
        length = self.spec.pace.epoch_blocks
        staking.retire(self)
        self.state.weights[epoch] = self._weights()
        staking.share(self, self.state.weights[epoch])
        ended = epoch - 1
        self.schedule((ended + staking.kept_epochs(self.spec)) * length, WEIGHTS_PRUNED, b"", ended)

    def _weights(self) -> list[tuple[bytes, int]]:
        return [(address, staking.weight(self, address)) for address in sorted(self.state.listed)]

    def schedule(self, height: int, step: int, subject: bytes, number: int = 0) -> None:
        self.state.agenda.setdefault(height, []).append((step, subject, number))

    def require_room(self, height: int) -> None:
        """Where a sender chooses the height [STF-AGENDA].  Raises: Refused AGENDA_FULL."""
        require(len(self.state.agenda.get(height, [])) < AGENDA_ROOM, "AGENDA_FULL")

    # -- transactions -----------------------------------------------------------------------------------------------

    def add(self, data: bytes) -> Receipt:
        """Run one transaction.  Raises: Refused if it may not be in this block; nothing has changed then."""
        kind, sender, nonce, tip, most, until, body, keys = self._parse(data)
        weight = weight_of(kind, body) + len(keys) // 2
        money = self.spec.money
        fits = self.weight + weight <= money.block_weight_limit and self.bytes + len(data) <= BODY_LIMIT_BYTES
        require(fits, "BLOCK_FULL")
        require(self.height <= until, "EXPIRED")
        require(nonce == self.account(sender)["nonce"], "NONCE")
        acting = accounts.spender(self, sender, keys, kind, body)
        self.acting = (sender, keys[0]) if acting is not None else None
        doing = [name for name, _ in body[0]] if kind == "batch" else [kind]
        require(not set(doing) & set(self.paused), "PAUSED")
        burned = in_range(self.state.base_fee * weight + money.byte_fee_grains * len(data))
        if kind == "job.attest":
            require(tip == 0, "TIP")
            check_attest(self, sender, body)
            burned = burn_attest_fee(self, body[0], burned)
        else:
            require(in_range(burned + tip) <= most, "FEE_TOO_LOW")
            self.debit(sender, burned + tip)
            self.state.burned += burned
            self.state.pending_tips += tip
        self.state.accounts.setdefault(sender, new_account())["nonce"] += 1
        code = self._attempt(kind, keys[0], [sender, nonce], body)
        self.weight += weight
        self.bytes += len(data)
        assert self.state.conserves()
        return Receipt(code, weight, burned, tip)

    def _parse(self, data: bytes) -> tuple[str, bytes, int, int, int, int, Any, list[bytes]]:
        """Everything that needs no state, in the order of [TX-EXEC]."""
        envelope = unpack(data, ENVELOPE, ENVELOPE_BYTES)
        _, chain_id, kind, sender, nonce, most, tip, until, packed, authorisations = envelope
        require(kind in KINDS, "KIND")
        _, largest, shape = KINDS[kind]
        require(len(data) <= largest + 101 * max(0, len(authorisations) - 1), "SIZE")
        require(chain_id == self.spec.chain_id, "CHAIN_ID")
        body = unpack(packed, shape, BODY_BYTES.get(kind, largest))
        identity = h256(Tag.TX_ID, pack(envelope[:-1]))
        keys = [key for key, _ in authorisations]
        require(bool(keys) and sorted(set(keys)) == keys, "BAD_AUTH")
        for key, signature in authorisations:
            require(verify(PublicKey(key), identity, Signature(signature)), "BAD_AUTH")
        return kind, sender, nonce, tip, most, until, body, keys

    def _attempt(self, kind: str, key: bytes, origin: list[Any], body: Any) -> str:
        """The effects, or the code of the rule that forbids them and no effects."""
        before = pickle.dumps(self.state)
        try:
            if kind == "batch":
                self._do_all(key, origin, body[0])
            else:
                self._do(kind, key, origin, body)
        except Refused as failure:
            self.state = pickle.loads(before)
            return failure.code
        return ""

    def _do_all(self, key: bytes, origin: list[Any], operations: list[Any]) -> None:
        """[TX-BATCH]"""
        for place, (kind, body) in enumerate(operations):
            try:
                self._do(kind, key, [*origin, place], body)
            except Refused as failure:
                raise Refused(f"BATCH({place},{failure.code})") from failure

    def _do(self, kind: str, key: bytes, origin: list[Any], body: Any) -> None:
        """One act; `origin` is sender, nonce and, in a batch, its place: they name what it makes."""
        sender = origin[0]
        if kind == "transfer":
            self._transfer(sender, *body)
        elif kind == "stake.register":
            staking.register(self, sender, key, *body)
        elif kind in staking.EFFECTS:
            staking.EFFECTS[kind](self, sender, *body)
        else:
            EFFECTS[kind](self, sender, origin, body)

    def _transfer(self, sender: bytes, to: bytes, amount: int, memo: bytes) -> None:
        new = not self.account(to)["nonce"] and not self.account(to)["balance"]
        require(not new or amount >= self.spec.money.dust_grains, "DUST")
        self.debit(sender, amount)
        self.credit(to, amount)

    def happen(self, deed: str, operator: bytes, *how: int) -> None:
        """What no transaction does; nothing happens to somebody who is no validator."""
        if operator in self.state.validators:
            staking.DEEDS[deed](self, operator, *how)
        assert self.state.conserves()

    # -- money --------------------------------------------------------------------------------------------------------

    def account(self, address: bytes) -> dict[str, int]:
        """A look at an account; one that was never used is empty."""
        return self.state.accounts.get(address, new_account())

    def debit(self, address: bytes, amount: int) -> None:
        """Raises: Refused BALANCE, SCOPE."""
        require(self.account(address)["balance"] >= amount, "BALANCE")
        if amount and self.acting is not None and self.acting[0] == address:
            accounts.count(accounts.books_of(self).sessions[self.acting], amount, self.height)
        if amount:
            self.state.accounts[address]["balance"] -= amount

    def credit(self, address: bytes, amount: int) -> None:
        """Only an amount above zero makes an account."""
        if amount:
            self.state.accounts.setdefault(address, new_account())["balance"] += amount
            assert self.state.accounts[address]["balance"] <= U63_MAX
