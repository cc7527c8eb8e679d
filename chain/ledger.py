"""What the ledger stores, and under which keys: the state records shared by genesis, transactions and consensus.

Every entry of the authenticated state is one of these records (or a job, see vm/jobs). A state key is the digest of a
namespace byte and an identifier, so entries of different kinds never meet and nobody chooses a place in the tree
[STATE-ENTRIES].
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, ClassVar

from chain.codec import U63, BigUint, Nested, OneOf, Raw, Record, Seq, Text, Uint
from chain.doc import Doc
from chain.state.reader import state_key as state_key  # keys and records are used together: re-exported
from chain.types import Address, Grains, Hash32, Height, PublicKey, StateKey

MAX_VALIDATORS = 1024
MAX_EPOCH_BLOCKS = 4096
"""One record holds who won the blocks of an epoch."""
MAX_PAST_STAKES = 8
"""Changes that a delegation remembers; what it had before them counts as nothing [STAKE-PAST]."""
TICKET_RING = 16
"""Winning tickets kept in the state; the furthest beacon looks back over 9 blocks (protocol section 4)."""


class Namespace(IntEnum):
    """First byte under every state key."""

    ACCOUNT = 1
    VALIDATOR = 2
    JOB = 3
    AGENDA = 4
    WEIGHTS = 5
    VALIDATOR_INDEX = 6
    CHAIN = 7
    TICKETS = 8
    STAKE_POOL = 9
    DELEGATION = 10
    GOVERNED = 11
    AUTHORITY = 12
    SESSION = 13
    SESSION_INDEX = 14
    PROPOSAL = 15
    PROPOSAL_INDEX = 16
    VOTE = 17
    EPOCH_WORK = 18
    REDELEGATION = 19
    PROVIDER = 20
    PROVIDER_INDEX = 21
    PERMIT = 22
    DEPARTURE = 26
    UNBONDING = 27
    ASSET = 32
    ASSET_HOLDING = 33
    ASSET_VERSION = 34
    ASSET_NUMBER = 35
    CONTENT = 36
    OFFER = 37
    GRANT = 38
    REVENUE = 39
    ATTESTATION = 40


def height_key(namespace: Namespace, height: int) -> StateKey:
    """The place of an entry that belongs to a height or an epoch (big-endian, 8 bytes)."""
    return state_key(namespace, height.to_bytes(8, "big"))


def agenda_key(height: int, index: int) -> StateKey:
    """The place of step number `index` due at a height (8 and 4 bytes, big-endian)."""
    return state_key(Namespace.AGENDA, height.to_bytes(8, "big") + index.to_bytes(4, "big"))


@dataclass(frozen=True, slots=True)
class Account(Record):
    """Spendable balance and the nonce the next transaction must carry."""

    nonce: Annotated[int, U63]
    balance_grains: Annotated[Grains, U63]
    keyed: Annotated[int, Uint(1)]
    """1: other keys than the address's own speak for it, see vm/accounts/authority.py."""

    @property
    def is_new(self) -> bool:
        """Whether it was never used, or holds nothing and never sent anything [TX-EXEC]."""
        return not self.nonce and not self.balance_grains


EMPTY_ACCOUNT = Account(0, Grains(0), 0)


@dataclass(frozen=True, slots=True)
class Announcement(Record):
    """What a validator will take for its work from a height on."""

    commission_bp: Annotated[int, Uint(10_000)]
    max_change_bp: Annotated[int, Uint(10_000)]
    height: Annotated[Height, U63]


@dataclass(frozen=True, slots=True)
class Validator(Record):
    """A registered validator; its stake is outside its balance."""

    public_key: Annotated[PublicKey, Raw(32)]
    stake_grains: Annotated[Grains, U63]
    registered_height: Annotated[Height, U63]
    commission_bp: Annotated[int, Uint(10_000)]
    """Part of what it earns with the stake of others that is its own."""
    max_change_bp: Annotated[int, Uint(10_000)]
    """By how much it may raise that at a time."""
    meta_root: Annotated[Hash32, Raw(32)]
    """Of what it says about itself elsewhere; zeros for nothing."""
    announced: Annotated[tuple[Announcement, ...], Seq(Nested(Announcement), 1)]
    jailed_until: Annotated[Height, U63]
    """0: it is not in jail. It stays there beyond this height until it asks to come out."""
    tombstoned: Annotated[int, Uint(1)]
    """1: in jail for ever."""

    @property
    def jailed(self) -> bool:
        """Whether it may not stand for committees."""
        return bool(self.jailed_until or self.tombstoned)


@dataclass(frozen=True, slots=True)
class StakePool(Record):
    """What others stake with a validator, and what all of it has earned and nobody has claimed; see vm/staking."""

    staked_grains: Annotated[Grains, U63]
    shares: Annotated[int, U63]
    """Of all who stake; never fewer than the grains, because stake can be taken away and shares cannot."""
    index: Annotated[int, BigUint(16)]
    """What a share has earned so far, in 2^-64 grains."""
    owed_grains: Annotated[Grains, U63]
    """To those who stake with the validator."""
    operator_grains: Annotated[Grains, U63]
    """To the validator itself."""


EMPTY_POOL = StakePool(Grains(0), 0, 0, Grains(0), Grains(0))


@dataclass(frozen=True, slots=True)
class PastStake(Record):
    """What a delegation was worth when an epoch began, and before that back to the last change."""

    epoch: Annotated[int, U63]
    stake_grains: Annotated[Grains, U63]


