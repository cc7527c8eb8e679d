"""`tilework job`: ordering products and taking delivery."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from node.amounts import scaled, tile
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

if TYPE_CHECKING:
    from chain.keys import SigningKey
    from chain.types import Address
    from node.orders import Quote
    from node.wallet import Situation

_WAIT_TIMEOUT_S = 600
_TIMEOUT = click.option(
    "--timeout", "timeout_s", type=click.IntRange(min=0), default=_WAIT_TIMEOUT_S, show_default=True,
    help="Seconds to wait.",
)  # fmt: skip


@click.group()
def job() -> None:
    """Jobs: have a matrix product computed, checked and paid."""


@job.command()
@click.option(
    "--a",
    "file_a",
    type=click.Path(path_type=Path),
    required=True,
    help="A: .npy of integers in [-63, 63], m x k.",
)
@click.option(
    "--b",
    "file_b",
    type=click.Path(path_type=Path),
    required=True,
    help="B: .npy of integers in [-63, 63], k x n.",
)
@click.option(
    "--max-price", type=AMOUNT, required=True, help="The most to lock in all; what is not earned comes back."
)
@click.option(
    "--price-per-gmac",
    type=AMOUNT,
    help="The most to pay per GMAC.  [default: what --max-price allows, up to 4 times what the node asks]",
)
@click.option(
    "--deadline", "deadline_blocks", type=int, help="Blocks from claim to result.  [default: the network's]"
)
@click.option(
    "--provider", metavar="ADDRESS|NAME", help="Only this provider may take it.  [default: anybody]"
)
@click.option("--permit", type=Hex(32, 32), metavar="ID", help="A permit on guarded data that it is given.")
@click.option(
    "--slot",
    type=click.IntRange(0, 7),
    help="Slot in which you bought the use of guarded data that it is given.",
)
@click.option("--wait", is_flag=True, help="Follow it to settlement, as `job wait` does.")
@_TIMEOUT
@key_option
@rpc_option
@json_amounts_option
def submit(
    file_a: Path,
    file_b: Path,
    max_price: int,
    price_per_gmac: int | None,
    deadline_blocks: int | None,
    provider: str | None,
    permit: str | None,
    slot: int | None,
    wait: bool,
    timeout_s: int,
    key_name: str | None,
    keys_dir: Path | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Order the product A @ B."""
    from chain.types import NO_ADDRESS, NO_PERMIT, PermitId
    from node.cli.sending import send, situation
    from node.matrix_files import check_product, load_matrix
    from node.orders import check_deadline, check_size, order, quote, upload
    from node.wallet import build, require_funds
    from vm.jobs.inputs import NO_SLOT
    from vm.jobs.record import job_id

    a, b = load_matrix(file_a), load_matrix(file_b)
    check_product(a, b)
    key = signing_key(key_name, keys_dir)
    with connect(url) as client:
        now = situation(client, key)
        rules, prefix = now.spec.jobs, now.spec.address_prefix
        ask = client.call("node_info")["ask_per_gmac_grains"]
        quoted = quote(rules, a.shape[0], b.shape[1], a.shape[1], max_price, price_per_gmac, ask)
        check_size(now.spec, quoted.shape)
        blocks = rules.deadline_default_blocks if deadline_blocks is None else deadline_blocks
        check_deadline(rules, blocks)
        chosen = address_named(provider, prefix, keys_dir) if provider is not None else NO_ADDRESS
        _require_escrow(now, key, quoted, blocks, chosen)
        _warn_of_a_low_price(ask, quoted)
        roots = upload(client, a), upload(client, b.T.copy())
        now = situation(client, key)  # an upload takes time: the nonce may have been used meanwhile
        body = order(
            quoted,
            roots,
            blocks,
            chosen,
            permit=NO_PERMIT if permit is None else PermitId(bytes.fromhex(permit)),
            slot=NO_SLOT if slot is None else slot,
        )
        transaction = build(now, key, "job.open", body)
        require_funds(now, transaction, quoted.escrow_grains, "escrow")
        send(client, transaction)
        identity = job_id(key.address, now.nonce).hex()
        if as_json and not wait:
            show(_submitted(identity, transaction.id.hex(), transaction.max_fee_grains, quoted))
            return
        if not as_json:
            _tell_quote(identity, quoted)
        if wait:
            from node.cli.job_wait import follow

            form = follow(client, identity, timeout_s, say=_quiet if as_json else click.echo)
            if as_json:
                show(form)


