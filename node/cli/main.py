"""`tilework`: the root of the command line.  Groups are imported when they are used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from chain.errors import TileworkError
from node.cli.errors import EXIT_CODES, INTERRUPTED, CommandFailed, expected, failed

GROUPS = {
    "devnet": ("node.cli.devnet", "devnet"),
    "status": ("node.cli.status", "status"),
    "account": ("node.cli.account", "account"),
    "tx": ("node.cli.tx", "tx"),
    "job": ("node.cli.job", "job"),
    "model": ("node.cli.model", "model"),
    "stake": ("node.cli.stake", "stake"),
    "session": ("node.cli.session", "session"),
    "gov": ("node.cli.gov", "gov"),
    "provider": ("node.cli.provider", "provider"),
    "block": ("node.cli.block", "block"),
    "proof": ("node.cli.proof", "proof"),
    "work": ("node.cli.work", "work"),
    "bench": ("node.cli.bench", "bench"),
    "keys": ("node.cli.keys", "keys"),
    "genesis": ("node.cli.genesis", "genesis"),
    "node": ("node.cli.node", "node"),
    "snapshot": ("node.cli.snapshot", "snapshot"),
    "miner": ("node.cli.miner", "miner"),
}
"""Command, module, attribute; in the order in which a newcomer meets them."""

EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code:>3}  {meaning}" for code, meaning in EXIT_CODES)


class Root(click.Group):
    """Imports commands on demand and turns expected failures into one line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(GROUPS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in GROUPS:
            return None
        module, attribute = GROUPS[cmd_name]
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TileworkError as error:
            raise failed(error) from error
        except BaseExceptionGroup as group:  # a node's nurseries report in groups
            error_or_none = expected(group)
            if error_or_none is None:
                raise
            raise failed(error_or_none) from group
        except KeyboardInterrupt:
            raise CommandFailed("interrupted.", INTERRUPTED) from None


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        from node.release import release

        click.echo(f"tilework {release()}")
        ctx.exit()


@click.group(
    cls=Root,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the release.",
)
@click.option(
    "--rpc", "url", metavar="URL", help="Node to talk to; every command that needs one takes it too."
)
def cli(url: str | None) -> None:
    """A blockchain whose proof of work is integer matrix products that somebody asked for.

    \b
    First steps:
      tilework devnet up --detach                        four nodes on this machine
      tilework status                                    is it running?
      tilework job submit --a A.npy --b B.npy --max-price 1tile --wait
      tilework job result ID --out C.npy                 C = A @ B, checked
      tilework devnet down

    Every command has --help; every reading command has --json. Amounts are grains (1500) or TILE (1.5tile).
    """
    del url  # read by node.cli.context.connect, where the command itself names no node


def main() -> None:
    """Entry point of the console script."""
    cli(prog_name="tilework")


if __name__ == "__main__":
    main()
