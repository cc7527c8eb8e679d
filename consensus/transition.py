"""The state transition of one block.  Spec: [STF-*].

Order: the parent's winner (coinbase, ticket, bound job), the epoch boundary, the agenda, the transactions in block
order, the base fee. Everything is a function of the parent's state, the parent's header and certificate, and the
transactions; nothing depends on this block's own proof, because its state root is fixed before the proof exists.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated

from chain.blocks import MAX_BODY_BYTES, Header, Receipt
from chain.codec import U63, Raw
from chain.doc import Doc
from chain.errors import Invalid
from chain.hashing import Tag
from chain.ledger import AgendaKind, Ticket
from chain.merkle import list_root
from chain.state.overlay import Overlay
from chain.state.reader import StateReader
from chain.types import NO_JOB, ZERO_HASH, Address, Grains, Hash32, Height, JobId, StateKey, TxId
from compute.spec.claim import NO_BINDING, Binding
from consensus import epochs, rewards
from consensus.epochs import start_epoch
from consensus.rewards import earn_coinbase
from consensus.upgrades import require_known
from genesis.spec import ChainSpec
from vm.assets import permits
from vm.context import Context, Step
from vm.events import Happening
from vm.execute import Parsed, execute
from vm.fees import next_base_fee
from vm.governance import deposits, execution
from vm.governance.work import count_block
from vm.jobs import lifecycle
from vm.jobs.record import load_job, store_job
from vm.kinds import keys, sessions
from vm.staking import liability, terms, unbonding


@dataclass(frozen=True, slots=True)
class BlockBound(Happening):
    """The parent block was won with a job's product."""

    job: Annotated[JobId, Raw(32), Doc("the job")]
    provider: Annotated[Address, Raw(20), Doc("who runs it, and won the block")]
    height: Annotated[Height, U63, Doc("height of that block")]


@dataclass(frozen=True, slots=True)
class Parent:
    """What a transition needs to know of the block before it; genesis has a zero ticket and no binding."""

    header: Header
    ticket: Hash32
    binding: Binding

    @staticmethod
    def genesis(header: Header) -> Parent:
        return Parent(header, Hash32(ZERO_HASH), NO_BINDING)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a transition: what changes, and what the header must commit to besides the state root."""

    changes: Mapping[StateKey, bytes | None]
    receipts: tuple[Receipt, ...]
    receipt_data: tuple[bytes, ...]
    """The canonical encoding of each receipt."""
    receipt_root: Hash32
    transaction_root: Hash32


class Transition:
    """A block under construction, by a producer or by a verifier: both take exactly this path."""

    def __init__(self, spec: ChainSpec, state: StateReader, parent: Parent) -> None:
        """Run everything that comes before the transactions.

        Raises: LocalFault UPGRADE_UNKNOWN for a block that this release may not judge [GOV-UPGRADE].
        """
        self._state = Overlay(state)
        self.context = Context.at(spec, self._state, Height(parent.header.height + 1))
        require_known(execution.governed_now(self.context), self.context.height)
        self._transactions: list[bytes] = []
        self._receipts: list[Receipt] = []
        self._weight = 0
        self._bytes = 0
        _credit_parent(self.context, parent)
        start_epoch(self.context)
        for item in self.context.take_agenda():
            STEPS[item.kind](self.context, item)

    def add(self, data: bytes, parsed: Parsed) -> Receipt:
        """Run one transaction.

        Raises: Invalid BLOCK_FULL, or because the transaction may not be in this block; nothing has changed then.
        """
        limit = self.context.spec.money.block_weight_limit
        if self._weight + parsed.weight > limit or self._bytes + len(data) > MAX_BODY_BYTES:
            raise Invalid("BLOCK_FULL", found=self._weight + parsed.weight, allowed=f"{limit} weight units")
        scope = self.context.child()
        receipt = execute(scope, parsed)
        self._state.merge(scope.state)  # its events are in the receipt, not among the block's own
        self._weight += parsed.weight
        self._bytes += len(data)
        self._transactions.append(data)
        self._receipts.append(receipt)
        return receipt

    def finish(self) -> Outcome:
        """Adjust the base fee and close the block."""
        chain = self.context.chain
        base_fee = next_base_fee(self.context.spec.money, chain.base_fee_grains, self._weight)
        self.context.put_chain(replace(chain, base_fee_grains=Grains(base_fee)))
        automatic = Receipt(TxId(ZERO_HASH), "", 0, Grains(0), Grains(0), tuple(self.context.events))
        receipts = (automatic, *self._receipts)
        data = tuple(receipt.to_bytes() for receipt in receipts)
        return Outcome(
            changes=self._state.changes(),
            receipts=receipts,
            receipt_data=data,
            receipt_root=list_root(Tag.RECEIPT_LEAF, data),
            transaction_root=list_root(Tag.TX_LEAF, self._transactions),
        )


def run_block(
    spec: ChainSpec, state: StateReader, parent: Parent, transactions: Iterable[tuple[bytes, Parsed]]
) -> Outcome:
    """The whole transition of a received block.

    Raises: Invalid if a transaction may not be in it; LocalFault UPGRADE_UNKNOWN.
    """
    transition = Transition(spec, state, parent)
    for data, parsed in transactions:
        transition.add(data, parsed)
    return transition.finish()


def check_commitments(header: Header, outcome: Outcome, state_root: bytes) -> None:
    """The header must commit to exactly this outcome [STF-ROOTS].  Raises: Invalid ROOT_*."""
    for code, found, allowed in (
        ("ROOT_TRANSACTIONS", header.transaction_root, outcome.transaction_root),
        ("ROOT_RECEIPTS", header.receipt_root, outcome.receipt_root),
        ("ROOT_STATE", header.state_root, state_root),
        ("ROOT_VOTES", header.votes_root, EMPTY_VOTES_ROOT),
    ):
        if found != allowed:
            raise Invalid(code, found=found, allowed=allowed)


EMPTY_VOTES_ROOT = list_root(Tag.VOTE_LEAF, [])
"""Blocks carry no finality votes yet; their section and its root are part of the format."""


def _credit_parent(context: Context, parent: Parent) -> None:
    """Ticket, coinbase and bound job of the parent take effect here, one block late [STF-PARENT]."""
    if not parent.header.height:
        return
    earn_coinbase(context, parent.header.miner)
    count_block(context.state, parent.header.height // context.spec.pace.epoch_blocks, parent.header.miner)
    context.add_ticket(Ticket(parent.header.height, parent.ticket))
    if parent.binding.job != NO_JOB:
        job = load_job(context, parent.binding.job)
        if not job.status.terminal:
            store_job(context, parent.binding.job, replace(job, bound_blocks=job.bound_blocks + 1))
            context.emit(BlockBound(parent.binding.job, job.provider, parent.header.height))


STEPS: dict[AgendaKind, Step] = {
    kind: step
    for module in (
        rewards,
        epochs,
        lifecycle,
        unbonding,
        liability,
        terms,
        keys,
        sessions,
        deposits,
        execution,
        permits,
    )
    for kind, step in module.STEPS.items()
}
"""Everything the agenda can hold."""
