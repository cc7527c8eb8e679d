"""Blocks of the kinds about staking and governance, see kind_stage.py."""

from __future__ import annotations

from dataclasses import replace

from chain.keys import SigningKey
from chain.ledger import MAX_PAST_STAKES, ParameterValue
from chain.types import Grains, ProposalId
from tests.bench.kind_stage import EVERYBODY, FIRST, SPARE, Block, Forms, Stage
from tests.builders import TILE, key, registration
from tests.governance_cases import NO, YES, proposal_id, proposed
from tests.staking_cases import updated
from vm.context import CHAIN_KEY
from vm.governance.parameters import MAX_CHANGES, PARAMETERS
from vm.governance.proposal import MAX_ACTIVE, MAX_DEPOSITORS, MAX_PAUSED_KINDS, ProposalSort
from vm.kinds.governance import GovCancel, GovDeposit, GovPropose, GovVote
from vm.kinds.operators import StakeUnjail
from vm.kinds.staking import StakeClaim, StakeDelegate, StakeRedelegate, StakeUndelegate
from vm.registry import KINDS
from vm.staking.jail import jail

FORMS = Forms()

LATEST_BLOCKS = 90
"""After so many everything that staking and governance put onto the agenda is over."""
SOME = 64
"""Validators on a list of usual length."""
NEWCOMERS = 16


def validators(count: int) -> list[SigningKey]:
    """Some of those that were founded besides the first five."""
    return [key(SPARE + number) for number in range(count)]


@FORMS.form("stake.register", "a newcomer", SOME)
def register(stage: Stage) -> Block:
    body = registration(1_000 * TILE)
    yield stage.sent(*((who, body) for who in stage.people(NEWCOMERS)))


@FORMS.form("stake.register", f"a newcomer, {EVERYBODY:,} validators", EVERYBODY)
def register_among_many(stage: Stage) -> Block:
    yield from register(stage)


@FORMS.form("stake.update", "another commission", SOME)
def update(stage: Stage) -> Block:
    yield stage.sent(*((who, updated(1_050, 90, b"r" * 32)) for who in validators(NEWCOMERS)))
    stage.wait(LATEST_BLOCKS)


@FORMS.form("stake.unjail", "back onto the list", SOME)
def unjail(stage: Stage) -> Block:
    who = validators(NEWCOMERS)
    transition = stage.ledger.begin()
    for each in who:
        jail(transition.context, each.address, 1, forever=False)
    stage.ledger.finish(transition)
    stage.to_epoch(1)
    yield stage.sent(*((each, StakeUnjail()) for each in who))


@FORMS.form("stake.unjail", f"back onto the list, {EVERYBODY:,} validators", EVERYBODY)
def unjail_among_many(stage: Stage) -> Block:
    yield from unjail(stage)


# -- stake with others --------------------------------------------------------------------------------------------


def delegations(stage: Stage, operators: list[SigningKey], epochs: int = 1) -> list[SigningKey]:
    """Somebody stakes with each, in so many epochs, and has earned something."""
    stakers = stage.people(len(operators))
    for _ in range(epochs):
        bodies = [StakeDelegate(each.address, Grains(TILE)) for each in operators]
        stage.did(*zip(stakers, bodies, strict=True))
        stage.to_epoch()
    earn(stage)
    return stakers


def earn(stage: Stage) -> None:
    """Give the pool of the stakers something, and let an epoch begin, which shares it out."""
    rich = replace(stage.ledger.chain, staker_pool_grains=Grains(100_000 * TILE))
    stage.ledger.put({CHAIN_KEY: rich.to_bytes()})
    stage.to_epoch(2)


@FORMS.form("stake.delegate", "for the first time", SOME)
def delegate(stage: Stage) -> Block:
    operators = validators(NEWCOMERS)
    bodies = [StakeDelegate(each.address, Grains(TILE)) for each in operators]
    yield stage.sent(*zip(stage.people(NEWCOMERS), bodies, strict=True))


@FORMS.form("stake.delegate", f"to stake with a past that has earned, {EVERYBODY:,} validators", EVERYBODY)
def delegate_more(stage: Stage) -> Block:
    operators = validators(NEWCOMERS)
    stakers = delegations(stage, operators, MAX_PAST_STAKES)
    bodies = [StakeDelegate(each.address, Grains(TILE)) for each in operators]
    yield stage.sent(*zip(stakers, bodies, strict=True))


@FORMS.form("stake.undelegate", "all of it", SOME)
def undelegate(stage: Stage) -> Block:
    operators = validators(NEWCOMERS)
    stakers = delegations(stage, operators)
    bodies = [StakeUndelegate(each.address, TILE) for each in operators]
    yield stage.sent(*zip(stakers, bodies, strict=True))
    stage.wait(LATEST_BLOCKS)


