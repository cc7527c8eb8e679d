"""`tilework model publish`, `version`: from files to an asset on the chain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from node.amounts import parse_per_cent, per_cent, tile
from node.cli.amounts import PER_CENT
from node.cli.hexadecimal import Hex
from node.cli.writing import Desk, Intent, Writing, desk, writing

if TYPE_CHECKING:
    from chain.types import AssetId, Hash32
    from node.content import Content
    from vm.assets.record import Parent, Relation

TYPES = ("model", "adapter", "dataset", "code", "evalset")
_ROOT = Hex(32, 32)
_FILE = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True)
class Given:
    """What a person says of content: where it is, or what its root is."""

    path: Path | None
    matrix: str | None
    root: str | None
    size_bytes: int | None
    manifest: Path | None
    manifest_root: str | None

    def content(self) -> Content | None:
        """The content; None if nothing was said of it.  Raises: as `content_of` and `matrix_content`."""
        from chain.types import Hash32
        from node.content import Content, Operand, content_of, matrix_content

        if (self.root is None) != (self.size_bytes is None):
            raise click.UsageError("--content-root and --size belong together.")
        if self.root is not None and self.size_bytes is not None:
            if self.path is not None or self.matrix is not None:
                raise click.UsageError("Give a file, or --content-root and --size, not both.")
            return Content(Hash32(bytes.fromhex(self.root)), self.size_bytes)
        if self.path is None:
            return None
        if self.matrix is not None:
            return matrix_content(self.path, Operand(self.matrix))
        return content_of(self.path)

    def manifest_commitment(self) -> Hash32:
        """Zeros if nothing was said of it."""
        from chain.types import Hash32

        if self.manifest is not None and self.manifest_root is not None:
            raise click.UsageError("Give --manifest or --manifest-root, not both.")
        if self.manifest_root is not None:
            return Hash32(bytes.fromhex(self.manifest_root))
        return _root_of(self.manifest)


def content_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds FILE and what may stand for it; the command gets them as `given`."""

    @wraps(command)
    def run(
        path: Path | None,
        matrix: str | None,
        content_root: str | None,
        size_bytes: int | None,
        manifest: Path | None,
        manifest_root: str | None,
        **others: Any,
    ) -> None:
        command(given=Given(path, matrix, content_root, size_bytes, manifest, manifest_root), **others)

    for option in (
        click.option("--manifest-root", type=_ROOT, help="The manifest's root, if it is elsewhere."),
        click.option("--manifest", type=_FILE, help="Table of layers, or schema and rows.  [default: none]"),
        click.option(
            "--size", "size_bytes", type=click.IntRange(0, (1 << 63) - 1), help="Its size in bytes."
        ),
        click.option("--content-root", type=_ROOT, help="Root of content that is elsewhere."),
        click.option(
            "--matrix",
            type=click.Choice(["a", "b"]),
            help="FILE is a .npy that jobs take as this operand: its root is the one jobs know.",
        ),
        click.argument("path", metavar="[FILE|DIRECTORY]", required=False, type=_FILE),
    ):
        run = option(run)
    return run


class ParentText(click.ParamType[tuple[str, str, int]]):
    """ID:RELATION:PERCENT."""

    name = "parent"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str, int]:
        if isinstance(value, tuple):
            return value
        asset, _, rest = value.rpartition(":")[0].rpartition(":")
        share_bp = parse_per_cent(value.rpartition(":")[2])
        if not asset or rest not in _relations() or share_bp is None:
            self.fail(
                f"{value!r} is no parent: write ID:RELATION:PERCENT, RELATION one of {', '.join(_relations())}.",
                param,
                ctx,
            )
        return asset, rest, share_bp


@click.command()
@content_options
@click.option("--title", required=True, help="Its name for people, at most 64 bytes.")
@click.option(
    "--type", "kind", type=click.Choice(TYPES), default="model", show_default=True, help="What it is."
)
@click.option(
    "--parent",
    "parents",
    type=ParentText(),
    multiple=True,
    metavar="ID:RELATION:PERCENT",
    help="What it is made from, how, and that one's part of every sale: 4fd0a1c2:fine-tuned:12.5.",
)
@click.option("--licence", type=_FILE, help="File with the licence.")
@click.option("--doc", type=_FILE, help="File that describes it.")
@click.option("--consent", type=_FILE, help="File with the consents of people in the data.")
@click.option(
    "--derivatives", type=click.Choice(["allowed", "forbidden"]), default="allowed", show_default=True,
    help="Whether others may name it as a parent.",
)  # fmt: skip
@click.option(
    "--min-derivative-share", "min_share_bp", type=PER_CENT, default=0, metavar="PERCENT",
    help="The least part of their sales that it asks of descendants.",
)  # fmt: skip
@writing
def publish(
    how: Writing,
    given: Given,
    title: str,
    kind: str,
    parents: tuple[tuple[str, str, int], ...],
    licence: Path | None,
    doc: Path | None,
    consent: Path | None,
    derivatives: str,
    min_share_bp: int,
) -> None:
    """Publish a model, adapter, dataset, code or eval set.

    Its root is made from the file, or from all files of a directory; the content itself stays where it is. A deposit
    is locked until it is retired.
    """
    from vm.assets.limits import DEPOSIT_GRAINS
    from vm.assets.record import AssetType, Derivatives, asset_id
    from vm.kinds.assets import AssetPublish

    content = given.content()
    if content is None:
        raise click.UsageError("Give a file or directory, or --content-root and --size.")
    roots = [_root_of(path) for path in (licence, doc, consent)]
    manifest_root = given.manifest_commitment()
    with desk(how) as at:
        body = AssetPublish(
            type=AssetType[{"evalset": "EVAL_SET"}.get(kind, kind.upper())],
            title=title,
            content_root=content.root,
            size_bytes=content.size_bytes,
            manifest_root=manifest_root,
            licence_root=roots[0],
            doc_root=roots[1],
            consent_root=roots[2],
            derivatives=Derivatives[derivatives.upper()],
            min_derivative_share_bp=min_share_bp,
            parents=tuple(_parent(at, parent) for parent in parents),
        )
        identity = asset_id(at.key.address, at.now.nonce).hex()
        offering = f"`tilework model offer {identity[:16]} --kind KIND --price AMOUNT`"
        at.carry_out(
            Intent(
                "asset.publish",
                body,
                done=f"published {title}",
                spends_grains=DEPOSIT_GRAINS,
                spends="deposit",
                told=(
                    f"asset    {identity}  {kind}  {title}",
                    *_content_lines(content),
                    *(_parent_line(parent) for parent in body.parents),
                    f"deposit  {tile(DEPOSIT_GRAINS)}, back when it is retired and the last grant has ended",
                ),
                afterwards=f"to sell its use, once it is in a block: {offering}",
                more={
                    "asset": identity,
                    "content_root": content.root.hex(),
                    "size_bytes": content.size_bytes,
                    "deposit_grains": DEPOSIT_GRAINS,
                },
            )
        )


