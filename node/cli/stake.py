"""`tilework stake`: standing for committees, staking with those who do, taking earnings and stake back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from node.amounts import money, per_cent, tile
from node.cli.amounts import AMOUNT, PER_CENT
from node.cli.context import (
    address_named,
    connect,
    json_amounts_option,
    key_option,
    rpc_option,
    show,
    signing_key,
)
from node.cli.heights import Heights
from node.cli.stake_lines import account_lines, list_lines, validator_lines
from node.cli.writing import Desk, Intent, Writing, desk, writing

if TYPE_CHECKING:
    from chain.types import Hash32
    from vm.kinds.staking import StakeClaim

_VALIDATOR = click.argument("validator", metavar="VALIDATOR")
_AMOUNT = click.argument("amount", type=AMOUNT)


@click.group()
def stake() -> None:
    """Stake: become a validator, stake with one, claim what it earns, take it out again.

    A VALIDATOR is an address or the name of a key; AMOUNT is grains (1500) or TILE (1.5tile).
    """


@stake.command()
@_AMOUNT
@click.option(
    "--commission",
    "commission_bp",
    type=PER_CENT,
    help="What you keep of what the stake of others earns; 10 if not given.",
)
@click.option(
    "--max-change",
    "max_change_bp",
    type=PER_CENT,
    help="By how much you may raise it at a time; the most allowed if not given.",
)
@writing
def register(how: Writing, amount: int, commission_bp: int | None, max_change_bp: int | None) -> None:
    """Become a validator with a stake of your own, or add to it; terms of a validator change by `stake update`."""
    from node.wallet import registration

    with desk(how) as at:
        held = _account(at)["validator"]
        before = held["stake_grains"] if held is not None else 0
        body = registration(at.now.spec, amount, commission_bp, max_change_bp)
        keeps = held["commission_bp"] if held is not None else body.commission_bp
        told = (
            f"validator  {at.own}",
            f"stake      {money(before + amount)}{f', {tile(before)} of it before' if before else ''}",
            f"least      {tile(at.now.spec.money.minimum_stake_grains)} to be a validator",
            f"keeps      {per_cent(keeps)} of what the stake of others earns",
            _counts_from(at),
        )
        at.carry_out(
            Intent(
                "stake.register",
                body,
                done=f"staked {tile(amount)}",
                spends_grains=amount,
                spends="stake",
                told=told,
                afterwards="see `tilework stake list --mine`",
            )
        )


@stake.command()
@_VALIDATOR
@_AMOUNT
@writing
def delegate(how: Writing, validator: str, amount: int) -> None:
    """Stake with a validator: it adds to its weight and earns with it."""
    from chain.types import Grains
    from vm.kinds.staking import StakeDelegate

    with desk(how) as at:
        operator = at.address(validator)
        held = _delegation(at, at.text(operator))
        before, due = (held["stake_grains"], held["owed_grains"]) if held is not None else (0, 0)
        told = [f"validator  {at.text(operator)}", f"stake      {money(before + amount)} of yours with it"]
        if due:
            told.append(f"claimed    {money(due)}, which it has earned so far")
        at.carry_out(
            Intent(
                "stake.delegate",
                StakeDelegate(operator=operator, amount_grains=Grains(amount)),
                done=f"staked {tile(amount)} with {at.text(operator)}",
                spends_grains=amount,
                spends="stake",
                told=(*told, _counts_from(at)),
                afterwards="see `tilework stake list --mine`",
            )
        )


@stake.command()
@_VALIDATOR
@click.argument("amount", type=AMOUNT, required=False)
@click.option("--all", "everything", is_flag=True, help="All that you have staked with it.")
@writing
def undelegate(how: Writing, validator: str, amount: int | None, everything: bool) -> None:
    """Take stake out of a validator, or out of yourself as one; it can be spent when it is unbonded."""
    from vm.kinds.staking import StakeUndelegate

    if (amount is None) != everything:
        raise click.UsageError("Give an amount or --all.")
    with desk(how) as at:
        operator = at.address(validator)
        own = operator == at.key.address
        held = _account(at)["validator"] if own else _delegation(at, at.text(operator))
        staked = held["stake_grains"] if held is not None else 0
        out = staked if amount is None else amount
        shares = out if own else shares_of(held, out)
        due = held["owed_grains"] if held is not None and not own else 0
        told = [
            f"validator  {at.text(operator)}",
            f"out        {money(out)}; {tile(max(0, staked - out))} of yours stays",
        ]
        if due:
            told.append(f"claimed    {money(due)}, which it has earned so far")
        least = at.now.spec.money.minimum_stake_grains
        if own and staked - out < least:
            told.append(
                f"leaves     the list of validators when the next epoch begins: less than {tile(least)}"
            )
        at.carry_out(
            Intent(
                "stake.undelegate",
                StakeUndelegate(operator=operator, shares=shares),
                done=f"{tile(out)} on the way out",
                told=tuple(told),
                afterwards="see when it can be spent: `tilework stake list --mine`",
            )
        )


@stake.command()
@click.argument("validator", metavar="[VALIDATOR]", required=False)
@click.option(
    "--all", "everything", is_flag=True, help="From every validator on the list, as without a name."
)
@writing
def claim(how: Writing, validator: str | None, everything: bool) -> None:
    """Take what your stake has earned, with one validator or with all; the stake itself stays where it is."""
    if validator is not None and everything:
        raise click.UsageError("Give a validator or --all, not both.")
    with desk(how) as at:
        if validator is not None:
            operator = at.address(validator)
            held = (
                _account(at)["validator"]
                if operator == at.key.address
                else _delegation(at, at.text(operator))
            )
            due, others = {at.text(operator): held["owed_grains"] if held is not None else 0}, 0
        else:
            due, others = _all_due(at)
        told = [f"earned     {money(amount)} with {operator}" for operator, amount in due.items()]
        kind, body = _claims(at, list(due))
        at.carry_out(
            Intent(
                kind,
                body,
                done=f"claimed {tile(sum(due.values()))}",
                told=tuple(told),
                afterwards=f"{others} more to claim from: send it again once it is in a block"
                if others
                else "",
                more={"due": due},
            )
        )


@stake.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.argument("amount", type=AMOUNT, required=False)
@click.option("--all", "everything", is_flag=True, help="All that you have staked with the first.")
@writing
def redelegate(how: Writing, source: str, target: str, amount: int | None, everything: bool) -> None:
    """Move stake from one validator to another at once; it answers for the first as long as unbonding takes."""
    from vm.kinds.staking import StakeRedelegate

    if (amount is None) != everything:
        raise click.UsageError("Give an amount or --all.")
    with desk(how) as at:
        left, joined = at.address(source), at.address(target)
        held = _delegation(at, at.text(left))
        staked, due = (held["stake_grains"], held["owed_grains"]) if held is not None else (0, 0)
        moved = staked if amount is None else amount
        told = [
            f"from       {at.text(left)}; {tile(max(0, staked - moved))} of yours stays",
            f"to         {at.text(joined)}",
            f"moves      {money(moved)}",
        ]
        if due:
            told.append(f"claimed    {money(due)}, which it has earned so far")
        at.carry_out(
            Intent(
                "stake.redelegate",
                StakeRedelegate(source=left, target=joined, shares=shares_of(held, moved)),
                done=f"moved {tile(moved)} to {at.text(joined)}",
                told=(*told, _counts_from(at)),
                afterwards="see `tilework stake list --mine`",
            )
        )


@stake.command()
@click.option("--commission", "commission_bp", type=PER_CENT, help="What you will keep; as now if not given.")
@click.option(
    "--max-change", "max_change_bp", type=PER_CENT, help="By how much you will raise it at a time at most."
)
@click.option(
    "--meta", "meta_root", metavar="HEX", help="Root of what you say about yourself; holds at once."
)
@writing
def update(how: Writing, commission_bp: int | None, max_change_bp: int | None, meta_root: str | None) -> None:
    """Announce another commission as a validator: it holds when the notice is over."""
    from vm.kinds.operators import StakeUpdate

    if commission_bp is None and max_change_bp is None and meta_root is None:
        raise click.UsageError("Give --commission, --max-change or --meta.")
    with desk(how) as at:
        held = _account(at)["validator"] or {"commission_bp": 0, "max_change_bp": 0, "meta_root": None}
        then = held["commission_bp"] if commission_bp is None else commission_bp
        body = StakeUpdate(
            commission_bp=then,
            max_change_bp=held["max_change_bp"] if max_change_bp is None else max_change_bp,
            meta_root=_root(meta_root or held["meta_root"]),
        )
        told = [
            f"keeps      {per_cent(then)} of what the stake of others earns, {per_cent(held['commission_bp'])} now",
            f"from       {at.heights.at(at.now.height + 1 + at.now.spec.staking.notice_blocks)} on",
        ]
        at.carry_out(
            Intent(
                "stake.update",
                body,
                done="announced",
                told=tuple(told),
                afterwards="see `tilework stake list --mine`",
            )
        )


@stake.command()
@writing
def unjail(how: Writing) -> None:
    """Stand for committees again when your time in jail is over."""
    from vm.kinds.operators import StakeUnjail

    with desk(how) as at:
        at.carry_out(
            Intent(
                "stake.unjail",
                StakeUnjail(),
                done="out of jail",
                told=(f"validator  {at.own}", _counts_from(at)),
                afterwards="see `tilework stake list --mine`",
            )
        )


@stake.command("list")
@click.option("--mine", is_flag=True, help="What you have staked, earned and taken out.")
@click.option(
    "--validator",
    "name",
    metavar="ADDRESS|NAME",
    help="Only this validator; with --mine, also if it has left the list.",
)
@click.option(
    "--limit", type=click.IntRange(1, 1024), default=50, show_default=True, help="How many validators."
)
@key_option
@rpc_option
@json_amounts_option
def list_stake(
    mine: bool,
    name: str | None,
    limit: int,
    key_name: str | None,
    keys_dir: Path | None,
    url: str | None,
    as_json: bool,
) -> None:
    """List validators, those with the most weight first, or what one account has staked."""
    from chain.bech32m import encode_address
    from node.cli.sending import chain_spec

    with connect(url) as client:
        spec = chain_spec(client)
        operator = None
        if name is not None:
            operator = encode_address(spec.address_prefix, address_named(name, spec.address_prefix, keys_dir))
        if mine:
            own = encode_address(spec.address_prefix, signing_key(key_name, keys_dir).address)
            form = client.call("stake_account", address=own, operator=operator)
        elif operator is not None:
            form = client.call("stake_validator", address=operator)
        else:
            form = client.call("stake_list", limit=limit)
        heights = Heights(client.call("chain_status")["height"], spec.pace.block_time_ms)
    if as_json:
        show(form)
        return
    lines = account_lines if mine else validator_lines if operator is not None else list_lines
    for line in lines(form, heights):
        click.echo(line)


def _account(at: Desk, operator: str | None = None) -> dict[str, Any]:
    """What the key's account has staked."""
    found: dict[str, Any] = at.client.call("stake_account", address=at.own, operator=operator)
    return found


