"""`tilework provider`: standing on the list of those who sell work, and looking at it."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from node.amounts import money, tile
from node.cli.amounts import AMOUNT
from node.cli.context import (
    address_named,
    connect,
    json_amounts_option,
    key_option,
    rpc_option,
    show,
    signing_key,
)
from node.cli.hexadecimal import Hex
from node.cli.provider_lines import list_lines, provider_lines
from node.cli.writing import Desk, Intent, Writing, desk, writing

if TYPE_CHECKING:
    from vm.providers.record import Declaration, Served, WorkClass

_CLASS = re.compile(r"(?P<dtype>int8|int32):(?P<edge>[0-9]{1,12}):(?P<memory>[0-9]{1,18})")


@click.group()
def provider() -> None:
    """Providers: offer work on the list of the chain, change what it says, leave it, look at it.

    Jobs can be claimed without standing on it. A node that sells work (`node run --provide`) sends the heartbeats of
    its account by itself once that is on the list.
    """


def _declaring(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of what a provider says of itself; the command gets them as `said`, None where not given."""

    @wraps(command)
    def run(
        endpoints: tuple[str, ...],
        transport_key: str | None,
        exchange_key: str | None,
        classes: tuple[str, ...],
        price: int | None,
        serves: tuple[str, ...],
        parallel: int | None,
        region: str | None,
        **given: Any,
    ) -> None:
        said: dict[str, Any] = {
            "endpoints": endpoints or None,
            "transport_key": None if transport_key is None else bytes.fromhex(transport_key),
            "exchange_key": None if exchange_key is None else bytes.fromhex(exchange_key),
            "classes": tuple(map(_class, classes)) or None,
            "price_per_gmac_grains": price,
            "versions": serves or None,
            "max_parallel": parallel,
            "region": region,
        }
        command(said=said, **given)

    for option in (
        click.option("--region", help="Where it stands, in a word."),
        click.option("--parallel", type=click.IntRange(0), help="Jobs that it runs at a time."),
        click.option(
            "--serves",
            multiple=True,
            metavar="ASSET:VERSION",
            help="A version that it has at hand; may be repeated.",
        ),
        click.option("--price", type=AMOUNT, help="What it asks for 10⁹ multiply-accumulates."),
        click.option(
            "--class",
            "classes",
            multiple=True,
            metavar="DTYPE:EDGE:BYTES",
            help="Work that it takes: int8 or int32, longest edge, memory; may be repeated.",
        ),
        click.option(
            "--exchange-key", type=Hex(32, 32), metavar="HEX", help="X25519 key to which secrets are sealed."
        ),
        click.option(
            "--transport-key", type=Hex(32, 32), metavar="HEX", help="Ed25519 key of its endpoints."
        ),
        click.option(
            "--endpoint", "endpoints", multiple=True, help="Where it can be reached; may be repeated."
        ),
    ):
        run = option(run)
    return run


@provider.command()
@_declaring
@writing
def register(how: Writing, said: dict[str, Any]) -> None:
    """Stand on the list; a deposit is locked until you leave it."""
    from chain.types import Grains
    from vm.kinds.providers import ProviderRegister

    empty: dict[str, Any] = {
        "endpoints": (),
        "transport_key": bytes(32),
        "exchange_key": bytes(32),
        "classes": (),
        "price_per_gmac_grains": Grains(0),
        "versions": (),
        "max_parallel": 1,
        "region": "",
    }
    with desk(how) as at:
        deposit = at.now.spec.providers.deposit_grains
        declared = _declaration(at, empty, said)
        at.carry_out(
            Intent(
                "provider.register",
                ProviderRegister(declared),
                done="on the list of providers",
                spends_grains=deposit,
                spends="deposit",
                told=(
                    f"provider   {at.own}",
                    f"price      {tile(declared.price_per_gmac_grains)} per GMAC",
                    f"deposit    {money(deposit)}, back when you leave the list",
                ),
                afterwards="see `tilework provider show`",
            )
        )


@provider.command()
@_declaring
@click.option("--pause", "status", flag_value="PAUSED", help="Say that you take no work for now.")
@click.option("--resume", "status", flag_value="ACTIVE", help="Say that you take work again.")
@click.option("--leave", "status", flag_value="EXITING", help="Leave the list and take the deposit back.")
@writing
def update(how: Writing, said: dict[str, Any], status: str | None) -> None:
    """Change what the list says of you; what no option names stays as it is."""
    from vm.kinds.providers import ProviderUpdate
    from vm.providers.record import ProviderStatus

    with desk(how) as at:
        form = at.client.call("provider_get", address=at.own)
        new = ProviderStatus[status or form["status"]]
        declared = _declaration(at, _declared(form), said)
        leaves = new is ProviderStatus.EXITING
        told = [f"provider   {at.own}"]
        if leaves:
            told.append(f"back       {money(form['deposit_grains'])}")
        else:
            told.append(f"status     {new.name.lower()}")
            told.append(f"price      {tile(declared.price_per_gmac_grains)} per GMAC")
        at.carry_out(
            Intent(
                "provider.update",
                ProviderUpdate(new, declared),
                done="off the list of providers" if leaves else "changed",
                told=tuple(told),
                afterwards="" if leaves else "see `tilework provider show`",
            )
        )


