"""RPC methods about governance: proposals, what an account could vote with, what can be changed.  Spec: [RPC-GOV]."""

from __future__ import annotations

from chain.bech32m import decode_address
from chain.errors import Policy
from chain.ledger import MAX_VALIDATORS
from chain.types import Address, ProposalId
from node.rpc.backend import ChainView, NodeBackend
from node.rpc.forms import Json, address_form, record_form
from node.rpc.gov_forms import named, numbered, proposal_form, summary_form
from node.rpc.registry import Cost, Field, Form, Parameter, method
from vm.context import Context
from vm.governance.execution import governed_now
from vm.governance.houses import find_vote, power_of
from vm.governance.parameters import MAX_SHARED_BP, PARAMETERS
from vm.governance.proposal import Proposal, ProposalSort, ProposalStatus, index_of, load_proposal
from vm.jobs.lifecycle import load_weights

MAX_LISTED = 100

_SUMMARY = (
    Field("id", Form.HASH, "proposal id"),
    Field("number", Form.INTEGER, "its number, from 0"),
    Field("sort", Form.TEXT, ", ".join(ProposalSort.__members__)),
    Field("title", Form.TEXT, "its title"),
    Field("status", Form.TEXT, ", ".join(ProposalStatus.__members__)),
    Field("opened_height", Form.INTEGER, "when it was opened"),
    Field("ends_height", Form.INTEGER, "when collecting, voting or waiting ends; 0: it has ended"),
    Field("yes_bp", Form.INTEGER, "yes of yes, no and veto in the stake house, in hundredths of a per cent"),
    Field("voted_bp", Form.INTEGER, "how much of the stake house has voted"),
)


@method(
    "gov_list",
    "Proposals, newest first.",
    parameters=(
        Parameter("limit", Form.INTEGER, f"at most {MAX_LISTED}", required=False, default=20),
        Parameter("active", Form.BOOLEAN, "only those that have not ended", required=False, default=False),
    ),
    result=(
        Field("proposals", Form.LIST, f"{', '.join(field.name for field in _SUMMARY)} of each"),
        Field("count", Form.INTEGER, "how many there are in all"),
    ),
)
async def gov_list(node: NodeBackend, *, limit: int, active: bool) -> Json:
    if limit > MAX_LISTED:
        raise Policy("RPC_LIMIT", found=limit, allowed=f"at most {MAX_LISTED}")
    chain, context = node.chain, node.chain.context()
    index = index_of(context.state)
    last = index.proposals - 1
    if active:
        chosen = list(reversed(index.active))[:limit]
    else:
        chosen = [numbered(context, number) for number in range(last, max(-1, last - limit), -1)]
    listed = [summary_form(chain, each, load_proposal(context.state, each)) for each in chosen]
    return {"proposals": listed, "count": index.proposals}


@method(
    "gov_get",
    "A proposal: what it asks for, its deposit, the votes of both houses, what happens next.",
    parameters=(Parameter("id", Form.TEXT, "proposal id or number"),),
    result=(
        *_SUMMARY,
        Field("proposer", Form.ADDRESS, "who made it"),
        Field("doc_root", Form.HASH, "commitment to its text; zeros: none"),
        Field("changes", Form.LIST, "PARAM: name and value of each"),
        Field("upgrade", Form.TEXT, "UPGRADE: its name"),
        Field("upgrade_height", Form.INTEGER, "UPGRADE: from when on; 0: it is taken back"),
        Field("to", Form.ADDRESS, "TREASURY: who is paid"),
        Field("amount_grains", Form.GRAINS, "TREASURY: how much"),
        Field("paused", Form.LIST, "PAUSE: names of kinds"),
        Field("pause_blocks", Form.INTEGER, "PAUSE: for how many blocks"),
        Field("majority", Form.TEXT, "STAKE, BOTH or TWO_THIRDS_OF_BOTH: whose yes it needs"),
        Field(
            "quorum_bp", Form.INTEGER, "part of the power of a house that must vote, by the rules in force"
        ),
        Field("deposits", Form.LIST, "depositor and amount_grains of each; none once they were paid back"),
        Field("deposited_grains", Form.GRAINS, "all of them"),
        Field("needed_grains", Form.GRAINS, "the deposit with which voting starts"),
        Field("least_deposit_grains", Form.GRAINS, "the least that may be added"),
        Field("epoch", Form.INTEGER, "whose weights count"),
        Field(
            "stake_house, work_house",
            Form.OBJECT,
            "power in grains (in blocks), voted_bp of it, and yes_bp, no_bp, abstain_bp, veto_bp of what was voted",
        ),
        Field("voting_height, decided_height, runs_height, closed_height", Form.INTEGER, "0: not yet"),
        Field("failure", Form.TEXT, "FAILED: why"),
    ),
)
async def gov_get(node: NodeBackend, *, id: str) -> Json:
    context = node.chain.context()
    return proposal_form(node.chain, context, named(context, id))


