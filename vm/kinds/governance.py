"""Governance: propose, collect the deposit, vote, take back.  Spec: [GOV-*].

Counting, waiting and doing what was decided are automatic steps, see vm/governance.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from chain.codec import U63, Nested, OneOf, Raw, Record, Seq, Text
from chain.doc import Doc
from chain.hashing import Tag
from chain.ints import ceil_div
from chain.ledger import AgendaKind, ParameterValue
from chain.types import Address, Grains, Hash32, Height, ProposalId
from genesis.spec import BASIS_POINTS
from vm.act import Act, affords
from vm.events import Happening
from vm.governance import houses
from vm.governance.deposits import DepositAdded, ProposalClosed, VotingStarted, add_deposit, close
from vm.governance.houses import Power, Voted, power_of
from vm.governance.parameters import MAX_CHANGES
from vm.governance.proposal import (
    MAX_ACTIVE,
    MAX_DEPOSITORS,
    MAX_NAME_BYTES,
    MAX_PAUSED_KINDS,
    MAX_TITLE_BYTES,
    Proposal,
    ProposalSort,
    ProposalStatus,
    add_proposal,
    find_proposal,
    index_of,
)
from vm.governance.request import beyond, misfilled
from vm.governance.tally import NO_VOTES, WHOLE_BP, Ballot
from vm.kind import Family, Kind
from vm.letters import shown
from vm.rules import Refusal, check

GOVERNANCE = Family("gov", "Governance: propose changes, vote on them.")


@dataclass(frozen=True, slots=True)
class GovPropose(Record):
    """Propose to change parameters, to upgrade, to pay from the treasury, a text, or a pause; locks a deposit."""

    sort: Annotated[
        ProposalSort, OneOf(ProposalSort), Doc("what it is about; only its own fields are filled")
    ]
    title: Annotated[str, Text(MAX_TITLE_BYTES), Doc("what people read first")]
    doc_root: Annotated[Hash32, Raw(32), Doc("commitment to its text; zeros: none")]
    changes: Annotated[
        tuple[ParameterValue, ...], Seq(Nested(ParameterValue), MAX_CHANGES), Doc("PARAM: new values")
    ]
    upgrade: Annotated[str, Text(MAX_NAME_BYTES), Doc("UPGRADE: its name")]
    upgrade_height: Annotated[
        Height, U63, Doc("UPGRADE: the first block by its rules; 0: it was agreed on and does not come")
    ]
    to: Annotated[Address, Raw(20), Doc("TREASURY: who is paid")]
    amount_grains: Annotated[Grains, U63, Doc("TREASURY: how much")]
    paused: Annotated[
        tuple[str, ...], Seq(Text(MAX_NAME_BYTES), MAX_PAUSED_KINDS), Doc("PAUSE: names of kinds")
    ]
    pause_blocks: Annotated[int, U63, Doc("PAUSE: for how many blocks")]
    deposit_grains: Annotated[Grains, U63, Doc("what the proposer locks; others may add to it")]


@dataclass(frozen=True, slots=True)
class ProposalOpened(Happening):
    """There is a new proposal."""

    proposal: Annotated[ProposalId, Raw(32), Doc("its id")]
    number: Annotated[int, U63, Doc("its number")]
    proposer: Annotated[Address, Raw(20), Doc("who made it")]
    sort: Annotated[ProposalSort, OneOf(ProposalSort), Doc("what it is about")]
    needed_grains: Annotated[Grains, U63, Doc("the deposit with which voting starts")]
    ends: Annotated[Height, U63, Doc("the block in which it ends if that is not there by then")]


def _readable(act: Act[GovPropose]) -> Refusal | None:
    return None if shown(act.body.title) else Refusal(repr(act.body.title), "letters that a person can see")


def _filled(act: Act[GovPropose]) -> Refusal | None:
    return misfilled(act.body)


def _in_bounds(act: Act[GovPropose]) -> Refusal | None:
    return beyond(act.body, act.context.spec, act.context.height)


def _place_free(act: Act[GovPropose]) -> Refusal | None:
    active = len(index_of(act.context.state).active)
    return Refusal(active, f"fewer than {MAX_ACTIVE} that have not ended") if active >= MAX_ACTIVE else None


def _new_proposal(act: Act[GovPropose]) -> Proposal:
    body, context = act.body, act.context
    return Proposal(
        number=index_of(context.state).proposals,
        proposer=act.call.sender,
        sort=body.sort,
        title=body.title,
        doc_root=body.doc_root,
        changes=body.changes,
        upgrade=body.upgrade,
        upgrade_height=body.upgrade_height,
        to=body.to,
        amount_grains=body.amount_grains,
        paused=body.paused,
        pause_blocks=body.pause_blocks,
        status=ProposalStatus.DEPOSITING,
        opened_height=Height(context.height),
        needed_grains=context.spec.governance.deposit_grains,
        deposits=(),
        voting_height=Height(0),
        epoch=0,
        stake_grains=Grains(0),
        stake_votes=NO_VOTES,
        work_blocks=0,
        work_votes=NO_VOTES,
        decided_height=Height(0),
        runs_height=Height(0),
        closed_height=Height(0),
        failure="",
    )


def _enough_to_begin(act: Act[GovPropose]) -> Refusal | None:
    least = _new_proposal(act).least_deposit_grains
    amount = act.body.deposit_grains
    return Refusal(amount, f"at least {least} grains") if amount < least else None


def _propose(act: Act[GovPropose]) -> None:
    context, call = act.context, act.call
    identity, proposal = ProposalId(call.object_id(Tag.PROPOSAL_ID)), _new_proposal(act)
    add_proposal(context.state, identity, proposal)
    ends = Height(context.height + context.spec.governance.deposit_blocks)
    context.schedule(ends, AgendaKind.DEPOSITS_END, identity)
    context.emit(
        ProposalOpened(identity, proposal.number, call.sender, proposal.sort, proposal.needed_grains, ends)
    )
    add_deposit(context, identity, proposal, call.sender, act.body.deposit_grains)


PROPOSE = Kind(
    "gov.propose",
    GOVERNANCE,
    GovPropose,
    who="anyone",
    weight=3,
    weigh=lambda body: 3 + ceil_div(len(body.changes), 2),
    max_bytes=2048,
    checks=(
        check("TEXT", "the title is not empty and has only visible letters", _readable),
        check("FORM", "exactly the fields of its sort are filled", _filled),
        check("PARAM_BOUNDS", "what it asks for lies inside the bounds that are coded", _in_bounds),
        check("BUSY", f"fewer than {MAX_ACTIVE} proposals have not ended", _place_free),
        check(
            "DEPOSIT",
            f"it begins with at least one part in {MAX_DEPOSITORS} of `governance.deposit_grains`",
            _enough_to_begin,
        ),
        affords(lambda act: act.body.deposit_grains, "the sender has the deposit besides the fee"),
    ),
    effect=_propose,
    events=(ProposalOpened, DepositAdded, VotingStarted),
)


class OnProposal(Act[Any]):
    """The proposal that a body names as `proposal`."""

    @property
    def identity(self) -> ProposalId:
        proposal: ProposalId = self.body.proposal
        return proposal

    @cached_property
    def found(self) -> Proposal | None:
        return find_proposal(self.context.state, self.identity)

    @property
    def proposal(self) -> Proposal:
        assert self.found is not None, "NOT_FOUND comes first"
        return self.found


def _exists(act: OnProposal) -> Refusal | None:
    return Refusal(act.identity, "the id of a proposal") if act.found is None else None


def _depositing(act: OnProposal) -> Refusal | None:
    status = act.proposal.status
    return None if status is ProposalStatus.DEPOSITING else Refusal(status.name, "DEPOSITING")


EXISTS = check("NOT_FOUND", "the proposal exists", _exists)
DEPOSITING = check("PHASE", "its deposit is still being collected", _depositing)


@dataclass(frozen=True, slots=True)
class GovDeposit(Record):
    """Lock coins for a proposal; it is voted on as soon as its deposit is complete."""

    proposal: Annotated[ProposalId, Raw(32), Doc("the proposal")]
    amount_grains: Annotated[
        Grains, U63, Doc("how much; it comes back when the vote is over, unless that is a veto")
    ]


def _enough_to_add(act: OnProposal) -> Refusal | None:
    least, amount = act.proposal.least_deposit_grains, act.body.amount_grains
    return Refusal(amount, f"at least {least} grains") if amount < least else None


def _deposit(act: OnProposal) -> None:
    add_deposit(act.context, act.identity, act.proposal, act.call.sender, act.body.amount_grains)


DEPOSIT = Kind(
    "gov.deposit",
    GOVERNANCE,
    GovDeposit,
    who="anyone",
    weight=2,
    max_bytes=1024,
    act=OnProposal,
    checks=(
        EXISTS,
        DEPOSITING,
        check(
            "DEPOSIT",
            f"it is at least one part in {MAX_DEPOSITORS} of what the proposal needs, so that "
            f"{MAX_DEPOSITORS} accounts always suffice",
            _enough_to_add,
        ),
        affords(lambda act: act.body.amount_grains, "the sender has the amount besides the fee"),
    ),
    effect=_deposit,
    events=(DepositAdded, VotingStarted),
)


@dataclass(frozen=True, slots=True)
class GovVote(Record):
    """Vote, or vote otherwise, while voting lasts: with one's own weight and work, or with what one delegates."""

    proposal: Annotated[ProposalId, Raw(32), Doc("the proposal")]
    position: Annotated[
        Address,
        Raw(20),
        Doc("the sender itself, for its weight as a validator and its work; or a validator it stakes with"),
    ]
    yes_bp: Annotated[int, BASIS_POINTS, Doc("part for it, in hundredths of a per cent")]
    no_bp: Annotated[int, BASIS_POINTS, Doc("part against it")]
    abstain_bp: Annotated[int, BASIS_POINTS, Doc("part that counts as present only")]
    veto_bp: Annotated[int, BASIS_POINTS, Doc("part against it, and for burning its deposit")]


