"""`tilework model offer`, `buy`, `rate`, `claim`, `transfer`, `retire`: an asset after it is published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from node.amounts import money, tile
from node.cli.amounts import AMOUNT
from node.cli.asset_names import asset_named
from node.cli.model_lines import terms_words
from node.cli.table import shortened, table
from node.cli.writing import Desk, Intent, Writing, desk, writing

if TYPE_CHECKING:
    from chain.types import AssetId
    from vm.assets.sales import Terms

KINDS = ("per-call", "per-gmac", "subscription", "perpetual", "free", "c2d")
_NAME = click.argument("name", metavar="ID|TITLE")
_SLOT = click.option(
    "--slot",
    type=click.IntRange(0, 7),
    default=0,
    show_default=True,
    help="Which of its eight offers.",
)
_COUNT = click.IntRange(0, (1 << 63) - 1)


@click.command()
@_NAME
@click.option(
    "--kind",
    "kind",
    type=click.Choice(KINDS),
    required=True,
    help="What one unit is; c2d: a run beside data.",
)
@click.option("--price", type=AMOUNT, help="Of one unit; a free offer has none.")
@_SLOT
@click.option(
    "--period", "period_blocks", type=click.IntRange(0, 1 << 32), default=0, metavar="BLOCKS",
    help="How long what is bought can be used.  [default: for ever]",
)  # fmt: skip
@click.option("--quota", type=_COUNT, default=0, help="Units that one user may hold.  [default: no bound]")
@click.option("--supply", type=_COUNT, default=0, help="Units that are sold in all.  [default: no bound]")
@click.option("--inactive", is_flag=True, help="Not for sale for now.")
@writing
def offer(
    how: Writing,
    name: str,
    kind: str,
    price: int | None,
    slot: int,
    period_blocks: int,
    quota: int,
    supply: int,
    inactive: bool,
) -> None:
    """Offer the use of an asset of your own, or change an offer.

    Terms that are dearer, of another kind or for a shorter time hold after a notice, others at once.
    """
    from chain.types import Grains
    from vm.assets.sales import OfferKind
    from vm.kinds.sales import AssetOffer

    if (price is None) != (kind == "free"):
        raise click.UsageError("A free offer has no --price, and every other kind has one.")
    with desk(how) as at:
        asset = asset_named(at.client, name, at.own)
        held = at.client.call("asset_get", id=asset.hex())
        body = AssetOffer(
            asset=asset,
            slot=slot,
            kind=OfferKind[kind.upper().replace("-", "_")],
            price_grains=Grains(price or 0),
            period_blocks=period_blocks,
            quota=quota,
            supply=supply,
            active=int(not inactive),
        )
        at.carry_out(
            Intent(
                "asset.offer",
                body,
                done=f"slot {slot} of {held['title']} is set",
                told=(
                    _title(asset, held),
                    f"slot {slot}   {terms_words(_form(body.terms), at.heights)}",
                    _from_when(held, body.terms, slot, at),
                ),
                afterwards=f"others buy with `tilework model buy {asset.hex()[:16]} --slot {slot}`",
                more={"asset": asset.hex(), "slot": slot},
            )
        )


@click.command()
@_NAME
@_SLOT
@click.option(
    "--units", type=click.IntRange(1, (1 << 63) - 1), default=1, show_default=True, help="How many to buy."
)
@click.option(
    "--max-price", type=AMOUNT, help="The most to pay in all.  [default: exactly the present price]"
)
@click.option("--for", "user", metavar="ADDRESS|NAME", help="Who may use it.  [default: yourself]")
@click.option("--version", type=_COUNT, default=0, help="The version that is meant.  [default: the newest]")
@writing
def buy(
    how: Writing, name: str, slot: int, units: int, max_price: int | None, user: str | None, version: int
) -> None:
    """Buy from an offer: exactly the price is paid, and shared among the owners of what it is made from."""
    from chain.types import Grains
    from vm.kinds.sales import AssetAcquire

    with desk(how) as at:
        asset = asset_named(at.client, name)
        beneficiary = at.address(user) if user is not None else at.key.address
        quoted = at.client.call("asset_quote", id=asset.hex(), slot=slot, units=units)
        price = quoted["price_grains"]
        body = AssetAcquire(
            asset=asset,
            slot=slot,
            max_price_grains=Grains(price if max_price is None else max_price),
            units=units,
            beneficiary=beneficiary,
            version=version,
        )
        at.carry_out(
            Intent(
                "asset.acquire",
                body,
                done=f"bought {units} of slot {slot} of {quoted['title']}",
                spends_grains=price,
                spends="price",
                told=tuple(_quote_lines(asset, quoted, units, at.text(beneficiary), at)),
                more={"asset": asset.hex(), "price_grains": price, "parts": quoted["parts"]},
            )
        )


@click.command()
@_NAME
@click.argument("score", type=_COUNT)
@click.option("--metric", default="stars", show_default=True, help="What the score counts, at most 32 bytes.")
@click.option("--version", type=click.IntRange(min=1), help="Which version.  [default: the newest]")
@_SLOT
@writing
def rate(how: Writing, name: str, score: int, metric: str, version: int | None, slot: int) -> None:
    """Rate an asset that you have bought from a slot; said again, it takes the place of what you said."""
    from chain.types import NO_ASSET, NO_JOB, ZERO_HASH, Hash32
    from vm.assets.opinion import OpinionKind
    from vm.kinds.attestations import AssetAttest

    with desk(how) as at:
        asset = asset_named(at.client, name, at.own)
        held = at.client.call("asset_get", id=asset.hex())
        body = AssetAttest(
            asset=asset,
            version=version or held["versions"],
            kind=OpinionKind.RATING,
            slot=slot,
            evalset=NO_ASSET,
            metric=metric,
            score=score,
            evidence_root=Hash32(ZERO_HASH),
            job=NO_JOB,
        )
        told = (_title(asset, held), f"rating   {score} {metric} for version {body.version}")
        at.carry_out(Intent("asset.attest", body, done=f"rated {held['title']}", told=told))


@click.command()
@_NAME
@writing
def claim(how: Writing, name: str) -> None:
    """Take what an asset has earned while you owned it."""
    from vm.kinds.assets import AssetClaim

    with desk(how) as at:
        asset = asset_named(at.client, name, at.own)
        held = at.client.call("asset_get", id=asset.hex())
        earned = held["earned_grains"] if held["owner"] == at.own else None
        told = [_title(asset, held)]
        if earned is not None:
            told.append(f"earned   {money(earned)}")
        done = f"claimed {tile(earned) if earned is not None else 'what it had earned'}"
        at.carry_out(Intent("asset.claim", AssetClaim(asset), done=done, told=tuple(told)))


@click.command()
@_NAME
@click.argument("receiver", metavar="ADDRESS|NAME")
@writing
def transfer(how: Writing, name: str, receiver: str) -> None:
    """Give an asset away: what it earns from now on and its deposit go with it, what it has earned stays yours."""
    from vm.kinds.assets import AssetTransfer

    with desk(how) as at:
        asset, to = asset_named(at.client, name, at.own), at.address(receiver)
        held = at.client.call("asset_get", id=asset.hex())
        at.carry_out(
            Intent(
                "asset.transfer",
                AssetTransfer(asset, to),
                done=f"{held['title']} belongs to {at.text(to)}",
                told=(
                    _title(asset, held),
                    f"to       {at.text(to)}, with the deposit of {tile(held['deposit_grains'])}",
                    f"yours    {money(held['earned_grains'])} earned so far: "
                    f"`tilework model claim {asset.hex()[:16]}`",
                ),
            )
        )


@click.command()
@_NAME
@click.option(
    "--slot", type=click.IntRange(0, 7), help="Only this offer.  [default: the asset itself, for good]"
)
@writing
def retire(how: Writing, name: str, slot: int | None) -> None:
    """Take an offer back, or the whole asset for good; what was bought stays good.

    The deposit comes back when every grant that ends has ended: at once, or when this is sent again then.
    """
    from vm.assets.limits import SLOTS
    from vm.kinds.assets import AssetRetire

    with desk(how) as at:
        asset = asset_named(at.client, name, at.own)
        held = at.client.call("asset_get", id=asset.hex())
        body = AssetRetire(asset, SLOTS if slot is None else slot)
        what = held["title"] if slot is None else f"slot {slot} of {held['title']}"
        told, next_step = [_title(asset, held)], ""
        if slot is not None:
            told.append(f"slot {slot}   is taken back; it may be offered again")
        elif held["granted_until"] > at.now.height:
            again = held["granted_until"] + 1
            told.append(
                f"deposit  {tile(held['deposit_grains'])}, back from {at.heights.at(again)}, "
                "when the last grant has ended"
            )
            next_step = f"then send `tilework model retire {asset.hex()[:16]}` again for the deposit"
        else:
            told.append(
                f"deposit  {tile(held['deposit_grains'])} comes back with it: no grant is waiting to end"
            )
        at.carry_out(
            Intent("asset.retire", body, done=f"{what} is retired", told=tuple(told), afterwards=next_step)
        )


def _form(terms: Terms) -> dict[str, Any]:
    from node.rpc.forms import record_form

    return record_form(terms, "")


def _title(asset: AssetId, held: dict[str, Any]) -> str:
    return f"asset    {asset.hex()}  {held['title']}"


def _from_when(held: dict[str, Any], terms: Terms, slot: int, at: Desk) -> str:
    """From when on the terms hold [ASSET-OFFER]."""
    from chain.types import Grains
    from vm.assets.limits import NOTICE_BLOCKS
    from vm.assets.sales import OfferKind, Terms

    for old in held["offers"]:
        if old["slot"] != slot:
            continue
        present = Terms(
            OfferKind[old["kind"]],
            Grains(old["price_grains"]),
            old["period_blocks"],
            old["quota"],
            old["supply"],
            old["active"],
        )
        if terms.dearer_than(present):
            height = at.now.height + 1 + NOTICE_BLOCKS
            return (
                f"from     {NOTICE_BLOCKS} blocks after its block, {at.heights.at(height)} at the earliest: it is "
                "dearer than the present offer, which holds until then"
            )
    return "from     its block on"


def _quote_lines(asset: AssetId, quoted: dict[str, Any], units: int, user: str, at: Desk) -> list[str]:
    """What is bought, for how much, and who gets it."""
    terms = quoted["offer"]
    lines = [
        f"asset    {asset.hex()}  {quoted['title']}",
        f"offer    {terms_words(terms, at.heights)}",
        f"price    {money(quoted['price_grains'])} for {units} unit{'' if units == 1 else 's'}",
        f"user     {user}",
    ]
    if terms["coming"]:
        coming = terms["coming"]
        lines.append(f"coming   {terms_words(coming, at.heights)}, from {at.heights.at(coming['height'])}")
    rows = [
        (shortened(part["title"], 32), part["asset"][:16], part["owner"], tile(part["amount_grains"]))
        for part in quoted["parts"]
    ]
    return [*lines, "shared among the owners:", *table(("ASSET", "ID", "OWNER", "GETS>"), rows, indent="  ")]
