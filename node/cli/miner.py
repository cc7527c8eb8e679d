"""`tilework miner`: mining beside a node, in a process of its own."""

from __future__ import annotations

import json
from pathlib import Path

import click

from node.cli.context import keys_option, log_level_option, node_url, rpc_option
from node.cli.devices import device_options, devices_here, engine_option
from node.cli.miner_doctor import doctor


@click.group()
def miner() -> None:
    """Mining beside a node: devices, engines, work."""


@miner.command()
@rpc_option
@click.option(
    "--address",
    "who",
    metavar="ADDR|NAME",
    help="Who earns the coinbase: an address, or a key's name.  [default: the node's operator]",
)
@keys_option
@engine_option
@device_options
@click.option(
    "--jobs/--no-jobs",
    default=True,
    show_default=True,
    help="Compute jobs that the node has claimed; what they earn goes to the node's operator.",
)
@click.option(
    "--report",
    "report_s",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    metavar="SECONDS",
    help="How often to print the table.",
)
@log_level_option
def run(
    url: str | None,
    who: str | None,
    keys_dir: Path | None,
    engine: str,
    device: str,
    cpu_workers: int | None,
    jobs: bool,
    report_s: int,
    log_level: str,
) -> None:
    """Mine on a node's templates, and compute its jobs, until Ctrl-C.

    \b
    tilework miner run --rpc http://127.0.0.1:8645 --engine auto --device all
    """
    import logging

    from chain.bech32m import encode_address
    from compute.workbench import profile_of
    from genesis.json_form import from_json
    from node.cli.context import address_named
    from node.cli.node import LOG_FORMAT, LOG_TIME
    from node.mining.program import MinerSettings, run_miner
    from node.mining.work_forms import parse_work
    from node.rpc.client import RpcClient

    url = node_url(url)
    with RpcClient(url, timeout_s=10) as client:
        info = client.call("node_info")
        spec = from_json(json.dumps(client.call("chain_spec")["spec"]))
        account = address_named(who or info["address"], spec.address_prefix, keys_dir)
        address = encode_address(spec.address_prefix, account)
        parse_work(client.call("work_template", address=address), address)
    settings = MinerSettings(
        url=url,
        genesis=info["genesis"],
        profile=profile_of(spec.profile_id),
        block_time_ms=spec.pace.block_time_ms,
        address=address,
        engine=engine,
        devices=devices_here(device, cpu_workers, engine),
        report_s=report_s,
        jobs=jobs,
    )
    logging.basicConfig(level=log_level.upper(), format=LOG_FORMAT, datefmt=LOG_TIME)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    names = ", ".join(each.name + (f" ({each.model})" if each.model else "") for each in settings.devices)
    click.echo(f"Mining for {address} on {info['chain_id']} at {url} with {names}.")
    run_miner(settings, click.echo)


miner.add_command(doctor)