class Voting(OnProposal):
    """The ballot, and what it counts."""

    @property
    def ballot(self) -> Ballot:
        body = self.body
        return Ballot(body.yes_bp, body.no_bp, body.abstain_bp, body.veto_bp)

    @cached_property
    def power(self) -> Power:
        return power_of(self.context, self.identity, self.proposal, self.body.position, self.call.sender)


def _whole(act: Voting) -> Refusal | None:
    parts = act.ballot.whole_bp
    return Refusal(f"parts of {parts} bp", f"{WHOLE_BP} together") if parts != WHOLE_BP else None


def _under_vote(act: Voting) -> Refusal | None:
    status = act.proposal.status
    return None if status is ProposalStatus.VOTING else Refusal(status.name, "VOTING")


def _sort_granted(act: Voting) -> Refusal | None:
    session, sort = act.call.session, act.proposal.sort
    if session is None or session.vote_scope >> sort & 1:
        return None
    return Refusal(f"a vote on {sort.name}", "the sorts that the session was granted")


def _counts(act: Voting) -> Refusal | None:
    if act.power.stake_grains or act.power.blocks:
        return None
    return Refusal(0, "stake or work from before voting started")


def _vote(act: Voting) -> None:
    houses.cast(act.context, act.identity, act.proposal, act.body.position, act.call.sender, act.ballot)