@FORMS.form("stake.undelegate", f"a part, with a past, after another, {EVERYBODY:,} validators", EVERYBODY)
def undelegate_again(stage: Stage) -> Block:
    operators = validators(NEWCOMERS)
    stakers = delegations(stage, operators, MAX_PAST_STAKES)
    bodies = [StakeUndelegate(each.address, TILE) for each in operators]
    stage.did(*zip(stakers, bodies, strict=True))
    yield stage.sent(*zip(stakers, bodies, strict=True))
    stage.wait(LATEST_BLOCKS)


@FORMS.form("stake.redelegate", "all of it", SOME)
def redelegate(stage: Stage) -> Block:
    operators = validators(NEWCOMERS)
    stakers = delegations(stage, operators)
    yield stage.sent(*zip(stakers, moves(operators), strict=True))
    stage.wait(LATEST_BLOCKS)


@FORMS.form(
    "stake.redelegate",
    f"a part, with a past, after another, that earned, {EVERYBODY:,} validators",
    EVERYBODY,
)
def redelegate_again(stage: Stage) -> Block:
    operators = validators(NEWCOMERS)
    stakers = delegations(stage, operators, MAX_PAST_STAKES)
    stage.did(*zip(stakers, moves(operators), strict=True))
    earn(stage)
    stage.did(*zip(stakers, moves(operators), strict=True))
    yield stage.sent(*zip(stakers, moves(operators), strict=True))
    stage.wait(LATEST_BLOCKS)


def moves(operators: list[SigningKey]) -> list[StakeRedelegate]:
    """Each to a validator with which nobody stakes otherwise."""
    targets = [key(SPARE + 20 + place) for place in range(len(operators))]
    pairs = zip(operators, targets, strict=True)
    return [StakeRedelegate(source.address, target.address, TILE) for source, target in pairs]


@FORMS.form("stake.claim", "of stake with another", SOME)
def claim(stage: Stage) -> Block:
    operators = validators(NEWCOMERS)
    stakers = delegations(stage, operators, MAX_PAST_STAKES)
    bodies = [StakeClaim(each.address) for each in operators]
    yield stage.sent(*zip(stakers, bodies, strict=True))


@FORMS.form("stake.claim", "of one's own", SOME)
def claim_own(stage: Stage) -> Block:
    operators = validators(NEWCOMERS)
    delegations(stage, operators)
    yield stage.sent(*((each, StakeClaim(each.address)) for each in operators))


# -- governance -------------------------------------------------------------------------------------------------------


def whole_deposit(stage: Stage) -> Grains:
    return stage.ledger.spec.governance.deposit_grains


def opened(stage: Stage, body: GovPropose) -> list[ProposalId]:
    """As many proposals as may be there, each of somebody else."""
    who = stage.people(MAX_ACTIVE)
    ids = [proposal_id(each, stage.nonce(each)) for each in who]
    stage.did(*((each, body) for each in who))
    return ids


def everybody(stage: Stage, ids: list[ProposalId], ballot: tuple[int, int, int, int] = YES) -> None:
    """Five validators, who have most of the stake, vote on all of them."""
    for number in range(FIRST):
        stage.did(*((key(number), GovVote(each, key(number).address, *ballot)) for each in ids))


def changes() -> tuple[ParameterValue, ...]:
    """As many as a proposal may ask for, each to what it is."""
    spec = Stage().ledger.spec
    names = sorted(PARAMETERS, key=len)[-MAX_CHANGES:]
    return tuple(ParameterValue(name, max(PARAMETERS[name].least(spec), value(spec, name))) for name in names)


def value(spec: object, name: str) -> int:
    group, field = name.split(".")
    found: int = getattr(getattr(spec, group), field)
    return found