@provider.command()
@writing
def heartbeat(how: Writing) -> None:
    """Show that you are alive, once in an epoch; a node that sells work does it by itself."""
    from chain.errors import TooEarly
    from chain.types import Hash32
    from vm.kinds.providers import ProviderHeartbeat
    from vm.providers.heartbeat import answer

    with desk(how) as at:
        form = at.client.call("provider_get", address=at.own)
        if form["challenge"] is None:
            length = at.now.spec.pace.epoch_blocks
            begins = (at.now.height // length + 1) * length
            raise TooEarly(
                "HEARTBEAT",
                found=f"height {at.now.height}",
                allowed=f"one in an epoch, up to {at.now.spec.providers.heartbeat_blocks} blocks after it begins",
                hint=f"Try again after {at.heights.at(begins)}.",
            )
        digest = answer(Hash32(bytes.fromhex(form["challenge"])))
        at.carry_out(Intent("provider.heartbeat", ProviderHeartbeat(digest), done="alive"))


@provider.command("list")
@click.option(
    "--first", type=click.IntRange(min=0), default=0, help="Number of the first; see the end of a page."
)
@click.option("--limit", type=click.IntRange(1, 100), default=50, show_default=True, help="How many.")
@rpc_option
@json_amounts_option
def list_providers(first: int, limit: int, url: str | None, as_json: bool) -> None:
    """List providers with their price, room for jobs, and last heartbeat."""
    with connect(url) as client:
        form = client.call("provider_list", first=first, limit=limit)
    if as_json:
        show(form)
        return
    for line in list_lines(form):
        click.echo(line)


@provider.command("show")
@click.argument("name", metavar="[ADDRESS|NAME]", required=False)
@key_option
@rpc_option
@json_amounts_option
def show_provider(
    name: str | None, key_name: str | None, keys_dir: Path | None, url: str | None, as_json: bool
) -> None:
    """Show a provider, without a name your own entry."""
    from chain.bech32m import encode_address
    from node.cli.sending import chain_spec

    with connect(url) as client:
        prefix = chain_spec(client).address_prefix
        own = name is None
        who = signing_key(key_name, keys_dir).address if own else address_named(name or "", prefix, keys_dir)
        form = client.call("provider_get", address=encode_address(prefix, who))
    if as_json:
        show(form)
        return
    for line in provider_lines(form):
        click.echo(line)


def _declaration(at: Desk, before: dict[str, Any], said: dict[str, Any]) -> Declaration:
    """What was said before, changed by what is said now."""
    from vm.providers.record import Declaration

    new = {name: value for name, value in said.items() if value is not None}
    if "versions" in new:
        new["versions"] = tuple(_served(at, text) for text in new["versions"])
    return Declaration(**(before | new))


def _declared(form: dict[str, Any]) -> dict[str, Any]:
    """The declared fields of a provider, as the node shows them."""
    from node.bodies import Reader
    from vm.describe import fields_of
    from vm.providers.record import Declaration

    def nobody(text: str) -> Any:
        raise AssertionError(f"a declaration names no account, but {text}")

    names = [field.name for field in fields_of(Declaration)]
    declared = Reader(nobody).record(Declaration, {name: form[name] for name in names})
    return {name: getattr(declared, name) for name in names}


def _served(at: Desk, text: str) -> Served:
    from node.cli.asset_names import asset_named
    from vm.providers.record import Served

    asset, _, version = text.rpartition(":")
    if not asset or not version.isdecimal():
        raise click.UsageError(f"{text!r} is no version: write ASSET:VERSION, for example 0123abcd:1.")
    return Served(asset_named(at.client, asset, at.own), int(version))


def _class(text: str) -> WorkClass:
    from chain.tensors import DType
    from vm.providers.record import WorkClass

    match = _CLASS.fullmatch(text)
    if match is None:
        raise click.UsageError(f"{text!r} is no class: write for example int8:16384:80000000000.")
    return WorkClass(DType[match["dtype"].upper()], int(match["edge"]), int(match["memory"]))