VOTE = Kind(
    "gov.vote",
    GOVERNANCE,
    GovVote,
    who="validators, those who stake with them, and miners",
    weight=2,
    max_bytes=1024,
    act=Voting,
    checks=(
        check("FORM", f"the parts are {WHOLE_BP:,} together", _whole),
        EXISTS,
        check("PHASE", "it is being voted on", _under_vote),
        check("SCOPE", "a session key was granted votes on proposals of this sort", _sort_granted),
        check("NO_POWER", "the position had stake or work when voting started", _counts),
    ),
    effect=_vote,
    events=(Voted,),
)


@dataclass(frozen=True, slots=True)
class GovCancel(Record):
    """Take a proposal back before anybody votes on it; its deposits are returned."""

    proposal: Annotated[ProposalId, Raw(32), Doc("the proposal")]


def _own(act: OnProposal) -> Refusal | None:
    proposer = act.proposal.proposer
    return Refusal(act.call.sender, proposer) if proposer != act.call.sender else None


def _cancel(act: OnProposal) -> None:
    close(act.context, act.identity, act.proposal, ProposalStatus.CANCELLED)


CANCEL = Kind(
    "gov.cancel",
    GOVERNANCE,
    GovCancel,
    who="the proposer",
    weight=2,
    max_bytes=1024,
    act=OnProposal,
    checks=(EXISTS, check("NOT_OWNER", "the sender made it", _own), DEPOSITING),
    effect=_cancel,
    events=(ProposalClosed,),
)
