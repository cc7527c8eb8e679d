"""`tilework status`: is this node well?"""

from __future__ import annotations

import time
from typing import Any

import click

from node.amounts import scaled, span, tile
from node.cli.context import connect, json_amounts_option, rpc_option, show

WATCH_S = 1
STALE_BLOCKS = 20
"""A head this many block times old is not called fresh: either the network or this node has stopped."""
STALE_AT_LEAST_MS = 60_000


@click.command()
@rpc_option
@json_amounts_option
@click.option("--watch", is_flag=True, help="One line per second until Ctrl-C.")
def status(url: str | None, as_json: bool, watch: bool) -> None:
    """Where a node stands: head, peers, work, money."""
    with connect(url) as client:
        while watch:
            now = client.call("chain_status")
            if as_json:
                show(now)
            else:
                click.echo(one_line(now, _now_ms()))
            time.sleep(WATCH_S)
        form = client.call("chain_status")
        if as_json:
            show(form)
            return
        info = client.call("node_info")
    for line in screen(form, info, _now_ms()):
        click.echo(line)


def condition(form: dict[str, Any], now_ms: int) -> str:
    """What to call the state of a node; synced only with a fresh head."""
    age_ms = now_ms - form["time_ms"]
    if stopped(form):
        return "stopped before an upgrade: install the release that knows it"
    if form["syncing"]:
        return "syncing"
    if form["height"] and age_ms <= max(STALE_AT_LEAST_MS, STALE_BLOCKS * form["block_time_ms"]):
        return "synced"
    if not form["peers"]:
        return "searching for peers"
    return (
        f"stalled: no block for {span(age_ms // 1000)}" if form["height"] else "waiting for the first block"
    )


def stopped(form: dict[str, Any]) -> bool:
    """Whether the next block is the first of an upgrade that this release does not know."""
    upgrade = form["upgrade"]
    return upgrade is not None and not upgrade["known"] and form["height"] + 1 >= upgrade["height"]


def one_line(form: dict[str, Any], now_ms: int) -> str:
    """The state of a node on one line."""
    age_s = max(0, now_ms - form["time_ms"]) // 1000
    return (
        f"{condition(form, now_ms)} · height {form['height']} {form['head'][:12]} · {span(age_s)} old · "
        f"{form['peers']} peers · {form['mempool']} waiting · {scaled(form['macs_per_second'], 'MAC/s')}"
    )


def screen(form: dict[str, Any], info: dict[str, Any], now_ms: int) -> list[str]:
    """The state of a node on one screen."""
    age_s = max(0, now_ms - form["time_ms"]) // 1000
    supply, roles = form["supply"], ", ".join(info["roles"]) or "follows only"
    rate, effort = scaled(form["macs_per_second"], "MAC/s"), scaled(int(form["block_macs"], 16), "MAC")
    return [
        f"{form['chain_id']}: {condition(form, now_ms)}",
        f"head       height {form['height']}, {form['head']}, {span(age_s)} old",
        f"state      {form['state_root']}",
        f"genesis    {form['genesis']}",
        f"finality   justified {form['justified'] or 'none'}, final {form['final'] or 'none'} (no votes yet)",
        f"network    {form['peers']} peers, {form['mempool']} transactions waiting",
        f"work       {rate} here; a block takes {effort}; settled jobs: {scaled(form['settled_macs'], 'MAC')}",
        f"money      minted {tile(supply['minted_grains'])}, burned {tile(supply['burned_grains'])},"
        f" locked {tile(supply['locked_grains'])}; base fee {form['base_fee_grains']} grains",
        *upgrade_lines(form),
        f"node       {info['address']}, {info['engine'] or 'no worker yet'}: {roles}",
        *(f"device     {device_line(device)}" for device in info["devices"]),
        *(f"join       {address}" for address in info["listen"]),
    ]


def upgrade_lines(form: dict[str, Any]) -> list[str]:
    """The upgrade that people agreed on, if there is one."""
    upgrade = form["upgrade"]
    if upgrade is None:
        return []
    known = "known to this release" if upgrade["known"] else "NOT known to this release"
    return [f"upgrade    {upgrade['name']} from height {upgrade['height']} on, {known}"]


def device_line(device: dict[str, Any]) -> str:
    """What multiplies on this node, or why it does not."""
    rate = scaled(device["macs_per_second"], "MAC/s")
    doing = f"{device['engine']}, {rate}, {device['tickets']:,} tickets, {device['panels']:,} panels"
    return f"{device['device']}: {doing if device['state'] == 'running' else device['state']}" + (
        f"; last failure: {device['failure']}" if device["failure"] else ""
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
