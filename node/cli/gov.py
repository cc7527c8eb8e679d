"""`tilework gov`: proposals, the two houses that vote on them, and what can be changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from node.amounts import money, tile
from node.cli.amounts import AMOUNT, PER_CENT
from node.cli.context import (
    address_named,
    connect,
    json_amounts_option,
    json_option,
    key_option,
    rpc_option,
    show,
)
from node.cli.gov_lines import list_lines, parameter_lines, position_line, proposal_lines
from node.cli.gov_propose import propose
from node.cli.heights import Heights
from node.cli.writing import Desk, Intent, Writing, desk, writing

if TYPE_CHECKING:
    from chain.codec import Record
    from chain.types import ProposalId

ANSWERS = ("yes", "no", "abstain", "veto")
_PROPOSAL = click.argument("proposal", metavar="PROPOSAL")


@click.group()
def gov() -> None:
    """Governance: propose changes, vote on them, see what is in force.

    A PROPOSAL is a number of `tilework gov list`, or an id.
    """


gov.add_command(propose)


@gov.command()
@_PROPOSAL
@click.argument("amount", type=AMOUNT, required=False)
@writing
def deposit(how: Writing, proposal: str, amount: int | None) -> None:
    """Add to the deposit of a proposal, by default all that is missing; people vote once it is complete."""
    from chain.types import Grains
    from vm.kinds.governance import GovDeposit

    with desk(how) as at:
        form = found(at, proposal)
        missing = max(0, form["needed_grains"] - form["deposited_grains"])
        given = amount if amount is not None else max(missing, form["least_deposit_grains"])
        at.carry_out(
            Intent(
                "gov.deposit",
                GovDeposit(proposal=identity(form), amount_grains=Grains(given)),
                done=f"{tile(given)} for proposal {form['number']}",
                spends_grains=given,
                spends="deposit",
                told=(
                    f"proposal   {form['number']}, {form['title']}",
                    f"deposit    {money(given)}, {tile(missing)} is missing",
                    "back       when the vote is over, unless that is a veto",
                ),
                afterwards=f"see `tilework gov show {form['number']}`",
            )
        )


@gov.command()
@_PROPOSAL
@click.argument("answer", type=click.Choice(ANSWERS), required=False)
@click.option("--yes", type=PER_CENT, default=0, help="Per cent for it, in place of an answer.")
@click.option("--no", type=PER_CENT, default=0, help="Per cent against it.")
@click.option("--abstain", type=PER_CENT, default=0, help="Per cent that count as present only.")
@click.option("--veto", type=PER_CENT, default=0, help="Per cent against it and for burning its deposit.")
@click.option(
    "--with",
    "position",
    metavar="ADDRESS|NAME",
    help="Only with your own weight and work (your address), or with your stake at this validator.",
)
@writing
def vote(
    how: Writing,
    proposal: str,
    answer: str | None,
    yes: int,
    no: int,
    abstain: int,
    veto: int,
    position: str | None,
) -> None:
    """Vote with all that counts for you: your weight and work, and what you stake with others.

    Until the vote ends you may vote again; the last vote counts.
    """
    parts = (yes, no, abstain, veto)
    if (answer is None) == (not any(parts)):
        raise click.UsageError("Give an answer, or the parts of one: --yes 60 --no 40.")
    if answer is not None:
        parts = (*(10_000 * (answer == each) for each in ANSWERS),)  # type: ignore[assignment]
    with desk(how) as at:
        form = found(at, proposal)
        chosen = _positions(at, form, position)
        kind, body = _votes(at, form, [each["position"] for each in chosen], parts)
        told = [f"proposal   {form['number']}, {form['title']}"]
        told += [f"votes      {position_line(each, at.own)}" for each in chosen]
        at.carry_out(
            Intent(
                kind,
                body,
                done=f"voted on proposal {form['number']}",
                told=tuple(told),
                afterwards=f"see `tilework gov show {form['number']}`",
            )
        )


@gov.command()
@_PROPOSAL
@writing
def cancel(how: Writing, proposal: str) -> None:
    """Take a proposal of yours back before anybody votes on it; all deposits are returned."""
    from vm.kinds.governance import GovCancel

    with desk(how) as at:
        form = found(at, proposal)
        at.carry_out(
            Intent(
                "gov.cancel",
                GovCancel(proposal=identity(form)),
                done=f"proposal {form['number']} taken back, {tile(form['deposited_grains'])} returned",
                told=(f"proposal   {form['number']}, {form['title']}",),
            )
        )


@gov.command("list")
@click.option("--active", is_flag=True, help="Only those that have not ended.")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="How many.")
@rpc_option
@json_option
def list_proposals(active: bool, limit: int, url: str | None, as_json: bool) -> None:
    """List proposals, newest first."""
    with connect(url) as client:
        form = client.call("gov_list", limit=limit, active=active)
        heights = _heights(client)
    if as_json:
        show(form)
        return
    for line in list_lines(form, heights):
        click.echo(line)


@gov.command("show")
@_PROPOSAL
@click.option("--power", metavar="ADDRESS|NAME", help="What this account can vote with, too.")
@key_option
@rpc_option
@json_amounts_option
def show_proposal(
    proposal: str,
    power: str | None,
    key_name: str | None,
    keys_dir: Path | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Show a proposal: what it asks for, its deposit, how both houses vote, what happens next."""
    from chain.bech32m import encode_address
    from node.cli.sending import chain_spec

    del key_name
    with connect(url) as client:
        form = client.call("gov_get", id=proposal)
        if power is not None:
            prefix = chain_spec(client).address_prefix
            who = encode_address(prefix, address_named(power, prefix, keys_dir))
            form["positions"] = client.call("gov_power", id=proposal, address=who)["positions"]
        heights = _heights(client)
    if as_json:
        show(form)
        return
    for line in proposal_lines(form, heights):
        click.echo(line)
    for each in form.get("positions", ()):
        click.echo(f"  power      {position_line(each, None)}")