@click.command()
@click.argument("name", metavar="ID|TITLE")
@content_options
@click.option(
    "--parent-version", type=click.IntRange(min=1), help="Made from this one.  [default: the newest]"
)
@click.option(
    "--job",
    type=_ROOT,
    metavar="ID",
    help="The settled job that made it of its parent version: verified. Without FILE, its result is the content.",
)
@writing
def version(how: Writing, given: Given, name: str, parent_version: int | None, job: str | None) -> None:
    """Add a version to an asset of your own."""
    from chain.types import NO_JOB, JobId
    from node.cli.asset_names import asset_named
    from vm.kinds.assets import AssetVersion

    content = given.content() if job is None or given.path is None else None
    manifest_root = given.manifest_commitment()
    with desk(how) as at:
        asset = asset_named(at.client, name, at.own)
        held = at.client.call("asset_get", id=asset.hex())
        if job is not None and content is None:
            content = _result(at.client.call("job_get", id=job), at, given.path)
        if content is None:
            raise click.UsageError("Give a file or directory, --content-root and --size, or --job.")
        body = AssetVersion(
            asset=asset,
            parent_version=parent_version or held["versions"],
            content_root=content.root,
            size_bytes=content.size_bytes,
            manifest_root=manifest_root,
            job=JobId(bytes.fromhex(job)) if job is not None else NO_JOB,
        )
        number = held["versions"] + 1
        at.carry_out(
            Intent(
                "asset.version",
                body,
                done=f"version {number} of {held['title']}",
                told=(
                    f"asset    {asset.hex()}  {held['title']}",
                    f"version  {number}, of version {body.parent_version}",
                    *_content_lines(content),
                ),
                afterwards=f"see `tilework model show {asset.hex()[:16]}`",
                more={"asset": asset.hex(), "version": number, "content_root": content.root.hex()},
            )
        )


def _result(job: dict[str, Any], at: Desk, path: Path | None) -> Content:
    """What a job made: its result, which the file, if there is one, has to be.  Raises: Policy JOB_NOT_SETTLED."""
    from chain.errors import Policy
    from chain.types import Hash32
    from node.content import Content
    from node.matrix_files import load_result
    from node.orders import result_root

    if job["status"] != "SETTLED":
        raise Policy(
            "JOB_NOT_SETTLED",
            found=job["status"],
            allowed="SETTLED",
            hint=f"See `tilework job show {job['id']}`.",
        )
    if path is not None:
        root = result_root(at.now.spec, job, load_result(path).tobytes())
        if root.hex() != job["result_root"]:
            raise Policy(
                "RESULT_ROOT",
                found=f"{path} with root {root.hex()}",
                allowed=job["result_root"],
                hint=f"Fetch it with `tilework job result {job['id']} --out FILE`, or give no file.",
            )
    return Content(Hash32(bytes.fromhex(job["result_root"])), job["m"] * job["n"] * 4)


def _root_of(path: Path | None) -> Hash32:
    """The root of a file; zeros stand for none."""
    from chain.types import ZERO_HASH, Hash32
    from node.content import content_of

    return content_of(path).root if path is not None else Hash32(ZERO_HASH)


def _content_lines(content: Content) -> tuple[str, ...]:
    files = f" in {content.files:,} files" if content.files > 1 else ""
    return (f"content  {content.root.hex()}", f"size     {content.size_bytes:,} bytes{files}")


def _parent(at: Desk, parent: tuple[str, str, int]) -> Parent:
    from node.cli.asset_names import asset_named
    from vm.assets.record import Parent

    name, relation, share_bp = parent
    asset: AssetId = asset_named(at.client, name, at.own)
    return Parent(asset, _relations()[relation], share_bp)


def _parent_line(parent: Parent) -> str:
    relation = parent.relation.name.lower().replace("_", " ")
    return f"parent   {parent.asset.hex()}  {relation}, gets {per_cent(parent.share_bp)} of every sale"


def _relations() -> dict[str, Relation]:
    """Relations by their names on the command line."""
    from vm.assets.record import Relation

    return {relation.name.lower().replace("_", "-"): relation for relation in Relation}