@job.command()
@click.argument("identity", metavar="ID")
@_TIMEOUT
@rpc_option
@json_amounts_option
def wait(identity: str, timeout_s: int, url: str | None, as_json: bool) -> None:
    """Follow a job until it ends; succeeds only if it settles (exit code 4 otherwise)."""
    from node.cli.job_wait import follow

    with connect(url) as client:
        form = follow(client, identity, timeout_s, say=_quiet if as_json else click.echo)
    if as_json:
        show(form)


@job.command()
@click.argument("identity", metavar="ID")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="File to write: int32 .npy, m x n.",
)
@rpc_option
def result(identity: str, out: Path, url: str | None) -> None:
    """Fetch the product of a settled job, verify it against its root on the chain, and write it."""
    from node.cli.sending import chain_spec
    from node.matrix_files import save_matrix
    from node.orders import fetch_result

    with connect(url) as client:
        form = client.call("job_get", id=identity)
        product = fetch_result(client, chain_spec(client), form, _say_progress)
    save_matrix(out, product)
    click.echo(f"wrote {out}: int32, {form['m']}x{form['n']}; its root is the one on the chain")


@job.command()
@click.argument("identity", metavar="ID")
@click.option("--wait", is_flag=True, help="Return once it is in a block.")
@key_option
@rpc_option
@json_amounts_option
def cancel(
    identity: str, wait: bool, key_name: str | None, keys_dir: Path | None, url: str | None, as_json: bool
) -> None:
    """Take back a job that nobody has claimed; the escrow returns."""
    from chain.bech32m import encode_address
    from chain.types import JobId
    from node.cli.sending import POLL_LIMIT_S, deliver, situation
    from node.wallet import build, require_funds
    from vm.kinds.jobs import JobCancel

    key = signing_key(key_name, keys_dir)
    with connect(url) as client:
        form = client.call("job_get", id=identity)
        now = situation(client, key)
        _require_cancellable(form, encode_address(now.spec.address_prefix, key.address))
        transaction = build(now, key, "job.cancel", JobCancel(JobId(bytes.fromhex(form["id"]))))
        require_funds(now, transaction, 0, "")
        done = f"cancelled, {tile(form['escrow_grains'])} back"
        deliver(client, transaction, done, wait_s=POLL_LIMIT_S if wait else None, as_json=as_json)


@job.command("show")
@click.argument("identity", metavar="ID")
@rpc_option
@json_amounts_option
def show_job(identity: str, url: str | None, as_json: bool) -> None:
    """Show everything about a job."""
    from node.cli.job_wait import event_line

    with connect(url) as client:
        form = client.call("job_get", id=identity)
    if as_json:
        show(form)
        return
    click.echo(f"job       {form['id']}")
    click.echo(f"status    {form['status']}")
    click.echo(
        f"product   {form['m']}x{form['k']} times {form['k']}x{form['n']}, {scaled(form['macs'], 'MAC')}"
    )
    click.echo(f"payer     {form['payer']}")
    click.echo(f"provider  {form['provider'] or 'none yet'}")
    click.echo(
        f"escrow    {tile(form['escrow_grains'])}: price {tile(form['escrow_price_grains'])}, protocol "
        f"{tile(form['escrow_protocol_grains'])}, audit {tile(form['escrow_audit_grains'])}; "
        f"bond {tile(form['bond_grains'])}"
    )
    for name, height in form["windows"].items():
        click.echo(f"next      {name.replace('_', ' ')} height {height}")
    if form["tickets_drawn"] is not None:
        click.echo(f"tickets   {form['tickets_drawn']} drawn by its product on this node")
    for entry in form["timeline"]:
        click.echo(f"  {event_line(entry, form)}")


