"""`tilework work multiply`: a person's own product, exact, mining on the way when a node is there to mine for."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from node.amounts import scaled
from node.cli.context import address_named, connect, json_option, keys_option, rpc_option, show

if TYPE_CHECKING:
    from compute.api import Multiplication, Template, Win
    from node.mining.work import Work
    from node.rpc.client import RpcClient
    from node.template_feed import TemplateFeed

LEAST_PANEL_ROWS = 256
"""Fewer rows would spend too much on B, which is committed again under every template."""
PANEL_SHARE = 4
"""A panel takes at most this fraction of the block time: a product that outlives its template wins nothing."""
NEW_TEMPLATE_S = 1.0
"""How long to wait, after a block, for the template of the next one: under the old one nothing can be won."""
SAY_EVERY_NS = 10_000_000_000
_NO_WIN = 1
"""The hardest target: without a node there is nothing to win."""


@click.command()
@click.option("--a", "file_a", type=click.Path(path_type=Path), required=True, help="A, m x k: integer .npy.")
@click.option("--b", "file_b", type=click.Path(path_type=Path), required=True, help="B, k x n: integer .npy.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="File to write: int32 .npy, m x n; whole or not at all.",
)
@click.option(
    "--engine", "engine_name", default="auto", show_default=True, help="`tilework miner doctor` lists them."
)
@click.option("--offline", is_flag=True, help="Multiply only: talk to no node, win nothing.")
@click.option(
    "--address",
    "miner",
    metavar="ADDRESS|NAME",
    help="Who earns the block rewards.  [default: the node's own account]",
)
@keys_option
@rpc_option
@json_option
def multiply(
    file_a: Path,
    file_b: Path,
    out: Path,
    engine_name: str,
    offline: bool,
    miner: str | None,
    keys_dir: Path | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Multiply two matrices of yours exactly, C = A @ B, and mine with the same multiplications.

    Entries are integers from -63 to 63, of any integer type. The product runs in panels of rows, each under the node's
    newest template; a panel that wins is handed in at once. Where no node answers, and none was named, the product is
    made all the same.
    """
    from compute.blas_threads import use_one_blas_thread

    use_one_blas_thread()

    from compute.api import Multiplication
    from node.matrix_files import check_place, check_product, load_matrix, save_matrix

    if offline and _on_the_command_line("url"):
        raise click.UsageError("--offline and --rpc exclude each other.")
    check_place(out)
    a, b = load_matrix(file_a), load_matrix(file_b)
    check_product(a, b)
    say = _nothing if as_json else _note
    with ExitStack() as stack:
        feed = None if offline else _open_feed(stack, url, miner, keys_dir, say)
        work = Multiplication(a, b, engine=engine_name)
        report = _Report(work, feed)
        _run(work, feed, report, say)
    work.check()
    save_matrix(out, work.product)
    if as_json:
        show(report.form(out))
    else:
        for line in report.lines(out):
            click.echo(line)


@dataclass(slots=True)
class _Win:
    """A certificate that was handed in, and what became of it."""

    height: int
    ticket: str
    block: str = ""
    """The block it made; empty if it was refused."""
    refusal: str = ""


@dataclass(slots=True)
class _Report:
    """What a multiplication did."""

    work: Multiplication
    feed: TemplateFeed | None
    engine: str = ""
    profile: str = ""
    time_ns: int = 0
    drawn: int = 0
    won: int = 0
    versions: set[int] = field(default_factory=set)
    wins: list[_Win] = field(default_factory=list)
    _rows_measured: int = 0

    @property
    def macs(self) -> int:
        return self.work.rows_done * self.work.columns * self.work.depth

    @property
    def macs_per_second(self) -> int:
        return self.macs * 1_000_000_000 // max(1, self.time_ns)

    def panel_rows(self, block_time_ms: int) -> int:
        """Height of the next panel: low at first, then what fits into a share of the block time at the rate measured.

        Decided once, because B is prepared anew for every height.
        """
        if not self.work.rows_done:
            return LEAST_PANEL_ROWS
        if not self._rows_measured:
            fitting = self.work.rows_done * block_time_ms * 1_000_000 // (self.time_ns * PANEL_SHARE)
            self._rows_measured = max(LEAST_PANEL_ROWS, fitting)
        return self._rows_measured

    def form(self, out: Path) -> dict[str, Any]:
        """For programs."""
        return {
            "out": str(out),
            "m": self.work.rows,
            "n": self.work.columns,
            "k": self.work.depth,
            "engine": self.engine,
            "profile": self.profile,
            "node": self.feed.url if self.feed is not None else None,
            "time_ms": self.time_ns // 1_000_000,
            "macs": self.macs,
            "macs_per_second": self.macs_per_second,
            "templates": len(self.versions),
            "tickets": self.drawn,
            "winning_tickets": self.won,
            "wins": [
                {
                    "height": win.height,
                    "ticket": win.ticket,
                    "block": win.block or None,
                    "refusal": win.refusal or None,
                }
                for win in self.wins
            ],
        }

    def lines(self, out: Path) -> list[str]:
        """For people."""
        work = self.work
        told = [
            f"wrote {out}: int32, {work.rows}x{work.columns}, every row checked",
            f"time     {self.time_ns / 1e9:.2f} s for {scaled(self.macs, 'MAC')} on engine {self.engine}",
            f"rate     {scaled(self.macs_per_second, 'MAC/s')}",
        ]
        if self.feed is None:
            return [*told, f"tickets  {self.drawn:,} drawn for no node: nothing to win"]
        templates = f"{len(self.versions)} template{'s'[: len(self.versions) != 1]}"
        told.append(
            f"tickets  {self.drawn:,} drawn under {templates} of {self.feed.url}, {self.won} below the target"
        )
        if not self.wins:
            return [*told, "wins     none this time"]
        return [
            *told,
            *(f"win      block {win.height} {win.block}" for win in self.wins if win.block),
            *(f"lost     block {win.height}: {win.refusal}" for win in self.wins if not win.block),
        ]