def _delegation(at: Desk, operator: str) -> dict[str, Any] | None:
    """What the key's account has staked with one validator."""
    found: list[dict[str, Any]] = _account(at, operator)["delegations"]
    return found[0] if found else None


def _all_due(at: Desk) -> tuple[dict[str, int], int]:
    """(what can be claimed, by validator, the most first, as much as one transaction holds; how many are left).

    Raises: Policy NO_REWARD.
    """
    from chain.errors import Policy
    from vm.kinds.batch import MAX_OPERATIONS

    found = _account(at)
    due = {each["operator"]: each["owed_grains"] for each in found["delegations"]}
    if found["validator"] is not None:
        due[at.own] = found["validator"]["owed_grains"]
    most = sorted((pair for pair in due.items() if pair[1]), key=lambda pair: (-pair[1], pair[0]))
    if not most:
        raise Policy(
            "NO_REWARD",
            found="nothing earned that is not claimed",
            allowed="at least 1 grain",
            hint="Earnings are shared out when an epoch begins: see `tilework stake list --mine`.",
        )
    return dict(most[:MAX_OPERATIONS]), max(0, len(most) - MAX_OPERATIONS)


def _claims(at: Desk, operators: list[str]) -> tuple[str, Any]:
    """(kind, body) that claims from one validator, or from several at once."""
    from vm.kinds.batch import Batch, Operation
    from vm.kinds.staking import StakeClaim

    bodies: list[StakeClaim] = [StakeClaim(operator=at.address(operator)) for operator in operators]
    if len(bodies) == 1:
        return "stake.claim", bodies[0]
    return "batch", Batch(tuple(Operation("stake.claim", body) for body in bodies))


def _root(text: str | None) -> Hash32:
    """32 bytes in hexadecimal, or zeros for nothing."""
    from chain.types import ZERO_HASH, Hash32

    if text is None:
        return Hash32(ZERO_HASH)
    try:
        root = bytes.fromhex(text)
    except ValueError:
        root = b""
    if len(root) != len(ZERO_HASH):
        raise click.UsageError(f"{text[:80]!r} is no hexadecimal of 32 bytes.")
    return Hash32(root)


def shares_of(held: dict[str, Any] | None, amount_grains: int) -> int:
    """As few shares of a delegation as are worth so many grains; all for all."""
    if held is None or not held["stake_grains"]:
        return held["shares"] if held is not None and not amount_grains else amount_grains
    if amount_grains == held["stake_grains"]:
        return int(held["shares"])
    from chain.ints import ceil_div

    return ceil_div(amount_grains * held["shares"], held["stake_grains"])


def _counts_from(at: Desk) -> str:
    length = at.now.spec.pace.epoch_blocks
    return (
        f"counts     from {at.heights.at((at.now.height // length + 1) * length)}, when the next epoch begins"
    )