@job.command("list")
@click.option(
    "--limit",
    type=click.IntRange(min=1, max=500),
    default=20,
    show_default=True,
    help="How many, newest first.",
)
@click.option("--status", help="Only jobs in this status, for example settled.")
@rpc_option
@json_amounts_option
def list_jobs(limit: int, status: str | None, url: str | None, as_json: bool) -> None:
    """List jobs, newest first."""
    with connect(url) as client:
        found = client.call("job_list", limit=limit, status=status)["jobs"]
    if as_json:
        show(found)
        return
    if not found:
        click.echo("no jobs")
    for form in found:
        shape = f"{form['m']}x{form['k']}x{form['n']}"
        click.echo(
            f"{form['id']}  {form['status']:<9}  {shape:<16} {scaled(form['macs'], 'MAC'):<10} "
            f"{tile(form['escrow_grains'])}"
        )


def _require_cancellable(form: dict[str, Any], sender: str) -> None:
    """Refuse what the chain would refuse, before it costs a fee."""
    from chain.errors import Policy

    if form["payer"] != sender:
        raise Policy(
            "NOT_OWNER",
            found=sender,
            allowed=form["payer"],
            hint="Sign with the key that opened the job: --key.",
        )
    if form["status"] != "OPEN":
        raise Policy("BAD_STATE", found=form["status"], allowed="OPEN", hint="A claimed job runs to its end.")


def _warn_of_a_low_price(ask_grains: int, quoted: Quote) -> None:
    """The chain takes any price; whether somebody works for it is another matter."""
    offered = quoted.price_per_gmac_grains
    if offered < ask_grains:
        click.echo(
            f"Warning: {tile(offered)} per GMAC is less than the {tile(ask_grains)} this node asks: "
            "perhaps nobody will claim the job. Raise --max-price.",
            err=True,
        )


def _require_escrow(
    now: Situation, key: SigningKey, quoted: Quote, deadline_blocks: int, provider: Address
) -> None:
    """Refuse a job the account cannot pay for before its matrices are uploaded; the real roots change no size."""
    from chain.types import ZERO_HASH, TensorRoot
    from node.orders import order
    from node.wallet import build, require_funds

    root = TensorRoot(ZERO_HASH)
    draft = build(now, key, "job.open", order(quoted, (root, root), deadline_blocks, provider))
    require_funds(now, draft, quoted.escrow_grains, "escrow")


def _submitted(identity: str, transaction: str, max_fee_grains: int, quoted: Quote) -> dict[str, Any]:
    shape = quoted.shape
    return {
        "id": identity,
        "transaction": transaction,
        "m": shape.m,
        "n": shape.n,
        "k": shape.k,
        "macs": shape.macs,
        "escrow_grains": quoted.escrow_grains,
        "escrow_price_grains": quoted.price_grains,
        "escrow_protocol_grains": quoted.protocol_grains,
        "escrow_audit_grains": quoted.audit_grains,
        "price_per_gmac_grains": quoted.price_per_gmac_grains,
        "max_fee_grains": max_fee_grains,
    }


def _tell_quote(identity: str, quoted: Quote) -> None:
    shape = quoted.shape
    click.echo(f"job {identity}")
    click.echo(f"product {shape.m}x{shape.k} times {shape.k}x{shape.n}, {scaled(shape.macs, 'MAC')}")
    click.echo(
        f"locked {tile(quoted.escrow_grains)}: price up to {tile(quoted.price_grains)}, protocol fee "
        f"{tile(quoted.protocol_grains)}, committee {tile(quoted.audit_grains)}; what is not earned comes back"
    )


def _quiet(text: str) -> None:
    del text  # with --json, only JSON is printed


def _say_progress(what: str, done_bytes: int, total_bytes: int) -> None:
    if total_bytes >= 1 << 22:
        click.echo(f"{what}: {done_bytes * 100 // total_bytes} %", err=True)
