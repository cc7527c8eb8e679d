"""`tilework devnet`: a whole network of node processes on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from node.devnet.launch import Running

_DIRECTORY = click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path),
    default=".tilework-devnet",
    show_default=True,
    help="Where the network lives: genesis, keys, data and logs.",
)


@click.group()
def devnet() -> None:
    """A local network of several nodes, for building and trying things out."""


@devnet.command()
@click.option(
    "-n", "--nodes", type=int, default=4, show_default=True, help="Node processes; all validate and provide."
)
@click.option("--miners", type=int, default=2, show_default=True, help="How many of them mine.")
@click.option(
    "--accounts", type=int, default=3, show_default=True, help="Funded user accounts: alice, bob, carol, …"
)
@click.option(
    "--block-time", "block_time_s", type=float, default=2.0, show_default=True, help="Seconds per block."
)
@click.option("--detach", is_flag=True, help="Return once all nodes answer; `devnet down` stops them.")
@click.option("--reset", is_flag=True, help="Throw away a stopped network in the same directory first.")
@_DIRECTORY
def up(
    nodes: int,
    miners: int,
    accounts: int,
    block_time_s: float,
    detach: bool,
    reset: bool,
    directory: Path,
) -> None:
    """Measure this machine, found a network with the asked block time, and start its nodes.

    Without --detach, shows blocks as they come until Ctrl-C, then stops every node.
    """
    from node.devnet.launch import Request, Running, check, found, require_empty, throw_away
    from node.devnet.table import overview

    miners = min(miners, nodes)
    request = Request(directory, nodes, miners, accounts, round(block_time_s * 1000))
    check(request)
    if reset:
        throw_away(directory.resolve())
    require_empty(directory.resolve())
    click.echo(f"Measuring this machine with {miners} miner{'s'[: miners != 1]} for a second …", err=True)
    network = Running(directory.resolve(), found(request))
    click.echo(overview(network.devnet, Path.cwd()))
    click.echo("")
    if detach:
        _start(network)
        click.echo(f"All {nodes} nodes answer. Stop them with `tilework devnet down{_named(directory)}`.")
        return
    _run_in_foreground(network)


@devnet.command()
@_DIRECTORY
def down(directory: Path) -> None:
    """Stop the nodes of a local network; its data stays."""
    from node.devnet import record
    from node.devnet.processes import is_running, stop

    known = record.load(directory.resolve())
    alive = [node.name for node in known.nodes if is_running(node)]
    killed = stop(known.nodes)
    record.save(known.with_pids({}), directory.resolve())
    click.echo(f"Stopped {', '.join(alive)}." if alive else "Nothing was running.")
    if killed:
        click.echo(f"Had to kill {', '.join(killed)}: see the log.", err=True)


def _start(network: Running) -> None:
    """Start all nodes; one that dies at once is shown with its last words."""
    from chain.errors import LocalFault
    from node.devnet.processes import log_tail

    try:
        network.start_all()
    except LocalFault:
        for node in network.died_at_start:
            click.echo(f"--- {node.log}\n{log_tail(Path(node.log))}", err=True)
        raise


def _named(directory: Path) -> str:
    from node.devnet.record import DEFAULT_DIRECTORY

    return "" if directory == Path(DEFAULT_DIRECTORY) else f" --dir {directory}"


def _run_in_foreground(network: Running) -> None:
    import signal

    from node.devnet.follow import follow

    # A polite kill and a closed terminal are a Ctrl-C; SIGINT itself may have been ignored by whoever started us.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        _start(network)
        click.echo("All nodes answer. Try `tilework status` in another terminal; Ctrl-C stops the network.")
        follow(network, click.echo)
    except KeyboardInterrupt:
        click.echo("Stopping …", err=True)
    finally:
        killed = network.stop_all()
        click.echo(f"Had to kill {', '.join(killed)}." if killed else "All nodes stopped.", err=True)