@FORMS.form("gov.propose", "a text, with a part of the deposit, that expires")
def text(stage: Stage) -> Block:
    body = proposed(deposit_grains=Grains(whole_deposit(stage) // 2))
    yield stage.sent(*((who, body) for who in stage.people(MAX_ACTIVE)))
    stage.wait(LATEST_BLOCKS)


@FORMS.form("gov.propose", "a text, with the whole deposit, agreed on")
def agreed_text(stage: Stage) -> Block:
    yield from _enacted(stage, proposed(deposit_grains=whole_deposit(stage)))


@FORMS.form("gov.propose", "1 parameter, which is changed")
def parameter(stage: Stage) -> Block:
    asked = proposed(ProposalSort.PARAM, changes=changes()[:1], deposit_grains=whole_deposit(stage))
    yield from _enacted(stage, asked)


@FORMS.form("gov.propose", f"{MAX_CHANGES} parameters, which are changed")
def parameters(stage: Stage) -> Block:
    asked = proposed(ProposalSort.PARAM, changes=changes(), deposit_grains=whole_deposit(stage))
    yield from _enacted(stage, replace(asked, title="n" * 64))


@FORMS.form("gov.propose", f"a pause of {MAX_PAUSED_KINDS} kinds, which happens")
def pause(stage: Stage) -> Block:
    names = [each.name for each in KINDS.values() if each.pausable][:MAX_PAUSED_KINDS]
    asked = proposed(ProposalSort.PAUSE, paused=tuple(names), pause_blocks=3)
    yield from _enacted(stage, replace(asked, deposit_grains=whole_deposit(stage), title="n" * 64))


def _enacted(stage: Stage, body: GovPropose) -> Block:
    who = stage.people(MAX_ACTIVE)
    stage.to_epoch()
    ids = [proposal_id(each, stage.nonce(each)) for each in who]
    yield stage.sent(*((each, body) for each in who))
    everybody(stage, ids)
    stage.wait(LATEST_BLOCKS)


@FORMS.form("gov.deposit", "a part")
def usual_deposit(stage: Stage) -> Block:
    part = Grains(whole_deposit(stage) // MAX_DEPOSITORS)
    ids = opened(stage, proposed(deposit_grains=part))
    yield stage.sent(*((key(200 + n), GovDeposit(each, part)) for n, each in enumerate(ids)))


@FORMS.form("gov.deposit", f"the last of {MAX_DEPOSITORS}, for {MAX_CHANGES} parameters: voting starts")
def last_deposit(stage: Stage) -> Block:
    """The end of the vote pays all of them back: it is measured with all of them."""
    ids, part = full(stage), Grains(whole_deposit(stage) // MAX_DEPOSITORS)
    yield stage.sent(*((key(250 + n), GovDeposit(each, part)) for n, each in enumerate(ids)))


@FORMS.form("gov.deposit", f"all after the proposer's, for {MAX_CHANGES} parameters, which are rejected")
def all_deposits(stage: Stage) -> Block:
    part, ids = Grains(whole_deposit(stage) // MAX_DEPOSITORS), opened(stage, large_request(stage))
    depositors = stage.people(MAX_DEPOSITORS - 1, 100)
    yield stage.sent(*((who, GovDeposit(each, part)) for who in depositors for each in ids))
    everybody(stage, ids, NO)
    stage.wait(LATEST_BLOCKS)


def large_request(stage: Stage) -> GovPropose:
    """As large as a proposal can be, with the least deposit that it may begin with."""
    part = Grains(whole_deposit(stage) // MAX_DEPOSITORS)
    return proposed(ProposalSort.PARAM, changes=changes(), title="n" * 64, deposit_grains=part)


def full(stage: Stage) -> list[ProposalId]:
    """Proposals to which one of sixteen depositors is missing."""
    part = Grains(whole_deposit(stage) // MAX_DEPOSITORS)
    ids = opened(stage, large_request(stage))
    for depositor in stage.people(MAX_DEPOSITORS - 2, 100):
        stage.did(*((depositor, GovDeposit(each, part)) for each in ids))
    return ids


@FORMS.form("gov.vote", "by a validator, on a text", SOME)
def usual_vote(stage: Stage) -> Block:
    stage.to_epoch()
    (identity, *_) = opened(stage, proposed(deposit_grains=whole_deposit(stage)))
    yield stage.sent(*((each, GovVote(identity, each.address, *YES)) for each in validators(NEWCOMERS)))


@FORMS.form(
    "gov.vote",
    f"other than its validator, stake with a past, {MAX_DEPOSITORS} depositors, {EVERYBODY:,} validators",
    EVERYBODY,
)
def override(stage: Stage) -> Block:
    operators = validators(NEWCOMERS)
    stakers = delegations(stage, operators, MAX_PAST_STAKES)
    ids = full(stage)
    part = Grains(whole_deposit(stage) // MAX_DEPOSITORS)
    stage.did(*((key(250), GovDeposit(each, part)) for each in ids))
    pairs = list(zip(ids, operators, strict=True))
    stage.did(*((who, GovVote(each, who.address, *YES)) for each, who in pairs))
    bodies = [GovVote(each, who.address, 2_500, 2_500, 2_500, 2_500) for each, who in pairs]
    yield stage.sent(*zip(stakers, bodies, strict=True))


@FORMS.form("gov.cancel", "one deposit")
def usual_cancel(stage: Stage) -> Block:
    ids = opened(stage, proposed(deposit_grains=Grains(whole_deposit(stage) // 2)))
    yield stage.sent(*zip(stage.people(MAX_ACTIVE), map(GovCancel, ids), strict=True))


@FORMS.form("gov.cancel", f"{MAX_DEPOSITORS - 1} deposits, {MAX_CHANGES} parameters")
def cancel_of_many(stage: Stage) -> Block:
    yield stage.sent(*zip(stage.people(MAX_ACTIVE), map(GovCancel, full(stage)), strict=True))
