"""`tilework node`: running a node."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from node.cli.context import keys_option, log_level_option
from node.cli.devices import device_options, devices_here, engine_option

if TYPE_CHECKING:
    from chain.keys import SigningKey

LOG_FORMAT = "%(asctime)s.%(msecs)03d %(levelname)-7s %(name)s %(message)s"
LOG_TIME = "%Y-%m-%dT%H:%M:%S"


@click.group()
def node() -> None:
    """A node of a network."""


@node.command()
@click.option(
    "--genesis",
    "genesis_file",
    type=click.Path(path_type=Path),
    required=True,
    help="Genesis file of the network.",
)
@click.option(
    "--data-dir", "--data", "data_dir", type=click.Path(path_type=Path, file_okay=False), required=True,
    help="Directory of this node's database and matrices; made if absent.",
)  # fmt: skip
@click.option(
    "--key",
    "key_name",
    metavar="NAME|PATH",
    help="Operator key.  [default: key.json in --data-dir, made if absent]",
)
@keys_option
@click.option(
    "--listen",
    default="127.0.0.1:0",
    show_default=True,
    metavar="IP:PORT",
    help="Where peers reach this node.",
)
@click.option(
    "--rpc",
    metavar="IP:PORT",
    help="Where commands reach it (loopback only).  [default: 127.0.0.1:8645, or any free port if that one is taken]",
)
@click.option(
    "--join", multiple=True, metavar="ADDR", help="A node to connect to, as it prints at start; repeatable."
)
@click.option(
    "--mine/--no-mine", default=True, show_default=True, help="Work for blocks while there is no job."
)
@click.option("--provide/--no-provide", default=True, show_default=True, help="Claim and compute jobs.")
@click.option(
    "--validate/--no-validate",
    default=True,
    show_default=True,
    help="Check results when drawn, if this key has a stake.",
)
@engine_option
@device_options
@click.option(
    "--ask",
    "ask_per_gmac_grains",
    type=click.IntRange(min=1),
    default=1_000_000,
    show_default=True,
    metavar="GRAINS",
    help="Lowest price per GMAC to claim a job at.",
)
@click.option(
    "--fault",
    default="",
    metavar="NAME",
    help="Misbehave on purpose (corrupt-result); only where the network allows it.",
)
@log_level_option
def run(
    genesis_file: Path,
    data_dir: Path,
    key_name: str | None,
    keys_dir: Path | None,
    listen: str,
    rpc: str | None,
    join: tuple[str, ...],
    mine: bool,
    provide: bool,
    validate: bool,
    engine: str,
    device: str,
    cpu_workers: int | None,
    ask_per_gmac_grains: int,
    fault: str,
    log_level: str,
) -> None:
    """Run a node until Ctrl-C.

    \b
    tilework node run --genesis genesis.json --data-dir my-node --join /ip4/…/tcp/…/p2p/…
    """
    import logging

    from node.app import NodeSettings, run_node
    from node.cli.genesis import read_spec
    from p2p.addresses import DialAddress, ListenOn

    spec = read_spec(genesis_file)
    rpc = rpc if rpc is not None else _free_rpc_address()
    for address in (listen, rpc):
        ListenOn.parse(address)
    for address in join:
        DialAddress.parse(address)
    logging.basicConfig(level=log_level.upper(), format=LOG_FORMAT, datefmt=LOG_TIME)
    settings = NodeSettings(
        data_dir=data_dir,
        spec=spec,
        key=_operator_key(key_name, keys_dir, data_dir, spec.address_prefix),
        listen=listen,
        rpc=rpc,
        join=join,
        mine=mine,
        provide=provide,
        validate=validate,
        engine=engine,
        devices=devices_here(device, cpu_workers, engine) if mine or provide else (),
        ask_per_gmac_grains=ask_per_gmac_grains,
        fault=fault,
    )
    run_node(settings)


def _free_rpc_address() -> str:
    """The usual address, so that commands find the node; beside another node, a port of the system's choice."""
    from node.devnet.ports import FIRST_RPC_PORT, HOST, is_free

    return f"{HOST}:{FIRST_RPC_PORT if is_free(FIRST_RPC_PORT) else 0}"


def _operator_key(name: str | None, keys_dir: Path | None, data_dir: Path, prefix: str) -> SigningKey:
    """The key asked for, else the one beside the data, made on the first start."""
    import secrets

    from node.cli.context import signing_key
    from node.cli.keys import PLAIN_TEXT_WARNING
    from node.keyfile import read_key
    from node.keystore import Keystore

    if name is not None:
        return signing_key(name, keys_dir)
    path = data_dir / "key.json"
    if path.exists():
        return read_key(path)
    key = Keystore(data_dir).create("key", secrets.token_bytes(32), prefix)
    click.echo(f"Made an operator key in {path}. {PLAIN_TEXT_WARNING}", err=True)
    return key
