"""Providers in words: the list, and one of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from node.amounts import money, scaled, tile
from node.cli.table import table

_NO_KEY = "00" * 32


def list_lines(form: dict[str, Any]) -> Iterator[str]:
    if not form["count"]:
        yield "nobody is on the list"
        return
    rows = [
        (
            each["address"],
            each["status"].lower(),
            tile(each["price_per_gmac_grains"]),
            f"{each['room']} of {each['max_parallel']}",
            scaled(each["measured_macs"], "MAC"),
            str(each["heartbeat_epoch"]),
            each["region"],
        )
        for each in form["providers"]
    ]
    yield from table(("PROVIDER", "STATUS", "PER GMAC>", "ROOM>", "PER EPOCH>", "HEARTBEAT>", "REGION"), rows)
    if form["next"] is not None:
        yield f"{form['next']} of {form['count']}; more with --first {form['next']}"
    yield f"heartbeats by epoch; this is epoch {form['epoch']}"


def provider_lines(form: dict[str, Any]) -> Iterator[str]:
    yield f"{form['address']}  {form['status'].lower()}, number {form['number']}"
    yield f"  price      {tile(form['price_per_gmac_grains'])} per GMAC"
    yield f"  jobs       {form['open_jobs']} open, room for {form['room']} of {form['max_parallel']}"
    yield f"  settles    {scaled(form['measured_macs'], 'MAC')} per epoch, as a moving average"
    yield f"  heartbeat  of epoch {form['heartbeat_epoch']}{', one is due now' if form['challenge'] else ''}"
    yield f"  deposit    {money(form['deposit_grains'])} since height {form['registered_height']}"
    if form["region"]:
        yield f"  region     {form['region']}"
    for endpoint in form["endpoints"]:
        yield f"  endpoint   {endpoint}"
    for name in ("transport", "exchange"):
        if form[f"{name}_key"] != _NO_KEY:
            yield f"  {name} key {form[f'{name}_key']}"
    for each in form["classes"]:
        memory = scaled(each["memory_bytes"], "B")
        yield f"  class      {each['dtype'].lower()}, edges up to {each['max_edge']:,}, {memory}"
    for each in form["versions"]:
        yield f"  serves     {each['asset']} version {each['version']}"
