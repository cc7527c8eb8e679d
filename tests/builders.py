"""A chain in memory, for tests of the rules: no proof of work, no network, no clock.

`Ledger` runs the real state transition block after block over a real state tree; only the tickets are made up.
`Product` is a matrix product with everything a payer, provider or challenger derives from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from chain.blocks import Receipt
from chain.codec import Record
from chain.errors import Invalid
from chain.hashing import Tag, h256
from chain.keys import SigningKey, address_of
from chain.kv import MemoryKV, Sync
from chain.ledger import (
    EMPTY_ACCOUNT,
    EMPTY_POOL,
    GOVERNED_KEY,
    Account,
    AgendaItem,
    AgendaLength,
    ChainState,
    Namespace,
    StakePool,
    Ticket,
    TicketRing,
    Validator,
    WeightSnapshot,
    agenda_key,
    height_key,
    state_key,
)
from chain.state import StateTree
from chain.types import NO_ADDRESS, Address, BlockHash, Grains, Hash32, Height, JobId, StateKey
from compute.spec.claim import NO_BINDING, Binding
from consensus.transition import Outcome, Parent, Transition
from genesis.build import genesis_header, genesis_state
from genesis.presets import preset
from genesis.spec import GRAINS_PER_TILE, Allocation, ChainSpec, FoundingValidator
from tests.asset_books import count_assets
from tests.governance_books import count_governance
from tests.provider_books import count_permits, count_providers
from tests.stake_books import count_departures
from vm.envelope import Transaction
from vm.execute import Parsed, parse
from vm.jobs.record import Job
from vm.kinds.accounts import Transfer
from vm.kinds.operators import StakeRegister
from vm.registry import KINDS

TILE = GRAINS_PER_TILE
FUNDS_GRAINS = 1_000_000 * TILE
STAKE_GRAINS = 10_000 * TILE
ZERO = bytes(32)
KIND_OF = {kind.body: kind.name for kind in KINDS.values()}


def key(number: int) -> SigningKey:
    """The key of test person `number`."""
    return SigningKey(number.to_bytes(32, "big"))


def funded_spec(
    *, accounts: int = 8, validators: Sequence[int] = (0, 1, 2, 3, 4), **changes: Any
) -> ChainSpec:
    """The `test` preset with `accounts` funded people, some of whom validate from the start."""
    return replace(
        preset("test"),
        allocations=tuple(Allocation(key(i).address, Grains(FUNDS_GRAINS)) for i in range(accounts)),
        validators=tuple(FoundingValidator(key(i).public_key, Grains(STAKE_GRAINS)) for i in validators),
        **changes,
    )


def registration(stake_grains: int, **changes: Any) -> StakeRegister:
    """A stake of one's own, on usual terms."""
    terms: dict[str, Any] = {"commission_bp": 1_000, "max_change_bp": 100, "meta_root": ZERO}
    return StakeRegister(Grains(stake_grains), **(terms | changes))