@method(
    "gov_power",
    "What an account can vote with on a proposal, position by position, and how it has voted.",
    parameters=(
        Parameter("id", Form.TEXT, "proposal id or number; it must be under vote"),
        Parameter("address", Form.ADDRESS, "the account"),
    ),
    result=(
        Field(
            "positions",
            Form.LIST,
            "position (the account itself, or a validator), stake_grains and blocks that count, and ballot, null "
            "if it has not voted",
        ),
    ),
    cost=Cost.SCAN,
)
async def gov_power(node: NodeBackend, *, id: str, address: str) -> Json:
    chain, context = node.chain, node.chain.context()
    identity, voter = named(context, id), decode_address(chain.spec.address_prefix, address)
    proposal = load_proposal(context.state, identity)
    if proposal.status is not ProposalStatus.VOTING:
        raise Policy("PHASE", found=proposal.status.name, allowed="VOTING")
    frozen = load_weights(context, proposal.epoch).weights
    assert len(frozen) <= MAX_VALIDATORS
    positions = dict.fromkeys((voter, *(weight.address for weight in frozen)))
    forms = (_position_form(chain, context, identity, proposal, each, voter) for each in positions)
    return {"positions": [form for form in forms if form is not None]}


@method(
    "gov_parameters",
    "Constants that governance may change: present and founding value, bounds; kinds that are paused; an upgrade.",
    result=(
        Field(
            "parameters",
            Form.LIST,
            "name, meaning, value in the next block, founding, least, largest, and whether it is protected (both "
            "houses have to agree) of each",
        ),
        Field("shared_bp", Form.INTEGER, "what jobs.treasury_bp and jobs.stakers_bp may be together"),
        Field("paused", Form.LIST, "kinds that may not be in the next block"),
        Field("paused_until", Form.INTEGER, "last height of the pause; 0: there was none"),
    ),
)
async def gov_parameters(node: NodeBackend) -> Json:
    founding, context = node.chain.spec, node.chain.context()
    return {
        "parameters": [
            {
                "name": each.name,
                "meaning": each.meaning,
                "value": each.value(context.spec),
                "founding": each.value(founding),
                "least": each.least(founding),
                "largest": each.largest(founding),
                "protected": each.protected,
            }
            for each in PARAMETERS.values()
        ],
        "shared_bp": MAX_SHARED_BP,
        "paused": sorted(context.paused),
        "paused_until": governed_now(context).paused_until,
    }


def _position_form(
    chain: ChainView,
    context: Context,
    identity: ProposalId,
    proposal: Proposal,
    position: Address,
    voter: Address,
) -> Json | None:
    """A position that counts for something; null for one that does not."""
    power = power_of(context, identity, proposal, position, voter)
    if not power.stake_grains and not power.blocks:
        return None
    vote = find_vote(context.state, identity, position, voter)
    prefix = chain.spec.address_prefix
    voted = vote is not None and vote.ballot.whole_bp
    return {
        "position": address_form(prefix, position),
        "stake_grains": power.stake_grains,
        "blocks": power.blocks,
        "ballot": record_form(vote.ballot, prefix) if vote is not None and voted else None,
    }


METHODS = (gov_list, gov_get, gov_power, gov_parameters)
