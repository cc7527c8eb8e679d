"""`tilework snapshot`: the state of a network at one block as files, and a node that begins with them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from node.cli.context import json_option, show

if TYPE_CHECKING:
    from chain.types import BlockHash
    from node.snapshot.manifest import Manifest

directory_argument = click.argument("directory", type=click.Path(path_type=Path))
data_option = click.option(
    "--data-dir", "--data", "data_dir", type=click.Path(path_type=Path, file_okay=False), required=True,
    help="Directory of the node.",
)  # fmt: skip
genesis_help = "Genesis file of the network."
trust_help = "Id of the block that you know, from elsewhere, to be of the network's chain."


@click.group()
def snapshot() -> None:
    """Snapshots: the state after a block, to begin a node with instead of every block since genesis."""


@snapshot.command("export")
@data_option
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Directory to write; it must not exist."
)
@json_option
def export_snapshot(data_dir: Path, out: Path, as_json: bool) -> None:
    """Write the state after the head of a stopped node, with the headers of its chain.

    \b
    tilework snapshot export --data my-node --out snapshot
    """
    from chain.errors import Missing
    from chain.leveldb import LevelKV
    from node.snapshot.export import export

    if not (data_dir / "db").is_dir():
        raise Missing(
            "SNAPSHOT_DATA", found=f"no database in {data_dir}", hint="Name the --data directory of a node."
        )
    kv = LevelKV.open(data_dir / "db")
    try:
        manifest = export(kv, out)
    finally:
        kv.close()
    _tell("wrote", manifest, out, as_json)


@snapshot.command("check")
@directory_argument
@click.option("--genesis", "genesis_file", type=click.Path(path_type=Path), help=genesis_help)
@click.option("--trust", metavar="ID", help=trust_help)
@json_option
def check_snapshot(directory: Path, genesis_file: Path | None, trust: str | None, as_json: bool) -> None:
    """Check a snapshot: no node, no database, no network.

    Every chunk is checked alone against the state root, all of them together for being the whole state, and the headers
    for being a chain that ends in the snapshot's block. Without --trust, any chain will do, also one that somebody made
    up; without --genesis the headers' times and targets are not checked.
    """
    from node.cli.genesis import read_spec
    from node.snapshot import check
    from node.snapshot.manifest import read_manifest

    manifest = read_manifest(directory)
    if trust is not None:
        check.check_trust(manifest, _block_id(trust))
    spec = read_spec(genesis_file) if genesis_file is not None else None
    for _ in check.headers(directory, manifest, spec):
        pass
    check.block(directory, manifest)
    for _ in check.chunks(directory, manifest):
        pass
    _tell("checked", manifest, directory, as_json)
    if trust is None and not as_json:
        click.echo("note: not compared with anything you trust; name a block id with --trust")


@snapshot.command("import")
@directory_argument
@data_option
@click.option("--genesis", "genesis_file", type=click.Path(path_type=Path), required=True, help=genesis_help)
@click.option("--trust", metavar="ID", required=True, help=trust_help)
@json_option
def import_snapshot(directory: Path, data_dir: Path, genesis_file: Path, trust: str, as_json: bool) -> None:
    """Make the database of a new node from a snapshot; `node run` on it follows the chain from there.

    The node takes the trusted block for granted: it never goes back behind it and does not have the blocks before it.

    \b
    tilework snapshot import snapshot --data new-node --genesis genesis.json --trust BLOCKID
    """
    from chain.leveldb import LevelKV
    from node.cli.genesis import read_spec
    from node.snapshot.restore import restore

    manifest = restore(directory, data_dir, read_spec(genesis_file), _block_id(trust), LevelKV.open)
    _tell("imported", manifest, data_dir, as_json)


def _block_id(text: str) -> BlockHash:
    from chain.errors import Policy
    from chain.types import BlockHash
    from node.rpc.registry import Form

    if not Form.HASH.accepts(text):
        raise Policy("BLOCK_ID", found=text[:80], allowed="64 hexadecimal digits")
    return BlockHash(bytes.fromhex(text))


def _tell(done: str, manifest: Manifest, place: Path, as_json: bool) -> None:
    if as_json:
        show(
            {
                "directory": str(place),
                "chain_id": manifest.chain_id,
                "height": manifest.header.height,
                "block": manifest.header.id.hex(),
                "state_root": manifest.header.state_root.hex(),
                "entries": manifest.entries,
                "chunks": len(manifest.chunks),
                "size_bytes": manifest.size_bytes,
            }
        )
        return
    click.echo(
        f"{done} {place}: {manifest.entries} entries in {len(manifest.chunks)} chunks, {manifest.size_bytes} bytes, "
        f"state after block {manifest.header.height} of {manifest.chain_id!r}"
    )
    click.echo(f"block {manifest.header.id.hex()}")