class Ledger:
    """The chain so far: its state, and what every block did."""

    def __init__(self, spec: ChainSpec | None = None) -> None:
        self.spec = spec or funded_spec()
        self.kv = MemoryKV()
        self.tree = StateTree.load(self.kv)
        self.undos: list[dict[StateKey, bytes | None]] = []
        self.put(genesis_state(self.spec))
        self.genesis = genesis_header(self.spec, self.tree.root)
        self.parent = Parent.genesis(self.genesis)
        self.outcomes: list[Outcome] = []
        self.jobs: list[JobId] = []
        self.people = {a.address for a in self.spec.allocations}
        self.people |= {address_of(v.public_key) for v in self.spec.validators}
        self._nonces: dict[Address, int] = {}

    # -- building blocks --------------------------------------------------------------------------------------------

    @property
    def height(self) -> int:
        """Height of the last block."""
        return self.parent.header.height

    def sign(
        self,
        signer: SigningKey,
        body: Record,
        /,
        *others: SigningKey,
        sender: Address | None = None,
        nonce: int | None = None,
        **changes: Any,
    ) -> Transaction:
        """A transaction with the next nonce, counting those signed for the same block before it."""
        sender = sender or signer.address
        if nonce is None:
            nonce = self._nonces.get(sender, self.account(sender).nonce)
        self._nonces[sender] = nonce + 1
        fields: dict[str, Any] = {
            "version": 1,
            "chain_id": self.spec.chain_id,
            "kind": KIND_OF[type(body)],
            "sender": sender,
            "nonce": nonce,
            "max_fee_grains": Grains(TILE),
            "tip_grains": Grains(0),
            "valid_until": Height(self.height + 100),
            "body": body.to_bytes(),
            "authorisations": (),
        }
        return Transaction(**(fields | changes)).signed(signer, *others)

    def forget(self) -> None:
        """Nothing that was signed and not mined counts any more."""
        self._nonces.clear()

    def begin(self) -> Transition:
        """The next block, with nothing in it yet."""
        return Transition(self.spec, self.tree, self.parent)

    def mine(
        self,
        *transactions: Transaction,
        miner: Address = NO_ADDRESS,
        ticket: Hash32 | None = None,
        binding: Binding = NO_BINDING,
    ) -> list[Receipt]:
        """Append a block; returns the receipts of its transactions.  Raises: Invalid if one may not be in it."""
        transition = self.begin()
        receipts = []
        try:
            for transaction in transactions:
                data = transaction.to_bytes()
                receipts.append(transition.add(data, self.parse(data)))
                require_declared(transaction, receipts[-1])
        finally:
            self.forget()
        self.finish(transition, miner=miner, ticket=ticket, binding=binding)
        return receipts

    def finish(
        self,
        transition: Transition,
        *,
        miner: Address = NO_ADDRESS,
        ticket: Hash32 | None = None,
        binding: Binding = NO_BINDING,
    ) -> Outcome:
        """Close a block under construction and make it the head."""
        outcome = transition.finish()
        self.put(outcome.changes)
        self.outcomes.append(outcome)
        self.people |= {miner}
        previous = self.parent.header
        header = replace(
            previous,
            parent=BlockHash(previous.id),
            height=Height(previous.height + 1),
            time_ms=previous.time_ms + self.spec.pace.block_time_ms,
            state_root=self.tree.root,
            receipt_root=outcome.receipt_root,
            transaction_root=outcome.transaction_root,
            miner=miner,
        )
        made_up = h256(Tag.BEACON, b"ticket" + header.height.to_bytes(8, "big"))
        self.parent = Parent(header, ticket or made_up, binding)
        return outcome

    def mine_to(self, height: int) -> None:
        """Append empty blocks until the head has this height."""
        while self.height < height:
            self.mine()

    def parse(self, data: bytes) -> Parsed:
        return parse(data, self.spec.chain_id)

    def put(self, changes: Mapping[StateKey, bytes | None]) -> None:
        """Change the state from outside the rules."""
        staged = self.tree.stage(changes)
        self.kv.write(staged.writes, sync=Sync.DURABLE)
        self.tree.apply(staged)
        self.undos.append(dict(staged.undo))

    def undo(self) -> None:
        """Take the state of the last block, or the last change, back."""
        changes = self.undos.pop()
        self.put(changes)
        self.undos.pop()

    # -- looking ----------------------------------------------------------------------------------------------------

    def account(self, address: Address) -> Account:
        data = self.tree.get(state_key(Namespace.ACCOUNT, address))
        return Account.from_bytes(data) if data is not None else EMPTY_ACCOUNT

    def balance(self, who: SigningKey) -> int:
        return self.account(who.address).balance_grains

    def job(self, job: JobId) -> Job:
        data = self.tree.get(state_key(Namespace.JOB, job))
        assert data is not None
        return Job.from_bytes(data)

    @property
    def chain(self) -> ChainState:
        data = self.tree.get(state_key(Namespace.CHAIN, b""))
        assert data is not None
        return ChainState.from_bytes(data)

    @property
    def tickets(self) -> tuple[Ticket, ...]:
        data = self.tree.get(state_key(Namespace.TICKETS, b""))
        return TicketRing.from_bytes(data).tickets if data is not None else ()

    def stake(self, address: Address) -> int:
        data = self.tree.get(state_key(Namespace.VALIDATOR, address))
        return Validator.from_bytes(data).stake_grains if data is not None else 0

    def pool(self, operator: Address) -> StakePool:
        data = self.tree.get(state_key(Namespace.STAKE_POOL, operator))
        return StakePool.from_bytes(data) if data is not None else EMPTY_POOL

    def events(self) -> list[tuple[str, tuple[int | bytes, ...]]]:
        """Events of the automatic steps of the last block."""
        return [(e.name, e.values) for e in self.outcomes[-1].receipts[0].events]

    def transfer(self, sender: SigningKey, to: Address, amount_grains: int, /, **changes: Any) -> Transaction:
        return self.sign(sender, Transfer(to, Grains(amount_grains), b""), **changes)

    # -- the supply identity ----------------------------------------------------------------------------------------

    def audit(self) -> None:
        """Count every entry of the state: nothing unknown, nothing negative, no coin lost or made [MONEY-IDENTITY]."""
        known = {state_key(Namespace.CHAIN, b""), state_key(Namespace.VALIDATOR_INDEX, b"")}
        known |= {state_key(Namespace.TICKETS, b""), GOVERNED_KEY}
        known |= {_key_of(Namespace.ACCOUNT, address) for address in self.people}
        known |= {_key_of(Namespace.VALIDATOR, address) for address in self.people}
        known |= {_key_of(Namespace.STAKE_POOL, address) for address in self.people}
        known |= {_key_of(Namespace.DELEGATION, one + other) for one in self.people for other in self.people}
        known |= count_departures(self.tree, self.people).keys
        known |= {_key_of(Namespace.JOB, identity) for identity in self.jobs}
        families = (
            count_assets(self.tree, self.people),
            count_governance(self.tree, self.people),
            count_providers(self.tree, self.people),
            count_permits(self.tree, self.agenda()),
        )
        for books in families:
            known |= books.keys
        for found, data in self.tree.items():
            due = _places_by_height().get(found)
            if due is not None and due[0] is Namespace.AGENDA and data is not None:
                assert due[1] > self.height, "a due step was left behind"
                known |= {agenda_key(due[1], index) for index in range(AgendaLength.from_bytes(data).steps)}
        unknown = [f for f, _ in self.tree.items() if f not in known and f not in _places_by_height()]
        assert not unknown, "every entry of the state belongs to something"
        balances = sum(self.account(address).balance_grains for address in self.people)
        jobs = [self.job(identity) for identity in self.jobs]
        live = sum(
            job.escrow_grains + job.bond_grains - job.attest_fees_grains
            for job in jobs
            if not job.status.terminal
        )
        chain = self.chain
        assert chain.locked_grains == self.staked() + live + sum(books.locked_grains for books in families)
        held = balances + chain.locked_grains + chain.immature_grains + chain.pending_tips_grains
        held += chain.treasury_grains + chain.staker_pool_grains
        assert held == chain.minted_grains - chain.burned_grains
        assert chain.minted_grains <= self.spec.money.cap_grains

    def staked(self) -> int:
        """What staking has locked: stakes of operators and delegators, rewards not taken, stake that is unbonding."""
        stakes = sum(self.stake(address) for address in self.people)
        pools = [self.pool(address) for address in self.people]
        pooled = sum(pool.staked_grains + pool.owed_grains + pool.operator_grains for pool in pools)
        return stakes + pooled + self.unbonding()

    def unbonding(self) -> int:
        """What is left of the stake that waits to be paid out."""
        return count_departures(self.tree, self.people).unbonding_grains

    def agenda(self) -> list[AgendaItem]:
        """Everything that waits on it."""
        lengths = [
            (due[1], AgendaLength.from_bytes(data).steps)
            for found, data in self.tree.items()
            if (due := _places_by_height().get(found)) is not None and due[0] is Namespace.AGENDA
        ]
        places = [agenda_key(height, index) for height, steps in lengths for index in range(steps)]
        return [AgendaItem.from_bytes(data) for place in places if (data := self.tree.get(place))]

    def weights(self, epoch: int) -> WeightSnapshot | None:
        data = self.tree.get(height_key(Namespace.WEIGHTS, epoch))
        return WeightSnapshot.from_bytes(data) if data is not None else None


