"""What one kind of transaction declares about itself.  Spec: [TX-KIND].

The declaration is the only place that knows a kind. From it come encoding and strict decoding, execution, fees, the
RPC schema, the command line, the reference page, and the instances that property tests draw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from chain.codec import Record
from vm.act import Act, Call
from vm.context import Context
from vm.events import Happening
from vm.rules import Check, Rule


@dataclass(frozen=True, slots=True)
class Family:
    """Kinds that belong together for a person: `tilework tx NAME …`."""

    name: str
    summary: str


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of transaction; its summary is the docstring of its body.

    `checks` run in order and change nothing; then `effect` runs in a scope of its own. Whichever raises Invalid fails
    the transaction: the fee stays paid, everything else is undone. What only shows while the effect runs is declared
    in `failures`.

    `sponsor`, where given, makes the kind free for its sender: the checks then decide whether the transaction may be in
    a block at all, and the sponsor burns the fee it is given, or as much as there is to burn, from somewhere else, and
    returns how much.
    """

    name: str
    family: Family
    body: type[Record]
    who: str
    """Who may send it, in words."""
    weight: int
    """Units of execution; where `weigh` is given, the least it gives."""
    max_bytes: int
    """Bound on the whole transaction."""
    effect: Callable[[Any], None]
    checks: tuple[Check, ...] = ()
    act: type[Act[Any]] = Act
    """What checks, effect and sponsor are given."""
    events: tuple[type[Happening], ...] = ()
    failures: tuple[Rule, ...] = ()
    sponsor: Callable[[Any, int], int] | None = None
    deposit_grains: int = 0
    """Locked for the object it creates, and paid back when that ends."""
    alone: bool = False
    """May not be an operation of a batch."""
    owner_only: bool = False
    """No session key may be granted it, or do it."""
    pausable: bool = False
    """Governance may stop it for a while: it begins something that others would have to finish [GOV-PAUSE]."""
    weigh: Callable[[Any], int] | None = None
    """Weight of a body, for kinds whose weight depends on it."""

    @property
    def summary(self) -> str:
        """What it does, in a sentence or two."""
        return (self.body.__doc__ or "").split("\n\n")[0].replace("\n", " ").strip()

    @property
    def command(self) -> str:
        """Its name within its family."""
        return self.name.rpartition(".")[2]

    @property
    def in_batch(self) -> bool:
        """Whether it may be an operation of a batch: a sponsor pays for whole transactions only."""
        return not self.alone and self.sponsor is None

    @property
    def rules(self) -> Iterator[Rule]:
        """Everything it may fail with after its envelope was right, in the order in which it is tested."""
        for each in self.checks:
            yield from each.rules
        yield from self.failures

    @property
    def weight_in_words(self) -> str:
        return str(self.weight) if self.weigh is None else f"{self.weight} or more, by its body"

    def weight_of(self, body: Record) -> int:
        """The weight of one transaction of this kind."""
        return self.weigh(body) if self.weigh is not None else self.weight

    def require(self, context: Context, call: Call, body: Record) -> None:
        """Run the checks; nothing changes.  Raises: Invalid with the code of a check."""
        self._checked(context, call, body)

    def perform(self, context: Context, call: Call, body: Record) -> None:
        """Check, then do.  Raises: Invalid; the caller drops what `context` took by then."""
        self.effect(self._checked(context, call, body))

    def perform_sponsored(self, context: Context, call: Call, body: Record) -> None:
        """Do what `require` has allowed before the sponsor paid."""
        self.effect(self.act(context, call, body))

    def pay(self, context: Context, call: Call, body: Record, fee_grains: int) -> int:
        """Let the sponsor pay; returns how much it burned."""
        assert self.sponsor is not None
        return self.sponsor(self.act(context, call, body), fee_grains)

    def _checked(self, context: Context, call: Call, body: Record) -> Act[Any]:
        act = self.act(context, call, body)
        for each in self.checks:
            each.run(act)
        return act
