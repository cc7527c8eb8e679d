"""Proposals and parameters in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from node.amounts import money, per_cent, tile
from node.cli.heights import Heights
from node.cli.table import shortened, table

_NEXT = {
    "DEPOSITING": "collects its deposit until {}",
    "VOTING": "is voted on until {}",
    "PASSED": "happens at {}",
}
_MAJORITIES = {
    "STAKE": "more than half of what the stake house votes",
    "BOTH": "more than half of what each house votes",
    "TWO_THIRDS_OF_BOTH": "two thirds of what each house votes",
}


def list_lines(form: dict[str, Any], heights: Heights) -> Iterator[str]:
    """A table of proposals."""
    rows = [
        (
            str(each["number"]),
            each["sort"].lower(),
            shortened(each["title"], 40),
            each["status"].lower(),
            per_cent(each["yes_bp"]),
            per_cent(each["voted_bp"]),
            heights.at(each["ends_height"]) if each["ends_height"] else "",
        )
        for each in form["proposals"]
    ]
    if not rows:
        yield "no proposals"
        return
    yield from table(("NUMBER>", "SORT", "TITLE", "STATUS", "YES>", "VOTED>", "UNTIL"), rows)
    if len(rows) < form["count"]:
        yield f"{len(rows)} of {form['count']}; more with --limit"


def proposal_lines(form: dict[str, Any], heights: Heights) -> Iterator[str]:
    """Everything about one proposal."""
    yield f"proposal {form['number']}: {form['title']}"
    yield f"  id         {form['id']}"
    yield f"  by         {form['proposer']}, {heights.at(form['opened_height'])}"
    yield from (f"  {line}" for line in _wishes(form, heights))
    if any(bytes.fromhex(form["doc_root"])):
        yield f"  text       {form['doc_root']}"
    ends = form["ends_height"]
    status = form["status"].lower()
    yield f"  status     {status}" + (f", {_NEXT[form['status']].format(heights.at(ends))}" if ends else "")
    if form["failure"]:
        yield f"  failed     {form['failure']}: nothing of it was done"
    if form["status"] == "DEPOSITING":
        yield f"  deposit    {tile(form['deposited_grains'])} of {tile(form['needed_grains'])}"
        yield f"             at least {money(form['least_deposit_grains'])} at a time"
    if form["voting_height"]:
        yield f"  needs      {_MAJORITIES[form['majority']]} for it, and {per_cent(form['quorum_bp'])} voting"
        yield f"  stake      {_house(form['stake_house'], tile(form['stake_house']['power']))}"
        yield f"  work       {_house(form['work_house'], _blocks(form['work_house']['power']))}"


def parameter_lines(form: dict[str, Any], heights: Heights) -> Iterator[str]:
    """A table of what can be changed."""
    rows = [
        (
            each["name"],
            f"{each['value']:,}",
            f"{each['least']:,} … {each['largest']:,}",
            "" if each["value"] == each["founding"] else f"founded with {each['founding']:,}",
            "both houses" if each["protected"] else "",
        )
        for each in form["parameters"]
    ]
    yield from table(("NAME", "VALUE>", "BOUNDS", "", ""), rows)
    yield f"jobs.treasury_bp and jobs.stakers_bp together: at most {form['shared_bp']:,}"
    if form["paused"]:
        yield f"paused up to {heights.at(form['paused_until'])}: {', '.join(form['paused'])}"


def position_line(form: dict[str, Any], own: str | None) -> str:
    """What one position counts."""
    whose = "own weight and work" if form["position"] == own else f"at {form['position']}"
    parts = [tile(form["stake_grains"])] if form["stake_grains"] else []
    parts += [_blocks(form["blocks"])] if form["blocks"] else []
    return f"{whose}: {', '.join(parts)}" + ("" if form["ballot"] is None else "; has voted")


def _wishes(form: dict[str, Any], heights: Heights) -> Iterator[str]:
    """What it asks for."""
    match form["sort"]:
        case "PARAM":
            for each in form["changes"]:
                yield f"changes    {each['name']} to {each['value']:,}"
        case "UPGRADE" if form["upgrade_height"]:
            yield f"upgrade    {form['upgrade']} from {heights.at(form['upgrade_height'])} on"
        case "UPGRADE":
            yield f"upgrade    {form['upgrade']} is taken back"
        case "TREASURY":
            yield f"pays       {money(form['amount_grains'])} to {form['to']}"
        case "PAUSE":
            yield f"pauses     {', '.join(form['paused'])} for {heights.blocks(form['pause_blocks'])}"


def _house(form: dict[str, Any], power: str) -> str:
    answers = ", ".join(f"{name} {per_cent(form[f'{name}_bp'])}" for name in ("yes", "no", "abstain", "veto"))
    return f"{per_cent(form['voted_bp'])} of {power} voted: {answers}"


def _blocks(count: int) -> str:
    return f"{count:,} block{'' if count == 1 else 's'}"
