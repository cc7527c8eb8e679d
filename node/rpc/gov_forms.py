"""Proposals as JSON, with the votes of both houses in hundredths of a per cent.  Spec: [RPC-GOV]."""

from __future__ import annotations

from chain.errors import Missing, Policy
from chain.types import ProposalId
from node.rpc.backend import ChainView
from node.rpc.forms import Json, record_form
from node.rpc.registry import Form
from vm.context import Context
from vm.governance.proposal import (
    Proposal,
    ProposalNumber,
    ProposalStatus,
    find_proposal,
    index_of,
    load_proposal,
    number_key,
)
from vm.governance.tally import WHOLE_BP as WHOLE_BP
from vm.governance.tally import House


def named(context: Context, name: str) -> ProposalId:
    """The proposal of an id or a number.  Raises: Missing PROPOSAL_UNKNOWN, Policy PROPOSAL_ID."""
    if name.isascii() and name.isdecimal() and len(name) < 20:
        return numbered(context, int(name))
    if not Form.HASH.accepts(name):
        raise Policy("PROPOSAL_ID", found=name[:80], allowed="a number, or 64 hexadecimal digits")
    identity = ProposalId(bytes.fromhex(name))
    if find_proposal(context.state, identity) is None:
        raise Missing("PROPOSAL_UNKNOWN", found=name, hint="See `tilework gov list`.")
    return identity


def numbered(context: Context, number: int) -> ProposalId:
    """The proposal of a number.  Raises: Missing PROPOSAL_UNKNOWN."""
    found = context.state.load(number_key(number), ProposalNumber)
    if found is None:
        count = index_of(context.state).proposals
        allowed = f"0..{count - 1}" if count else "nothing: there is no proposal yet"
        raise Missing("PROPOSAL_UNKNOWN", found=number, allowed=allowed, hint="See `tilework gov list`.")
    return found.proposal


def proposal_form(chain: ChainView, context: Context, identity: ProposalId) -> Json:
    """Everything about a proposal, and when what comes next comes."""
    proposal = load_proposal(context.state, identity)
    form = record_form(proposal, chain.spec.address_prefix) | summary_form(chain, identity, proposal)
    del form["stake_votes"], form["work_votes"], form["stake_grains"], form["work_blocks"]
    return form | {
        "deposited_grains": proposal.deposited_grains,
        "least_deposit_grains": proposal.least_deposit_grains,
        "majority": proposal.majority.name,
        "quorum_bp": context.spec.governance.quorum_bp,
        "stake_house": house_form(proposal.stake_house),
        "work_house": house_form(proposal.work_house),
        "ends_height": ends_height(chain, proposal),
    }


def summary_form(chain: ChainView, identity: ProposalId, proposal: Proposal) -> Json:
    """What a list shows."""
    return {
        "id": identity.hex(),
        "number": proposal.number,
        "sort": proposal.sort.name,
        "title": proposal.title,
        "status": proposal.status.name,
        "opened_height": proposal.opened_height,
        "ends_height": ends_height(chain, proposal),
        "yes_bp": part_bp(proposal.stake_votes.yes, proposal.stake_votes.decided),
        "voted_bp": voted_bp(proposal.stake_house),
    }


def house_form(house: House) -> Json:
    """Power and votes of a house; yes, no, abstain and veto as parts of what was voted."""
    tally = house.tally
    return {
        "power": house.total,
        "voted_bp": voted_bp(house),
        "yes_bp": part_bp(tally.yes, tally.cast),
        "no_bp": part_bp(tally.no, tally.cast),
        "abstain_bp": part_bp(tally.abstain, tally.cast),
        "veto_bp": part_bp(tally.veto, tally.cast),
    }


def voted_bp(house: House) -> int:
    """How much of its power a house has used."""
    return part_bp(house.tally.cast, house.total * WHOLE_BP)


def part_bp(part: int, whole: int) -> int:
    """A part in hundredths of a per cent; 0 of nothing."""
    return part * WHOLE_BP // whole if whole else 0


def ends_height(chain: ChainView, proposal: Proposal) -> int:
    """When what it is in now ends: collecting, voting, waiting; 0 once it has ended."""
    rules = chain.spec.governance
    ends = {
        ProposalStatus.DEPOSITING: proposal.opened_height + rules.deposit_blocks,
        ProposalStatus.VOTING: proposal.voting_height + rules.voting_blocks,
        ProposalStatus.PASSED: proposal.runs_height,
    }
    return ends.get(proposal.status, 0)