@gov.command()
@rpc_option
@json_amounts_option
def parameters(url: str | None, as_json: bool) -> None:
    """Show what can be changed by a vote: present values, bounds, what is paused."""
    with connect(url) as client:
        form = client.call("gov_parameters")
        heights = _heights(client)
    if as_json:
        show(form)
        return
    for line in parameter_lines(form, heights):
        click.echo(line)


def found(at: Desk, proposal: str) -> dict[str, Any]:
    """What the node says of a proposal.  Raises: Missing PROPOSAL_UNKNOWN, Policy PROPOSAL_ID."""
    form: dict[str, Any] = at.client.call("gov_get", id=proposal)
    return form


def identity(form: dict[str, Any]) -> ProposalId:
    from chain.types import ProposalId

    return ProposalId(bytes.fromhex(form["id"]))


def _heights(client: Any) -> Heights:
    status = client.call("chain_status")
    return Heights(status["height"], status["block_time_ms"])


def _positions(at: Desk, form: dict[str, Any], name: str | None) -> list[dict[str, Any]]:
    """Positions to vote with.  Raises: Policy NO_POWER, PHASE."""
    from chain.errors import Policy
    from vm.kinds.batch import MAX_OPERATIONS

    known = at.client.call("gov_power", id=form["id"], address=at.own)["positions"]
    if name is not None:
        wanted = at.text(at.address(name))
        known = [each for each in known if each["position"] == wanted]
    if not known:
        raise Policy(
            "NO_POWER",
            found="nothing that counts",
            allowed="stake or work from before voting started",
            hint=f"See who can vote: `tilework gov show {form['number']} --power NAME`.",
        )
    most = sorted(known, key=lambda each: (-each["stake_grains"], each["position"]))
    return list(most[:MAX_OPERATIONS])


def _votes(
    at: Desk, form: dict[str, Any], positions: list[str], parts: tuple[int, ...]
) -> tuple[str, Record]:
    """(kind, body) that votes with one position, or with several at once."""
    from vm.kinds.batch import Batch, Operation
    from vm.kinds.governance import GovVote

    bodies = [GovVote(identity(form), at.address(position), *parts) for position in positions]
    if len(bodies) == 1:
        return "gov.vote", bodies[0]
    return "batch", Batch(tuple(Operation("gov.vote", body) for body in bodies))
