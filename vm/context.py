"""What a transaction or an automatic step may touch: the state, the spec, the height, and money that is never lost.

All money moves through this file. Coins enter an account only out of another place that is counted in the supply
identity (see chain.ledger.ChainState), so conservation can be read here rather than hoped for everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from chain.blocks import Event
from chain.errors import Invalid
from chain.ints import add, sub
from chain.ledger import (
    EMPTY_ACCOUNT,
    GOVERNED_KEY,
    NOTHING_GOVERNED,
    TICKET_RING,
    Account,
    AgendaItem,
    AgendaKind,
    AgendaLength,
    ChainState,
    Governed,
    Namespace,
    ParameterValue,
    Ticket,
    TicketRing,
    agenda_key,
    height_key,
    state_key,
)
from chain.state.overlay import Overlay
from chain.types import Address, Grains, Height, StateKey
from genesis.spec import ChainSpec
from vm.accounts.session import Session
from vm.events import Happening

CHAIN_KEY = state_key(Namespace.CHAIN, b"")
TICKETS_KEY = state_key(Namespace.TICKETS, b"")
AGENDA_ROOM = 4096
"""A sender may not add a step to a height that has this many."""


Step = Callable[["Context", AgendaItem], None]
"""What the protocol does by itself when a height is reached; each module that has some lists them as STEPS."""


@dataclass(frozen=True, slots=True)
class Spender:
    """A session key at work: every debit of its owner is counted against the limits under `key`."""

    owner: Address
    key: StateKey


def in_force(founding: ChainSpec, governed: Governed) -> ChainSpec:
    """The constants a network was founded with, as governance has changed them."""
    return with_values(founding, governed.values)


def with_values(spec: ChainSpec, values: Iterable[ParameterValue]) -> ChainSpec:
    """These constants with other values in some places."""
    for each in values:
        group, _, name = each.name.partition(".")
        spec = replace(spec, **{group: replace(getattr(spec, group), **{name: each.value})})
    return spec


@dataclass(slots=True)
class Context:
    """The scratch pad of one transaction or one automatic step; `child` scopes are merged or dropped as a whole."""

    spec: ChainSpec
    """The constants in force in this block."""
    state: Overlay
    height: Height
    paused: frozenset[str] = frozenset()
    """Names of kinds that may not be in this block."""
    spender: Spender | None = None
    """The session key that acts, if one does."""
    events: list[Event] = field(default_factory=list)

    @staticmethod
    def at(founding: ChainSpec, state: Overlay, height: Height) -> Context:
        """For the block of this height, on the state of its parent: what was governed by then holds [GOV-FORCE]."""
        governed = state.load(GOVERNED_KEY, Governed) or NOTHING_GOVERNED
        paused = governed.paused if height <= governed.paused_until else ()
        return Context(in_force(founding, governed), state, height, frozenset(paused))

    def child(self) -> Context:
        """A scope whose changes and events vanish unless `merge` is called."""
        return Context(self.spec, self.state.child(), self.height, self.paused, self.spender)

    def merge(self, child: Context) -> None:
        """Take over everything a finished child scope did."""
        self.state.merge(child.state)
        self.events.extend(child.events)

    def emit(self, happening: Happening) -> None:
        self.events.append(happening.to_event())

    # -- accounts ---------------------------------------------------------------------------------------------------

    def account(self, address: Address) -> Account:
        """The account at an address; one that was never used is empty."""
        return self.state.load(state_key(Namespace.ACCOUNT, address), Account) or EMPTY_ACCOUNT

    def put_account(self, address: Address, account: Account) -> None:
        self.state.store(state_key(Namespace.ACCOUNT, address), account)

    def debit(self, address: Address, amount: int) -> None:
        """Take coins out of a balance; the caller puts them somewhere.

        Raises: Invalid BALANCE, and SCOPE if a session key acts and may not spend as much.
        """
        account = self.account(address)
        if account.balance_grains < amount:
            raise Invalid("BALANCE", found=account.balance_grains, allowed=f"at least {amount} grains")
        if self.spender is not None:
            self._count(address, amount)
        self.put_account(address, account.but(balance_grains=account.balance_grains - amount))

    def use_nonce(self, address: Address, fee_grains: int) -> None:
        """Count a transaction of an account that holds the fee, and take the fee; the caller puts it somewhere.

        Raises: Invalid SCOPE as `debit` does.
        """
        if self.spender is not None:
            self._count(address, fee_grains)
        account = self.account(address)
        balance = account.balance_grains - fee_grains
        self.put_account(address, account.but(nonce=account.nonce + 1, balance_grains=balance))

    def credit(self, address: Address, amount: int) -> None:
        """Put coins, taken from somewhere by the caller, into a balance; nothing happens for zero."""
        if amount:
            account = self.account(address)
            self.put_account(address, account.but(balance_grains=add(account.balance_grains, amount)))

    def _count(self, address: Address, amount: int) -> None:
        """Count what a session key spends of its owner's money [SESSION-LIMITS]."""
        spender = self.spender
        if spender is not None and amount and spender.owner == address:
            session = self.state.load(spender.key, Session)
            assert session is not None, "only the agenda and the owner's own keys end a session"
            self.state.store(spender.key, session.having_spent(amount, self.height))

    # -- chain-wide numbers -----------------------------------------------------------------------------------------

    @property
    def chain(self) -> ChainState:
        chain = self.state.load(CHAIN_KEY, ChainState)
        assert chain is not None, "genesis writes the chain state"
        return chain

    def put_chain(self, chain: ChainState) -> None:
        self.state.store(CHAIN_KEY, chain)

    @property
    def tickets(self) -> tuple[Ticket, ...]:
        """Winning tickets of the last blocks, the parent's last."""
        ring = self.state.load(TICKETS_KEY, TicketRing)
        return ring.tickets if ring is not None else ()

    def add_ticket(self, ticket: Ticket) -> None:
        """Remember the newest ticket, forget the oldest."""
        self.state.store(TICKETS_KEY, TicketRing((*self.tickets, ticket)[-TICKET_RING:]))

    def lock(self, amount: int) -> None:
        """Count coins taken from a balance as locked (escrow, bond, stake)."""
        chain = self.chain
        self.put_chain(chain.but(locked_grains=Grains(add(chain.locked_grains, amount))))

    def unlock(self, amount: int) -> None:
        """Release locked coins; the caller puts them somewhere."""
        chain = self.chain
        self.put_chain(chain.but(locked_grains=Grains(sub(chain.locked_grains, amount))))

    def burn(self, amount: int) -> None:
        """Destroy coins that the caller took from somewhere."""
        chain = self.chain
        self.put_chain(chain.but(burned_grains=Grains(add(chain.burned_grains, amount))))

    def collect_fee(self, burned: int, tip: int) -> None:
        """Destroy one part of a fee that the caller took from somewhere, keep the other for the block's producer."""
        chain = self.chain
        self.put_chain(
            chain.but(
                burned_grains=Grains(add(chain.burned_grains, burned)),
                pending_tips_grains=Grains(chain.pending_tips_grains + tip),
            )
        )

    # -- agenda -----------------------------------------------------------------------------------------------------

    def steps_due(self, height: int) -> int:
        """How many automatic steps a height already has."""
        length = self.state.load(height_key(Namespace.AGENDA, height), AgendaLength)
        return length.steps if length is not None else 0

    def require_agenda_room(self, height: int) -> None:
        """For steps whose height a sender chooses: nobody may pile up work in one block [STF-AGENDA].

        Steps at a fixed distance need no limit, the weight of the block that asked for them bounds them.

        Raises: Invalid AGENDA_FULL.
        """
        due = self.steps_due(height)
        if due >= AGENDA_ROOM:
            raise Invalid(
                "AGENDA_FULL", found=f"{due} steps", allowed=f"fewer than {AGENDA_ROOM} at height {height}"
            )

    def schedule(self, height: int, kind: AgendaKind, subject: bytes, number: int = 0) -> None:
        """Ask for an automatic step at a later height; `subject` is padded to 32 bytes with zeros."""
        assert height > self.height
        due = self.steps_due(height)
        item = AgendaItem(kind, subject.ljust(32, b"\0"), number)
        self.state.store(agenda_key(height, due), item)
        self.state.store(height_key(Namespace.AGENDA, height), AgendaLength(due + 1))

    def take_agenda(self) -> tuple[AgendaItem, ...]:
        """Remove and return what is due now, in the order in which it was asked for."""
        items = []
        for index in range(self.steps_due(self.height)):
            key = agenda_key(self.height, index)
            data = self.state.get(key)
            assert data is not None, "the length counts only steps that are there"
            items.append(AgendaItem.from_bytes(data))
            self.state.delete(key)
        if items:
            self.state.delete(height_key(Namespace.AGENDA, self.height))
        return tuple(items)
