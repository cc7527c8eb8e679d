"""`tilework model`: looking at models, datasets and other assets. Publishing and buying: `tilework tx asset`."""

from __future__ import annotations

from typing import Any

import click

from node.amounts import tile
from node.cli.context import connect, json_amounts_option, json_option, rpc_option, show


@click.group()
def model() -> None:
    """Models, datasets, code, eval sets: list them, show one, follow what it is made from.

    Publishing, offering and buying are commands of `tilework tx asset`.
    """


@model.command("list")
@click.option(
    "--limit",
    type=click.IntRange(min=1, max=100),
    default=20,
    show_default=True,
    help="How many, newest first.",
)
@click.option("--type", "kind", help="Only this type, for example dataset.")
@rpc_option
@json_option
def list_models(limit: int, kind: str | None, url: str | None, as_json: bool) -> None:
    """List assets, newest first."""
    with connect(url) as client:
        found = client.call("asset_list", limit=limit, type=kind)["assets"]
    if as_json:
        show(found)
        return
    if not found:
        click.echo("no assets")
    for form in found:
        click.echo(_line(form))


@model.command("show")
@click.argument("identity", metavar="ID")
@rpc_option
@json_amounts_option
def show_model(identity: str, url: str | None, as_json: bool) -> None:
    """Show an asset: owner, newest version, offers."""
    with connect(url) as client:
        form = client.call("asset_get", id=identity)
    if as_json:
        show(form)
        return
    click.echo(_line(form))
    click.echo(f"  owner       {form['owner']}")
    newest = form["newest"]
    checked = ", verified by a job" if newest["verified"] else ""
    click.echo(f"  version     {newest['number']}, {newest['size_bytes']:,} bytes{checked}")
    click.echo(f"  content     {newest['content_root']}")
    click.echo(
        f"  derivatives {form['derivatives'].lower()}, from {_per_cent(form['min_derivative_share_bp'])}"
    )
    click.echo(f"  deposit     {tile(form['deposit_grains'])}")
    for offer in form["offers"]:
        click.echo(f"  slot {offer['slot']}      {_offer(offer)}")
        if offer["coming"]:
            click.echo(f"              from height {offer['coming']['height']}: {_offer(offer['coming'])}")


@model.command()
@click.argument("identity", metavar="ID")
@rpc_option
@json_option
def lineage(identity: str, url: str | None, as_json: bool) -> None:
    """Show what an asset is made from, and how a sale of it is shared."""
    with connect(url) as client:
        form = client.call("asset_lineage", id=identity)
    if as_json:
        show(form)
        return
    shares = {each["asset"]: each["share_bp"] for each in form["royalties"]}
    click.echo(f"{form['id']}  owner gets {_per_cent(form['owner_share_bp'])} of a sale")
    for each in form["ancestors"]:
        indent = "  " * each["generation"]
        click.echo(f"{indent}{_line(each)}  {_per_cent(shares.get(each['id'], 0))}")
    if form["truncated"]:
        click.echo("  … and more")


def _line(form: dict[str, Any]) -> str:
    retired = "  retired" if form["retired"] else ""
    return f"{form['id']}  {form['type']:<8}  {form['title']}{retired}"


def _offer(terms: dict[str, Any]) -> str:
    period = f", {terms['period_blocks']} blocks" if terms["period_blocks"] else ""
    supply = f", at most {terms['supply']:,} in all" if terms["supply"] else ""
    state = "" if terms["active"] else ", not for sale"
    return f"{terms['kind'].lower()} {tile(terms['price_grains'])}{period}{supply}{state}"


def _per_cent(share_bp: int) -> str:
    return f"{share_bp // 100}.{share_bp % 100:02d} %"