_key_of = cache(state_key)


@cache
def _places_by_height() -> dict[StateKey, tuple[Namespace, int]]:
    """What belongs to a height or an epoch, for every height a test may reach."""
    kinds = (Namespace.AGENDA, Namespace.WEIGHTS, Namespace.EPOCH_WORK)
    return {height_key(kind, height): (kind, height) for kind in kinds for height in range(2048)}


def require_declared(transaction: Transaction, receipt: Receipt) -> None:
    """A kind fails only with its own codes, and causes only its own events and those of its operations [TX-KIND]."""
    kind = KINDS[transaction.kind]
    assert not receipt.code or receipt.code.split("(")[0] in {"SCOPE", *(rule.code for rule in kind.rules)}
    if kind.in_batch or kind.sponsor is not None:
        assert {event.name for event in receipt.events} <= {event.__name__ for event in kind.events}


def refused(code: str, ledger: Ledger, transaction: Transaction) -> None:
    """The transaction may not be in a block, for this reason, and trying leaves no trace."""
    transition = ledger.begin()
    before = dict(transition.context.state.changes())
    with pytest.raises(Invalid) as caught:
        transition.add(transaction.to_bytes(), ledger.parse(transaction.to_bytes()))
    ledger.forget()
    assert caught.value.code == code
    assert dict(transition.context.state.changes()) == before
