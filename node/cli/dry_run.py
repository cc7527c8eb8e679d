"""`--dry-run`: what a transaction would cost and do, in words; nothing is signed and nothing sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from chain.types import Grains, Height, Signature
from consensus.events import EVENTS
from node.amounts import money, tile
from node.cli.context import show
from node.cli.errors import unfulfilled
from node.cli.heights import Heights
from node.cli.refusals import next_step
from node.rpc.forms import transaction_form
from vm.describe import fields_of
from vm.envelope import Authorisation

if TYPE_CHECKING:
    from node.rpc.client import RpcClient
    from node.wallet import Situation
    from vm.envelope import Transaction


def tell(
    client: RpcClient,
    now: Situation,
    transaction: Transaction,
    *,
    as_json: bool,
    more: dict[str, Any] | None = None,
) -> None:
    """Fee and effects; JSON has `more` beside them.  Raises: CommandFailed (exit 4) if it would fail."""
    found = simulated(client, transaction)
    if as_json:
        show(found | (more or {}))
    else:
        for line in _lines(found, now, transaction):
            click.echo(line)
    if found["code"]:
        raise unfulfilled(f"it would fail: {reason(found, now, transaction)}")


def simulated(client: RpcClient, transaction: Transaction) -> dict[str, Any]:
    """What the node says that it would do; what is sent to be asked cannot be used, it has zeros for a signature."""
    zeros = tuple(Authorisation(key, Signature(bytes(64))) for key in transaction.signers)
    raw = replace(transaction, authorisations=zeros).to_bytes()
    found: dict[str, Any] = client.call("tx_simulate", raw=raw.hex())
    return found


def reason(found: dict[str, Any], now: Situation, transaction: Transaction) -> str:
    """Why it would fail: code, what was found and allowed, what to try next."""
    form = transaction_form(transaction.to_bytes(), now.spec.address_prefix)
    return f"{found['reason']}. {next_step(form, found['code'])}".strip()


def _lines(found: dict[str, Any], now: Situation, transaction: Transaction) -> Iterator[str]:
    receipt = found["receipt"]
    if receipt is None:
        yield "it may not be in a block now"
        return
    yield _fee(receipt, now, transaction)
    heights = Heights.of(now)
    for event in receipt["events"]:
        yield from _event(event, heights)
    for change in found["balances"]:
        before, after = change["before_grains"], change["after_grains"]
        sign = "+" if after > before else "-"
        yield (
            f"  balance of {change['address']} {sign}{tile(abs(after - before))}, then {tile(after)} "
            f"(now {tile(before)})"
        )


def _fee(receipt: dict[str, Any], now: Situation, transaction: Transaction) -> str:
    """The fee and its parts; of a sponsored kind only what was burned is known."""
    burned, tip, weight = receipt["burned_grains"], receipt["tip_grains"], receipt["weight"]
    size_bytes = len(transaction.to_bytes())
    byte_fee = size_bytes * now.spec.money.byte_fee_grains
    base, rest = divmod(burned - byte_fee, weight)
    text = f"fee {money(burned + tip)}: {tile(burned)} burned"
    if base > 0 and not rest:
        text += f" (base fee {base:,} x weight {weight} = {tile(base * weight)}, {size_bytes} bytes {tile(byte_fee)})"
    return f"{text}, {tile(tip)} tip; weight {weight}"


def _event(event: dict[str, Any], heights: Heights) -> Iterator[str]:
    happening = EVENTS[event["event"]]
    meaning = (happening.__doc__ or "").strip()
    yield f"  {event['event']}: {meaning}"
    for field in fields_of(happening):
        yield f"    {field.name} {_value(field.hint, event[field.name], heights)}"


def _value(hint: Any, value: Any, heights: Heights) -> str:
    if hint is Grains:
        return money(value)
    if hint is Height:
        return heights.at(value).removeprefix("height ") if value else "none"
    return str(value)
