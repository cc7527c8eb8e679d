"""Stake in words: the list of validators, one of them, what an account has staked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from node.amounts import money, per_cent, tile
from node.cli.heights import Heights
from node.cli.table import table


def list_lines(form: dict[str, Any], heights: Heights) -> Iterator[str]:
    rows = [
        (
            each["address"],
            tile(each["stake_grains"]),
            tile(each["delegated_grains"]),
            tile(each["weight_grains"]),
            per_cent(each["share_bp"]),
            per_cent(each["commission_bp"]),
            tile(each["owed_grains"] + each["owed_to_stakers_grains"]),
            remark(each, heights),
        )
        for each in form["validators"]
    ]
    yield from table(("VALIDATOR", "OWN>", "DELEGATED>", "WEIGHT>", "SHARE>", "KEEPS>", "OWED>", ""), rows)
    if len(rows) < form["count"]:
        yield f"{len(rows)} of {form['count']}; more with --limit"
    yield f"weights of epoch {form['epoch']}; the next are frozen at {heights.at(form['next_epoch_height'])}"


def validator_lines(form: dict[str, Any], heights: Heights) -> Iterator[str]:
    yield form["address"]
    yield f"  validator  {_standing(form, heights)}"
    yield f"  own stake  {money(form['stake_grains'])}"
    yield f"  delegated  {money(form['delegated_grains'])}"
    yield f"  weight     {money(form['weight_grains'])}, {per_cent(form['share_bp'])} of all in this epoch"
    yield f"  owed       {money(form['owed_grains'])} to itself"
    yield f"             {money(form['owed_to_stakers_grains'])} to those who stake with it"
    if form["commission_bp"] is not None:
        yield f"  keeps      {per_cent(form['commission_bp'])} of what the stake of others earns"
        yield f"             raises it by {per_cent(form['max_change_bp'])} at a time at most"
    if form["announced"] is not None:
        yield f"  announced  {_announced(form['announced'], heights)}"
    if form["meta_root"] is not None:
        yield f"  about it   {form['meta_root']}"


def account_lines(form: dict[str, Any], heights: Heights) -> Iterator[str]:
    yield form["address"]
    own = form["validator"]
    if own is not None:
        yield "as a validator:"
        yield from list(validator_lines(own, heights))[1:]
    if form["delegations"]:
        yield "staked with:"
        rows = [
            (
                each["operator"],
                tile(each["stake_grains"]),
                tile(each["owed_grains"]),
                _delegation_remark(each, heights),
            )
            for each in form["delegations"]
        ]
        yield from table(("VALIDATOR", "STAKE>", "EARNED>", ""), rows, indent="  ")
    else:
        yield "nothing staked with validators on the list; name one that has left it with --validator"
    if form["unbonding"]:
        yield "on the way out:"
        rows_out = [(tile(each["amount_grains"]), heights.at(each["height"])) for each in form["unbonding"]]
        yield from table(("AMOUNT>", "CAN BE SPENT FROM"), rows_out, indent="  ")
    else:
        yield "nothing on the way out"
    if not form["unbonding_complete"]:
        yield "  … and perhaps more: there was too much to look through"


def _delegation_remark(form: dict[str, Any], heights: Heights) -> str:
    """What somebody should know before it moves or leaves."""
    remarks = [] if form["listed"] else ["left the list"]
    if form["arrived_until"] is not None:
        remarks.append(f"answers for another until {heights.at(form['arrived_until'])}")
    return ", ".join(remarks)


def remark(form: dict[str, Any], heights: Heights) -> str:
    """What somebody who chooses a validator should know."""
    if form["jailed"]:
        return _jailed(form, heights)
    return f"keeps {_announced(form['announced'], heights)}" if form["announced"] is not None else ""


def _jailed(form: dict[str, Any], heights: Heights) -> str:
    return "in jail for ever" if form["tombstoned"] else f"in jail until {heights.at(form['jailed_until'])}"


def _announced(terms: dict[str, Any], heights: Heights) -> str:
    return f"{per_cent(terms['commission_bp'])} from {heights.at(terms['height'])}"


def _standing(form: dict[str, Any], heights: Heights) -> str:
    if form["jailed"]:
        return f"{_jailed(form, heights)}; what is staked with it earns nothing"
    if form["listed"]:
        return f"since {heights.at(form['since_height'])}"
    return "not on the list: its own stake is too small; what is staked with it earns nothing"
