"""Assets in words: lines of lists, offers, what one is made from as a tree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from node.amounts import per_cent, tile
from node.cli.asset_names import SHORT
from node.cli.heights import Heights
from node.cli.table import shortened, table

_UNITS = {
    "FREE": "free",
    "PER_CALL": "per call",
    "PER_GMAC": "per GMAC",
    "SUBSCRIPTION": "subscription",
    "PERPETUAL": "for ever",
    "C2D": "run beside the data",
}


def asset_rows(assets: list[dict[str, Any]]) -> Iterator[str]:
    """A table of assets."""
    rows = [
        (
            form["id"][:SHORT],
            form["type"].lower().replace("_", ""),
            shortened(form["title"], 32),
            form["owner"],
            str(form["height"]),
            "retired" if form["retired"] else "",
        )
        for form in assets
    ]
    yield from table(("ID", "TYPE", "TITLE", "OWNER", "HEIGHT>", ""), rows)


def terms_words(terms: dict[str, Any], heights: Heights) -> str:
    """What is offered, for how much, for how long, how often."""
    price = f" {tile(terms['price_grains'])}" if terms["price_grains"] else ""
    period = terms["period_blocks"]
    words = [f"{_UNITS[terms['kind']]}{price}"]
    if period:
        words.append(f"for {period:,} blocks (about {heights.blocks(period)})")
    if terms["quota"]:
        words.append(f"at most {terms['quota']:,} per user")
    if terms["supply"]:
        words.append(f"at most {terms['supply']:,} in all")
    if not terms["active"]:
        words.append("not for sale now")
    return ", ".join(words)


def tree(root: dict[str, Any], ancestors: list[dict[str, Any]]) -> Iterator[str]:
    """What an asset is made from, each parent below its child; one that was shown is not opened again."""
    by_id = {form["id"]: form for form in ancestors}
    shown: set[str] = set()

    def below(form: dict[str, Any], indent: str) -> Iterator[str]:
        for place, parent in enumerate(form["parents"]):
            last = place == len(form["parents"]) - 1
            above = by_id.get(parent["asset"])
            yield f"{indent}{'└─' if last else '├─'} {_edge(parent)} {_name(parent['asset'], above)}"
            if above is not None and parent["asset"] not in shown:
                shown.add(parent["asset"])
                yield from below(above, indent + ("   " if last else "│  "))
            elif above is not None and above["parents"]:
                yield f"{indent}{'   ' if last else '│  '}└─ as above"

    yield _name(root["id"], root)
    yield from below(root, "")


def descendant_lines(root: str, descendants: list[dict[str, Any]]) -> Iterator[str]:
    """What is made from an asset, each descendant once, below its first parent that is shown."""
    placed = {root, *(form["id"] for form in descendants)}
    children: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {}
    for form in descendants:
        parent = next(each for each in form["parents"] if each["asset"] in placed)
        children.setdefault(parent["asset"], []).append((form, parent))

    def below(asset: str, indent: str) -> Iterator[str]:
        for form, parent in children.get(asset, ()):
            yield f"{indent}{_name(form['id'], form)}, {_edge(parent).rstrip(':')}"
            yield from below(form["id"], indent + "  ")

    yield from below(root, "  ")


def royalty_rows(form: dict[str, Any]) -> Iterator[str]:
    """Who gets how much of a sale."""
    by_id = {each["id"]: each for each in form["ancestors"]}
    rows = [
        (form["id"][:SHORT], shortened(form["title"], 32), form["owner"], per_cent(form["owner_share_bp"]))
    ]
    for royalty in form["royalties"]:
        payee = by_id.get(royalty["asset"], {"title": "…", "owner": "…"})
        share = per_cent(royalty["share_bp"])
        rows.append((royalty["asset"][:SHORT], shortened(payee["title"], 32), payee["owner"], share))
    yield from table(("ID", "TITLE", "OWNER", "OF A SALE>"), rows, indent="  ")


def _edge(parent: dict[str, Any]) -> str:
    relation = parent["relation"].lower().replace("_", " ")
    return f"{relation}, {per_cent(parent['share_bp'])}:"


def _name(identity: str, form: dict[str, Any] | None) -> str:
    if form is None:
        return f"{identity[:SHORT]} …"
    retired = " (retired)" if form["retired"] else ""
    return f"{identity[:SHORT]} {form['type'].lower().replace('_', '')} {form['title']}{retired}"
