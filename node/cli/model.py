"""`tilework model`: models, datasets and other assets; looking at them. Publishing and trading are in files beside.

What they say of themselves is in node/cli/model_lines.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from node.amounts import money, per_cent
from node.cli.context import (
    connect,
    json_amounts_option,
    json_option,
    key_option,
    rpc_option,
    show,
    signing_key,
)
from node.cli.heights import Heights
from node.cli.model_content import publish, version
from node.cli.model_lines import asset_rows, descendant_lines, royalty_rows, terms_words, tree
from node.cli.model_market import buy, claim, offer, rate, retire, transfer
from node.cli.table import shortened, table


@click.group()
def model() -> None:
    """Models, datasets, code, eval sets: publish, offer, buy, follow what they are made from.

    An ID may be shortened to its first digits, at least eight; the title of an asset of your own stands for it too.
    """


for _command in (publish, version, offer, buy, rate, claim, transfer, retire):
    model.add_command(_command)


@model.command("list")
@click.option(
    "--limit",
    type=click.IntRange(min=1, max=100),
    default=20,
    show_default=True,
    help="How many, newest first.",
)
@click.option("--type", "kind", help="Only this type, for example dataset.")
@click.option("--owner", metavar="ADDRESS|NAME", help="Only assets of this account.")
@click.option("--mine", is_flag=True, help="Only assets of your own.")
@key_option
@rpc_option
@json_option
def list_models(
    limit: int,
    kind: str | None,
    owner: str | None,
    mine: bool,
    key_name: str | None,
    keys_dir: Path | None,
    url: str | None,
    as_json: bool,
) -> None:
    """List assets, newest first."""
    from chain.bech32m import encode_address
    from node.cli.context import address_named
    from node.cli.sending import chain_spec

    if mine and owner is not None:
        raise click.UsageError("--mine and --owner exclude each other.")
    with connect(url) as client:
        who = None
        if mine or owner is not None:
            prefix = chain_spec(client).address_prefix
            address = (
                signing_key(key_name, keys_dir).address
                if owner is None
                else address_named(owner, prefix, keys_dir)
            )
            who = encode_address(prefix, address)
        asked = {"evalset": "eval_set"}.get(kind.lower(), kind) if kind is not None else None
        found = client.call("asset_list", limit=limit, type=asked, owner=who)
    if as_json:
        show(found["assets"])
        return
    if not found["assets"]:
        click.echo("no assets")
    else:
        for line in asset_rows(found["assets"]):
            click.echo(line)
    if len(found["assets"]) < limit and found["searched"] < found["count"]:
        click.echo(f"looked through the newest {found['searched']:,} of {found['count']:,}")


@model.command("show")
@click.argument("identity", metavar="ID")
@rpc_option
@json_amounts_option
def show_model(identity: str, url: str | None, as_json: bool) -> None:
    """Show an asset: facts, versions, offers, what others say of it, what it has earned."""
    from node.cli.asset_names import asset_named
    from node.cli.sending import chain_spec

    with connect(url) as client:
        asset = asset_named(client, identity).hex()
        form = client.call("asset_get", id=asset)
        form["version_list"] = client.call("asset_versions", id=asset)["versions"]
        form["attestations"] = client.call("asset_attestations", id=asset)
        pace = chain_spec(client).pace
        heights = Heights(client.call("chain_status")["height"], pace.block_time_ms)
    if as_json:
        show(form)
        return
    for line in _facts(form, heights):
        click.echo(line)


@model.command()
@click.argument("identity", metavar="ID")
@rpc_option
@json_option
def lineage(identity: str, url: str | None, as_json: bool) -> None:
    """Show what an asset is made from, what is made from it, and how a sale of it is shared."""
    from node.cli.asset_names import asset_named

    with connect(url) as client:
        asset = asset_named(client, identity).hex()
        form = client.call("asset_lineage", id=asset)
        made = client.call("asset_descendants", id=asset)
    if as_json:
        show(form | {"descendants": made["descendants"], "descendants_complete": made["complete"]})
        return
    for line in tree(form, form["ancestors"]):
        click.echo(line)
    if form["truncated"]:
        click.echo("… and more")
    if made["descendants"] or not made["complete"]:
        click.echo("made from it:")
    for line in descendant_lines(asset, made["descendants"]):
        click.echo(line)
    if not made["complete"]:
        click.echo("  … and perhaps more: not all later assets were looked through")
    click.echo("a sale is shared:")
    for line in royalty_rows(form):
        click.echo(line)


def _facts(form: dict[str, Any], heights: Heights) -> Iterator[str]:
    retired = ", retired" if form["retired"] else ""
    yield f"{form['id']}  {form['type'].lower().replace('_', '')}  {form['title']}{retired}"
    yield f"  owner        {form['owner']}"
    if form["publisher"] != form["owner"]:
        yield f"  publisher    {form['publisher']}"
    yield f"  published    {heights.at(form['height'])}"
    asks = f", from {per_cent(form['min_derivative_share_bp'])}" if form["derivatives"] == "ALLOWED" else ""
    yield f"  derivatives  {form['derivatives'].lower()}{asks}"
    for name in ("licence", "doc", "consent"):
        if int(form[f"{name}_root"], 16):
            yield f"  {name:<11}  {form[f'{name}_root']}"
    yield f"  deposit      {money(form['deposit_grains'])}{_back(form, heights)}"
    if form["permits"]:
        yield f"  guarded      while {form['permits']} of its permits last: jobs on it need one, or a grant"
    yield f"  earned       {money(form['earned_grains'])} not taken yet by the owner"
    yield "versions:"
    rows = [_version_row(each, heights) for each in form["version_list"]]
    yield from table(("NO>", "FROM>", "BYTES>", "CONTENT", "", "PUBLISHED"), rows, indent="  ")
    yield "offers:" if form["offers"] else "no offers"
    for offered in form["offers"]:
        yield f"  slot {offered['slot']}  {terms_words(offered, heights)}; {offered['sold']:,} sold"
        if offered["coming"]:
            coming = offered["coming"]
            yield f"          from {heights.at(coming['height'])}: {terms_words(coming, heights)}"
    yield from _said(form["attestations"])


def _back(form: dict[str, Any], heights: Heights) -> str:
    """When the deposit of a retired asset comes back."""
    if not form["retired"] or not form["deposit_grains"]:
        return ""
    if form["granted_until"] <= heights.now:
        return ", back when `tilework model retire` is sent again"
    return f", back from {heights.at(form['granted_until'] + 1)}"


def _version_row(each: dict[str, Any], heights: Heights) -> tuple[str, ...]:
    return (
        str(each["number"]),
        str(each["parent"] or "-"),
        f"{each['size_bytes']:,}",
        each["content_root"],
        "verified" if each["verified"] else "",
        heights.at(each["height"]),
    )


def _said(found: dict[str, Any]) -> Iterator[str]:
    said = found["attestations"]
    since = "" if found["complete"] else f" since height {found['since_height']}"
    if not said:
        yield f"no attestations{since}"
        return
    yield f"attestations{since}:"
    rows = [
        (
            each["kind"].lower(),
            str(each["version"]),
            f"{each['score']:,} {shortened(each['metric'], 32)}",
            each["who"],
            "verified" if each["verified"] else "",
        )
        for each in said
    ]
    yield from table(("KIND", "VERSION>", "SCORE", "WHO", ""), rows, indent="  ")