@dataclass(frozen=True, slots=True)
class Delegation(Record):
    """What one account stakes with one validator."""

    shares: Annotated[int, U63]
    index: Annotated[int, BigUint(16)]
    """That of the pool when the delegation was last paid."""
    past: Annotated[tuple[PastStake, ...], Seq(Nested(PastStake), MAX_PAST_STAKES)]
    """One for each epoch in which it changed, oldest first; see vm/staking/past.py."""
    arrived_until: Annotated[Height, U63]
    """Up to here, some of it answers for the validator it came from; 0: it came from a balance."""


@dataclass(frozen=True, slots=True)
class ValidatorIndex(Record):
    """Addresses of all validators, ascending; bounded, so that an epoch boundary has a bounded cost."""

    addresses: Annotated[tuple[Address, ...], Seq(Raw(20), MAX_VALIDATORS)]


@dataclass(frozen=True, slots=True)
class Weight(Record):
    address: Annotated[Address, Raw(20)]
    stake_grains: Annotated[Grains, U63]


@dataclass(frozen=True, slots=True)
class WeightSnapshot(Record):
    """Stake of every validator at an epoch boundary, ascending by address; committees are drawn from it."""

    MAX_BYTES: ClassVar[int] = 1 << 17

    epoch: Annotated[int, U63]
    weights: Annotated[tuple[Weight, ...], Seq(Nested(Weight), MAX_VALIDATORS)]


class AgendaKind(IntEnum):
    """What the protocol does by itself when a height is reached."""

    COINBASE_MATURES = 1
    JOB_EXPIRES = 2
    JOB_LATE = 3
    JOB_DRAW = 4
    JOB_SETTLES = 5
    WEIGHTS_PRUNED = 6
    STAKE_UNBONDED = 7
    KEYS_CHANGE = 8
    SESSION_ENDS = 9
    DEPOSITS_END = 10
    VOTING_ENDS = 11
    PROPOSAL_RUNS = 12
    OPERATOR_CHANGES = 13
    REDELEGATION_ENDS = 14
    PERMIT_ENDS = 15


@dataclass(frozen=True, slots=True)
class AgendaItem(Record):
    """One automatic step: `subject` is an address or a job id; `number` an amount, an epoch or zero."""

    kind: Annotated[AgendaKind, OneOf(AgendaKind)]
    subject: Annotated[bytes, Raw(32)]
    number: Annotated[int, U63]


@dataclass(frozen=True, slots=True)
class AgendaLength(Record):
    """How many steps are due at a height; each is an entry of its own, so that adding one costs the same as the first.

    One record with all of them would have to be rewritten for every addition, and would have a size at which the
    protocol's own steps no longer fit: a full agenda could then be used to stop the chain [STF-AGENDA].
    """

    steps: Annotated[int, U63]


@dataclass(frozen=True, slots=True)
class Ticket(Record):
    height: Annotated[Height, U63]
    ticket: Annotated[Hash32, Raw(32)]


@dataclass(frozen=True, slots=True)
class TicketRing(Record):
    """The last winning tickets, oldest first; apart from the numbers below because those change with every fee."""

    tickets: Annotated[tuple[Ticket, ...], Seq(Nested(Ticket), TICKET_RING)]


@dataclass(frozen=True, slots=True)
class ChainState(Record):
    """The one record of chain-wide numbers.

    Supply identity after every block: minted - burned = sum of balances + stakes + escrows + bonds + immature coinbase
    + pending tips + treasury + staker pool [MONEY-IDENTITY].
    """

    base_fee_grains: Annotated[Grains, U63]
    minted_grains: Annotated[Grains, U63]
    burned_grains: Annotated[Grains, U63]
    treasury_grains: Annotated[Grains, U63]
    staker_pool_grains: Annotated[Grains, U63]
    immature_grains: Annotated[Grains, U63]
    pending_tips_grains: Annotated[Grains, U63]
    locked_grains: Annotated[Grains, U63]
    settled_macs: Annotated[int, BigUint(16)]
    """Outgrows 63 bits: one GPU makes 2^63 MACs in hours."""


MAX_PARAMETERS = 64
MAX_PAUSED = 64


@dataclass(frozen=True, slots=True)
class ParameterValue(Record):
    """A constant of the chain spec, and the value that governance gives it."""

    name: Annotated[str, Text(64), Doc("its name, `group.field`")]
    value: Annotated[int, U63, Doc("the value it gets")]


@dataclass(frozen=True, slots=True)
class Governed(Record):
    """Everything that governance has changed about the rules; absent while it has changed nothing [GOV-FORCE].

    `paused` are names of kinds, which may not be in a block up to `paused_until`. From `upgrade_height` on (0: none)
    only programs that know the upgrade go on.
    """

    values: Annotated[tuple[ParameterValue, ...], Seq(Nested(ParameterValue), MAX_PARAMETERS)]
    paused: Annotated[tuple[str, ...], Seq(Text(32), MAX_PAUSED)]
    paused_until: Annotated[Height, U63]
    upgrade: Annotated[str, Text(32)]
    upgrade_height: Annotated[Height, U63]


NOTHING_GOVERNED = Governed((), (), Height(0), "", Height(0))
GOVERNED_KEY = state_key(Namespace.GOVERNED, b"")
