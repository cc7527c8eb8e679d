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
            tile(each["owed_grains"] + each["owed_to_stakers_grains"]),
        )
        for each in form["validators"]
    ]
    yield from table(("VALIDATOR", "OWN>", "DELEGATED>", "WEIGHT>", "SHARE>", "OWED>"), rows)
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
                "" if each["listed"] else "left the list",
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


def _standing(form: dict[str, Any], heights: Heights) -> str:
    if form["listed"]:
        return f"since {heights.at(form['since_height'])}"
    return "not on the list: its own stake is too small; what is staked with it earns nothing"