def _run(
    work: Multiplication, feed: TemplateFeed | None, report: _Report, say: Callable[[str], None]
) -> None:
    """Every panel under the newest template, each win handed in before the next panel."""
    from node.template_feed import template_of

    template = _practice() if feed is None else template_of(feed.newest())
    report.engine, report.profile = work.engine(template.profile).name, template.profile.name
    started_ns = said_ns = time.monotonic_ns()
    while not work.finished:
        if feed is None:
            drawn = work.advance(template)
        else:
            now = feed.newest()
            drawn = work.advance(template_of(now), report.panel_rows(now.block_time_ms))
            report.versions.add(now.version)
            if drawn.winners:
                report.wins.append(_hand_in(feed, now, drawn.winners[0]))
        report.drawn += drawn.drawn
        report.won += drawn.won
        report.time_ns = time.monotonic_ns() - started_ns
        if time.monotonic_ns() - said_ns > SAY_EVERY_NS:
            said_ns = time.monotonic_ns()
            say(f"{work.rows_done:,} of {work.rows:,} rows, {scaled(report.macs_per_second, 'MAC/s')}")
    if feed is not None and feed.fault is not None:
        say(f"the last template stayed the newest: {feed.fault}")


def _hand_in(feed: TemplateFeed, now: Work, win: Win) -> _Win:
    from chain.errors import TileworkError

    try:
        answer = feed.submit(now.version, win.certificate)
    except TileworkError as error:  # the node is gone: the product goes on
        return _Win(height=now.height, ticket=win.ticket.hex(), refusal=str(error))
    if answer.block is not None:
        feed.wait_beyond(now.version, NEW_TEMPLATE_S)
    return _Win(
        height=now.height,
        ticket=win.ticket.hex(),
        block=answer.block.hex() if answer.block is not None else "",
        refusal="" if answer.block is not None else answer.reason or answer.outcome.value,
    )


def _open_feed(
    stack: ExitStack, url: str | None, miner: str | None, keys_dir: Path | None, say: Callable[[str], None]
) -> TemplateFeed | None:
    """Templates of the node that was named, or of the one that is here; None if none was named and none is here."""
    from chain.errors import TileworkError
    from node.template_feed import TemplateFeed

    named = url is not None or click.get_current_context().find_root().params.get("url") is not None
    try:
        with connect(url) as client:
            address = None if miner is None else _full_address(client, miner, keys_dir)
        return stack.enter_context(TemplateFeed(client.url, address))
    except TileworkError as error:
        if named or miner is not None:
            raise
        say(f"multiplying without mining: {error}")
        return None


def _full_address(client: RpcClient, miner: str, keys_dir: Path | None) -> str:
    from chain.bech32m import encode_address
    from node.cli.sending import chain_spec

    prefix = chain_spec(client).address_prefix
    return encode_address(prefix, address_named(miner, prefix, keys_dir))


def _practice() -> Template:
    from compute.api import Template
    from compute.spec.profiles import CPU

    return Template(secrets.token_bytes(32), _NO_WIN, CPU)


def _on_the_command_line(option: str) -> bool:
    return click.get_current_context().get_parameter_source(option) is ParameterSource.COMMANDLINE


def _note(text: str) -> None:
    click.echo(text, err=True)


def _nothing(_: str) -> None:
    pass
